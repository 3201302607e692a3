"""What `check` runs of connection rules and random numbers."""

from __future__ import annotations

import itertools

import torch

from .. import ops

RULES = {
    "one_to_one": {},
    "all_to_all": {},
    "fixed_indegree": {"indegree": 33},
    "fixed_outdegree": {"outdegree": 33},
    "fixed_total_number": {"number": 5_000},
    "pairwise_bernoulli": {"p": 0.3},
}
NEURONS, DRAWS = 101, 40_003
BOUNDED = ({}, {"low": 0.2, "high": 1.3, "bounded": "redraw"}, {"low": 0.2, "high": 1.3, "bounded": "clip"})


def _seed(rng):
    return int(torch.randint(2**62, (), generator=rng))


def _connect(device, dtype, rng):
    """Every rule, with and without autapses and multapses, in two parts."""
    for (rule, numbers), autapses, multapses in itertools.product(RULES.items(), (True, False), (True, False)):
        if rule == "one_to_one" and not autapses:
            continue
        flags = {"sources": NEURONS, "targets": NEURONS, "autapses": autapses, "multapses": multapses, **numbers}
        count = ops.connect_count(rule, **flags)
        for begin, end in ((0, count // 3), (count // 3, count)):
            part = {"begin": begin, "end": end, "seed": _seed(rng), "stream": 3, "device": device}
            for what, values in zip(("source", "target", "index"), ops.connect(rule, **part, **flags), strict=True):
                yield f"{rule}, {what}", values.to(dtype)


def _draw(device, dtype, rng):
    index = torch.randint(2**62, (DRAWS,), generator=rng).to(device)
    common = {"stream": 3, "index": index, "dtype": dtype}
    yield "uniform", ops.draw("uniform", seed=_seed(rng), low=-1.5, high=2, **common)
    for bounds in BOUNDED:
        yield "normal", ops.draw("normal", seed=_seed(rng), mean=0.4, std=0.7, **bounds, **common)
        yield "lognormal", ops.draw("lognormal", seed=_seed(rng), mu=-0.3, sigma=0.5, **bounds, **common)


EXPERIMENTS = {"connect": (_connect, (torch.int64,)), "draw": (_draw, (torch.float32, torch.float64))}
