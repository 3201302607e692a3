"""Reducers: times, states that are saved and taken up again, graphs, dtypes, copies, subclasses."""

import copy
import io
import math
import pickle

import pytest
import torch

import inferno_cuda
from inferno_cuda.observe import (
    CAReducer,
    ConditionalNearestTraceReducer,
    CumulativeTraceReducer,
    EMAReducer,
    EventReducer,
    FoldReducer,
    NearestTraceReducer,
    PassthroughReducer,
    RecordReducer,
    Reducer,
    ScaledCumulativeTraceReducer,
)


def above(obs):
    return obs > 0.5


MAKERS = {
    "cumulative": lambda **times: CumulativeTraceReducer(1.0, 20.0, 1.5, 1, 0.3, **times),
    "nearest": lambda **times: NearestTraceReducer(1.0, 20.0, 1.5, 1, 0.3, **times),
    "scaled": lambda **times: ScaledCumulativeTraceReducer(1.0, 20.0, 1.5, 0.3, above, **times),
    "average": lambda **times: EMAReducer(1.0, 0.25, **times),
    "mean": lambda **times: CAReducer(1.0, **times),
    "event": lambda **times: EventReducer(1.0, above, "nan", **times),
    "passthrough": lambda **times: PassthroughReducer(1.0, **times),
}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
TRACES = pytest.mark.parametrize("make", [MAKERS[name] for name in ("cumulative", "nearest", "scaled")])


def series(steps, shape=(2, 3), seed=0, **options):
    return torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed), **options)


def fed(reducer, observations):
    for obs in observations:
        reducer(obs)
    return reducer


def assert_equal(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_d39_duration_is_set_as_duration():
    reducer = fed(PassthroughReducer(1.0, duration=3.0, inclusive=True), torch.arange(5.0).view(5, 1))
    reducer.duration = 5.0
    assert (reducer.dt, reducer.duration, reducer.data_.recordsz) == (1.0, 5.0, 6)
    assert reducer.dump()[:, 0].tolist() == [4, 3, 2, 1, 0, 0]
    reducer.duration = 0.0
    assert reducer.dump()[:, 0].tolist() == [4]


@EVERY
def test_d14_times_change_without_storage(make):
    for reducer in (make(duration=3.0), fed(make(duration=3.0), series(2))):
        reducer.clear()
        reducer.duration = 7.0
        reducer.dt = 0.5
        assert reducer.data_.recordsz == 14
        assert fed(reducer, series(3)).dump().shape == (14, 2, 3)


def test_longer_records_begin_with_no_observation():
    reducer = fed(EventReducer(1.0, above, duration=2.0), torch.ones(3, 1))
    reducer.duration = 4.0
    assert reducer.dump()[:, 0].tolist() == [0, 0, math.inf, math.inf]


@TRACES
def test_decay_follows_the_step_time(make):
    reducer = make()
    reducer.dt = 0.1
    assert reducer.decay == math.exp(-0.1 / 20.0)


@EVERY
def test_resumes_in_a_new_reducer(make):
    obs = series(12)
    whole, first = fed(make(duration=4.0), obs), fed(make(duration=4.0), obs[:7])
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = make(duration=4.0)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(second.peek(), first.peek())
    fed(second, obs[7:])
    assert_equal(second.dump(), whole.dump())
    # what was loaded is not what was saved
    fed(first, obs[7:])
    assert_equal(second.dump(), first.dump())


@EVERY
def test_what_was_loaded_follows_the_first_observation(make, device):
    obs = series(6)
    saved = fed(make(duration=2.0), obs[:3]).state_dict()
    reducer = make(duration=2.0)
    reducer.load_state_dict(saved)
    fed(reducer, obs[3:].to(device))
    assert reducer.data.device.type == device
    assert_equal(reducer.dump().cpu(), fed(make(duration=2.0), obs).dump())


@EVERY
def test_takes_up_a_state_without_observations(make):
    reducer = fed(make(duration=4.0), series(3))
    reducer.load_state_dict(make(duration=4.0).state_dict())
    assert reducer.peek() is None and reducer.data.numel() == 0
    assert_equal(fed(reducer, series(2)).peek(), fed(make(), series(2)).peek())


def test_states_of_other_shapes_are_refused():
    saved = fed(PassthroughReducer(1.0, duration=4.0), series(3)).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        PassthroughReducer(1.0, duration=5.0).load_state_dict(saved)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fed(PassthroughReducer(1.0, duration=4.0), series(3, (1, 3))).load_state_dict(saved)


@EVERY
@pytest.mark.parametrize("how", [copy.deepcopy, lambda reducer: pickle.loads(pickle.dumps(reducer))])
def test_copies_are_independent(make, how):
    obs = series(6)
    original = fed(make(duration=3.0), obs[:3])
    other = fed(how(original), obs[3:])
    assert_equal(original.peek(), fed(make(), obs[:3]).peek())
    assert_equal(other.dump(), fed(make(duration=3.0), obs).dump())


@EVERY
def test_observations_with_a_graph_give_the_same_states(make, backend):
    obs = series(5)
    assert_equal(fed(make(duration=3.0), obs.clone().requires_grad_()).dump(), fed(make(duration=3.0), obs).dump())


def test_gradients_pass_through_scaled_traces():
    obs = torch.tensor([[0.9], [0.2], [0.8]], dtype=torch.float64, requires_grad=True)
    reducer = fed(ScaledCumulativeTraceReducer(1.0, 20.0, 0.0, 2.0, above).double(), obs)
    reducer.peek().sum().backward()
    torch.testing.assert_close(obs.grad[:, 0], torch.tensor([2 * reducer.decay**2, 0, 2.0], dtype=torch.float64))
    reducer.detach_()
    with torch.no_grad():
        reducer(obs[0])
    assert not reducer.data.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@TRACES
def test_folds_and_steps_agree(make, dtype, backend):
    reducer, state = make(duration=2.0).to(dtype), None
    for obs in series(6).to(dtype):
        reducer(obs)
        state = reducer.fold(obs, state)
        assert reducer.data.dtype == dtype
        assert_equal(reducer.peek(), state)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64], ids=str)
def test_observations_are_cast(dtype, backend):
    spikes = series(6) < 0.3
    reducer = fed(CumulativeTraceReducer(1.0, 20.0, 1.0, True), spikes.to(dtype))
    assert_equal(reducer.peek(), fed(CumulativeTraceReducer(1.0, 20.0, 1.0, 1.0), spikes.float()).peek())
    assert reducer.data.dtype == torch.float32


def test_observations_of_any_layout(backend):
    spikes = series(6, (4, 3)) < 0.3
    plain = fed(CumulativeTraceReducer(1.0, 20.0, 1.0, True), spikes)
    turned = fed(CumulativeTraceReducer(1.0, 20.0, 1.0, True), [x.T.contiguous().T for x in spikes])
    assert_equal(plain.dump(), turned.dump())
    wide = fed(CumulativeTraceReducer(1.0, 20.0, 1.0, True), [x[:1].expand(4, 3) for x in spikes])
    assert_equal(wide.peek(), plain.peek()[:1].expand(4, 3))


def test_smaller_observations_broadcast():
    reducer = fed(CumulativeTraceReducer(1.0, 20.0, 1.0, True), torch.ones(1, 2, 3))
    reducer(torch.ones(3))
    assert reducer.peek().shape == (2, 3)
    with pytest.raises(ValueError, match="'obs'"):
        reducer(torch.ones(5, 2, 3))


def test_d46_an_amplitude_may_be_zero():
    reducer = fed(CumulativeTraceReducer(1.0, 20.0, 0.0, True, duration=2.0), series(3) < 0.5)
    assert reducer.peek().shape == (2, 3) and not reducer.peek().any()


def test_conditions_say_where_events_are():
    reducer = ConditionalNearestTraceReducer(1.0, 20.0, 0.5, 2.0)
    obs = torch.tensor([1.0, 3.0])
    reducer(obs, torch.tensor([True, False]))
    reducer(obs, torch.tensor([0, 1]))  # not zero
    torch.testing.assert_close(reducer.peek(), torch.tensor([2.5 * reducer.decay, 6.5]))


def test_a_fold_of_one_s_own_is_used():
    class Doubled(CumulativeTraceReducer):
        def fold(self, obs, state):
            return 2 * CumulativeTraceReducer.fold(self, obs, state)

    class Shouting(CumulativeTraceReducer):
        pushed = 0

        def push(self, inputs, **kwargs):
            self.pushed += 1
            CumulativeTraceReducer.push(self, inputs, **kwargs)

    ones = torch.ones(3, 1)
    trace = fed(Doubled(1.0, 20.0, 1.0, 1), ones)
    decay = trace.decay
    assert trace.peek().item() == pytest.approx(2 + 4 * decay + 8 * decay**2)
    assert fed(Shouting(1.0, 20.0, 1.0, 1), ones).pushed == 3


def test_an_interpolation_of_one_s_own_is_used():
    class Held(CumulativeTraceReducer):
        def interpolate(self, prev_data, next_data, sample_at, step_time):
            return prev_data

    reducer = fed(Held(1.0, 20.0, 1.0, 1, duration=3.0), torch.tensor([[1.0], [0.0]]))
    assert reducer.view(0.5).item() == 1.0
    assert reducer.view(torch.tensor([0.5])).item() == 1.0


def test_storage_that_a_graph_holds_is_not_overwritten():
    reducer = fed(CumulativeTraceReducer(1.0, 20.0, 1.0, True, duration=2.0), series(3) < 0.5)
    kept = reducer.data
    before = kept.clone()
    reducer.data_.hold()
    reducer(series(1)[0] < 0.5)
    assert_equal(kept, before)
    assert reducer.data is not kept


def test_data_keeps_its_shape():
    reducer = fed(PassthroughReducer(1.0, duration=2.0), series(2))
    reducer.data = torch.ones(2, 2, 3)
    assert reducer.peek().sum() == 6
    with pytest.raises(RuntimeError, match="must keep the shape"):
        reducer.data = torch.ones(2, 2, 4)


def test_records_are_added_and_checked():
    class Two(RecordReducer):
        def __init__(self):
            super().__init__(1.0, 3.0)
            for name in ("first", "second"):
                inferno_cuda.RecordTensor.create(self, name, 0.5, 7.0, torch.zeros(1))
            self.add_record("first", "second")

        clear = view = dump = peek = push = None

    two = Two()
    two.dt, two.duration = 2.0, 8.0
    assert [(r.dt, r.duration, r.recordsz) for r in (two.first, two.second)] == [(2.0, 8.0, 4)] * 2
    with pytest.raises(RuntimeError, match="'third'"):
        two.add_record("third")
    with pytest.raises(TypeError, match="must be a RecordTensor"):
        two.add_record("dt")


@pytest.mark.parametrize("base", [Reducer, RecordReducer, FoldReducer])
def test_bases_are_abstract(base):
    with pytest.raises(TypeError, match="abstract"):
        base(1.0, 1.0) if base is not Reducer else base()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CumulativeTraceReducer(0.0, 20.0, 1.0, True),
        lambda: CumulativeTraceReducer(1.0, 0.0, 1.0, True),
        lambda: CumulativeTraceReducer(1.0, 20.0, math.nan, True),
        lambda: CumulativeTraceReducer(1.0, 20.0, 1.0, True, 0.0),
        lambda: CumulativeTraceReducer(1.0, 20.0, 1.0, True, duration=-1.0),
        lambda: ScaledCumulativeTraceReducer(1.0, 20.0, 1.0, math.inf, above),
        lambda: EMAReducer(1.0, 1.1),
        lambda: EMAReducer(1.0, -0.1),
        lambda: EventReducer(1.0, above, "one"),
    ],
)
def test_numbers_out_of_range(make):
    with pytest.raises(ValueError):
        make()


def test_explain_names_the_ops():
    rows = {row.op for row in inferno_cuda.explain(CumulativeTraceReducer(1.0, 20.0, 1.0, True))}
    assert rows == {"trace_push", "history_gather"}
