"""Dense connections: sums with and without delays, shapes for learning, invariants."""

import pytest
import torch
from connection_cases import Plain
from dense_cases import SYNAPSES, delays, dense, naive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from states import run, seeded, spikes

from inferno_cuda.neural import DeltaCurrent, SingleExponentialCurrent
from inferno_cuda.neural.connections import _plan

PLAIN = Plain.partialconstructor(2.0, 4.0)


@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("delay", [None, 0.0])
def test_without_delays_it_is_a_matrix_product(backend, synapse, bias, delay):
    conn = dense((5, 2), (2, 2), synapse=SYNAPSES[synapse], bias=bias, delay=delay, batch_size=3)
    alone = SYNAPSES[synapse]((10,), 1.0, 0.0, 3)
    for x in spikes(8, 3, 5, 2):
        expected = alone(x.flatten(1)) @ conn.weight.t() + (conn.bias if bias else 0.0)
        torch.testing.assert_close(conn(x), expected.view(3, 2, 2))
    assert torch.equal(conn.syncurrent, alone.current) and torch.equal(conn.synspike, alone.spike)


@pytest.mark.parametrize("synapse", [*SYNAPSES, "plain"])
@pytest.mark.parametrize("ongrid", [True, False])
@pytest.mark.parametrize("over", [0.0, 1.5, None], ids=str)
def test_with_delays_it_is_the_sum_of_the_past(backend, synapse, ongrid, over):
    kind = {"delta": DeltaCurrent, "exponential": SingleExponentialCurrent, "plain": Plain}[synapse]
    args = (2.0,) if synapse == "delta" else (2.0, 4.0)
    conn = dense((5, 2), 3, 0.5, synapse=kind.partialconstructor(*args, current_overbound=over), bias=True, delay=4.0,
                 batch_size=2)  # fmt: skip
    conn.delay = delays(conn, high=4.6, ongrid=ongrid)
    for x in spikes(12, 2, 5, 2):
        y = conn(x)
        torch.testing.assert_close(y, naive(conn))
    assert y.shape == (2, 3) and y.abs().min() > 0


def test_synapses_without_the_fused_path_are_summed_in_chunks(backend, monkeypatch):
    fused, plain = dense(delay=3.0, batch_size=2, bias=True), dense(synapse=PLAIN, delay=3.0, batch_size=2, bias=True)
    fused.delay = plain.delay = delays(fused, high=3.5)
    monkeypatch.setattr(_plan, "CHUNK_ELEMENTS", 2 * 5 * 3)
    seen = []
    original = Plain.current_at
    monkeypatch.setattr(Plain, "current_at", lambda self, s: seen.append(s.shape) or original(self, s))
    for x in spikes(10, 2, 5):
        torch.testing.assert_close(plain(x), fused(x))
    assert set(seen) == {(2, 5, 3), (2, 5, 1)}
    assert (plain._ops, fused._ops) == ((), ("delayed_dense",))


def test_kwargs_and_all_inputs_reach_the_synapse(backend):
    class Summing(SingleExponentialCurrent):
        def forward(self, *inputs, gain=1.0, **kwargs):
            return super().forward(gain * sum(inputs))

    for delay in (None, 2.0):
        a = dense(synapse=Summing.partialconstructor(2.0, 4.0), delay=delay)
        b = dense(delay=delay)
        x = torch.ones(1, 5)
        torch.testing.assert_close(a(x, x, gain=3.0), b(6.0 * x))


def test_outputs_are_not_overwritten(backend):
    for delay in (None, 2.0):
        conn = dense(delay=delay)
        kept = [conn(x) for x in spikes(8, 1, 5)]
        assert torch.equal(torch.stack(kept), run(dense(delay=delay), spikes(8, 1, 5)))


@pytest.mark.parametrize("inputs, outputs, batch", [(1, 1, 1), (1, 4, 2), (7, 1, 1)])
def test_small_sizes(backend, inputs, outputs, batch):
    conn = dense(inputs, outputs, delay=2.0, batch_size=batch)
    conn.delay = delays(conn)
    for x in spikes(6, batch, inputs):
        torch.testing.assert_close(conn(x), naive(conn))


def test_layout_of_inputs_does_not_matter(backend):
    a, b = dense(delay=2.0, batch_size=4), dense(delay=2.0, batch_size=4)
    for x in spikes(6, 4, 5):
        assert torch.equal(a(x.t().contiguous().t()), b(x))


@pytest.mark.parametrize("delay", [None, 2.0])
def test_other_dtypes(backend, delay):
    conn = dense(delay=delay).double()
    assert conn(torch.ones(1, 5)).dtype == torch.float64
    torch.testing.assert_close(conn(torch.ones(1, 5)).float(), run(dense(delay=delay), torch.ones(2, 1, 5))[1])


def test_shapes():
    conn = dense((5, 2), (3, 4), delay=3.0, batch_size=2)
    assert (conn.inshape, conn.outshape) == ((5, 2), (3, 4)) == (conn.in_shape, conn.out_shape)
    assert (conn.batched_inshape, conn.batched_outshape) == ((2, 5, 2), (2, 3, 4))
    assert (conn.insize(), conn.outsize()) == (10, 12) and conn.batchsz == 2 and conn.dt == 1.0
    assert conn.selector.shape == conn.syncurrent.shape == conn.synspike.shape == (2, 10, 12)
    assert conn.selector.untyped_storage().data_ptr() == conn.delay_.untyped_storage().data_ptr()
    assert repr(conn).startswith("LinearDense(\n  inshape=(5, 2), outshape=(3, 4), delay=3.0")


def test_reshapes():
    conn = dense((5, 2), (3, 4), delay=3.0, batch_size=2)
    x, y = torch.rand(2, 5, 2), torch.rand(2, 3, 4)
    syn = conn.like_synaptic(x)
    assert torch.equal(syn, x.flatten(1)) and torch.equal(conn.like_input(syn), x)
    assert torch.equal(conn.postsyn_receptive(y), y.view(2, 12, 1, 1))
    assert torch.equal(conn.presyn_receptive(syn), syn.view(2, 1, 10, 1))
    late = torch.rand(2, 10, 12)
    assert torch.equal(conn.presyn_receptive(late)[..., 0], late.transpose(1, 2))
    assert torch.equal(conn.like_bias(torch.arange(12.0).view(12, 1)), torch.arange(12.0))


PROPERTY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(kind=st.sampled_from(sorted(SYNAPSES)), dt=st.sampled_from([0.1, 0.3, 0.7, 1.0, 1.3]), k=st.integers(0, 9))
def test_a_delay_of_k_steps_shifts_the_output(backend, kind, dt, k):
    # one op sums both, so that even the rounding is the same
    late, now = (dense(6, 3, dt, synapse=SYNAPSES[kind], delay=9 * dt, batch_size=2) for _ in range(2))
    late.delay = torch.full((3, 6), k * dt)
    inputs = spikes(25, 2, 6, seed=k)
    assert torch.equal(run(late, inputs)[k:], run(now, inputs)[: 25 - k])
    assert not run(dense(6, 3, dt, synapse=SYNAPSES[kind], delay=9 * dt), torch.zeros(3, 1, 6)).any()


@PROPERTY
@given(kind=st.sampled_from(sorted(SYNAPSES)), seed=st.integers(0, 99))
def test_batch_items_are_independent_and_outputs_permute(backend, kind, seed):
    inputs = spikes(15, 3, 6, seed=seed)
    order = torch.randperm(4, generator=seeded(seed))
    whole = dense(6, 4, synapse=SYNAPSES[kind], delay=4.0, batch_size=3, bias=True)
    moved = dense(6, 4, synapse=SYNAPSES[kind], delay=4.0, batch_size=3, bias=True)
    whole.delay = delays(whole, high=4.3, seed=seed)
    for name in ("weight", "bias", "delay"):
        setattr(moved, name, getattr(whole, name)[order])
    expected = run(whole, inputs)
    assert torch.equal(run(moved, inputs), expected[..., order])
    for b in range(3):
        alone = dense(6, 4, synapse=SYNAPSES[kind], delay=4.0, bias=True)
        alone.delay = whole.delay
        assert torch.equal(run(alone, inputs[:, b : b + 1])[:, 0], expected[:, b])


@PROPERTY
@given(kind=st.sampled_from(sorted(SYNAPSES)), cut=st.integers(1, 14))
def test_save_load_resume_equals_uninterrupted(backend, kind, cut):
    inputs = spikes(15, 2, 6, seed=cut)
    whole, first, second = (
        dense(6, 4, synapse=SYNAPSES[kind], delay=4.0, batch_size=2, bias=True, seed=s) for s in (0, 0, 1)
    )
    whole.delay = first.delay = delays(whole, high=4.3)
    expected = run(whole, inputs)
    start = run(first, inputs[:cut])
    second.load_state_dict(first.state_dict())
    assert torch.equal(torch.cat([start, run(second, inputs[cut:])]), expected)


@pytest.mark.cuda
@pytest.mark.parametrize("synapse", SYNAPSES)
def test_cuda_equals_cpu(synapse):
    cpu, gpu = (dense(synapse=SYNAPSES[synapse], delay=4.0, batch_size=3, bias=True) for _ in range(2))
    cpu.delay = gpu.delay = delays(cpu, high=4.3)
    gpu.cuda()
    for x in spikes(30, 3, 5):
        assert torch.equal(gpu(x.cuda()).cpu(), cpu(x))
        assert torch.equal(gpu.synspike.cpu(), cpu.synspike)


@pytest.mark.cuda
@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("delay", [None, 4.0])
def test_captured_steps_go_on_from_replay_to_replay(synapse, delay):
    conn, eager = (dense(synapse=SYNAPSES[synapse], delay=delay, batch_size=3).cuda() for _ in range(2))
    if delay:
        conn.delay = eager.delay = delays(conn)
    inputs = spikes(20, 3, 5).cuda()
    x = inputs[0].clone()
    with torch.cuda.stream(torch.cuda.Stream()):
        conn(x)
    torch.cuda.synchronize()
    conn.clear()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = conn(x)
    for step in inputs:
        x.copy_(step)
        graph.replay()
        assert torch.equal(y, eager(step))
        assert torch.equal(conn.synspike, eager.synspike)
