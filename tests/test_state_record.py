"""RecordTensor: worked numbers, errors, timing, and one test for each defect of inferno-ai that is mended."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from inferno_cuda import functional as F
from inferno_cuda.state import Module, RecordTensor, _lookup


def recorder(pushes=0, duration=4.0, dt=1.0, value=None, **kwargs):
    module = Module()
    value = torch.zeros(1) if value is None else value
    RecordTensor.create(module, "r", dt, duration, value, **kwargs)
    for i in range(1, pushes + 1):
        module.r.push(torch.full(value.shape, float(i)))
    return module


@pytest.fixture(params=["host", "device"])
def pointer_read(request, monkeypatch):
    """Runs a test twice: reading the pointer on the host, and with the operations other devices use."""
    if request.param == "device":
        monkeypatch.setattr(_lookup, "readable", lambda tensor: False)


@pytest.mark.usefixtures("pointer_read")
class TestWorkedNumbers:
    def test_inclusive_record_of_seven(self):
        r = (m := recorder(7, inclusive=True, value=torch.zeros(()))).r
        assert r.value.tolist() == [6, 7, 3, 4, 5] and (r.recordsz, r.pointer, m._r_pointer) == (5, 2, 2)
        assert r.peek() == r.latest == 7 and r.read(5) == 3 and r.read(6) == 7 and r.read(0) == 3
        assert r.readrange(3).tolist() == [5, 6, 7] == r.readrange(3, 3, True).tolist()
        assert r.select(0.25, F.interp_linear) == 6.75
        assert r.pop() == 7 and r.pointer == 1 and r.peek() == 6

    def test_change_of_duration(self):
        m = recorder(5)
        m.r.duration = 6
        assert m.r.value.flatten().tolist() == [0, 0, 2, 3, 4, 5] and m.r.pointer == 0 and m.r.peek() == 5
        m.r.duration = 3
        assert m.r.value.flatten().tolist() == [3, 4, 5] and m.r.pointer == 0 and m.r.peek() == 5

    @pytest.mark.parametrize("time", [1.0, torch.tensor([1.0])])
    @pytest.mark.parametrize("inplace", [False, True])
    def test_insert_on_the_grid(self, time, inplace):
        m = recorder(5)
        assert m.r.value.flatten().tolist() == [5, 2, 3, 4] and m.r.pointer == 1
        m.r.insert(torch.tensor([9.0]), time, inplace=inplace)
        assert m.r.value.flatten().tolist() == [9, 2, 3, 4] and m.r.pointer == 1

    def test_neighbours_and_the_time_between(self):
        m = recorder(dt=2.0, duration=10.0)
        for i in range(5):
            m.r.push(torch.tensor([float(i)]))
        seen = []

        def spy(prev, newer, sample_at, dt, **kwargs):
            seen.append([x.flatten().tolist() for x in (prev, newer, sample_at)] + [dt])
            return prev

        for time in (0.5, 3.5):
            m.r.select(torch.tensor([time]), spy)
            m.r.select(time, spy)
        assert seen == [[[3.0], [4.0], [1.5], 2.0]] * 2 + [[[2.0], [3.0], [0.5], 2.0]] * 2
        m.r.select(torch.tensor([2.0]), spy)
        assert seen[4:] == [[[3.0], [3.0], [2.0], 2.0]]
        assert m.r.select(2.0, spy) == 3 and len(seen) == 5

    def test_reconstrain(self):
        m = recorder(2, duration=3.0, value=torch.zeros(2), constraints={0: 2})
        m.r.push(torch.ones(2))
        m.r.reconstrain(0, 3)
        assert m.r.peek().tolist() == [0, 1, 1] and m.r.shape == (3,) and m.r.constraints == {0: 3}
        m.r.reconstrain(0, 1)
        assert m.r.peek().tolist() == [1] and m.r.value.shape == (3, 1)

    def test_nearest_interpolation(self):
        m = recorder(value=torch.zeros(()), inclusive=True, duration=3.0)
        r = m.r
        for spike in (0.0, 0.0, 1.0, 0.0):
            r.push(torch.tensor(spike))
        for time, want in [(0.4, 0), (0.5, 1), (0.6, 1), (1.4, 1), (1.5, 0)]:
            assert r.select(time) == want == r.select(torch.tensor(time)), time


def test_storage_and_names():
    m = recorder(value=torch.full((2,), 3.0), constraints={0: 2}, persist_temporal=True)
    assert m.r.attributes._asdict() == {f: f"_r_{f}" for f in m.r.attributes._fields}
    assert m.r.attributes._fields == ("data", "constraints", "dt", "duration", "inclusive", "pointer")
    assert m.r.value.tolist() == [[3, 3]] * 4 and m.r.constraints == {0: 2} and m.r.dimensionality == 2
    assert list(m._extras) == ["_r_dt", "_r_duration", "_r_inclusive", "_r_pointer"]
    assert m._r_constraints == {0: 4, 1: 2}


@pytest.mark.parametrize(
    "kwargs, error, text",
    [
        ({"dt": 0}, ValueError, "'step_time' of 0.0 must be positive"),
        ({"dt": float("nan")}, ValueError, "must be positive"),
        ({"dt": None}, TypeError, "None"),
        ({"duration": -1}, ValueError, "'duration' of -1.0 must be nonnegative"),
        ({"constraints": {0: 2}}, RuntimeError, "constraints"),
    ],
)
def test_constructor_refuses(kwargs, error, text):
    with pytest.raises(error, match=text):
        recorder(**kwargs)


def test_setters_refuse_and_change_nothing():
    m = recorder(5)
    for name, value in [("dt", 0), ("duration", -1), ("dt", "x")]:
        with pytest.raises(ValueError):
            setattr(m.r, name, value)
    m.r.dt = "2.0"
    assert m.r.dt == 2.0 and m.r.value.flatten().tolist() == [4, 5]


@pytest.mark.parametrize("inplace", [False, True])
def test_wrong_shapes_change_nothing(inplace):
    m = recorder(5, value=torch.zeros(2, 3))
    before, bad = m.r.value.clone(), torch.ones(3, 2)
    calls = [
        lambda: m.r.push(bad, inplace),
        lambda: m.r.write(bad, inplace=inplace),
        lambda: m.r.insert(bad, 1.0, inplace=inplace),
        lambda: m.r.insert(torch.ones(2, 3), bad, inplace=inplace),
        lambda: m.r.writerange(torch.ones(3, 2, 2), inplace=inplace),
        lambda: m.r.writerange(torch.ones(2, 3), inplace=inplace),
        lambda: m.r.writerange(torch.ones(2, 3, 5), inplace=inplace),
        lambda: m.r.writerange(torch.ones(2, 3, 2), torch.ones(3, 2).long(), inplace=inplace),
        lambda: m.r.readrange(2, torch.ones(3, 2).long()),
        lambda: m.r.readrange(-1),
        lambda: m.r.select(torch.zeros(2)),
        lambda: m.r.select(torch.zeros(2, 3, 1, 1)),
        lambda: m.r.select(torch.zeros(2, 4)),
        lambda: m.r.align(4),
        lambda: m.r.align(-5),
    ]
    for i, call in enumerate(calls):
        with pytest.raises(ValueError, match=r"'(obs|time|offset|length|index)'"):
            call()
        assert torch.equal(m.r.value, before) and m.r.pointer == 1, i
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 3\)"):
        m.r.push(bad)


@pytest.mark.parametrize("interp", [None, F.interp_linear, lambda prev, newer, *rest: prev])
def test_times_out_of_range(interp):
    m = recorder(5)
    for time in (-1.0, 3.1, float("nan")):
        for given_time in (time, torch.tensor([time]), torch.tensor([[0.0, time]])):
            with pytest.raises(ValueError, match="'time'"):
                m.r.select(given_time, interp)
        with pytest.raises(ValueError, match="'time'"):
            m.r.insert(torch.ones(1), time)
        with pytest.raises(ValueError, match="'time'"):
            m.r.insert(torch.ones(1), torch.tensor([time]))
    assert m.r.select(torch.tensor([3.0 + 5e-7]), interp).item() == 2 == m.r.select(-5e-7, interp, offset=4).item()
    assert m.r.select(torch.zeros(1, 0), interp).shape == (1, 0)


def test_times_on_the_grid_are_in_range_and_exact_without_tolerance():
    for dt in (0.1, 0.3, 0.7, 1.1, 1.3):
        m = recorder(40, dt=dt, duration=39 * dt, inclusive=True)
        for k in range(40):
            for time in (k * dt, torch.tensor([k * dt]), torch.tensor([k * dt], dtype=torch.float64)):
                assert m.r.select(time, F.interp_previous, tolerance=0.0).item() == 40 - k


def test_d26_range_takes_the_offset_into_account():
    m = recorder(3, duration=3.0)
    for time in (2.0, torch.tensor([2.0])):
        with pytest.raises(ValueError, match="time"):
            m.r.select(time, offset=2)
    assert m.r.select(1.0, offset=2).item() == 1 and m.r.select(torch.tensor([1.0]), offset=2).item() == 1
    with pytest.raises(ValueError, match="time"):
        m.r.insert(torch.ones(1), 2.0, offset=2)
    assert m.r.select(2.0, offset=0).item() == 2


def test_d27_record_size_is_a_guarded_ceil():
    assert recorder(duration=2.1, dt=0.3).r.recordsz == 7
    assert recorder(duration=2.1, dt=0.3, inclusive=True).r.recordsz == 8
    for dt in (0.1, 0.2, 0.3, 0.7, 1.1, 1.3):
        for steps in range(60):
            assert _lookup.slots(steps * dt, dt, True) == steps + 1
    assert _lookup.slots(1.01, 1.0, False) == 2 and _lookup.slots(1e-3, 1.0, False) == 1
    assert _lookup.slots(0.0, 1.0, False) == 1 == _lookup.slots(0.0, 1.0, True)


@pytest.mark.usefixtures("pointer_read")
def test_d03_readrange_full_length():
    m = recorder(5)
    assert m.r.readrange(4).tolist() == [[2, 3, 4, 5]] == m.r.readrange(4, 4, forward=True).tolist()
    assert m.r.readrange(4, torch.tensor([1])).tolist() == [[2, 3, 4, 5]]
    assert m.r.readrange(0).shape == (1, 0)
    for offset in (1, torch.tensor([1])):
        with pytest.raises(ValueError, match="'length' \\(6\\)"):
            m.r.readrange(6, offset)


def test_d13_assigning_nothing_drops_the_storage():
    for nothing in (torch.empty(0), None, UninitializedBuffer()):
        m = recorder(3, value=torch.zeros(1, dtype=torch.float64))
        m.r.value = nothing
        assert m.r.ignored and m.r.pointer == 0 and m.r.peek() is None and m.r.pop() is None and m.r.shape is None
        m.r.push(torch.ones(2, 3))
        assert m.r.value.shape == (4, 2, 3) and m.r.pointer == 1
    m = recorder(3)
    del m.r.value
    assert m.r.ignored and m.r.pointer == 0


@pytest.mark.parametrize(
    "nothing", [None, torch.empty(0), UninitializedBuffer(), UninitializedParameter()], ids=lambda v: type(v).__name__
)
def test_d14_timing_changes_without_storage(nothing):
    m = Module()
    RecordTensor.create(m, "r", 1.0, 3.0, nothing)
    m.r.duration = 7.0
    assert m.r.recordsz == 7 and m.r.valid
    m.r.dt = 0.5
    m.r.inclusive = True
    m.r.reset(None)
    m.r.reset(0)
    assert m.r.recordsz == 15
    for call in ("read", "align", "incr", "decr"):
        with pytest.raises(RuntimeError, match="uninitialized"):
            getattr(m.r, call)()
    for call in (
        lambda: m.r.write(torch.ones(2)),
        lambda: m.r.select(0.0),
        lambda: m.r.readrange(1),
        lambda: m.r.writerange(torch.ones(2, 1)),
        lambda: m.r.insert(torch.ones(2), 1.0),
    ):
        with pytest.raises(RuntimeError, match="uninitialized"):
            call()
    m.r.push(torch.ones(2, dtype=torch.float64))
    assert m.r.value.shape == (15, 2) and m.r.value.dtype == torch.float32 and m.r.peek().tolist() == [1, 1]


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("offset", [2, torch.tensor([2])], ids=["int", "tensor"])
def test_d15_writerange_casts_to_the_storage(offset, inplace):
    for pushes in (0, 1):
        m = recorder(pushes)
        m.r.writerange(torch.tensor([[5.0, 6.0]], dtype=torch.float64), offset, forward=True, inplace=inplace)
        assert m.r.value.dtype == torch.float32
        assert m.r.readrange(2).tolist() == [[5, 6]] and m.r.pointer == pushes


def test_initialize_and_deinitialize():
    m = recorder(3, value=torch.zeros(1, dtype=torch.float64))
    assert m.r.initialize((2, 2), fill=3) is m.r.value
    assert m.r.value.dtype == torch.float64 and m.r.value.shape == (4, 2, 2) and (m.r.value == 3).all()
    assert m.r.pointer == 0 and m.r.initialize((1,), dtype=torch.bool).dtype == torch.bool
    assert m.r.deinitialize().dtype == torch.bool
    uninitialized = m.r.deinitialize(use_uninitialized=True)
    assert isinstance(uninitialized, UninitializedBuffer) and uninitialized.dtype == torch.bool
    assert list(m._buffers) == ["_r_data"]
    m.r.initialize((3,))
    assert m.r.value.shape == (4, 3) and m.r.value.dtype == torch.bool


def test_parameter_records():
    p = nn.Parameter(torch.ones(2))
    m = recorder(value=p)
    assert m.r.value is p and p.shape == (4, 2) and list(m.parameters()) == [p]
    m.r.push(torch.full((2,), 5.0))
    m.r.push(torch.full((2,), 6.0), inplace=True)
    m.r.duration = 6.0
    assert m.r.value is p and p.shape == (6, 2) and m.r.readrange(2).tolist() == [[5, 6]] * 2
    m.r.reset()
    assert m.r.value is p and p.sum() == 0
    assert type(m.r.deinitialize(True)) is UninitializedParameter
    m.r.push(torch.ones(3))
    assert type(m.r.value) is nn.Parameter and m.r.value.shape == (6, 3)
    m.r.deinitialize(True)
    m.r.deinitialize()
    assert type(m.r.value) is nn.Parameter and m.r.ignored


@pytest.mark.usefixtures("pointer_read")
def test_align_turns_the_observations():
    m = recorder(6, duration=5.0)
    for index in (0, 3, -1, 4):
        storage = m.r.value
        m.r.align(index)
        assert m.r.pointer == index % 5 and m.r.value is storage
        assert m.r.readrange(5).tolist() == [[2, 3, 4, 5, 6]]
        assert m.r.value[index].item() == 2


def test_reset_and_pointer_moves():
    m = recorder(5)
    assert m.r.incr(-7) == 2 and m.r.decr(3) == 3 and m.r.incr() == 0
    m.r.incr()
    m.r.reset(None)
    assert m.r.value.flatten().tolist() == [2, 3, 4, 5] and m.r.pointer == 0
    m.r.incr(2)
    m.r.reset(8)
    assert m.r.value.flatten().tolist() == [8] * 4 and m.r.pointer == 0
    m.r.latest = torch.tensor([7.0])
    assert m.r.latest.item() == 7 and m.r.pointer == 1
    del m.r.latest
    assert m.r.pointer == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.int64])
def test_observations_are_cast(dtype):
    m = recorder(value=torch.zeros(2, dtype=dtype))
    for write in (m.r.push, m.r.write, lambda x: m.r.insert(x, 1.0), lambda x: m.r.writerange(x.unsqueeze(-1))):
        write(torch.tensor([0.5, 2.0]))
    want = torch.tensor([0.5, 2.0]).to(dtype)
    assert m.r.value.dtype == dtype and torch.equal(m.r.peek(), want)
    assert torch.equal(m.r.select(torch.zeros(2)), want) and m.r.select(torch.zeros(2)).dtype == dtype
    assert torch.equal(m.r.readrange(2)[:, 1], want)


def test_bool_keeps_every_nonzero():
    m = recorder(value=torch.zeros(3, dtype=torch.bool))
    m.r.push(torch.tensor([0.25, -1.0, 0.0]))
    assert m.r.peek().tolist() == [True, True, False]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.sampled_from(["push", "pop", "incr", "align", "grow", "shrink"]), max_size=25),
    st.sampled_from([(), (1,), (2, 3), (2, 1, 2)]),
    st.booleans(),
)
def test_a_record_is_a_list_of_observations(slots, program, shape, innermost):
    """Invariant: newest to oldest, the storage is a list that is rotated by the pointer moves."""
    r = (m := recorder(value=torch.zeros(shape), duration=float(slots), batch_innermost=innermost)).r
    model = [0.0] * slots
    for step, action in enumerate(program, 1):
        if action == "push":
            r.push(torch.full(shape, float(step)))
            model = [float(step), *model[:-1]]
        elif action == "pop":
            assert (r.pop() == model[0]).all()
            model = [*model[1:], model[0]]
        elif action == "incr":
            r.incr()
            model = [model[-1], *model[:-1]]
        elif action == "align":
            r.align(step % slots)
        else:
            slots = slots + 2 if action == "grow" else max(slots - 1, 1)
            r.duration = float(slots)
            model = (model + [0.0, 0.0])[:slots]
        assert r.recordsz == slots == r.value.shape[0] and m._r_pointer == r.pointer
        assert all((r.read(k) == want).all() for k, want in enumerate(model, 1))
        assert torch.equal(r.readrange(slots), torch.tensor(model[::-1]).expand(*shape, slots))
