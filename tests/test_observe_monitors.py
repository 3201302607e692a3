"""Monitors: what they observe, and their lives."""

import copy
import gc
import pickle

import pytest
import torch
from torch import nn

import inferno_cuda as inferno
from inferno_cuda import neural
from inferno_cuda.observe import (
    CumulativeTraceReducer,
    DifferenceMonitor,
    InputMonitor,
    Monitor,
    MultiStateMonitor,
    OutputMonitor,
    PassthroughReducer,
    StateMonitor,
)


class Counter(inferno.Module):
    """Counts up, in place as the state of neurons is."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(2))
        self.inner = nn.Identity()

    def forward(self, *steps):
        for step in steps:
            self.count += step
        return self.inner(self.count)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Counter()

    def forward(self, *steps):
        return self.part(*steps)


def passthrough(duration=4.0):
    return PassthroughReducer(1.0, duration=duration)


def seen(monitor):
    """The first elements of what was observed, the oldest first."""
    states = monitor.dump()
    return [] if states is None else states.flip(0)[:, 0].tolist()


def test_input_monitor_observes_arguments():
    module = Counter()
    monitor = InputMonitor(passthrough(2.0), module)
    module()  # nothing to observe
    module(torch.ones(2))
    module(torch.full((2,), 5.0))
    assert seen(monitor) == [1, 5]


def test_input_monitor_passes_all_arguments():
    module = Counter()
    monitor = InputMonitor(passthrough(1.0), module, map_=lambda args: (args[0] - args[1],))
    module(torch.ones(2), torch.full((2,), 5.0))
    assert seen(monitor) == [-4]


def test_output_monitor_observes_outputs():
    module = Counter()
    monitor = OutputMonitor(passthrough(2.0), module)
    for _ in range(2):
        module(torch.ones(2))
    assert seen(monitor) == [1, 2]  # copies of what is written in place


def test_output_monitor_takes_tuples_apart_and_passes_over_none():
    outputs = iter([None, (torch.ones(2),), torch.zeros(2)])
    module = Counter()
    module.inner.forward = lambda count: next(outputs)
    monitor = OutputMonitor(passthrough(2.0), module)
    for _ in range(3):
        module()
    assert seen(monitor) == [1, 0]


@pytest.mark.parametrize("as_prehook, expected", [(False, [1, 2]), (True, [0, 1])])
def test_state_monitor_observes_an_attribute(as_prehook, expected):
    module = Counter()
    monitor = StateMonitor(passthrough(2.0), "count", module, as_prehook=as_prehook)
    for _ in range(2):
        module(torch.ones(2))
    assert seen(monitor) == expected


def test_state_monitor_follows_a_path():
    outer = Outer()
    monitor = StateMonitor(passthrough(1.0), "part.count", outer)
    outer(torch.ones(2))
    assert seen(monitor) == [1]


def test_multi_state_monitor_observes_several_attributes():
    outer = Outer()
    module = outer.part
    module.scale = torch.full((2,), 3.0)
    product = lambda values: (values[0] * values[1],)  # noqa: E731
    whole = MultiStateMonitor(passthrough(1.0), "part", ("count", "scale"), outer, map_=product)
    plain = MultiStateMonitor(passthrough(1.0), "", ("count", "scale"), module, map_=product)
    outer(torch.ones(2))
    assert seen(whole) == seen(plain) == [3]


def test_difference_monitor_sees_changes_in_place():
    module = Counter()
    monitor = DifferenceMonitor(passthrough(2.0), "count", module)
    module(torch.ones(2))
    module(torch.full((2,), 5.0))
    assert seen(monitor) == [1, 5]


def test_difference_monitor_takes_none_for_zeros():
    module = Counter()
    monitor = DifferenceMonitor(passthrough(1.0), "made", module)
    module.made = None
    module.register_forward_hook(lambda m, *_: setattr(m, "made", torch.full((2,), 7.0)), prepend=True)
    module()
    assert seen(monitor) == [7]


def test_d43_partial_constructor_keeps_the_operation():
    module = Counter()
    make = DifferenceMonitor.partialconstructor(passthrough(1.0), op_=lambda final, initial: final + initial)
    monitor = make("count", module)
    module(torch.ones(2))
    module(torch.ones(2))
    assert seen(monitor) == [3]


def test_partial_constructors():
    outer = Outer()
    module = outer.part
    arguments = InputMonitor.partialconstructor(passthrough(1.0))("part", outer)
    outputs = OutputMonitor.partialconstructor(passthrough(1.0), prepend=True)("part", outer)
    state = StateMonitor.partialconstructor(passthrough(1.0), as_prehook=True)("part.count", outer)
    several = MultiStateMonitor.partialconstructor(passthrough(1.0), ("count",), map_=lambda v: v)("part", outer)
    change = DifferenceMonitor.partialconstructor(passthrough(1.0), train_update=False)("part.count", outer)
    outer(torch.ones(2))
    assert [seen(m) for m in (arguments, outputs, state, several, change)] == [[1], [1], [0], [1], []]
    assert arguments._observed() is module and state._observed() is outer
    with pytest.raises(NotImplementedError):
        Monitor.partialconstructor(passthrough())


@pytest.mark.parametrize("train, evaluate", [(True, False), (False, True), (False, False)])
def test_modes(train, evaluate):
    module = Counter()
    monitor = StateMonitor(passthrough(2.0), "count", module, train_update=train, eval_update=evaluate)
    module.train()
    module(torch.ones(2))
    module.eval()
    module(torch.ones(2))
    assert seen(monitor)[-1:] == ([1] if train else [2] if evaluate else [])


def test_filters():
    module = Counter()
    monitor = StateMonitor(passthrough(1.0), "count", module, filter_=lambda count: count[0] != 2)
    for _ in range(2):
        module(torch.ones(2))
    assert seen(monitor) == [1]


@pytest.mark.parametrize("prepend, expected", [(True, ["monitor", "other"]), (False, ["other", "monitor"])])
def test_prepends(prepend, expected):
    module, order = Counter(), []
    module.register_forward_hook(lambda *_: order.append("other"))
    note = lambda value: order.append("monitor") or (value,)  # noqa: E731
    monitor = StateMonitor(passthrough(), "count", module, prepend=prepend, map_=note)
    module()
    assert order == expected and monitor.registered


def test_registers_again_to_the_module_of_the_last_time():
    module = Counter()
    monitor = StateMonitor(passthrough(), "count")
    with pytest.raises(RuntimeError, match="'module' must be given"):
        monitor.register()
    monitor.register(module)
    with pytest.raises(RuntimeError, match="already registered"):
        monitor.register(module)
    monitor.register()
    monitor.deregister()
    module(torch.ones(2))
    assert monitor.peek() is None
    monitor.register()
    module(torch.ones(2))
    assert seen(monitor)[-1] == 2
    monitor.clear(keepshape=True)
    assert monitor.latest is None and monitor.reducer.data.shape == (4, 2)


def test_lifetimes():
    module = Counter()
    monitor = StateMonitor(passthrough(), "count", module)
    del monitor
    gc.collect()
    module(torch.ones(2))
    assert not module._forward_hooks
    monitor = StateMonitor(passthrough(), "count", module)
    del module
    gc.collect()
    assert monitor._observed() is None and not monitor.registered
    with pytest.raises(RuntimeError, match="does not exist"):
        monitor.register()


@pytest.mark.parametrize("kind", [StateMonitor, DifferenceMonitor])
@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_watch_copies(kind, how):
    module = Counter()
    monitor = kind(passthrough(), "count", module)
    module(torch.ones(2))
    other, watching = how((module, monitor))
    assert watching._observed() is other and watching.registered
    other(torch.full((2,), 5.0))
    assert seen(watching)[-1] == (6 if kind is StateMonitor else 5) and seen(monitor)[-1] == 1
    module(torch.ones(2))
    assert seen(watching)[-1] != 2 and len(other._forward_hooks) == 1
    watching.deregister()
    watching.register()
    assert watching.registered


def test_state_dict_keys():
    monitor = StateMonitor(CumulativeTraceReducer(1.0, 20.0, 1.0, True), "spike")
    assert list(monitor.state_dict()) == ["_extra_state", "reducer_._data__data", "reducer_._extra_state"]


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: StateMonitor(passthrough(), "not a path"), ValueError),
        (lambda: StateMonitor(passthrough(), None), TypeError),
        (lambda: MultiStateMonitor(passthrough(), "a", ("b c",)), ValueError),
        (lambda: StateMonitor(None, "count"), TypeError),
        (lambda: StateMonitor(passthrough(), "count", module=3), TypeError),
        (lambda: Monitor(passthrough()), RuntimeError),
        (lambda: Monitor(passthrough(), prehook="missing"), AttributeError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make()


def layer(steps=1.0):
    synapse = neural.DeltaCurrent.partialconstructor(1.0)
    connection = neural.LinearDense(4, 3, steps, synapse=synapse, weight_init=lambda w: w.fill_(30.0))
    neurons = neural.LIF(
        3, steps, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0, resistance=1.0
    )
    return neural.Serial(connection, neurons)


def test_every_step_of_a_sequence_is_seen():
    rng = torch.Generator().manual_seed(1)
    inputs = torch.rand(20, 1, 4, generator=rng) < 0.3
    stepped, ran = layer(), layer()
    watching = [
        [
            StateMonitor(PassthroughReducer(1.0, duration=20.0), "neuron.spike", part),
            StateMonitor(CumulativeTraceReducer(1.0, 20.0, 1.0, True, duration=20.0), "connection.synspike", part),
        ]
        for part in (stepped, ran)
    ]
    outputs = torch.stack([stepped(x) for x in inputs])
    with torch.no_grad():
        torch.testing.assert_close(inferno.run(ran, inputs), outputs)
    assert outputs.any()
    for one, other in zip(*watching, strict=True):
        assert torch.equal(one.dump(), other.dump())
    assert torch.equal(watching[1][0].dump().flip(0), outputs.float())
