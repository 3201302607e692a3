"""Modules of inferno-ai in pairs, one of them accelerated, and running the two side by side."""

import torch
from states import seeded

import inferno_cuda

CELL = {"rest_v": -60.0, "refrac_t": 2.5, "resistance": 1.3}
RESET = {"reset_v": -65.0}
THRESHOLD = {"tc_membrane": 20.0, "thresh_eq_v": -50.0, "spike_increment": (0.7, 0.3)}
QUADRATIC = {**RESET, "thresh_v": -30.0, "crit_v": -45.0, "affinity": 0.04}
EXPONENTIAL = {**RESET, "thresh_v": -30.0, "rheobase_v": -50.0, "sharpness": 2.0}
CURRENT = {
    "tc_membrane": 20.0,
    "tc_adaptation": (30.0, 80.0),
    "voltage_coupling": (0.02, 0.01),
    "spike_increment": (0.5, 0.2),
}
NEURONS = {
    "LIF": {**RESET, "thresh_v": -50.0, "time_constant": 20.0},
    "GLIF1": {**RESET, "thresh_v": -50.0, "time_constant": 20.0},
    "ALIF": {**RESET, **THRESHOLD, "tc_adaptation": (30.0, 80.0)},
    "GLIF2": {"reset_v_add": 2.0, "reset_v_mul": -0.1, **THRESHOLD, "rc_adaptation": (0.03, 0.0125)},
    "QIF": {**QUADRATIC, "time_constant": 20.0},
    "Izhikevich": {**QUADRATIC, **CURRENT},
    "EIF": {**EXPONENTIAL, "time_constant": 20.0},
    "AdEx": {**EXPONENTIAL, **CURRENT},
}
ADAPTIVE = ("ALIF", "GLIF2", "Izhikevich", "AdEx")
SYNAPSES = {
    "DeltaCurrent": {"spike_charge": 1.7},
    "DeltaPlusCurrent": {"spike_charge": 1.7},
    "SingleExponentialCurrent": {"spike_charge": 1.7, "time_constant": 7.0},
    "DoubleExponentialCurrent": {"spike_charge": 1.7, "tc_decay": 9.0, "tc_rise": 2.5},
}
DELAYS = {
    "on the grid": lambda d, dt: torch.randint(0, 6, d.shape, generator=seeded(3)) * dt,
    "off the grid": lambda d, dt: torch.rand(d.shape, generator=seeded(3)) * 5 * dt,
    "out of range": lambda d, dt: torch.rand(d.shape, generator=seeded(3)) * 9 * dt - 2 * dt,
}


def neuron(library, name, shape=5, dt=1.0, **options):
    return getattr(library, name)(shape, dt, **{**CELL, **NEURONS[name], "batch_size": 2, **options})


def synapse(library, name, shape=5, dt=1.0, **options):
    return getattr(library, name)(shape, dt, **{**SYNAPSES[name], "delay": 4.0, "batch_size": 2, **options})


def connection(library, name, of="DeltaCurrent", delays=None, dt=1.0, **options):
    """A connection with weights of its own; `options` beyond the connection's are those of its synapse."""
    torch.manual_seed(1)
    own = {"bias", "batch_size"}
    made = {
        "synapse": getattr(library, of).partialconstructor(
            **SYNAPSES[of], **{key: value for key, value in options.items() if key not in own}
        ),
        "batch_size": 2,
        "bias": True,
        **{key: value for key, value in options.items() if key in own},
    }
    if delays is not None:
        made |= {"delay": 5 * dt, "delay_init": lambda d: DELAYS[delays](d, dt)}
    if name == "LinearDense":
        return library.LinearDense((3, 2), 4, dt, **made)
    if name == "Conv2D":
        return library.Conv2D(5, 4, 2, 3, dt, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), **made)
    return getattr(library, name)((2, 3), dt, **made)


CONNECTIONS = ("LinearDense", "LinearDirect", "LinearLateral", "Conv2D")


def pair(make, **options):
    """Two modules with the same state, of which the second is accelerated."""
    plain, fast = make(), make()
    fast.load_state_dict(plain.state_dict())
    inferno_cuda.accelerate(fast, strict=True, **options)
    return plain, fast


def currents(steps, *shape, dtype=torch.float32, seed=0):
    return (torch.randn(steps, *shape, generator=seeded(seed), dtype=torch.float64) * 20 + 15).to(dtype)


def tensors(module):
    """All that a module's state consists of, by name: buffers that are not saved too."""
    found = dict(module.named_buffers()) | {name: p.detach() for name, p in module.named_parameters()}
    for fqn, part in module.named_modules():
        found |= {f"{fqn}.{name}": torch.tensor(value) for name, value in getattr(part, "_extras", {}).items()}
    return found


def assert_state(plain, fast, **tolerance):
    """The same state in the same order; equal in every bit unless there is a tolerance."""
    a, b = tensors(plain), tensors(fast)
    assert list(a) == list(b)
    for name, value in a.items():
        assert value.dtype == b[name].dtype and value.shape == b[name].shape, name
        torch.testing.assert_close(b[name], value, **(tolerance or {"rtol": 0, "atol": 0}), equal_nan=True)


def calls_of_library(monkeypatch, cls):
    """A list that grows by one whenever the library's own forward runs."""
    calls, original = [], cls.forward

    def forward(self, *args, **kwargs):
        calls.append(type(self).__name__)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(cls, "forward", forward)
    return calls
