"""Layers, rules and spikes for the tests of learning, in both packages, and what is to be learned side by side."""

import itertools
from types import SimpleNamespace

import torch

import inferno_cuda.extra
import inferno_cuda.functional
import inferno_cuda.learn
import inferno_cuda.neural

OURS = SimpleNamespace(
    learn=inferno_cuda.learn,
    neural=inferno_cuda.neural,
    extra=inferno_cuda.extra,
    functional=inferno_cuda.functional,
)
LONGEST = 3.0  # ms, of the delays


def repaired(patch):
    """The modules of inferno-ai, without some defects that nothing could be compared with, while `patch` lasts."""
    import inferno.extra
    import inferno.functional
    import inferno.learn
    import inferno.neural
    import inferno.observe
    from inferno.learn.trainers import two_factor_stdp

    def presyn_receptive(self, data):  # D-09
        data = data.unsqueeze(1) if data.ndim == 3 else data.movedim(3, 1)
        return data.unflatten(2, (self.channels, *self.kernel))

    interpolate = property(lambda self: self.reducer.interpolate)  # D-38
    patch.setattr(inferno.neural.Conv2D, "presyn_receptive", presyn_receptive)
    patch.setattr(inferno.observe.StateMonitor, "interpolate", interpolate, raising=False)
    for name in ("StableSTDP", "StableTripletSTDP"):
        patch.setattr(inferno.learn, name, getattr(two_factor_stdp, name), raising=False)
    return SimpleNamespace(
        learn=inferno.learn, neural=inferno.neural, extra=inferno.extra, functional=inferno.functional
    )


def exact(current, post):
    """Neurons that fire when they are told to."""
    return post.to(current.dtype) * 2 - 1


def layer(lib, connection="dense", delay=None, batch=1, delay_init=None, name="serial", neuron=None, dt=1.0):
    """A layer whose neurons fire when they are told to: ``layer(x, post=spikes)``."""
    neural = lib.neural
    common = dict(
        synapse=neural.DeltaCurrent.partialconstructor(1.0),
        delay=delay,
        batch_size=batch,
        delay_init=delay_init,
        weight_init=lambda weight: torch.linspace(0.2, 0.8, weight.numel()).view(weight.shape),
    )
    if connection == "dense":
        made = neural.LinearDense((2, 3), 4, dt, **common)
    elif connection == "direct":
        made = neural.LinearDirect(5, dt, **common)
    elif connection == "lateral":
        made = neural.LinearLateral((2, 2), dt, **common)
    else:
        made = neural.Conv2D(5, 4, 2, 3, dt, (3, 2), stride=(2, 1), padding=1, **common)
    made.updater = made.defaultupdater()
    if neuron is None:
        neuron = lib.extra.ExactNeuron(made.outshape, dt, rest_v=-60.0, thresh_v=-50.0, batch_size=batch)
    return neural.Serial(made, neuron, exact, name, name)


def spikes(steps, *shape, seed=0, rate=0.25):
    return torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed)) < rate


def on_grid(delay):
    return torch.arange(delay.numel()).view(delay.shape) % (LONGEST + 1)


def off_grid(delay):
    return (torch.arange(delay.numel()).view(delay.shape) * 0.65) % LONGEST


def window(lib):
    kwargs = [{"learning_rate": 0.02, "time_constant": 8.0}, {"learning_rate": -0.015, "time_constant": 11.0}]
    return (lib.functional.exp_stdp_post_kernel, lib.functional.exp_stdp_pre_kernel, *kwargs)


# name: (class, arguments, takes a signal, "delayed" is an argument, needs delays)
RULES = {
    "STDP": ((0.02, -0.015, 8.0, 11.0), {}, False, True, False),
    "STDP nearest": ((-0.02, 0.015, 8.0, 11.0), {"trace_mode": "nearest"}, False, True, False),
    "STDP both up": ((0.02, 0.015, 8.0, 11.0), {}, False, True, False),
    "STDP both down": ((-0.02, -0.015, 8.0, 11.0), {}, False, True, False),
    "StableSTDP": ((0.02, -0.015, 8.0, 11.0), {}, False, True, False),
    "TripletSTDP": ((0.02, 0.01, -0.015, 0.005, 8.0, 30.0, 11.0, 30.0), {}, False, True, False),
    "TripletSTDP inplace": (
        (-0.02, 0.01, 0.015, 0.005, 8.0, 30.0, 11.0, 30.0),
        {"inplace": True, "trace_mode": "nearest"},
        False,
        True,
        False,
    ),
    "StableTripletSTDP": ((0.02, 0.01, -0.015, 0.005, 8.0, 30.0, 11.0, 30.0), {}, False, True, False),
    "MSTDP": ((0.02, -0.015, 8.0, 11.0), {}, True, True, False),
    "MSTDP both up": ((0.02, 0.015, 8.0, 11.0), {}, True, True, False),
    "MSTDP both down": ((-0.02, -0.015, 8.0, 11.0), {}, True, True, False),
    "MSTDPET": ((0.02, -0.015, 8.0, 11.0, 15.0), {}, True, False, False),
    "MSTDPET other way": ((-0.02, 0.015, 8.0, 11.0, 15.0), {"trace_mode": "nearest"}, True, False, False),
    "KernelSTDP": (None, {}, False, True, False),
    "DelayAdjustedKernelSTDP": (None, {}, False, False, True),
    "DelayAdjustedKernelSTDPD": (None, {}, False, False, True),
    "DelayAdjustedSTDP": ((0.02, -0.015, 8.0, 11.0), {}, False, False, True),
    "DelayAdjustedSTDPD": ((-0.02, 0.015, 8.0, 11.0), {"inplace": True}, False, False, True),
    "DelayAdjustedMSTDP": ((0.02, -0.015, 8.0, 11.0), {}, True, False, True),
    "DelayAdjustedMSTDPD": ((-0.02, 0.015, 8.0, 11.0), {}, True, False, True),
}
CONNECTIONS = ["dense", "direct", "lateral", "conv"]
DELAYS = {"none": (None, None), "zero": (0.0, None), "on grid": (LONGEST, on_grid), "off grid": (LONGEST, off_grid)}
REDUCTIONS = {
    "default": None,
    "mean": torch.mean,
    "sum": torch.sum,
    "largest": lambda terms, dim: torch.amax(terms, dim),
}
BATCHES = [1, 3]
SIGNALS = {
    "up": lambda batch, step: 0.7,
    "down": lambda batch, step: -0.6,
    "each": lambda batch, step: torch.linspace(0.2, 0.9, batch),
    "mixed": lambda batch, step: torch.linspace(-0.8, 0.9, batch + step % 2)[:batch],
}


def rule(lib, name, reduction=None, delayed=False, **more):
    """A trainer of a rule."""
    args, options, _, takes_delayed, _ = RULES[name]
    made = getattr(lib.learn, name.split()[0])
    also = {"delayed": delayed} if takes_delayed else {}
    return made(*(window(lib) if args is None else args), batch_reduction=reduction, **options, **also, **more)


def grid():
    """Every combination that makes sense: (rule, connection, delays, delayed, reduction, batch, signal)."""
    for name, kind, delays, delayed, reduction, batch, signal in itertools.product(
        RULES, CONNECTIONS, DELAYS, (False, True), REDUCTIONS, BATCHES, SIGNALS
    ):
        _, _, takes_signal, takes_delayed, needs_delays = RULES[name]
        if (delayed and not takes_delayed) or (not takes_signal and signal != "up"):
            continue
        if needs_delays and delays == "none":
            continue
        yield name, kind, delays, delayed, reduction, batch, signal


def every_pair(cases):
    """Some of the cases, in which each pair of values that occurs in any occurs at least once."""
    cases = list(cases)

    def pairs(case):
        return set(itertools.combinations(enumerate(case), 2))

    missing = set().union(*map(pairs, cases))
    chosen = []
    step = 7  # of the search: a good case, and not the best, is found quickly
    while missing:
        wanted = min(missing)
        found = [case for case in cases if wanted in pairs(case)][::step]
        best = max(found, key=lambda case: len(pairs(case) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


def learn_beside(theirs, case, steps=200):
    """Weights and delays that both packages end with, of one case, and those that they began with."""
    name, kind, delays, delayed, reduction, batch, signal = case
    longest, delay_init = DELAYS[delays]
    results = []
    for lib in (OURS, theirs):
        made = layer(lib, kind, longest, batch, delay_init)
        trainer = rule(lib, name, REDUCTIONS[reduction], delayed)
        trainer.register_cell("cell", made.cell)
        connection = made.connection
        before = connection.weight.clone(), None if longest is None else connection.delay.clone()
        pre = spikes(steps, batch, *connection.inshape, seed=1)
        post = spikes(steps, batch, *connection.outshape, seed=2)
        for step in range(steps):
            made(pre[step], post=post[step])
            trainer(SIGNALS[signal](batch, step)) if RULES[name][2] else trainer()
            made.update()
        results.append((connection.weight.clone(), None if longest is None else connection.delay.clone()))
    return results, before
