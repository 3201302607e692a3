"""Synapses of connection rules and their random numbers, 2^20 at a time."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch

from .. import ops
from .case import Case, Output, Subject
from .subjects import OURS

COUNT = 2**20  # synapses, numbers or pairs of a call
NEURONS = 20_000
RULES = {
    "indegree": ("fixed_indegree", {"indegree": 1000}),
    "outdegree": ("fixed_outdegree", {"outdegree": 1000}),
    "total": ("fixed_total_number", {"number": 20_000_000}),
}
DRAWS = {
    "uniform": ("uniform", {"low": -1.0, "high": 1.0}),
    "normal": ("normal", {"mean": 1.5, "std": 0.75}),
    "redrawn": ("normal", {"mean": 1.5, "std": 0.75, "low": 0.05, "bounded": "redraw"}),
    "lognormal": ("lognormal", {"mu": 0.0, "sigma": 1.0}),
}


def _subject(run: Callable[[int], tuple[torch.Tensor, ...]]) -> Subject:
    """`run` takes a seed."""

    def outputs():
        for number, values in enumerate(run(1)):
            yield Output(f"output {number}", values)

    return Subject(outputs, lambda: run(2))


def _connect(rule: str, options: dict) -> Callable[[ModuleType, str], Subject]:
    def build(_: ModuleType, device: str) -> Subject:
        where = {"sources": NEURONS, "targets": NEURONS, "begin": COUNT, "end": 2 * COUNT, "device": device}
        return _subject(lambda seed: ops.connect(rule, seed=seed, stream=0, **where, **options))

    return build


def _draw(distribution: str, options: dict, dtype: torch.dtype) -> Callable[[ModuleType, str], Subject]:
    def build(_: ModuleType, device: str) -> Subject:
        index = torch.arange(COUNT, device=device)
        common = {"stream": 1, "index": index, "dtype": dtype}
        return _subject(lambda seed: (ops.draw(distribution, seed=seed, **common, **options),))

    return build


def _cases():
    synapses = f"{COUNT:,} synapses"
    for name, (rule, options) in RULES.items():
        for suffix, multapses in (("", True), ("-distinct", False)):
            what = f"{rule}, {synapses}{'' if multapses else ', no multapses'}"
            yield Case(name + suffix, what, _connect(rule, options | {"multapses": multapses}), subjects=OURS)
    build = _connect("pairwise_bernoulli", {"p": 0.1})
    yield Case("bernoulli", f"pairwise_bernoulli 0.1, {COUNT:,} pairs", build, subjects=OURS)
    for name, (distribution, options) in DRAWS.items():
        what = f"{COUNT:,} {name} numbers" if name != "redrawn" else f"{COUNT:,} normal numbers, bounded"
        yield Case(name, what, _draw(distribution, options, torch.float32), subjects=OURS)


GENERATION = tuple(_cases())
