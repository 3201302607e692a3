"""snnTorch's neurons on our op: bit-equal to the library's own on random programs, gradients and state included."""

import copy
import importlib.metadata
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from library_cases import pair
from torch import nn

import inferno_cuda
from inferno_cuda.adapters import _snntorch
from inferno_cuda.testing import assert_identical

snn = pytest.importorskip("snntorch")
surrogate = pytest.importorskip("snntorch.surrogate")
pytestmark = pytest.mark.usefixtures("native")
DECAYS = [0.0, 0.6, 0.95, 1.0, 1.7, -0.2]


@pytest.fixture(scope="module", autouse=True)
def forget_instances():
    """snnTorch keeps every neuron that was ever made."""
    yield
    snn.SpikingNeuron.init()


def assert_same_state(ours, theirs):
    for name in ("mem", "syn", "reset"):
        if hasattr(theirs, name):
            assert_identical(getattr(ours, name), getattr(theirs, name), name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert vars(ours).keys() == vars(theirs).keys()


def assert_same_results(ours, theirs):
    ours, theirs = (x if isinstance(x, tuple) else (x,) for x in (ours, theirs))
    for a, b in zip(ours, theirs, strict=True):
        assert_identical(a, b)


def coefficient(kind, value, shape):
    """A number, or a tensor for each neuron of a layer or each channel."""
    if kind == "number":
        return value
    sizes = {"one": (1,), "last": shape[-1:], "channel": (shape[1], *[1] * (len(shape) - 2))}[kind]
    return value + torch.rand(sizes, generator=torch.Generator().manual_seed(1)) * 0.2


OPTIONS = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from([1.0, 0.3, 1]),
        "reset_mechanism": st.sampled_from(["subtract", "zero", "none"]),
        "reset_delay": st.booleans(),
        "init_hidden": st.booleans(),
        "output": st.booleans(),
        "learn_beta": st.booleans(),
        "surrogate_disable": st.booleans(),
    }
)




@settings(max_examples=80, deadline=None)
@given(
    options=OPTIONS,
    synaptic=st.booleans(),
    kinds=st.tuples(*[st.sampled_from(["number", "one", "last", "channel"])] * 3),
    values=st.tuples(st.sampled_from(DECAYS), st.sampled_from(DECAYS), st.sampled_from([1.0, 2.5])),
    shapes=st.lists(st.sampled_from([(2, 5), (1, 5), (3, 2, 4, 5)]), min_size=1, max_size=3),
    double=st.sampled_from(["no", "inputs", "all"]),
    seed=st.integers(0, 999),
)
def test_random_programs(options, synaptic, kinds, values, shapes, double, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = shapes[0]
    beta, alpha, factor = (coefficient(kind, value, shape) for kind, value in zip(kinds, values, strict=True))
    if synaptic:
        neuron = snn.Synaptic(alpha, beta, **options)
    else:
        neuron = snn.Leaky(beta, graded_spikes_factor=factor, **options)
    neuron = neuron.double() if double == "all" else neuron
    theirs, ours = pair(neuron)
    with torch.no_grad():
        for size in shapes:
            if kinds != ("number",) * 3 and size != shape:
                continue  # coefficients for each channel belong to one shape
            states = [], []
            for _ in range(4):
                x = torch.randn(size, generator=generator).to(torch.float32 if double == "no" else torch.float64)
                results = [neuron(x, *given) for neuron, given in zip((theirs, ours), states, strict=True)]
                assert_same_results(results[1], results[0])
                assert_same_state(ours, theirs)
                if not options["init_hidden"]:
                    states = [list(result[1:]) for result in results]
            theirs.reset_mem(), ours.reset_mem()
            assert_same_state(ours, theirs)


@pytest.mark.parametrize("cls", ["Leaky", "Synaptic"])
def test_the_kernel_runs_without_gradients_and_not_with_them(kernel_calls, cls):
    _, ours = pair(getattr(snn, cls)(*([0.9] * (1 + (cls == "Synaptic")))))
    state = [torch.zeros(2, 3)] * (1 + (cls == "Synaptic"))
    ours(torch.ones(2, 3), *state)
    assert len(kernel_calls) == 1  # gradients are on, but nothing needs them
    assert ours(torch.ones(2, 3, requires_grad=True), *state)[0].requires_grad
    assert len(kernel_calls) == 1
    with torch.no_grad():
        ours(torch.ones(2, 3, requires_grad=True), *state)
    with torch.inference_mode():
        ours(torch.ones(2, 3), *state)
    assert len(kernel_calls) == 3


@pytest.mark.parametrize("cls", ["Leaky", "Synaptic"])
@pytest.mark.parametrize("reset_delay", [True, False])
def test_gradients_are_the_library_s(cls, reset_delay):
    options = {"learn_beta": True, "learn_threshold": True, "spike_grad": surrogate.fast_sigmoid(5)}
    decays = [0.8] * (1 + (cls == "Synaptic"))
    theirs, ours = pair(getattr(snn, cls)(*decays, init_hidden=True, reset_delay=reset_delay, **options))
    gradients = []
    for neuron in (theirs, ours):
        with torch.no_grad():
            neuron(torch.full((2, 3), 0.7))  # the state is the kernel's
        x = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(3)).requires_grad_()
        sum((neuron(step) * (t + 1)).sum() for t, step in enumerate(x)).backward()
        gradients.append([x.grad, *(parameter.grad for parameter in neuron.parameters())])
    for a, b in zip(*gradients, strict=True):
        assert_identical(a, b)
        assert (a != 0).any()


@pytest.mark.parametrize("name", sorted(name.split(".")[0] for name in _snntorch._SURROGATES))
def test_surrogates_compare_with_0(name):
    """What the adapter says of their forward pass."""
    make = getattr(surrogate, name)
    spike_grad = make(lambda x, grad, spikes: grad) if name == "custom_surrogate" else make()
    assert _snntorch._is_heaviside(spike_grad)
    x = torch.tensor([-1.0, -0.0, 0.0, 1e-30, 1.0, torch.inf, torch.nan])
    assert_identical(spike_grad(x), (x > 0).float())


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.first = snn.Leaky(0.9, init_hidden=True, threshold=0.4)
        self.linear = nn.Linear(4 * 6 * 6, 10)
        self.second = snn.Synaptic(0.9, 0.8, threshold=0.2)

    def forward(self, x):
        self.first.reset_mem()
        syn, mem = self.second.reset_mem()
        spikes = []
        for step in x:
            spike = self.first(self.convolution(step))
            spike, syn, mem = self.second(self.linear(spike.flatten(1)), syn, mem)
            spikes.append(spike)
        return torch.stack(spikes), mem


def test_a_network(kernel_calls):
    torch.manual_seed(4)
    theirs = Network()
    ours = copy.deepcopy(theirs)
    x = torch.rand(5, 3, 1, 8, 8)
    with torch.no_grad():
        report = inferno_cuda.accelerate(ours, strict=True, verify=x)
        assert "largest difference of outputs 0, of state 0; 0 spikes differ" in str(report)
        assert len(kernel_calls) == 10
        kernel_calls.clear()
        results = ours(x), theirs(x)
        assert len(kernel_calls) == 10
        for a, b in zip(*results, strict=True):
            assert_identical(a, b)
        assert 0 < results[1][0].sum() < results[1][0].numel()
    for network in (ours, theirs):
        network(x)[1].sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_identical(a.grad, b.grad)


def test_revert_leaves_what_was_there():
    theirs = Network()
    ours = copy.deepcopy(theirs)
    before = {name: set(vars(module)) for name, module in ours.named_modules()}
    inferno_cuda.accelerate(ours)
    inferno_cuda.revert(ours)
    assert [type(m) for m in ours.modules()] == [type(m) for m in theirs.modules()]
    assert {name: set(vars(module)) for name, module in ours.named_modules()} == before
    x = torch.rand(3, 2, 1, 8, 8)
    with torch.no_grad():
        inferno_cuda.accelerate(ours)
        ours(x)
        inferno_cuda.revert(ours)
        for a, b in zip(ours(x), theirs(x), strict=True):
            assert_identical(a, b)


def test_the_library_s_own_helpers():
    from snntorch import utils

    net = nn.Sequential(nn.Linear(3, 4), snn.Leaky(0.9, init_hidden=True), snn.Synaptic(0.9, 0.8, init_hidden=True))
    inferno_cuda.accelerate(net)
    with torch.no_grad():
        net(torch.ones(2, 3))
    assert net[1].mem.any()
    utils.reset(net)
    assert not net[1].mem.any() and net[1].mem.shape == (2, 4) and not net[2].syn.any()
    assert isinstance(net[1], snn.Leaky)


def test_copies_and_pickles_are_accelerated():
    _, ours = pair(snn.Leaky(0.9, init_hidden=True, surrogate_disable=True))  # its other surrogates cannot be pickled
    with torch.no_grad():
        ours(torch.full((1, 3), 0.8))
        for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert type(other) is type(ours)
            assert_identical(other(torch.full((1, 3), 0.8)), torch.ones(1, 3))
            assert_identical(ours.mem, torch.full((1, 3), 0.8))


def test_a_state_of_another_kind_is_left_to_the_library(kernel_calls):
    theirs, ours = pair(snn.Leaky(0.9))
    x = torch.rand(2, 3)
    with torch.no_grad():
        for mem in (torch.rand(2, 3).double(), torch.rand(2, 3).half()):
            assert_same_results(ours(x, mem), theirs(x, mem))
        for inputs in (x.half(), x.bfloat16(), torch.tensor(0.5)):
            assert_same_results(ours(inputs, inputs), theirs(inputs, inputs))
        ours.beta = theirs.beta = torch.rand(3).double()  # makes the state float64
        assert_same_results(ours(x, x), theirs(x, x))
    assert not kernel_calls
    ours.init_hidden = True
    with pytest.raises(TypeError, match="`mem` should not be passed"):
        ours(x, x)


def test_a_state_of_another_shape_is_zero(kernel_calls):
    theirs, ours = pair(snn.Leaky(0.9))
    x = torch.rand(3, 2).mT * 3
    with torch.no_grad():
        assert_same_results(ours(x, torch.ones(1)), theirs(x, torch.ones(1)))
        assert_same_results(ours(x, torch.ones(3)), theirs(x, torch.ones(3)))
    assert len(kernel_calls) == 2




def test_what_is_set_later_counts():
    theirs, ours = pair(snn.Leaky(0.9, init_hidden=True, reset_delay=False))
    x = torch.rand(2, 3) * 3
    with torch.no_grad():
        for change in (
            {"threshold": torch.tensor(0.5)},
            {"reset_mechanism": "zero"},  # of which only the part of reset_delay=False takes note
            {"reset_delay": True},
            {"spike_grad": lambda x: (x > 0.1).float()},
            {"state_quant": torch.round},
            {"state_quant": False, "inhibition": True},
        ):
            for neuron in (theirs, ours):
                for name, value in change.items():
                    setattr(neuron, name, value)
            assert_same_results(ours(x), theirs(x))
            assert_same_state(ours, theirs)


def test_values_are_read_where_they_lie():
    """Whatever way a parameter changes, the next step sees it."""
    theirs, ours = pair(snn.Leaky(0.9, learn_beta=True, init_hidden=True))
    with torch.no_grad():
        for value in (0.5, 0.25):
            for neuron in (theirs, ours):
                neuron.beta.data.fill_(value)
            assert_same_results(ours(torch.ones(1, 2)), theirs(torch.ones(1, 2)))
            assert_same_state(ours, theirs)


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
@pytest.mark.parametrize(
    "options, reason",
    [
        ({"inhibition": True}, "inhibition=True"),
        ({"state_quant": torch.round}, "state_quant"),
        ({"spike_grad": lambda x: (x > 0).float()}, "none of snntorch.surrogate"),
        ({"spike_grad": surrogate.LSO()}, "none of snntorch.surrogate"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_refused(options, reason):
    (row,) = inferno_cuda.accelerate(snn.Leaky(0.9, **options))
    assert reason in row.reason


def test_subclasses():
    class Renamed(snn.Leaky):
        pass

    class Noisy(snn.Leaky):
        def fire(self, mem):
            return super().fire(mem + torch.rand_like(mem))

    (row,) = inferno_cuda.accelerate(Renamed(0.9))
    assert row.runs
    (row,) = inferno_cuda.accelerate(Noisy(0.9))
    assert "overrides fire" in row.reason
    (row,) = inferno_cuda.accelerate(snn.Lapicque(0.9))
    assert row.reason == "there is no adapter for it"


def test_nothing_is_accelerated_without_kernels():
    with inferno_cuda.backend("torch"):
        (row,) = inferno_cuda.accelerate(snn.Leaky(0.9))
    assert row.reason.startswith("no kernel runs integrate_fire")


def test_transforms_and_compilers_run_the_library_s_code(kernel_calls):
    theirs, ours = pair(snn.Leaky(0.9, surrogate_disable=True))
    x = torch.rand(3, 2, 4)
    with torch.no_grad():
        assert_identical(*(torch.vmap(lambda a, neuron=neuron: neuron(a, a)[1])(x) for neuron in (ours, theirs)))
        compiled = torch.compile(ours, backend="eager")
        assert_same_results(compiled(x[0], x[1]), theirs(x[0], x[1]))
    assert not kernel_calls


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:Converting a tensor")
def test_a_trace_has_the_library_s_operations():
    theirs, ours = pair(snn.Leaky(0.9, surrogate_disable=True))
    x, mem = torch.rand(2, 3), torch.rand(2, 3)
    with torch.no_grad():
        traced = torch.jit.trace(ours, (x, mem))
        assert "inferno_cuda" not in str(traced.inlined_graph)
        assert_same_results(traced(x * 3, mem), theirs(x * 3, mem))


def test_a_library_without_a_version_is_skipped(monkeypatch):
    """A copy of it in the user's own source."""

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    (row,) = inferno_cuda.accelerate(nn.Sequential(nn.Linear(2, 2), snn.Leaky(0.9)))
    assert not row.runs and "snntorch is of an unknown version" in row.reason
