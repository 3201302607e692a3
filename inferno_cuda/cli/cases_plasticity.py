"""Steps of learning: a layer, a learning rule on it, and the update of what is learned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import torch

from . import subjects
from .case import DT, MAX_DELAY, Case, Output, Subject, seeded, times
from .cases_quickstart import own
from .quickstart import PARTS

STEPS = 40  # compared, and then repeated
RATE = 0.02  # spikes per input and step
CELLS = {
    "rest_v": -65.0,
    "reset_v": -65.0,
    "thresh_v": -50.0,
    "refrac_t": 2.0,
    "time_constant": 20.0,
    "resistance": 1.0,
}
DRIVE = 20.0  # nA, the mean current of a neuron: 5 mV over the threshold
# arguments before the keywords, shape of the input, and inputs of a neuron
KINDS = {
    "dense": ("LinearDense", (784, 100, DT), (784,), 784),
    "large": ("LinearDense", (784, 6400, DT), (784,), 784),
    "lateral": ("LinearLateral", (400, DT), (400,), 399),
    "direct": ("LinearDirect", (1000, DT), (1000,), 1),
    "conv": ("Conv2D", (28, 28, 1, 16, DT, 5), (1, 28, 28), 25),
}


class Rule(NamedTuple):
    """A learning rule.

    Attributes:
        name: its class, in ``learn``.
        options: its hyper-parameters; callables are names of ``functional``.
        parameter: what it trains.
        signal: whether it takes a reward.
    """

    name: str
    options: Mapping[str, Any]
    parameter: str = "weight"
    signal: bool = False


_PAIR = {"lr_post": 1e-3, "lr_pre": -1e-3, "tc_post": 20.0, "tc_pre": 20.0}
_TRIPLET = {
    "lr_post_pair": 1e-3,
    "lr_post_triplet": 1e-3,
    "lr_pre_pair": -1e-3,
    "lr_pre_triplet": 1e-3,
    "tc_post_fast": 20.0,
    "tc_post_slow": 60.0,
    "tc_pre_fast": 20.0,
    "tc_pre_slow": 60.0,
}
_KERNEL = {
    "kernel_post": "exp_stdp_post_kernel",
    "kernel_pre": "exp_stdp_pre_kernel",
    "kernel_post_kwargs": {"learning_rate": 1e-4, "time_constant": 20.0},
    "kernel_pre_kwargs": {"learning_rate": -1e-4, "time_constant": 20.0},
}
_ADJUSTED = {"lr_pos": 1e-4, "lr_neg": -1e-4, "tc_pos": 20.0, "tc_neg": 20.0}
RULES = {
    "stdp": Rule("STDP", _PAIR),
    "stdp-looked-up": Rule("STDP", _PAIR | {"delayed": True}),
    "triplet": Rule("TripletSTDP", _TRIPLET),
    "mstdp": Rule("MSTDP", _PAIR, signal=True),
    "mstdpet": Rule("MSTDPET", _PAIR | {"tc_eligibility": 50.0}, signal=True),
    "kernel": Rule("KernelSTDP", _KERNEL),
    "adjusted": Rule("DelayAdjustedSTDP", _ADJUSTED),
    "adjusted-d": Rule("DelayAdjustedSTDPD", _ADJUSTED, parameter="delay"),
}


def _layer(
    library: ModuleType, kind: str, batch: int, delay: float | None, on_grid: bool, device: str
) -> torch.nn.Module:
    random = seeded()
    name, arguments, _, inputs = KINDS[kind]
    # 0.5 is the mean of the weights
    synapse = library.DeltaCurrent.partialconstructor(DRIVE * DT / (0.5 * inputs * RATE))
    connection = getattr(library, name)(
        *arguments,
        synapse=synapse,
        delay=delay,
        batch_size=batch,
        weight_init=lambda like: torch.rand(like.shape, generator=random),
        delay_init=lambda like: times(like.shape, random, on_grid),
    )
    return library.Serial(connection, library.LIF(connection.outshape, DT, batch_size=batch, **CELLS)).to(device)


def _trainer(root: str, rule: Rule, connection: torch.nn.Module, device: str) -> torch.nn.Module:
    functional, learn, _ = (import_module(f"{root}.{part}") for part in PARTS)
    connection.updater = connection.defaultupdater()
    if rule.parameter == "weight":
        connection.updater.weight.upperbound(functional.bound_upper_multiplicative, 1.0)
    options = {k: getattr(functional, v) if isinstance(v, str) else v for k, v in rule.options.items()}
    return getattr(learn, rule.name)(**options).to(device)


def learning(kind: str, rule: Rule, batch: int, delay: float | None) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        # learned delays leave the grid, where a rounding could move them by a step
        layer = _layer(library, kind, batch, delay, rule.parameter != "delay", device)
        connection, root = layer.connection, library.__name__.partition(".")[0]
        trainer = _trainer(root, rule, connection, device)
        trainer.register_cell("cell", layer.cell)
        trainer.to(device)
        inputs = list((torch.rand(STEPS, batch, *KINDS[kind][2], generator=seeded()) < RATE).to(device))
        rewards = torch.linspace(-1, 1, batch, device=device)
        signal = (rewards,) if rule.signal else ()

        @torch.no_grad()
        def step(spikes: torch.Tensor) -> torch.Tensor:
            fired = layer(spikes)
            trainer(*signal)
            connection.update()
            return fired

        def outputs():
            yield Output(f"{rule.parameter}s before", getattr(connection, rule.parameter).detach().clone())
            for number, spikes in enumerate(inputs):
                yield Output(f"spikes of step {number}", step(spikes))
            yield Output(f"{rule.parameter}s", getattr(connection, rule.parameter).detach().clone())

        numbers = itertools.cycle(range(STEPS))
        initial = getattr(connection, rule.parameter).detach().clone()

        @torch.no_grad()
        def call() -> None:
            number = next(numbers)
            if number == 0:  # or what is learned would drift, and with it how much there is to do
                setattr(connection, rule.parameter, initial.clone())
            step(inputs[number])

        return Subject(outputs, call)

    return build


def _case(kind: str, rule: str, batch: int, delay: float | None = None) -> Case:
    outputs = math.prod(KINDS[kind][1][1:2]) if kind in ("dense", "large") else ""
    where = f"{kind} 784 -> {outputs}" if outputs else kind
    delays = f", {delay:g} ms of delay" if delay else ""
    name = "-".join(filter(None, (rule, "" if kind == "dense" else kind, "delays" if delay else "", str(batch))))
    what = f"{RULES[rule].name}{' looked up' if rule.endswith('up') else ''}, {where}{delays}, batch {batch}"
    # inferno-ai's convolutions cannot be trained by this rule
    alone = subjects.OURS if kind == "conv" else ()
    return Case(name, what, learning(kind, RULES[rule], batch, delay), subjects=alone, rounded=True)


PLASTICITY = (
    Case("quickstart", "quickstart, step with STDP", own(learns=True), rounded=True),
    _case("dense", "stdp", 20),
    _case("dense", "stdp", 16, MAX_DELAY),
    _case("dense", "stdp-looked-up", 16, MAX_DELAY),
    _case("large", "stdp", 1),
    _case("lateral", "stdp", 16),
    _case("direct", "stdp", 16),
    _case("conv", "stdp", 16),
    _case("conv", "stdp", 4, MAX_DELAY),
    _case("dense", "triplet", 20),
    _case("dense", "triplet", 16, MAX_DELAY),
    _case("dense", "mstdp", 20),
    _case("dense", "mstdp", 16, MAX_DELAY),
    _case("dense", "mstdpet", 20),
    _case("dense", "mstdpet", 16, MAX_DELAY),
    _case("dense", "kernel", 20),
    _case("dense", "kernel", 16, MAX_DELAY),
    _case("dense", "adjusted", 16, MAX_DELAY),
    _case("dense", "adjusted-d", 16, MAX_DELAY),
)
