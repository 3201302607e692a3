"""RecordTensor beside inferno-ai's: random programs, equal storage, pointer and results after every step.

Values are small integers and times quarters of a power-of-two step, so that everything is exact in float32.
"""

import random

import pytest
import torch

from inferno_cuda import functional as F
from inferno_cuda import state
from inferno_cuda.state import _lookup

inferno = pytest.importorskip("inferno")

INTERPS = ["previous", "next", "nearest", "linear"]
EXTRAPS = ["previous", "next", "neighbors", "nearest", "linear_forward"]


class Pair:
    """The same record in both libraries."""

    def __init__(self, rng, shape, dtype, **kwargs):
        self.rng, self.dtype = rng, dtype
        constraints = {0: shape[0]} if shape else None
        self.modules = []
        for library in (inferno, state):
            m = library.Module()
            library.RecordTensor.create(m, "r", 1.0, 5.0, torch.zeros(shape, dtype=dtype), constraints, **kwargs)
            self.modules.append(m)

    @property
    def records(self):
        return [m.r for m in self.modules]

    @property
    def mine(self):
        return self.modules[1].r

    def value(self, *more):
        return torch.randint(0, 9, (*self.mine.shape, *more)).to(self.dtype)

    def time(self, offset, *more, grid=4):
        steps = self.mine.recordsz - max(offset, 1)
        dt = self.mine.dt
        if self.rng.random() < 0.3 and not more:
            return self.rng.randint(0, grid * steps) * dt / grid
        return torch.randint(0, grid * steps + 1, (*self.mine.shape, *more)) * (dt / grid)

    def each_offset(self):
        return torch.randint(-3, 9, self.mine.shape)

    def both(self, action):
        theirs, mine = (action(r, lib) for r, lib in zip(self.records, (inferno.functional, F), strict=True))
        if isinstance(theirs, torch.Tensor):
            assert torch.equal(theirs, mine), (theirs, mine)
        elif isinstance(theirs, int):
            assert theirs == mine

    def check(self):
        theirs, mine = self.records
        assert torch.equal(theirs.value, mine.value) and theirs.value.dtype == mine.value.dtype
        assert (theirs.pointer, theirs.recordsz, theirs.shape) == (mine.pointer, mine.recordsz, mine.shape)
        assert (theirs.dt, theirs.duration, theirs.inclusive) == (mine.dt, mine.duration, mine.inclusive)
        assert theirs.constraints == mine.constraints and theirs.valid and mine.valid


def step(pair):
    rng, size = pair.rng, pair.mine.recordsz
    inplace, forward, offset = rng.random() < 0.5, rng.random() < 0.5, rng.randint(-3, 8)
    action = rng.choice(
        ["push"] * 4
        + ["pop", "read", "peek", "write", "readrange", "readeach", "writerange", "writeeach", "select", "selectmany"]
        + ["insert", "align", "incr", "decr", "dt", "duration", "inclusive", "reconstrain", "reset", "initialize"]
    )
    if action == "push":
        x = pair.value()
        pair.both(lambda r, _: r.push(x, inplace))
    elif action in ("pop", "peek"):
        pair.both(lambda r, _: getattr(r, action)())
    elif action == "read":
        pair.both(lambda r, _: r.read(offset))
    elif action == "write":
        x = pair.value()
        pair.both(lambda r, _: r.write(x, offset, inplace))
    elif action == "readrange" and size > 1:  # all of it at once is D-03
        length = rng.randint(0, size - 1)
        pair.both(lambda r, _: r.readrange(length, offset, forward))
    elif action == "readeach":
        length, each = rng.randint(0, size), pair.each_offset()
        pair.both(lambda r, _: r.readrange(length, each, forward))
    elif action == "writerange" and size > 1:
        x = pair.value(rng.randint(1, size - 1))
        pair.both(lambda r, _: r.writerange(x, offset, forward, inplace))
    elif action == "writeeach":
        x, each = pair.value(rng.randint(1, size)), pair.each_offset()
        pair.both(lambda r, _: r.writerange(x, each, forward, inplace))
    elif action in ("select", "selectmany"):
        offset = rng.randint(0, size)
        time = pair.time(offset, *([3] if action == "selectmany" else []))
        exact = INTERPS if pair.dtype.is_floating_point else INTERPS[:3]
        mode = rng.choice([None, *exact])
        pair.both(lambda r, lib: r.select(time, mode and getattr(lib, f"interp_{mode}"), offset=offset))
    elif action == "insert":
        offset = rng.randint(0, size)
        x, time = pair.value(), pair.time(offset, grid=2)
        mode = rng.choice(EXTRAPS if pair.dtype.is_floating_point and pair.mine.dt == 1.0 else EXTRAPS[:4])
        pair.both(lambda r, lib: r.insert(x, time, getattr(lib, f"extrap_{mode}"), offset=offset, inplace=inplace))
    elif action == "align":
        index = rng.randrange(size)
        pair.both(lambda r, _: r.align(index))
    elif action in ("incr", "decr"):
        pair.both(lambda r, _: getattr(r, action)(offset))
    elif action in ("dt", "duration", "inclusive"):
        value = rng.choice(
            {"dt": [0.5, 1.0, 2.0], "duration": [0.0, 3.0, 5.0, 6.5], "inclusive": [True, False]}[action]
        )
        pair.both(lambda r, _: setattr(r, action, value))
    elif action == "reconstrain" and pair.mine.shape:
        count = rng.randint(1, 4)
        pair.both(lambda r, _: r.reconstrain(0, count))
    elif action == "reset":
        fill = rng.choice([None, 0, 1])
        pair.both(lambda r, _: r.reset(fill))
    elif action == "initialize" and rng.random() < 0.3:
        pair.both(lambda r, _: r.initialize(r.shape, fill=1) is None)
    pair.check()


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("path", ["host", "device"])
def test_random_programs(seed, path, monkeypatch):
    if path == "device":
        monkeypatch.setattr(_lookup, "readable", lambda tensor: False)
    rng = random.Random(seed)
    torch.manual_seed(seed)
    shape = rng.choice([(), (1,), (3,), (2, 3), (2, 1, 2)])
    dtype = rng.choice([torch.float32, torch.float32, torch.float64, torch.bool])
    pair = Pair(rng, shape, dtype, inclusive=rng.random() < 0.5)
    for _ in range(60):
        step(pair)


@pytest.mark.parametrize(
    "mode, kwargs", [("expdecay", {"time_constant": 3.0}), ("expratedecay", {"rate_constant": 0.4})]
)
@pytest.mark.parametrize("constant", [float, torch.tensor], ids=["float", "tensor"])
def test_decays_between_samples(mode, kwargs, constant):
    torch.manual_seed(0)
    kwargs = {k: constant(v) for k, v in kwargs.items()}
    pair = Pair(random.Random(0), (2, 3), torch.float32)
    for _ in range(7):
        x = torch.rand(2, 3)
        pair.both(lambda r, _, x=x: r.push(x))
    for time in (0.3, torch.rand(2, 3) * 4, torch.rand(2, 3, 4) * 4):
        theirs, mine = (
            r.select(time, getattr(lib, f"interp_{mode}"), interp_kwargs=kwargs)
            for r, lib in zip(pair.records, (inferno.functional, F), strict=True)
        )
        torch.testing.assert_close(mine, theirs, rtol=2e-6, atol=1e-6)


def test_smaller_times_read_the_leading_elements():
    torch.manual_seed(0)
    pair = Pair(random.Random(0), (4, 3), torch.float32)
    for _ in range(7):
        x = torch.rand(4, 3)
        pair.both(lambda r, _, x=x: r.push(x))
    for shape in [(2, 3), (4, 1), (1, 2), (2, 2, 5), (1, 1, 1)]:
        time = torch.randint(0, 17, shape) / 4
        pair.both(lambda r, lib, time=time: r.select(time))
        pair.both(lambda r, lib, time=time: r.select(time, lambda prev, *rest: prev))


def test_known_and_unknown_interpolations_agree():
    torch.manual_seed(0)
    pair = Pair(random.Random(0), (4, 3), torch.float32)
    for _ in range(7):
        pair.mine.push(torch.rand(4, 3))
    for tolerance in (0.0, 1e-6, 0.3):
        time = torch.cat([torch.rand(4, 3, 50) * 4, torch.randint(0, 5, (4, 3, 9)) * 1.0], -1)
        for name, kwargs in [
            *[(f"interp_{mode}", {}) for mode in INTERPS],
            ("interp_expdecay", {"time_constant": 3.0}),
            ("interp_expratedecay", {"rate_constant": 0.4}),
        ]:
            interp = getattr(F, name)
            known = pair.mine.select(time, interp, tolerance=tolerance, interp_kwargs=kwargs)
            unknown = pair.mine.select(
                time, lambda *args, f=interp, **kw: f(*args, **kw), tolerance=tolerance, interp_kwargs=kwargs
            )
            torch.testing.assert_close(known, unknown, rtol=2e-6, atol=1e-6)
            if name in ("interp_previous", "interp_next", "interp_nearest"):
                assert torch.equal(known, unknown)
