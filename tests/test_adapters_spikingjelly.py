"""SpikingJelly's neurons on our op: bit-equal to the library's own on random programs, gradients and state included."""

import copy
import importlib.metadata
import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from library_cases import pair
from spikingjelly_cases import NODES, assert_same_values
from torch import nn

import inferno_cuda
from inferno_cuda.adapters import _spikingjelly
from inferno_cuda.testing import assert_identical

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
layer = pytest.importorskip("spikingjelly.activation_based.layer")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
pytestmark = pytest.mark.usefixtures("native")
CLASSES = ("IFNode", "LIFNode")


def assert_same_state(ours, theirs):
    assert list(ours._memories) == list(theirs._memories)
    for a, b in zip((*ours._memories.values(), ours.v_seq), (*theirs._memories.values(), theirs.v_seq), strict=True):
        assert_same_values(a, b)
    assert vars(ours).keys() == vars(theirs).keys()
    assert ours.state_dict().keys() == theirs.state_dict().keys()


ACTIONS = st.lists(st.sampled_from(["step", "step", "step", "reset", "shape", "dtype", "mode", "detach"]), max_size=12)


@settings(max_examples=80, deadline=None)
@given(node=NODES, actions=ACTIONS, seed=st.integers(0, 999))
def test_random_programs(node, actions, seed):
    generator = torch.Generator().manual_seed(seed)
    theirs, ours = pair(node)
    shapes, dtypes = [(2, 5), (1, 5), (3, 2, 4, 5)], [torch.float32, torch.float64, torch.float16]
    shape, dtype = 0, 0
    for action in ["step", *actions, "step"]:
        shape, dtype = (shape + (action == "shape")) % 3, (dtype + (action == "dtype")) % 3
        for one in (theirs, ours):
            if action == "reset":
                functional.reset_net(one)
            elif action == "detach":
                functional.detach_net(one)
            elif action == "mode":
                functional.set_step_mode(one, "m" if one.step_mode == "s" else "s")
        if action == "step":
            steps = () if theirs.step_mode == "s" else (int(torch.randint(1, 5, (), generator=generator)),)
            x = (torch.randn((*steps, *shapes[shape]), generator=generator) * 2).to(dtypes[dtype])
            with torch.no_grad():
                assert_identical(ours(x), theirs(x))
        assert_same_state(ours, theirs)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("mode", ["s", "m"])
def test_the_kernel_runs_without_gradients_and_not_with_them(kernel_calls, cls, mode):
    _, ours = pair(getattr(neuron, cls)(step_mode=mode))
    x = torch.ones(2, 3)
    ours(x)
    assert len(kernel_calls) == 1  # gradients are on, but nothing needs them
    assert ours(x.clone().requires_grad_()).requires_grad
    assert ours(x).requires_grad  # the voltage carries the graph on
    assert len(kernel_calls) == 1
    with torch.no_grad():
        ours(x.clone().requires_grad_())
    with torch.inference_mode():
        ours(x)
    assert len(kernel_calls) == 3


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradients_are_the_library_s(cls, mode, detach_reset):
    gradients = []
    for node in pair(getattr(neuron, cls)(step_mode=mode, detach_reset=detach_reset)):
        x = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            node(x[0] if mode == "s" else x)  # the state is the kernel's
        x.requires_grad_()
        spikes = torch.stack([node(step) for step in x]) if mode == "s" else node(x)
        (spikes * torch.arange(1, 7).view(6, 1, 1)).sum().backward()
        gradients.append(x.grad)
    assert_identical(*gradients)
    assert (gradients[0] != 0).any()


@pytest.mark.parametrize("name", sorted(_spikingjelly._SURROGATES))
def test_surrogates_compare_with_0(name):
    """What the adapter says of their forward pass."""
    x = torch.tensor([-1.0, -1e-30, -0.0, 0.0, 1.0, torch.inf, torch.nan])
    assert_identical(getattr(surrogate, name)()(x), (x >= 0).float())


def test_every_other_surrogate_is_known_to_do_something_else():
    listed = {n for n, c in vars(surrogate).items() if isinstance(c, type) and issubclass(c, nn.Module)}
    others = {"SurrogateFunctionBase", "DeterministicPass", "MultiLevelSpikeCount", "PoissonPass"}
    assert listed == _spikingjelly._SURROGATES | others


def network():
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, bias=False),
        layer.BatchNorm2d(4),
        neuron.LIFNode(surrogate_function=surrogate.ATan(), v_threshold=0.2),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(4 * 9, 10),
        neuron.IFNode(surrogate_function=surrogate.ATan(), v_reset=None, v_threshold=0.3),
    )
    functional.set_step_mode(net, "m")
    return net


def test_a_network(kernel_calls):
    torch.manual_seed(4)
    theirs = network().eval()
    ours, x = copy.deepcopy(theirs), torch.rand(5, 3, 1, 8, 8)
    with torch.no_grad():
        report = inferno_cuda.accelerate(ours, strict=True, verify=x)
        assert [row.fqn for row in report] == ["2", "6"]
        assert "largest difference of outputs 0, of state 0; 0 spikes differ" in str(report)
        assert len(kernel_calls) == 2
        kernel_calls.clear()
        expected = theirs(x)
        assert_identical(ours(x), expected)
        assert len(kernel_calls) == 2 and 0 < expected.sum() < expected.numel()
    for net in (ours, theirs):
        functional.reset_net(net)
        net(x).sum().backward()
        functional.reset_net(net)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_identical(a.grad, b.grad)


def test_single_steps_over_a_sequence(kernel_calls):
    theirs = nn.Sequential(nn.Linear(4, 6), neuron.LIFNode(), nn.Linear(6, 2), neuron.IFNode())
    ours, x = copy.deepcopy(theirs), torch.rand(5, 3, 4) * 4
    inferno_cuda.accelerate(ours)
    with torch.no_grad():
        assert_identical(functional.multi_step_forward(x, ours), functional.multi_step_forward(x, theirs))
    assert len(kernel_calls) == 10


def test_revert_leaves_what_was_there(kernel_calls):
    theirs = network()
    ours, x = copy.deepcopy(theirs), torch.rand(2, 3, 1, 8, 8)
    before = {name: set(vars(module)) for name, module in ours.named_modules()}
    inferno_cuda.accelerate(ours)
    with torch.no_grad():
        ours(x), theirs(x)
        inferno_cuda.revert(ours)
        assert [type(m) for m in ours.modules()] == [type(m) for m in theirs.modules()]
        assert {name: set(vars(module)) for name, module in ours.named_modules()} == before
        kernel_calls.clear()
        assert_identical(ours(x), theirs(x))
    assert not kernel_calls


def test_states_given_out_and_in():
    """The library's functional form has the state in its arguments, and is its own."""
    from spikingjelly.activation_based import base

    theirs, ours = pair(neuron.LIFNode(step_mode="m"))
    x, v = torch.rand(3, 2, 4) * 3, torch.rand(2, 4)
    with torch.no_grad():
        (spikes,), (after,) = base.to_functional_forward(ours)((x,), (v,))
        base.load_memories(theirs, [v])
        assert_identical(spikes, theirs(x))
        assert_identical(after, theirs.v)
        assert ours.v == 0.0


def test_copies_and_pickles_are_accelerated():
    _, ours = pair(neuron.IFNode())
    with torch.no_grad():
        ours(torch.full((1, 3), 0.8))
        for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert type(other) is type(ours)
            assert_identical(other(torch.full((1, 3), 0.8)), torch.ones(1, 3))
            assert_identical(ours.v, torch.full((1, 3), 0.8))


def test_hooks_see_the_same():
    seen = []
    for node in pair(neuron.LIFNode(step_mode="m")):
        node.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output, module.v)))
        with torch.no_grad():
            node(torch.rand(3, 2, 4, generator=torch.Generator().manual_seed(1)) * 3)
    for a, b in zip(*seen, strict=True):
        assert_identical(a, b)


@pytest.mark.parametrize("mode, shape", [("s", (0, 3)), ("s", ()), ("m", (2, 0)), ("m", (2,))], ids=str)
def test_inputs_of_other_kinds_are_left_to_the_library(kernel_calls, mode, shape):
    results = []
    for node in pair(neuron.LIFNode(step_mode=mode)):
        with torch.no_grad():
            try:
                results.append(node(torch.ones(shape)))
            except Exception as error:
                results.append((type(error), str(error)))
    assert type(results[0]) is type(results[1])
    assert_same_values(*results)
    assert not kernel_calls


def test_what_is_set_later_counts():
    theirs, ours = pair(neuron.LIFNode())
    with torch.no_grad():
        for change in (
            {"tau": 5.0},
            {"decay_input": False},
            {"v_reset": None},
            {"v_threshold": 0.5},
            {"store_v_seq": True},
            {"surrogate_function": surrogate.MultiLevelSpikeCount(2)},
            {"surrogate_function": surrogate.Sigmoid(spiking=False)},
            {"v_threshold": torch.tensor(0.25), "surrogate_function": surrogate.S2NN()},
        ):
            for node in (theirs, ours):
                for name, value in change.items():
                    setattr(node, name, value)
            x = torch.rand(2, 3, dtype=torch.float64) * 3
            assert_identical(ours(x), theirs(x))
            assert_same_state(ours, theirs)


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"surrogate_function": surrogate.MultiLevelSpikeCount(2)}, "surrogate_function is none of SpikingJelly's"),
        ({"surrogate_function": torch.nn.ReLU()}, "surrogate_function is none of SpikingJelly's"),
        ({"surrogate_function": surrogate.Sigmoid(spiking=False)}, "spiking=False"),
    ],
    ids=str,
)
def test_refused(options, reason):
    rows = list(inferno_cuda.accelerate(neuron.IFNode(**options)))
    assert len(rows) == 1 and reason in rows[0].reason


def test_subclasses():
    class Renamed(neuron.LIFNode):
        pass

    class Own(neuron.LIFNode):
        def single_step_functional_forward(self, inputs, states, **kwargs):
            return super().single_step_functional_forward((inputs[0] * 2,), states, **kwargs)

    class OwnForward(neuron.LIFNode):
        def forward(self, x):
            return super().forward(x) + 0

    class OwnState(neuron.IFNode):
        def materialize_states(self, inputs, states, step_mode):
            return super().materialize_states(inputs, states, step_mode)

    class AlwaysMulti(neuron.LIFNode):
        step_mode = "m"

    for cls, name in ((OwnForward, "forward"), (OwnState, "materialize_states")):
        (row,) = inferno_cuda.accelerate(cls())
        assert not row.runs and f"overrides {name} of" in row.reason
    (row,) = inferno_cuda.accelerate(AlwaysMulti())
    assert row.runs  # the library's forward reads it
    (row,) = inferno_cuda.accelerate(Renamed())
    assert row.runs
    (row,) = inferno_cuda.accelerate(Own())
    assert "overrides single_step_functional_forward" in row.reason
    for node in (neuron.ILIFNode(), neuron.OTTTLIFNode(), neuron.LIAFNode(act=torch.relu, threshold_related=False)):
        (row,) = inferno_cuda.accelerate(node)
        assert "overrides" in row.reason
    (row,) = inferno_cuda.accelerate(neuron.QIFNode())
    assert row.reason == "there is no adapter for it"


def test_neurons_that_are_imported_later_are_found():
    code = """
import sys
import torch, spikingjelly, inferno_cuda
assert not list(inferno_cuda.accelerate(torch.nn.Linear(1, 1)))
assert "spikingjelly.activation_based.neuron" not in sys.modules
from spikingjelly.activation_based import neuron
(row,) = inferno_cuda.accelerate(neuron.IFNode())
assert row.runs, row
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_neurons_are_worth_a_word():
    assert not list(inferno_cuda.accelerate(nn.Sequential(layer.Conv2d(1, 2, 3), layer.Flatten(), surrogate.ATan())))


def test_transforms_and_compilers_run_the_library_s_code(kernel_calls):
    theirs, ours = pair(neuron.LIFNode(surrogate_function=surrogate.S2NN()))
    x = torch.rand(3, 2, 4)
    with torch.no_grad():
        compiled = torch.compile(ours, backend="eager")
        assert_identical(compiled(x[0]), theirs(x[0]))
    assert not kernel_calls


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_trace_has_the_library_s_operations(kernel_calls):
    _, ours = pair(neuron.LIFNode())
    with torch.no_grad():
        traced = torch.jit.trace(ours, torch.rand(2, 3), check_trace=False)
        assert "inferno_cuda" not in str(traced.inlined_graph)
    assert not kernel_calls


def test_a_library_without_a_version_is_skipped(monkeypatch):
    """A copy of it in the user's own source."""

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    (row,) = inferno_cuda.accelerate(nn.Sequential(nn.Linear(2, 2), neuron.IFNode()))
    assert not row.runs and "spikingjelly is of an unknown version" in row.reason


def test_a_precision_that_is_set_first_stays():
    """The library's tools find neurons by their exact class."""
    nodes = nn.Sequential(neuron.IFNode(), neuron.LIFNode())
    nodes[0]._neuron_precision = (torch.float16, "fp32", "fp32")
    first, second = inferno_cuda.accelerate(nodes)
    assert type(nodes[0]) is neuron.IFNode and "it has a precision of its own" in first.reason
    assert second.runs and type(nodes[1]) is not neuron.LIFNode
    inferno_cuda.revert(nodes)
    assert type(nodes[1]) is neuron.LIFNode
