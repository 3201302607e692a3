"""States, inputs and parameters of every neuron model, for tests of the neuron op."""

import math

import torch

from inferno_cuda import ops

CELL = {
    "dt": 1.0,
    "decay": math.exp(-1 / 20),
    "resistance": 1.0,
    "rest_v": -60.0,
    "reset_v": -65.0,
    "thresh_v": -50.0,
    "refrac_t": 3.0,
}
EVERY = {"dt": 1.0, "refrac_t": 3.0, "thresh_v": -45.0, "rest_v": -60.0, "resistance": 1.5}
MEMBRANES = {
    "lif": {"decay": 0.95, "reset_v": -65.0},
    "alif": {"decay": 0.95, "reset_v": -65.0},
    "glif2": {"decay": 0.95, "reset_v_mul": 0.4, "reset_v_add": 3.0},
    "qif": {"rate": 0.05, "crit_v": -52.0, "affinity": 0.04, "reset_v": -65.0},
    "izhikevich": {"rate": 0.05, "crit_v": -52.0, "affinity": 0.04, "reset_v": -65.0},
    "eif": {"rate": 0.05, "rheobase_v": -50.0, "sharpness": 2.0, "reset_v": -65.0},
    "adex": {"rate": 0.05, "rheobase_v": -50.0, "sharpness": 2.0, "reset_v": -65.0},
}
CONSTANTS = {
    "alif": [[0.97, 0.9], [1.0, 0.3]],
    "glif2": [[0.97, 0.9], [1.0, 0.3]],
    "izhikevich": [[0.01, 0.1], [0.2, 0.1], [1.0, 0.5]],
    "adex": [[0.01, 0.1], [0.2, 0.1], [1.0, 0.5]],
}
ADAPTIVE = list(CONSTANTS)


def of_model(model, shape, dtype=torch.float32, device="cpu", reduction="mean"):
    """Parameters and adaptations of a model, for states of a shape."""
    options = EVERY | MEMBRANES[model]
    if model in ADAPTIVE:
        compute = torch.float64 if dtype == torch.float64 else torch.float32
        options["constants"] = torch.tensor(CONSTANTS[model], dtype=compute, device=device)
        adaptation, _ = state((*shape[1:], 2), device=device, seed=5)
        options["adaptation"] = (adaptation / 40 + 1.5).to(dtype)
        options["reduction"] = reduction
    return options


def in_place(*args, **kwargs):
    return ops.neuron_step_("lif", *args, **kwargs)


def functional(*args, **kwargs):
    return ops.neuron_step("lif", *args, **kwargs)[:3]


def state(shape, dtype=torch.float32, device="cpu", seed=0):
    g = torch.Generator().manual_seed(seed)
    voltage = (torch.rand(shape, generator=g, dtype=torch.float64) * 30 - 75).to(dtype)
    refrac = torch.randint(0, 4, shape, generator=g).to(dtype)
    return voltage.to(device), refrac.to(device)


def inputs(shape, dtype=torch.float32, device="cpu", seed=1):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g, dtype=torch.float64) * 60 - 20).to(dtype).to(device)
