"""Dense connections: sums with and without delays, shapes for learning, the plan cache, parameters, bad input."""

import copy
import pickle

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferno_cuda import ops
from inferno_cuda.neural import DeltaCurrent, LinearDense, SingleExponentialCurrent
from inferno_cuda.neural.connections import _plan

DELTA = DeltaCurrent.partialconstructor(2.0)
EXPONENTIAL = SingleExponentialCurrent.partialconstructor(2.0, 4.0)
SYNAPSES = {"delta": DELTA, "exponential": EXPONENTIAL}


class Plain(SingleExponentialCurrent):
    """Like a synapse that knows nothing of fused connections."""

    def current_at(self, selector):
        return super().current_at(selector)


PLAIN = Plain.partialconstructor(2.0, 4.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dense(inputs=5, outputs=4, step_time=1.0, *, synapse=EXPONENTIAL, seed=0, **options):
    torch.manual_seed(seed)
    return LinearDense(inputs, outputs, step_time, synapse=synapse, **options)


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=seeded(seed)) < 0.3


def delays(conn, low=0.0, high=None, seed=0, ongrid=False):
    high = conn.delayedby if high is None else high
    values = low + (high - low) * torch.rand(conn.weight.shape, generator=seeded(seed))
    return (values / conn.dt).round() * conn.dt if ongrid else values


def run(module, inputs):
    return torch.stack([module(x) for x in inputs])


def states(module):
    return {k: v.clone() if isinstance(v, torch.Tensor) else dict(v) for k, v in module.state_dict().items()}


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key], key


def naive(conn):
    """The sum as it is defined, from the (B, I, O) currents."""
    out = torch.einsum("bio,oi->bo", conn.synapse.current_at(conn.selector), conn.weight_)
    return (out if conn.bias is None else out + conn.bias).view(conn.batched_outshape)


# -- forward ----------------------------------------------------------------------------------------------------------


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


# -- the plan cache ---------------------------------------------------------------------------------------------------


@pytest.fixture
def plans(monkeypatch):
    """Counts the plans that are made."""
    made = []
    original = ops.delay_plan
    monkeypatch.setattr(ops, "delay_plan", lambda *a, **k: made.append(1) or original(*a, **k))
    return made


def test_plan_is_made_once(backend, plans):
    conn = dense(delay=3.0)
    for x in spikes(6, 1, 5):
        conn(x)
        assert conn.delayedby == 3.0 and conn.selector.shape == (1, 5, 4) and repr(conn) and conn.biased is False
    conn.weight = torch.zeros(4, 5)
    conn(torch.ones(1, 5))
    assert len(plans) == 1


CHANGES = {
    "setter": lambda c: setattr(c, "delay", torch.full((4, 5), 2.0)),
    "in place": lambda c: c.delay_.fill_(2.0),
    "data, read anew": lambda c: c.delay.data.fill_(2.0),
    "item": lambda c: c.delay.data.__setitem__((0, 0), 2.0),
    "new data": lambda c: setattr(c.delay_, "data", torch.full((4, 5), 2.0)),
    "state_dict": lambda c: c.load_state_dict({**c.state_dict(), "delay_": torch.full((4, 5), 2.0)}),
    "time constant": lambda c: setattr(c.synapse, "time_constant", 40.0),
    "step": lambda c: setattr(c, "dt", 0.7),
    "history": lambda c: setattr(c.synapse, "delay", 1.0),
    "synapse": lambda c: setattr(c, "synapse", SingleExponentialCurrent.partialconstructor(1.0, 9.0)(5, 0.7, 2.0, 1)),
    "updater": lambda c: (setattr(c.updater, "delay", torch.ones(4, 5)), c.update()),
    "optimizer": lambda c: (setattr(c.delay_, "grad", torch.ones(4, 5)), torch.optim.SGD([c.delay_], 0.5).step()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(backend, change):
    conn = dense(delay=3.0, bias=True)
    conn.updater = conn.defaultupdater()
    conn.delay = delays(conn, high=2.4)
    run(conn, spikes(5, 1, 5))
    CHANGES[change](conn)
    for x in spikes(8, 1, 5, seed=1):
        y = conn(x)
        torch.testing.assert_close(y, naive(conn))


def test_reused_memory_is_not_mistaken(backend):
    conn = dense(64, 64, delay=9.0)
    run(conn, spikes(9, 1, 64))
    for value in range(6):
        # the first tensor is freed by then, so the third may get its address
        conn.delay_.data = torch.zeros(64, 64)
        conn.delay_.data = torch.full((64, 64), float(value))
        torch.testing.assert_close(conn(spikes(1, 1, 64, seed=value)[0]), naive(conn))


def test_plan_is_not_copied(backend, plans):
    conn = dense(delay=3.0)
    conn(torch.ones(1, 5))
    for other in (copy.deepcopy(conn), pickle.loads(pickle.dumps(conn))):
        assert other._plans._plan is None and conn._plans._plan is not None
        assert torch.equal(other(torch.ones(1, 5)), copy.deepcopy(conn)(torch.ones(1, 5)))


def test_inference_mode(backend):
    with torch.inference_mode():
        inside = dense(delay=3.0)
        inside.delay = delays(inside)
    outside = dense(delay=3.0)
    outside.delay = delays(outside)
    inputs = spikes(8, 1, 5)
    expected = run(outside, inputs)
    with torch.inference_mode():
        torch.testing.assert_close(run(inside, inputs), expected)
        inside.delay_.data.fill_(1.0)
        torch.testing.assert_close(inside(inputs[0]), naive(inside))
    mixed = dense(delay=3.0)
    mixed.delay = delays(mixed)
    with torch.inference_mode():
        first = run(mixed, inputs[:4])
        mixed.delay_.fill_(1.0)
        torch.testing.assert_close(mixed(inputs[4]), naive(mixed))
        mixed.delay = delays(mixed)
    torch.testing.assert_close(first.clone(), expected[:4])


# -- parameters -------------------------------------------------------------------------------------------------------


def test_initial_values_and_callbacks():
    torch.manual_seed(3)
    weight, bias = torch.rand(4, 6), torch.rand(4)
    conn = dense((2, 3), 4, bias=True, delay=2.0, seed=3)
    assert torch.equal(conn.weight, weight) and torch.equal(conn.bias, bias) and torch.equal(conn.delay, weight * 0)
    assert not any(p.requires_grad for p in conn.parameters())
    calls = []
    conn = dense(
        (2, 3), 4, bias=True, delay=2.0, seed=3,
        weight_init=lambda w: calls.append("w") or 2 * w, bias_init=lambda b: calls.append("b") or 3 * b,
        delay_init=lambda d: calls.append("d") or d + 1,
    )  # fmt: skip
    assert calls == ["w", "b", "d"]
    assert torch.equal(conn.weight, 2 * weight) and torch.equal(conn.bias, 3 * bias) and (conn.delay == 1).all()


def test_absent_parameters():
    conn = dense(bias_init=pytest.fail, delay_init=pytest.fail)
    assert conn.bias is None and conn.delay is None and conn.delayedby is None and not conn.biased
    assert list(conn.state_dict()) == ["weight_", "_extra_state", "synapse_._current__data", "synapse_._spike__data",
                                       "synapse_._extra_state"]  # fmt: skip
    assert not hasattr(conn, "bias_") and not hasattr(conn, "delay_")
    conn.bias, conn.delay = torch.ones(4), torch.ones(4, 5)
    assert conn.bias is None and conn.delay is None
    assert torch.equal(conn.selector, torch.zeros(1, 5, 4)) and conn.synapse.delay == 0.0


def test_setters_cast_what_fits():
    conn = dense(bias=True, delay=5.0)
    conn.weight, conn.bias, conn.delay = torch.ones(4, 5).long(), torch.ones(4).bool(), torch.ones(4, 5).half()
    assert {p.dtype for p in conn.parameters()} == {torch.float32} and all((p == 1).all() for p in conn.parameters())


@pytest.mark.parametrize("name", ["weight", "bias", "delay"])
@pytest.mark.parametrize(
    "value, error",
    [
        (torch.zeros(7), ValueError),
        (torch.zeros(1, 4, 5), ValueError),
        ("float64", TypeError),
        ("meta", ValueError),
        (0.0, TypeError),
        (None, TypeError),
    ],
    ids=str,
)
def test_bad_values_raise(name, value, error):
    conn = dense(bias=True, delay=5.0)
    before = states(conn)
    if value == "float64":
        value = getattr(conn, name).double()
    elif value == "meta":
        value = getattr(conn, name).to("meta")
    with pytest.raises(error, match=name):
        setattr(conn, name, value)
    assert_same_state(states(conn), before)


@pytest.mark.parametrize("bad", [-1.0, -1e-30, float("nan")])
def test_negative_and_nan_delays_raise(backend, bad):
    conn = dense(delay=5.0)
    conn.delay = delays(conn)
    conn(torch.ones(1, 5))
    before = states(conn)
    value = torch.ones(4, 5)
    value[2, 3] = bad
    with pytest.raises(ValueError, match="delay"):
        conn.delay = value
    with pytest.raises(ValueError, match="delay"):
        dense(delay=5.0, delay_init=lambda d: value)
    assert_same_state(states(conn), before)


def test_nan_delays_written_past_the_setter_raise_before_the_step(backend):
    conn = dense(delay=5.0)
    conn(torch.ones(1, 5))
    conn.delay_[1, 2] = float("nan")
    before = {k: v for k, v in states(conn).items() if k != "delay_"}
    with pytest.raises(ValueError, match="delay"):
        conn(torch.ones(1, 5))
    assert_same_state({k: v for k, v in states(conn).items() if k != "delay_"}, before)


@pytest.mark.parametrize(
    "changes",
    [{"inputs": 0}, {"outputs": (2, 0)}, {"step_time": 0.0}, {"delay": -1.0}, {"delay": float("nan")},
     {"batch_size": 0}, {"weight_init": lambda w: w[0]}],
    ids=str,
)  # fmt: skip
def test_bad_arguments_raise(changes):
    with pytest.raises(ValueError):
        dense(**changes)


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize(
    "x", [torch.ones(2, 5), torch.ones(1, 6), torch.ones(1, 5, device="meta")], ids=["batch", "inputs", "device"]
)
def test_bad_inputs_raise(backend, delay, x):
    conn = dense(delay=delay)
    conn(torch.ones(1, 5))
    before = states(conn)
    with pytest.raises(ValueError, match="inputs"):
        conn(x)
    assert_same_state(states(conn), before)


# -- shapes for learning ----------------------------------------------------------------------------------------------


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


# -- invariants -------------------------------------------------------------------------------------------------------

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


# -- CUDA -------------------------------------------------------------------------------------------------------------


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
