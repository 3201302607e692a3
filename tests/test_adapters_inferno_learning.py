"""Accelerated reducers, monitors, accumulators and STDP of inferno-ai against the library's."""

import copy
import math

import pytest
import torch
from learning_cases import accelerated, layer, spikes

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")
observe = pytest.importorskip("inferno.observe")
functional = pytest.importorskip("inferno.functional")

TRACES = [observe.CumulativeTraceReducer, observe.NearestTraceReducer]
FALSE, TRUE = torch.zeros(3, 4, dtype=torch.bool), torch.ones(3, 4, dtype=torch.bool)


def same_record(reducer, expected):
    state, wanted = reducer.state_dict(), expected.state_dict()
    assert list(state) == list(wanted)
    assert state["_extra_state"] == wanted["_extra_state"]
    exact(state["_data__data"], wanted["_data__data"])
    exact(reducer.peek(), expected.peek())
    exact(reducer.latest, expected.latest)
    assert reducer.data_.recordsz == expected.data_.recordsz


def exact(value, wanted):
    assert (value is None) == (wanted is None)
    if wanted is not None:
        assert value.dtype == wanted.dtype and value.shape == wanted.shape and value.stride() == wanted.stride()
        assert torch.equal(value, wanted)


RECORDS = [
    {},
    {"inclusive": True},
    {"inclusive": True, "inplace": True},
    {"duration": 3.0},
    {"duration": 3.0, "inclusive": True},
]


@pytest.mark.parametrize("cls", TRACES)
@pytest.mark.parametrize("record", RECORDS, ids=str)
@pytest.mark.parametrize("amplitude", [0.5, -3, 5e-6])
@pytest.mark.parametrize("target", [True, 1.0, 0, 2])
def test_traces_are_equal(cls, record, amplitude, target):
    reducer, expected = (cls(1.0, 7.0, amplitude, target, **record) for _ in range(2))
    accelerated(reducer)
    assert reducer.peek() is None
    for x in spikes(6, 3, 4):
        reducer(x)
        expected(x)
        same_record(reducer, expected)
    exact(reducer.dump(), expected.dump())


@pytest.mark.parametrize("cls", TRACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.uint8])
@pytest.mark.parametrize("state", [torch.float32, torch.float64, torch.float16])
def test_traces_of_other_types_are_equal(cls, dtype, state):
    reducer, expected = (cls(1.0, 7.0, 0.3, True).to(state) for _ in range(2))
    accelerated(reducer)
    for x in [*spikes(3, 5), *spikes(3, 5).to(dtype)]:
        reducer(x)
        expected(x)
        same_record(reducer, expected)


@pytest.mark.parametrize("tolerance", [None, 0.2])
def test_traces_of_graded_observations_are_equal(tolerance):
    reducer, expected = (observe.CumulativeTraceReducer(1.0, 7.0, 0.3, 1.0, tolerance) for _ in range(2))
    accelerated(reducer)
    for x in torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) * 1.3:
        reducer(x)
        expected(x)
        same_record(reducer, expected)


@pytest.mark.parametrize("cls", TRACES)
def test_worked_trace(cls):
    reducer = accelerated(cls(1.0, 2.0, 0.5, True))
    for x in (TRUE, FALSE, TRUE):
        reducer(x)
    decay = math.exp(-0.5)
    sum_ = {observe.CumulativeTraceReducer: 0.5 + 0.5 * decay**2, observe.NearestTraceReducer: 0.5}[cls]
    torch.testing.assert_close(reducer.peek(), torch.full((3, 4), sum_))


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_newest_observations_are_equal(record):
    reducer, expected = (observe.PassthroughReducer(1.0, **record) for _ in range(2))
    accelerated(reducer)
    for x in [*spikes(3, 4), *torch.rand(3, 4), *torch.rand(3, 4, dtype=torch.float64)]:
        reducer(x)
        expected(x)
        same_record(reducer, expected)
        exact(reducer.view(0.0), expected.view(0.0))


def test_an_observation_is_copied():
    reducer = accelerated(observe.PassthroughReducer(1.0))
    given = [torch.ones(3), torch.ones(3)]
    for x in given:
        reducer(x)
    given[1].zero_()
    assert reducer.peek().tolist() == [1, 1, 1]


@pytest.mark.parametrize("cls", [*TRACES, observe.PassthroughReducer])
def test_records_are_replaced_and_not_written_to(cls):
    arguments = () if cls is observe.PassthroughReducer else (7.0, 0.5, True)
    reducer = accelerated(cls(1.0, *arguments))
    reducer(TRUE)
    held, peeked = reducer.data_.value, reducer.peek()
    before = held.clone()
    reducer(FALSE)
    assert torch.equal(held, before) and torch.equal(peeked, before[0])


@pytest.mark.parametrize("keepshape", [False, True])
def test_cleared_records_start_anew(keepshape):
    reducer, expected = (observe.CumulativeTraceReducer(1.0, 7.0, 0.5, True) for _ in range(2))
    accelerated(reducer)
    for _ in range(2):
        for x in spikes(3, 4):
            for each in (reducer, expected):
                each(x)
        for each in (reducer, expected):
            each.clear(keepshape=keepshape)
            assert each.peek() is None
        assert torch.equal(reducer.data_.value, expected.data_.value)


def test_an_observation_of_another_shape_raises_as_before():
    for reducer in (accelerated(observe.PassthroughReducer(1.0)), observe.PassthroughReducer(1.0)):
        reducer(torch.ones(3))
        with pytest.raises(ValueError):
            reducer(torch.ones(4))
        assert reducer.peek().tolist() == [1, 1, 1]


def test_gradients_flow_as_before():
    values = []
    for make in (accelerated, lambda module: module):
        reducer = make(observe.PassthroughReducer(1.0))
        x = torch.ones(3, requires_grad=True)
        reducer(x)
        reducer(2 * x)
        reducer.peek().sum().backward()
        values.append(x.grad)
    assert torch.equal(*values) and values[0].tolist() == [2, 2, 2]


class Scaled(observe.PassthroughReducer):
    def fold(self, obs, state):
        return 3 * obs


def test_a_subclass_that_folds_its_own_way_is_skipped():
    reducer = Scaled(1.0)
    row = inferno_cuda.accelerate(reducer).rows[0]
    assert "fold" in row.reason and type(reducer) is Scaled


# -- monitors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attr", ["neurons_.serial.spike", "connections_.serial.synapse_.spike", "feedfwd"])
def test_monitors_see_the_same(attr):
    seen = []
    for make in (lambda module: module, accelerated):
        net = layer()
        net.feedfwd = None
        monitor = observe.StateMonitor(observe.PassthroughReducer(1.0), attr, net, map_=lambda x: (~x,))
        make(monitor)
        for x in spikes(4, 3, 6):
            net(x)
        seen.append(monitor.peek())
    exact(seen[1], seen[0])
    assert (seen[0] is None) == (attr == "feedfwd")


def test_a_monitor_of_what_is_not_there_raises_as_before():
    for make in (lambda module: module, accelerated):
        net = layer()
        monitor = make(observe.StateMonitor(observe.PassthroughReducer(1.0), "neurons_.other.spike", net))
        with pytest.raises(AttributeError):
            net(spikes(1, 3, 6)[0])
        assert monitor.peek() is None


# -- accumulators -----------------------------------------------------------------------------------------------------


def bounded(kind):
    accumulator = theirs.Accumulator()
    if kind in ("upper", "both"):
        accumulator.upperbound(functional.bound_upper_multiplicative, 1.0)
    if kind in ("lower", "both"):
        accumulator.lowerbound(functional.bound_lower_multiplicative, 0.0)
    if kind == "full":
        accumulator.fullbound(functional.bound_sharp, 1.0, 0.0)
    if kind == "mean":
        accumulator.upperbound(functional.bound_upper_multiplicative, 1.0)
        accumulator.reduction(torch.mean)
    return accumulator


@pytest.mark.parametrize("kind", ["none", "upper", "lower", "both", "full", "mean"])
@pytest.mark.parametrize("count", [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("read", [False, True])
def test_changes_are_equal(kind, count, read):
    param = torch.nn.Parameter(torch.rand(4, 3, generator=torch.Generator().manual_seed(0)), False)
    changes = []
    for make in (accelerated, lambda module: module):
        accumulator = make(bounded(kind))
        random = torch.Generator().manual_seed(1)
        for side, number in zip(("pos", "neg"), count, strict=True):
            for _ in range(number):
                setattr(accumulator, side, torch.rand(4, 3, generator=random))
        if read:
            _ = accumulator.pos, accumulator.neg
        changes.append(accumulator(param))
        accumulator.clear()
        assert accumulator.pos is None and accumulator.neg is None and accumulator(param) is param
    assert torch.equal(*changes)


def test_d17_copies_sum_what_is_pending_on_the_original():
    changes = []
    for make in (accelerated, lambda module: module):
        accumulator = make(bounded("both"))
        accumulator.pos, accumulator.neg = torch.full((2,), 0.5), torch.full((2,), 0.25)
        copied = copy.deepcopy(accumulator)
        assert isinstance(copied, type(accumulator))
        del accumulator.pos
        accumulator.pos = torch.full((2,), 0.125)
        changes.append(copied(torch.full((2,), 0.5)))
    assert torch.equal(*changes)


def test_d17_copies_of_records_go_on_as_before():
    records = []
    for make in (accelerated, lambda module: module):
        reducer = make(observe.CumulativeTraceReducer(1.0, 7.0, 0.5, True))
        reducer(TRUE)
        copied = copy.deepcopy(reducer)
        copied(TRUE)
        copied(FALSE)
        records.append(torch.stack([reducer.peek(), copied.peek()]))
    assert torch.equal(*records)
