"""What the tests of integrate-and-fire steps run over."""

import torch
from core_py import uniform, with_specials

LATE = ("leaky", "synaptic")
# every model with every reset that it has, delayed or not
RULES = [
    *((model, reset, delayed) for model in LATE for reset in ("subtract", "zero") for delayed in (0, 1)),
    *((model, "none", 1) for model in LATE),
    *((model, reset, 0) for model in ("perfect", "relaxing", "filtering") for reset in ("subtract", "set")),
]
NUMBERS = {"decay": 0.9, "current_decay": 0.7, "threshold": 0.8, "amount": 0.6, "factor": 1.5, "tau": 3.0, "rest": 0.1}


def drawn(shape, dtype, seed, specials=False):
    """Inputs or state that make neurons fire now and then."""
    generator = torch.Generator().manual_seed(seed)
    values = uniform(generator, shape, -1.5, 2.0, dtype)
    return with_specials(generator, values) if specials else values


def state(model, shape, dtype, seed, specials=False):
    """Voltage, and the current of models that have one."""
    voltage = drawn(shape, dtype, seed, specials)
    return voltage, drawn(shape, dtype, seed + 1, specials) if model == "synaptic" else None
