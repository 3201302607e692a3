"""Runs every op on every backend and device with random inputs, and compares it with the reference, bit for bit."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import torch

from .. import ops, testing
from . import common
from .experiments import EXPERIMENTS, Results

SUMMARY = "compares every op on every backend with the reference"


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
        return f"{self.op:<18} {self.device:<5} {self.backend:<7} {self.dtype:<9} {verdict}"


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
