"""snnTorch's neurons on our op, in every order of memory."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from library_cases import pair

from inferno_cuda.testing import assert_identical

snn = pytest.importorskip("snntorch")
pytestmark = pytest.mark.usefixtures("native")
ORDERS = list(itertools.permutations(range(4)))
LAYOUT_OPTIONS = {"reset_mechanism": st.sampled_from(["subtract", "zero", "none"]), "reset_delay": st.booleans()}


@pytest.fixture(scope="module", autouse=True)
def forget_instances():
    """snnTorch keeps every neuron that was ever made."""
    yield
    snn.SpikingNeuron.init()


def laid_out(shape, order, generator):
    """A random tensor that is contiguous in this order of its dimensions."""
    back = sorted(range(len(order)), key=order.__getitem__)
    return torch.rand([shape[place] for place in order], generator=generator).permute(back)


def assert_same_layout(ours, theirs):
    """Sizes of 1 have any stride."""
    strides = [[n for n, size in zip(t.stride(), t.shape, strict=True) if size != 1] for t in (ours, theirs)]
    assert strides[0] == strides[1]


@settings(max_examples=60, deadline=None)
@given(
    synaptic=st.booleans(),
    options=st.fixed_dictionaries(LAYOUT_OPTIONS),
    shape=st.sampled_from([(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1)]),
    orders=st.tuples(*[st.sampled_from(ORDERS)] * 3),
    kinds=st.tuples(*[st.sampled_from(["number", "channel", "last", "plane", "turned"])] * 2),
    state=st.sampled_from(["none", "one layout", "two layouts"]),
    gaps=st.booleans(),
    seed=st.integers(0, 99),
)
def test_results_lie_in_memory_as_the_library_s(synaptic, options, shape, orders, kinds, state, gaps, seed):
    generator = torch.Generator().manual_seed(seed)
    channel, plane = torch.rand(shape[1], 1, 1, generator=generator), torch.rand(shape[2:], generator=generator)
    values = {"number": 0.8, "channel": channel, "last": plane[0], "plane": plane, "turned": plane.mT.contiguous().mT}
    beta, threshold = (values[kind] for kind in kinds)
    if synaptic:
        neuron = snn.Synaptic(0.7, beta, threshold=threshold, **options)
    else:
        neuron = snn.Leaky(beta, threshold=threshold, **options)
    theirs, ours = pair(neuron)
    given = [laid_out(shape, order, generator) for order in orders[: 1 + synaptic]]
    if state == "one layout":
        given = [t.clone(memory_format=torch.preserve_format).copy_(given[0]) for t in given[:1] * len(given)]
    x = laid_out((*shape[:3], shape[3] * (1 + gaps)), orders[2], generator)[..., :: 1 + gaps]
    given = [[], []] if state == "none" else [given, given]
    with torch.no_grad():
        for _ in range(3):
            results = [one(x, *states) for one, states in zip((ours, theirs), given, strict=True)]
            for a, b in zip((*results[0], ours.reset), (*results[1], theirs.reset), strict=True):
                assert_identical(a, b)
                assert_same_layout(a, b)
            given = [result[1:] for result in results]


@pytest.mark.parametrize("cls", ["Leaky", "Synaptic"])
def test_the_kernel_runs_in_the_order_of_channels_last(kernel_calls, cls):
    _, ours = pair(getattr(snn, cls)(*([0.9] * (1 + (cls == "Synaptic"))), init_hidden=True))
    with torch.no_grad():
        for _ in range(2):
            spikes = ours(torch.rand(2, 3, 4, 5).permute(0, 2, 3, 1))
            assert spikes.permute(0, 3, 1, 2).view(2, -1).shape == (2, 60) and ours.mem.stride() == (60, 5, 1, 20)
    assert len(kernel_calls) == 2


def test_overlapping_states_are_left_to_the_library(kernel_calls):
    theirs, ours = pair(snn.Leaky(0.9))
    x, mem = torch.rand(3, 2).mT, torch.ones(2, 1).expand(2, 3)
    with torch.no_grad():
        for a, b in zip(ours(x, mem), theirs(x, mem), strict=True):
            assert_identical(a, b)
            assert_same_layout(a, b)
    assert not kernel_calls
