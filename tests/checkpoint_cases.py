"""Every class with state, built alike in both packages, and what drives it."""

import torch
from states import seeded

CELL = {"rest_v": -60.0, "reset_v": -65.0, "refrac_t": 2.0}
THRESHOLD = {"rest_v": -60.0, "thresh_eq_v": -50.0, "refrac_t": 2.0, "tc_membrane": 20.0, "spike_increment": (1.0, 0.5)}
CURRENT = {"tc_membrane": 20.0, "tc_adaptation": (100.0, 30.0), "voltage_coupling": (0.02, 0.1),
           "spike_increment": (1.0, 0.5)}  # fmt: skip
QUADRATIC = {**CELL, "thresh_v": -40.0, "crit_v": -52.0, "affinity": 0.04}
EXPONENTIAL = {**CELL, "thresh_v": -40.0, "rheobase_v": -50.0, "sharpness": 2.0}
NEURONS = {
    "LIF": {**CELL, "thresh_v": -50.0, "time_constant": 20.0},
    "GLIF1": {**CELL, "thresh_v": -50.0, "time_constant": 20.0},
    "ALIF": {**THRESHOLD, "reset_v": -65.0, "tc_adaptation": (30.0, 100.0)},
    "GLIF2": {**THRESHOLD, "reset_v_add": 3.0, "reset_v_mul": 0.4, "rc_adaptation": (0.02, 0.1)},
    "QIF": {**QUADRATIC, "time_constant": 20.0},
    "Izhikevich": {**QUADRATIC, **CURRENT},
    "EIF": {**EXPONENTIAL, "time_constant": 20.0},
    "AdEx": {**EXPONENTIAL, **CURRENT},
}
SYNAPSES = {
    "DeltaCurrent": (70.0,),
    "DeltaPlusCurrent": (70.0,),
    "SingleExponentialCurrent": (120.0, 5.0),
    "DoubleExponentialCurrent": (120.0, 8.0, 2.0),
}
CONNECTIONS = {
    "LinearDense": lambda n, **kw: n.neural.LinearDense((2, 3), 4, 1.0, **kw),
    "LinearDirect": lambda n, **kw: n.neural.LinearDirect(4, 1.0, **kw),
    "LinearLateral": lambda n, **kw: n.neural.LinearLateral(4, 1.0, **kw),
    "Conv2D": lambda n, **kw: n.neural.Conv2D(5, 4, 2, 3, 1.0, (3, 2), padding=(1, 0), **kw),
}
ENCODERS = ("HomogeneousPoissonEncoder", "HomogeneousPoissonApproxEncoder", "PoissonIntervalEncoder")


def neuron(inferno, name, shape=4, batch=2, **changes):
    return getattr(inferno.neural, name)(shape, 1.0, **{**NEURONS[name], **changes}, batch_size=batch)


def synapse(inferno, name):
    return getattr(inferno.neural, name).partialconstructor(*SYNAPSES[name])


def connection(inferno, kind, of="SingleExponentialCurrent", delay=3.0, batch=2, seed=0):
    gen = seeded(seed)

    def delays(old):
        return torch.rand(old.shape, generator=gen) * (delay or 0)

    def weights(old):
        new = torch.rand(old.shape, generator=gen)
        return new * (1 - torch.eye(len(old))) if kind == "LinearLateral" else new

    conn = CONNECTIONS[kind](
        inferno, synapse=synapse(inferno, of), delay=delay, bias=True, batch_size=batch, weight_init=weights,
        bias_init=lambda b: torch.rand(b.shape, generator=gen), delay_init=delays,
    )  # fmt: skip
    conn.updater = conn.defaultupdater()
    return conn


def serial(inferno, batch=2, seed=0):
    return inferno.neural.Serial(
        connection(inferno, "LinearDense", "DeltaCurrent", batch=batch, seed=seed),
        neuron(inferno, "ALIF", batch=batch),
    )


def biclique(inferno, batch=2, seed=0):
    parts = [("a", connection(inferno, "LinearDense", batch=batch, seed=seed)),
             ("b", connection(inferno, "LinearDirect", "DeltaPlusCurrent", batch=batch, seed=seed + 1),
              _half)]  # fmt: skip
    groups = [("m", neuron(inferno, "LIF", batch=batch)), ("k", neuron(inferno, "AdEx", batch=batch), _half)]
    return inferno.neural.Biclique(parts, groups, _difference)


def recurrent(inferno, batch=2, seed=0):
    return inferno.neural.RecurrentSerial(
        connection(inferno, "LinearDense", batch=batch, seed=seed),
        connection(inferno, "LinearDirect", "DeltaCurrent", None, batch=batch, seed=seed + 1),
        connection(inferno, "LinearLateral", "DeltaCurrent", 2.0, batch=batch, seed=seed + 2),
        neuron(inferno, "ALIF", batch=batch), neuron(inferno, "LIF", batch=batch),
        trainable_feedback=True, feedback_out_transform=torch.neg,
    )  # fmt: skip


def _half(x):
    return x * 0.5


def _difference(outputs, **kwargs):
    return outputs["a"] - 0.25 * outputs["b"]


def exact(inferno, batch=2, seed=0):
    return inferno.extra.ExactNeuron(4, 1.0, rest_v=-60.0, thresh_v=-50.0, batch_size=batch)


CASES = {
    **{name: lambda n, batch=2, seed=0, name=name: neuron(n, name, batch=batch) for name in NEURONS},
    "ExactNeuron": exact,
    **{name: lambda n, batch=2, seed=0, name=name: synapse(n, name)(4, 1.0, 3.0, batch) for name in SYNAPSES},
    **{f"{kind} {of}": lambda n, batch=2, seed=0, kind=kind, of=of: connection(n, kind, of, batch=batch, seed=seed)
       for kind, of in zip(CONNECTIONS, SYNAPSES, strict=True)},
    "Conv2D DoubleExponentialCurrent, no delay":
        lambda n, batch=2, seed=0: connection(n, "Conv2D", "DoubleExponentialCurrent", None, batch, seed),
    "Serial": serial,
    "Biclique": biclique,
    "RecurrentSerial": recurrent,
}  # fmt: skip


def inputs(module, steps, batch=2, seed=1):
    """What a module takes at each step: currents for neurons, spikes for anything else; several for a Biclique."""
    gen = seeded(seed)

    def spikes(shape):
        return torch.rand(batch, *shape, generator=gen) < 0.3

    for _ in range(steps):
        if hasattr(module, "post_input"):
            yield ({"a": (spikes((2, 3)),), "b": (spikes((4,)),)},)
        elif hasattr(module, "connections_"):
            yield (spikes((2, 3)),)
        elif hasattr(module, "inshape"):
            yield (spikes(module.inshape),)
        elif hasattr(module, "current"):
            yield (spikes(module.shape),)
        else:
            yield (torch.randn(batch, *module.shape, generator=gen) * 60,)


def run(module, steps):
    """What a module returns at each step, flat."""
    return [flat(module(*args)) for args in steps]


def flat(out):
    if isinstance(out, dict):
        return list(out.values())
    return list(out) if isinstance(out, tuple) else [out]
