"""Sums over listed synapses of steps in which few inputs spike: the synapses of these alone, in the same order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_cases import DT, Case, both, problem

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical

SIZES = [Case(1, 200, 50, 900), Case(3, 97, 130, 2000), Case(20, 64, 33, 700), Case(70, 150, 40, 800)]


def rare(shape, share, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("case", SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_without_delays(native, case, dtype, share):
    p = problem(case, dtype)
    spikes = rare((case.batch, case.inputs), share)
    graded = torch.where(spikes, torch.randn(spikes.shape, generator=torch.Generator().manual_seed(2)), 0.0).to(dtype)
    for data in (spikes, graded, spikes.t().contiguous().t()):
        for bias in (None, p.bias):
            expected, made = both(lambda x=data, b=bias: ops.sparse_sum(x, p.weight, p.links, bias=b, scale=0.7))
            assert_identical(made, expected)


@pytest.mark.parametrize("case", SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mode", ["previous", "linear", "expdecay"])
@pytest.mark.parametrize("share", [0.0, 0.004, 0.3])
def test_with_delays(native, case, dtype, mode, share):
    p = problem(case, dtype)
    plan = ops.delay_plan(p.delay, **p.timing(mode))
    ring = rare((case.slots, case.inputs, case.batch), share).transpose(1, 2)
    for pointer in (0, case.slots - 1):
        at = torch.tensor(pointer)
        expected, made = both(lambda at=at: ops.delayed_sparse(ring, at, p.weight, plan, p.links, bias=p.bias))
        assert_identical(made, expected)


def test_synapses_of_silent_inputs_are_not_looked_at(native):
    """Which is how it can be told from a sum over all synapses: there, infinity times 0 is NaN."""
    case = Case(2, 100, 20, 600)
    p = problem(case)
    spikes = torch.zeros(case.batch, case.inputs, dtype=torch.bool)
    spikes[0, 7] = spikes[1, 42] = True
    silent = ~spikes.any(0)[p.links.source.long()]
    weight = torch.where(silent, torch.inf, p.weight)
    expected = ops.sparse_sum(spikes, torch.where(silent, 0.0, p.weight), p.links)
    with inferno_cuda.backend("native"):
        assert_identical(ops.sparse_sum(spikes, weight, p.links), expected)
        timing = {"dt": DT, "slots": 3, "max_delay": 2 * DT, "mode": "previous", "overbound": 0.0}
        plan = ops.delay_plan(torch.zeros_like(p.delay), **timing)
        ring = torch.stack([spikes.t(), torch.zeros_like(spikes.t()), torch.zeros_like(spikes.t())]).transpose(1, 2)
        assert_identical(ops.delayed_sparse(ring, torch.tensor(1), weight, plan, p.links), expected)


def test_any_number_of_threads(native):
    p, threads = problem(Case(16, 3000, 2000, 200_000)), torch.get_num_threads()
    spikes, found = rare((16, 3000), 0.05), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            with inferno_cuda.backend("native"):
                found.append(ops.sparse_sum(spikes, p.weight, p.links, bias=p.bias))
    finally:
        torch.set_num_threads(threads)
    assert_identical(found[1], found[0])
    assert_identical(found[2], found[0])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), batch=st.integers(1, 40), share=st.floats(0.0, 0.3))
def test_a_sample_does_not_depend_on_the_others(native_or_skip, seed, batch, share):
    """However many spikes the batch has, and with that whether it is summed over events."""
    p = problem(Case(batch, 30, 12, 150), seed=seed)
    spikes = rare((batch, 30), share, seed)
    with inferno_cuda.backend("native"):
        together = ops.sparse_sum(spikes, p.weight, p.links)
        alone = torch.cat([ops.sparse_sum(one, p.weight, p.links) for one in spikes.split(1)])
    assert_identical(together, alone)


def test_gradients_are_those_of_all_synapses(native):
    p = problem(Case(2, 60, 15, 300), torch.float64)
    data = torch.zeros(2, 60, dtype=torch.float64)
    data[0, 5] = 1.0
    weight = p.weight.clone().requires_grad_()
    results = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            inputs = data.clone().requires_grad_()
            out = ops.sparse_sum(inputs, weight, p.links)
            results.append(torch.autograd.grad(out.square().sum() + out.sum(), (inputs, weight)))
    for made, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(made, expected)
    assert (results[1][0] != 0).sum() > 1
