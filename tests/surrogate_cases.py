"""Neurons of every class with a surrogate, and steps of the reference beside them."""

import torch
from test_neural_neurons import ADAPTIVE, NEURONS, currents, make

from inferno_cuda import reference
from inferno_cuda.surrogate import ATan

EVERY = list(NEURONS)
MODELS = {"GLIF1": "lif"}
# Attributes that learn, of each class.
LEARNED = {
    name: [key for key in options if key not in ("refrac_t", "spike_increment", "voltage_coupling")
           and not key.endswith("_adaptation")]
    for name, options in NEURONS.items()
}  # fmt: skip


def neurons(name, dtype=torch.float64, **options):
    """A group of 4 x 5 neurons and two samples."""
    return make(name, **({"batch_size": 2, "surrogate": ATan(0.2)} | options)).to(dtype)


def drive(steps, dtype=torch.float64, seed=0):
    return currents(steps, 2, 4, 5, seed=seed, dtype=dtype, low=-20.0, high=160.0)


def referred(cells, x, adapt=True, **options):
    """What the reference makes of the state of a group: its run over ``x``."""
    given = dict(cells._dynamics(), dt=cells.dt, refrac_t=cells.refrac_t)
    name = type(cells).__name__
    if name in ADAPTIVE:
        adaptation = cells._buffers[cells._adaptation]
        sources = [getattr(cells, source) for source in cells._sources]
        compute = torch.float64 if adaptation.dtype == torch.float64 else torch.float32
        given |= {
            "adaptation": adaptation,
            "constants": cells._make_constants(cells.dt, *sources).to(compute),
            "reduction": "mean" if adapt else None,
        }
    return reference.neuron_run(
        MODELS.get(name, name.lower()),
        cells.voltage_.value,
        cells.refrac_.value,
        x,
        surrogate=cells.surrogate,
        detach_reset=cells.detach_reset,
        **options,
        **given,
    )


def stepped(cells, x, **options):
    """Spikes and voltages of every step."""
    both = [(cells(now, **options), cells.voltage) for now in x]
    return [torch.stack(series) for series in zip(*both, strict=True)]
