"""Runs every op on every backend and device with random inputs, and compares it with the reference, bit for bit."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from .. import ops, testing
from . import common

SUMMARY = "compares every op on every backend with the reference"
SLOTS, BATCH, INPUTS, OUTPUTS, DEPTH = 7, 5, 37, 19, 3
MANY = 40_003  # enough for several threads, and no multiple of a vector's width
BATCHES = (1, 5, 70)
DT = 0.7
LIF = {"dt": DT, "decay": 0.96, "rest_v": -65.0, "reset_v": -68.0, "thresh_v": -50.0, "refrac_t": 3 * DT}
MODES = {"previous": None, "next": None, "nearest": None, "linear": None, "expdecay": 5.0}
CHOOSING = ("previous", "next", "nearest")  # modes that compute nothing, so that bool can be looked up
EVERY = (*testing.DTYPES, torch.bool)

# An experiment draws its inputs on the CPU, runs ops on the device and yields named results.
Results = list[tuple[str, torch.Tensor]]
Experiment = Callable[[str, torch.dtype, torch.Generator], Iterator[tuple[str, torch.Tensor]]]


class Outcome(NamedTuple):
    """One line of the result; `problem` is empty where everything agreed."""

    op: str
    device: str
    backend: str
    dtype: str
    compared: int
    problem: str

    def __str__(self) -> str:
        verdict = f"ok, {self.compared} values" if not self.problem else f"FAILED: {self.problem}"
        return f"{self.op:<15} {self.device:<5} {self.backend:<7} {self.dtype:<9} {verdict}"


def _uniform(low: float, high: float, shape, dtype: torch.dtype, rng: torch.Generator) -> torch.Tensor:
    return (low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)).to(dtype)


def _lif_step(device, dtype, rng):
    shape = (MANY,)
    voltage = _uniform(-70, -45, shape, dtype, rng).to(device)
    refrac = torch.where(torch.rand(shape, generator=rng) < 0.5, 0.0, _uniform(0, 3, shape, dtype, rng)).to(device)
    inputs = _uniform(-20, 40, (3, *shape), dtype, rng).to(device)
    for lock in (True, False):
        for name, result in zip("vrs", ops.lif_step(voltage, refrac, inputs[0], refrac_lock=lock, **LIF), strict=True):
            yield f"{name}, refrac_lock={lock}", result
        state = voltage.clone(), refrac.clone()
        for step, current in enumerate(inputs):
            yield f"spikes in place, step {step}", ops.lif_step_(*state, current, refrac_lock=lock, **LIF)
        yield "voltage in place", state[0]
        yield "refrac in place", state[1]


def _history_push(device, dtype, rng):
    for innermost in (False, True):
        data, pointer = testing.random_ring(
            (SLOTS, BATCH, INPUTS), dtype, pointer=SLOTS - 1, batch_innermost=innermost, device=device, generator=rng
        )
        observed, _ = testing.random_ring((2, BATCH, INPUTS), dtype, device=device, generator=rng)
        yield "functional", ops.history_push(data, pointer, observed[0])
        for one in observed:
            ops.history_push_(data, pointer, one)
        yield "in place", data
        yield "pointer", pointer


def _history_gather(device, dtype, rng):
    data, pointer = testing.random_ring((SLOTS, BATCH, INPUTS), dtype, pointer=3, device=device, generator=rng)
    for time_dtype in (torch.float32, torch.float64):
        time = _uniform(-DT, DT * SLOTS, (BATCH, INPUTS, DEPTH), time_dtype, rng)
        time[..., 0] = (time[..., 0] / DT).round() * DT
        time = time.to(device)
        for mode in CHOOSING if dtype == torch.bool else MODES:
            for overbound in (None, 0.5):
                options = {"dt": DT, "mode": mode, "time_constant": MODES[mode], "overbound": overbound}
                yield f"{mode}, overbound {overbound}", ops.history_gather(data, pointer, time, **options)


def _delay(dtype, rng, shape=(OUTPUTS, INPUTS)):
    delay = _uniform(-DT, DT * SLOTS, shape, dtype, rng)
    delay[::2] = (delay[::2] / DT).round() * DT
    return delay


def _plan(delay, mode, overbound=0.0):
    limits = {"dt": DT, "slots": SLOTS, "max_delay": DT * (SLOTS - 1)}
    return ops.delay_plan(delay, mode=mode, time_constant=MODES[mode], overbound=overbound, **limits)


def _delay_plan(device, dtype, rng):
    delay = _delay(dtype, rng).to(device)
    for mode in MODES:
        for overbound in (None, 0.0):
            plan = _plan(delay, mode, overbound)
            yield f"slot, {mode}, overbound {overbound}", plan.slot
            if plan.factor is not None:
                yield f"factor, {mode}, overbound {overbound}", plan.factor


def _delayed_sum(function, inputs, synapses, **geometry):
    """The experiment of one map of inputs, of a batch item, to outputs."""

    def experiment(device, dtype, rng):
        delay = _delay(torch.float32, rng, synapses).to(device)
        weight = _uniform(-1, 1, synapses, dtype, rng).to(device)
        bias = _uniform(-1, 1, synapses[:1], dtype, rng).to(device)
        for batch, kind, innermost in itertools.product(BATCHES, (dtype, torch.bool), (False, True)):
            data, pointer = testing.random_ring(
                (SLOTS, batch, *inputs), kind, pointer=2, batch_innermost=innermost, device=device, generator=rng
            )
            for mode in CHOOSING if kind == torch.bool else MODES:
                plan = _plan(delay, mode)
                out = function(data, pointer, weight, plan, bias=bias, scale=0.7, **geometry)
                yield f"{mode}, {kind}, batch {batch}", out

    return experiment


_delayed_dense = _delayed_sum(ops.delayed_dense, (INPUTS,), (OUTPUTS, INPUTS))
_delayed_direct = _delayed_sum(ops.delayed_direct, (INPUTS,), (INPUTS,))
_delayed_conv2d = _delayed_sum(ops.delayed_conv2d, (2, 9, 7), (3, 2, 3, 2), stride=(1, 2), padding=(2, 1))

EXPERIMENTS: dict[str, tuple[Experiment, tuple[torch.dtype, ...]]] = {
    "lif_step": (_lif_step, testing.DTYPES),
    "history_push": (_history_push, EVERY),
    "history_gather": (_history_gather, EVERY),
    "delay_plan": (_delay_plan, testing.DTYPES),
    "delayed_dense": (_delayed_dense, testing.DTYPES),
    "delayed_direct": (_delayed_direct, testing.DTYPES),
    "delayed_conv2d": (_delayed_conv2d, testing.DTYPES),
}


def _results(op: str, device: str, dtype: torch.dtype, seed: int) -> Results:
    experiment, _ = EXPERIMENTS[op]
    # Later steps of an experiment write to what earlier ones returned.
    return [(what, value.clone()) for what, value in experiment(device, dtype, torch.Generator().manual_seed(seed))]


def _compare(expected: Results, op: str, device: str, backend: str, dtype: torch.dtype, seed: int) -> tuple[int, str]:
    """The number of values that were compared, and what was wrong."""
    compared = 0
    try:
        with ops.backend(backend):
            actual = _results(op, device, dtype, seed)
        for (what, value), (_, right) in zip(actual, expected, strict=True):
            testing.assert_identical(value, right, what)
            compared += right.numel()
    except Exception as error:  # whatever an op does wrong is a finding, and the other ops are still to be checked
        return compared, f"{type(error).__name__}: {error}".splitlines()[0]
    return compared, ""


def outcomes(devices: list[str], backends: list[str], seed: int = 0) -> Iterator[Outcome]:
    """Compares every op on these devices and backends, for every dtype, with the reference on the CPU."""
    with_kernels = {"cpu"} | ({"cuda"} if ops.native_status.cuda else set())
    where = [(d, b) for d in devices for b in backends if b == "torch" or d in with_kernels]
    for op, (_, dtypes) in EXPERIMENTS.items():
        for dtype in dtypes:
            with ops.backend("torch"):
                expected = _results(op, "cpu", dtype, seed)
            for device, backend in where:
                found = _compare(expected, op, device, backend, dtype, seed)
                yield Outcome(op, device, backend, str(dtype).removeprefix("torch."), *found)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_device(parser, None, "device to check (default: all there are)")
    parser.add_argument("--backend", choices=("torch", "native"), help="backend to check (default: all there are)")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    devices = common.devices(arguments.device)
    backends = [name for name in testing.backends() if arguments.backend in (None, name)]
    if not backends:
        raise common.Failure(f"backend {arguments.backend!r} is not available: {ops.native_status.problem}")
    if not ops.native_status.loaded:
        print(f"native backend not checked: {ops.native_status.problem}")
    elif "cuda" in devices and not ops.native_status.cuda:
        print("native backend not checked on cuda: the compiled library has no CUDA kernels")
    count = failed = 0
    for outcome in outcomes(devices, backends, arguments.seed):
        print(outcome, flush=True)
        count += 1
        failed += bool(outcome.problem)
    print(f"{failed} of {count} differ from the reference" if failed else f"all {count} equal the reference")
    return 1 if failed else 0
