"""Modules that sequences run through, built anew on every call, and their inputs."""

import torch
from connection_cases import CONNECTIONS, DELTA, EXPONENTIAL, Plain, make
from states import seeded
from synapse_cases import KINDS, synapse

from inferno_cuda.neural import (
    ALIF,
    EIF,
    GLIF1,
    GLIF2,
    LIF,
    QIF,
    AdEx,
    Biclique,
    DoubleExponentialCurrent,
    Izhikevich,
    Layer,
    LinearDense,
    RecurrentSerial,
    Serial,
)

B = 2
_V = {"rest_v": -60.0, "refrac_t": 2.0, "batch_size": B}
_ADAPT = {"spike_increment": (0.5, 1.0)}
NEURONS = {
    "LIF": lambda shape=5: LIF(shape, 1.0, reset_v=-65.0, thresh_v=-50.0, time_constant=20.0, **_V),
    "GLIF1": lambda shape=5: GLIF1(shape, 1.0, reset_v=-65.0, thresh_v=-50.0, time_constant=20.0, **_V),
    "ALIF": lambda shape=5: ALIF(shape, 1.0, reset_v=-65.0, thresh_eq_v=-50.0, tc_membrane=20.0,
                                 tc_adaptation=(30.0, 80.0), **_ADAPT, **_V),
    "GLIF2": lambda shape=5: GLIF2(shape, 1.0, reset_v_add=2.0, reset_v_mul=0.4, thresh_eq_v=-50.0, tc_membrane=20.0,
                                   rc_adaptation=(0.02, 0.1), **_ADAPT, **_V),
    "QIF": lambda shape=5: QIF(shape, 1.0, crit_v=-52.0, affinity=0.04, reset_v=-65.0, thresh_v=-40.0,
                               time_constant=20.0, **_V),
    "Izhikevich": lambda shape=5: Izhikevich(shape, 1.0, crit_v=-52.0, affinity=0.04, reset_v=-65.0, thresh_v=-40.0,
                                             tc_membrane=20.0, tc_adaptation=50.0, voltage_coupling=0.1,
                                             spike_increment=1.0, **_V),
    "EIF": lambda shape=5: EIF(shape, 1.0, rheobase_v=-50.0, sharpness=2.0, reset_v=-65.0, thresh_v=-40.0,
                               time_constant=20.0, **_V),
    "AdEx": lambda shape=5: AdEx(shape, 1.0, rheobase_v=-50.0, sharpness=2.0, reset_v=-65.0, thresh_v=-40.0,
                                 tc_membrane=20.0, tc_adaptation=50.0, voltage_coupling=0.1, spike_increment=1.0, **_V),
}  # fmt: skip
DOUBLE = DoubleExponentialCurrent.partialconstructor(30.0, 5.0, 1.0)


def sixteenths(x):
    """Numbers whose sums are exact, in whatever order: torch's products round by the number of rows."""
    return (16 * x).round() / 16


EXACT = {"synapse": DELTA, "delay": None, "weight_init": lambda w: sixteenths(w - 0.3), "bias_init": sixteenths}


def dense(inputs, outputs, delay=3.0, seed=0):
    torch.manual_seed(seed)
    options = {"step_time": 1.0, "batch_size": B, "bias": True}
    if delay is None:
        return LinearDense(inputs, outputs, **{**EXACT, "weight_init": lambda w: sixteenths(9 * w)}, **options)
    return LinearDense(inputs, outputs, synapse=DOUBLE, delay=delay, weight_init=lambda w: 3 * w,
                       delay_init=lambda d: 3 * torch.rand_like(d), **options)  # fmt: skip


def serial(neuron="ALIF", delay=3.0, inputs=6, outputs=5, **options):
    return Serial(dense(inputs, outputs, delay), NEURONS[neuron](outputs), **options)


def biclique(**options):
    return Biclique(
        [("a", dense(6, 5, seed=1)), ("b", dense(6, 5, None, seed=2))],
        [("x", NEURONS["LIF"]()), ("y", NEURONS["AdEx"]())],
        **options,
    )


def recurrent():
    return RecurrentSerial(
        dense(6, 5, seed=1), dense(5, 5, seed=2), dense(5, 5, seed=3), NEURONS["LIF"](), NEURONS["ALIF"]()
    )


class Own(Layer):
    """A layer whose wiring looks at its neurons."""

    def __init__(self):
        super().__init__()
        self.add_connection("a", dense(6, 5))
        self.add_neuron("x", NEURONS["LIF"]())

    def wiring(self, inputs, **kwargs):
        return {"x": inputs["a"] - 0.1 * (self.neurons_["x"].voltage + 60.0)}


class Leaky(torch.nn.Module):
    """State that is written in place and returned as it is."""

    def __init__(self):
        super().__init__()
        self.register_buffer("level", torch.zeros(B, 6))

    def forward(self, x, gain=1.0):
        self.level.mul_(0.5).add_(x, alpha=gain)
        return self.level, {"doubled": 2 * self.level}


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, B, *shape, generator=seeded(seed)) < 0.4


def currents(steps, *shape, seed=0):
    return torch.rand(steps, B, *shape, generator=seeded(seed)) * 60


MODULES = {
    **{f"neuron {name}": (made, lambda t: currents(t, 5)) for name, made in NEURONS.items()},
    **{
        f"synapse {kind}": (lambda kind=kind: synapse(kind, 6, batch_size=B, delay=2.0), lambda t: spikes(t, 6))
        for kind in KINDS
    },
    **{
        f"connection {name} {kind}": (
            lambda name=name, options=options: make(name, **options),
            lambda t, name=name: spikes(t, *make(name).inshape),
        )
        for name in CONNECTIONS
        for kind, options in {
            "delayed": {"synapse": EXPONENTIAL},
            "delta": {"synapse": DELTA},
            "present": EXACT,
            "plain": {"synapse": Plain.partialconstructor(2.0, 4.0)},
        }.items()
    },
    "serial": (serial, lambda t: spikes(t, 6)),
    "serial without delays": (lambda: serial("LIF", None), lambda t: spikes(t, 6)),
    "serial with a transform": (lambda: serial(transform=lambda x: 2 * x), lambda t: spikes(t, 6)),
    "biclique": (biclique, lambda t: {"a": (spikes(t, 6),), "b": (spikes(t, 6, seed=5),)}),
    "biclique with transforms": (
        lambda: Biclique([("a", dense(6, 5), torch.relu)], [("x", NEURONS["LIF"](), lambda x: x + 1)], combine="mean"),
        lambda t: {"a": (spikes(t, 6),)},
    ),
    "recurrent": (recurrent, lambda t: spikes(t, 6)),
    "own layer": (Own, lambda t: {"a": (spikes(t, 6),)}),
    "any module": (Leaky, lambda t: currents(t, 6)),
    "stack": (lambda: torch.nn.Sequential(serial(), serial(inputs=5, outputs=4)), lambda t: spikes(t, 6)),
    "stack with a recurrent layer": (
        lambda: torch.nn.Sequential(serial(outputs=6), recurrent()),
        lambda t: spikes(t, 6),
    ),
    "stack with a linear part": (
        lambda: torch.nn.Sequential(torch.nn.Flatten(), NEURONS["LIF"](6), torch.nn.Identity()),
        lambda t: currents(t, 2, 3),
    ),
}
