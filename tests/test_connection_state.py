"""Plans of delays over modes and captures, what connections hand to their synapses, and half types."""

import copy

import pytest
import torch

from inferno_cuda.neural import Conv2D, DeltaPlusCurrent, LinearDense, LinearDirect, SingleExponentialCurrent
from inferno_cuda.neural.connections import _plan

EXPONENTIAL = SingleExponentialCurrent.partialconstructor(2.0, 4.0)
PLUS = DeltaPlusCurrent.partialconstructor(2.0)


def dense(**options):
    torch.manual_seed(0)
    conn = LinearDense(3, 2, 1.0, **{"synapse": EXPONENTIAL, "delay": 3.0, **options})
    if conn.delayedby:
        conn.delay = torch.tensor([[0.0, 1.0, 2.0], [0.5, 1.5, 3.0]])
    return conn


# -- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("synapse", [EXPONENTIAL, PLUS])
def test_training_after_a_first_step_in_inference_mode(backend, synapse):
    conn, other, x = dense(synapse=synapse), dense(synapse=synapse), torch.ones(1, 3)
    with torch.inference_mode():
        conn(x)
    other(x)
    for each in (conn, other):
        each.weight_.requires_grad_()
        each(x).sum().backward()
    assert torch.equal(conn.weight_.grad, other.weight_.grad) and conn.weight_.grad.any()


def test_a_plan_made_in_inference_mode_serves_the_steps_after_it():
    conn, x = dense(), torch.ones(1, 3)
    with torch.inference_mode():
        conn(x)
    plan = conn._plans._plan
    conn(x)
    assert conn._plans._plan is plan and not plan.slot.is_inference() and not plan.factor.is_inference()


def test_a_plan_made_in_a_capture_is_not_kept(monkeypatch):
    conn, x = dense(), torch.ones(1, 3)
    monkeypatch.setattr(_plan, "capturing", lambda delay: True)
    first = conn(x)
    assert conn._plans._plan is None and not conn._plans._captured
    monkeypatch.undo()
    assert torch.equal(first, dense()(x))
    conn(x)
    made = conn._plans._plan
    assert made is not None
    conn.delay = torch.full((2, 3), 2.0)
    monkeypatch.setattr(_plan, "capturing", lambda delay: True)
    conn(x)
    assert conn._plans._plan is made  # not for the new delays
    monkeypatch.undo()
    conn(x)
    assert conn._plans._plan is not made


def test_plans_that_a_capture_used_live_as_long_as_the_connection(monkeypatch):
    conn, x = dense(), torch.ones(1, 3)
    conn(x)
    used = conn._plans._plan
    monkeypatch.setattr(_plan, "capturing", lambda delay: True)
    conn(x)
    conn(x)
    monkeypatch.undo()
    conn.delay = torch.full((2, 3), 2.0)
    conn(x)
    assert conn._plans._plan is not used and [plan is used for plan in conn._plans._captured] == [True]
    assert not copy.deepcopy(conn)._plans._captured


@pytest.mark.cuda
def test_a_captured_step_goes_on_after_eager_ones():
    conn, other = dense().cuda(), dense().cuda()
    xs = (torch.rand(12, 1, 3, generator=torch.Generator().manual_seed(1)) < 0.5).cuda()
    static, graph = xs[0].clone(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = conn(static)
    assert conn._plans._plan is None
    for k, x in enumerate(xs):
        static.copy_(x)
        if k % 3 == 2:
            result = conn(x)
        else:
            graph.replay()
            result = out
        assert torch.equal(result, other(x))


@pytest.mark.cuda
def test_a_held_ring_cannot_be_captured():
    conn, x = dense().cuda(), torch.ones(1, 3, device="cuda")
    conn.weight_.requires_grad_()
    conn(x)
    with pytest.raises(RuntimeError, match="run a step without a gradient"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        conn(x)


# -- what connections hand to their synapses --------------------------------------------------------------------------

SHAPED = {
    "dense": lambda **kw: LinearDense((2, 3), 4, 1.0, batch_size=2, synapse=PLUS, **kw),
    "direct": lambda **kw: LinearDirect((2, 3), 1.0, batch_size=2, synapse=PLUS, **kw),
    "conv": lambda **kw: Conv2D(2, 3, 1, 2, 1.0, 2, batch_size=2, synapse=PLUS, **kw),
}
shaped = pytest.mark.parametrize("name", SHAPED)


@shaped
@pytest.mark.parametrize("delay", [None, 2.0])
def test_injected_numbers_and_tensors_broadcast_to_the_input(name, delay):
    torch.manual_seed(0)
    conn = SHAPED[name](delay=delay)
    size = (2, *conn.inshape)
    x = torch.ones(size)
    row = torch.tensor([0.0, 10.0, 20.0])
    column = torch.tensor([[100.0], [200.0]])
    batch = torch.tensor([1.0, 2.0]).view(2, *(1 for _ in conn.inshape))
    for extra in (0.5, row, column, batch, torch.rand(2, 3), torch.rand(size), torch.tensor(3.0)):
        conn(x, extra)
        expected = x * 2.0 + extra
        assert torch.equal(conn.synapse.current.reshape(size), expected)
    conn(x, row, 1.0, column)
    assert torch.equal(conn.synapse.current.reshape(size), x * 2.0 + row + 1.0 + column)


def test_injected_currents_may_have_the_shape_of_the_synapse():
    conn, extra = LinearDense((4, 3), 4, 1.0, batch_size=2, synapse=PLUS), torch.rand(2, 12)
    conn(torch.zeros(2, 4, 3), extra)
    assert torch.equal(conn.synapse.current, extra)


@shaped
@pytest.mark.parametrize("extra", ["a", None, torch.ones(5, 2)], ids=str)
def test_bad_injected_inputs_raise_before_the_step(name, extra):
    conn = SHAPED[name]()
    with pytest.raises((TypeError, ValueError), match=r"inputs\[1\]"):
        conn(torch.ones(2, *conn.inshape), extra)
    assert not conn.synapse.current.any() and not conn.synapse.spike.any()


@shaped
def test_spikes_must_be_a_tensor(name):
    with pytest.raises(TypeError, match=r"inputs\[0\]"):
        SHAPED[name]()(0.5)


# -- half types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_direct_rounds_once_as_with_delays_of_zero(backend, dtype):
    torch.manual_seed(3)
    plain = LinearDirect(200, 1.0, synapse=EXPONENTIAL, bias=True).to(dtype)
    delayed = LinearDirect(200, 1.0, synapse=EXPONENTIAL, bias=True, delay=2.0).to(dtype)
    delayed.weight, delayed.bias = plain.weight, plain.bias
    for _ in range(4):
        x = (torch.rand(1, 200) < 0.7).to(dtype)
        assert torch.equal(plain(x), delayed(x))


def test_direct_of_half_types_has_gradients():
    conn = LinearDirect(5, 1.0, synapse=EXPONENTIAL, bias=True).to(torch.bfloat16)
    conn.weight_.requires_grad_()
    conn.bias_.requires_grad_()
    conn(torch.ones(1, 5, dtype=torch.bfloat16)).sum().backward()
    assert torch.equal(conn.weight_.grad, conn.synapse.current[0]) and conn.bias_.grad.eq(1).all()
