"""SpikingJelly's neurons on our op, in several orders of memory."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from library_cases import pair
from spikingjelly_cases import NODES, assert_same_values

from inferno_cuda.testing import assert_identical

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
pytestmark = pytest.mark.usefixtures("native")


def test_layouts(kernel_calls):
    theirs, ours = pair(neuron.LIFNode(step_mode="m"))
    x = torch.randn(3, 2, 4, 5, 6).mul(2).transpose(2, 4)
    with torch.no_grad():
        for _ in range(2):
            assert_identical(ours(x), theirs(x))
        functional.reset_net(theirs), functional.reset_net(ours)
        ours.v = theirs.v = torch.rand(2, 1, 1, 4).expand(2, 6, 5, 4)
        assert_identical(ours(x), theirs(x))
    assert not kernel_calls  # such voltages lie in memory as the library's code alone lays them out


def laid_out(kind, shape, steps, generator):
    """Inputs, time first, whose steps lie in memory in one of several ways."""
    if kind == "batch first":
        x = torch.rand(shape[0], *steps, *shape[1:], generator=generator)
        return x.transpose(0, 1) if steps else x
    x = torch.rand(*steps, *shape, generator=generator)
    if kind == "channels last":
        return x.movedim(-3, -1).contiguous().movedim(-1, -3)
    return x.mT.contiguous().mT if kind == "transposed" else x


@settings(max_examples=60, deadline=None)
@given(
    node=NODES,
    kinds=st.tuples(*[st.sampled_from(["contiguous", "channels last", "transposed", "batch first"])] * 3),
    shape=st.sampled_from([(2, 3, 4, 5), (2, 3, 1, 1), (3, 4, 5)]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 99),
)
def test_results_lie_in_memory_as_the_library_s(node, kinds, shape, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    theirs, ours = pair(node)
    steps = () if theirs.step_mode == "s" else (3,)
    with torch.no_grad():
        for kind in kinds:
            x = laid_out(kind, shape, steps, generator).to(dtype) * 2
            results = [(one(x), one.v, one.v_seq) for one in (ours, theirs)]
            for a, b in zip(*results, strict=True):
                assert_same_values(a, b)
                if isinstance(a, torch.Tensor):
                    strides = [[n for n, size in zip(t.stride(), t.shape, strict=True) if size > 1] for t in (a, b)]
                    assert strides[0] == strides[1]


@pytest.mark.parametrize("mode", ["s", "m"])
def test_the_kernel_runs_in_the_order_of_channels_last(kernel_calls, mode):
    _, ours = pair(neuron.LIFNode(step_mode=mode))
    x = torch.rand(6, 3, 4, 5).to(memory_format=torch.channels_last)
    with torch.no_grad():
        spikes = ours(x if mode == "s" else x.unflatten(0, (2, 3)))
    assert spikes.view_as(spikes).movedim(-3, -1).is_contiguous() and ours.v.movedim(-3, -1).is_contiguous()
    assert len(kernel_calls) == 1
