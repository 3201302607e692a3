"""LinearDirect, LinearLateral and Conv2D: sums, gradients, memory, shapes for learning, bad input."""

import itertools
import re

import pytest
import torch
import torch.nn.functional as F
from connection_cases import CONNECTIONS, DELTA, EXPONENTIAL, NEW, OPS, Difference, Plain, make, spikes
from states import assert_same_state, run, states
from torch.utils._python_dispatch import TorchDispatchMode

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.neural import Conv2D, DeltaCurrent, LinearDense, LinearDirect
from inferno_cuda.neural.connections import _plan


def naive(conn):
    """The sum as it is defined, from everything that the outputs see."""
    z, weight = conn.syncurrent, conn.weight
    if isinstance(conn, Conv2D):
        out = torch.einsum("bnlf,fn->bfl", z, weight.flatten(1))
        bias = conn.bias[:, None]
    elif isinstance(conn, LinearDirect):
        out, bias = z.squeeze(2) * weight, conn.bias
    else:
        out, bias = torch.einsum("bio,oi->bo", z, weight), conn.bias
    return (out + bias).reshape(conn.batched_outshape)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("synapse", [DELTA, EXPONENTIAL, Plain.partialconstructor(2.0, 4.0)],
                         ids=["delta", "exponential", "plain"])  # fmt: skip
def test_with_delays_it_is_the_sum_of_the_past(backend, name, synapse):
    conn = make(name, synapse=synapse)
    for x in spikes(conn):
        torch.testing.assert_close(conn(x), naive(conn))


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("delay", [None, 0.0])
def test_without_delays_it_is_the_sum_of_the_present(backend, name, delay):
    conn = make(name, delay=delay)
    for x in spikes(conn):
        y = conn(x)
    current = conn.synapse.current
    if isinstance(conn, Conv2D):
        geometry = {"stride": conn.stride, "padding": conn.padding, "dilation": conn.dilation}
        expected = F.conv2d(current, conn.weight, conn.bias, **geometry)
        assert torch.equal(conn.syncurrent, F.unfold(current, conn.kernel, **geometry))
    elif isinstance(conn, LinearDirect):
        expected = current * conn.weight + conn.bias
    else:
        expected = current @ conn.weight.t() + conn.bias
    torch.testing.assert_close(y, expected.reshape(y.shape))


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_part_that_is_subtracted(backend, name, monkeypatch):
    made = []
    original = ops.delay_plan
    monkeypatch.setattr(ops, "delay_plan", lambda *a, **k: made.append(1) or original(*a, **k))
    conn = make(name, synapse=Difference.partialconstructor(2.0, 4.0))
    assert conn._ops == (OPS[name],)
    for x in spikes(conn):
        torch.testing.assert_close(conn(x), naive(conn))
    assert len(made) == 2  # one for each part
    conn.delay.data.fill_(2.0)
    torch.testing.assert_close(conn(x), naive(conn))
    conn = make(name, synapse=Difference.partialconstructor(2.0, 4.0), delay=None)
    assert conn(x).shape == conn.batched_outshape


@pytest.mark.parametrize("name", NEW)
def test_explain_names_the_op(name):
    row = inferno_cuda.explain(make(name))[0]
    assert (row.cls, row.op) == (type(make(name)).__name__, OPS[name])
    row = inferno_cuda.explain(make(name, synapse=Plain.partialconstructor(2.0, 4.0)))[0]
    assert (row.op, row.backend) == (OPS[name], "torch") and "Plain" in row.reason
    assert make(name, delay=None)._ops == ()


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that an operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and not tensor._is_view():
                self.elements = max(self.elements, tensor.numel())
        return out


@pytest.mark.parametrize("synapse", ["fused", "plain"])
def test_no_tensor_of_all_taps_at_all_places(backend, monkeypatch, synapse):
    constructor = EXPONENTIAL if synapse == "fused" else Plain.partialconstructor(2.0, 4.0)
    conn = Conv2D(12, 12, 2, 16, 1.0, 5, synapse=constructor, delay=4.0, batch_size=3,
                  delay_init=lambda d: 4 * torch.rand_like(d))  # fmt: skip
    pixels, everything = 3 * 2 * 144, 3 * 50 * 64 * 16
    monkeypatch.setattr(_plan, "CHUNK_ELEMENTS", 4 * pixels)
    with Largest() as largest:
        for x in spikes(conn, 3):
            conn(x)
    assert largest.elements < everything / 8
    assert {r.value.numel() for r in (conn.synapse.current_, conn.synapse.spike_)} == {5 * pixels}
    with Largest() as largest:
        past = conn.syncurrent
    assert past.numel() == everything and largest.elements <= everything


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("delay", [None, 4.0])
def test_gradients_are_those_of_the_plain_sum(backend, name, delay):
    grads = []
    for plain in (False, True):
        conn = make(name, delay=delay, dtype=torch.float64)
        conn.weight.requires_grad_(), conn.bias.requires_grad_()
        inputs = spikes(conn, 6).double().requires_grad_()
        total = 0.0
        for step, x in enumerate(inputs):
            y = conn(x)
            if plain and delay:
                y = naive(conn)
            total = total + (y * torch.linspace(-1, 1 + step, y.numel(), dtype=y.dtype).view(y.shape)).sum()
        total.backward()
        # no gradient reaches the diagonal of a lateral connection
        weight_grad = conn.weight.grad * getattr(conn, "mask", 1.0) if plain else conn.weight.grad
        grads.append([weight_grad, conn.bias.grad, inputs.grad])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
        assert (a != 0).any()


def test_direct_gradients_without_delays_are_those_of_the_formula():
    conn = make("direct", delay=None, dtype=torch.float64)
    conn.weight.requires_grad_()
    x = spikes(conn)[0]
    conn(x).sum().backward()
    torch.testing.assert_close(conn.weight.grad, conn.synapse.current.sum(0))


# -- shapes for learning ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("delay", [None, 4.0])
def test_receptive_shapes_meet_those_of_the_weights(backend, name, delay):
    conn = make(name, delay=delay)
    for x in spikes(conn, 3):
        y = conn(x)
    pre, post = conn.presyn_receptive(conn.syncurrent), conn.postsyn_receptive(y)
    assert pre.ndim == post.ndim == conn.weight.ndim + 2 and pre.shape[-1] == post.shape[-1]
    assert torch.broadcast_shapes(pre.shape[1:-1], post.shape[1:-1]) == conn.weight.shape
    # what each weight is multiplied with, contracted: the outputs less the bias
    seen = (pre * conn.weight.unsqueeze(-1)).expand(-1, *conn.weight.shape, -1)
    inner = tuple(range(2, seen.ndim - 1))
    summed = (seen.sum(inner) if inner else seen).reshape(y.shape)
    bias = conn.bias.view(-1, 1, 1) if isinstance(conn, Conv2D) else conn.bias.view(conn.outshape)
    torch.testing.assert_close(summed, y - bias)
    back = conn.like_input(conn.synspike)
    assert back.shape == conn.batched_inshape and back.dtype == torch.bool
    covered = conn.like_input(torch.ones_like(conn.synspike))
    if delay is None:
        assert torch.equal(back, x & covered)


def test_like_input_takes_every_dtype(backend):
    conn = make("conv strided", delay=None)
    x = torch.arange(2 * 30).view(2, 1, 6, 5)
    covered = conn.like_input(conn.like_synaptic(torch.ones_like(x))) == 1
    for dtype in (torch.int64, torch.uint8, torch.float32, torch.float64, torch.float16, torch.bfloat16):
        back = conn.like_input(conn.like_synaptic(x.to(dtype)))
        assert back.dtype == dtype and torch.equal(back, torch.where(covered, x.to(dtype), 0))


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kernel", "stride", "padding", "dilation"])
@pytest.mark.parametrize("bad", [(3, 3, 3), (3,), (), -1, (1, -2), 1.5])
def test_d20_pairs_are_checked(name, bad):
    arguments = {"kernel": 2, name: bad}
    with pytest.raises(ValueError, match=name):
        Conv2D(8, 8, 1, 2, 1.0, arguments.pop("kernel"), synapse=DELTA, **arguments)


@pytest.mark.parametrize(
    "changes",
    [{"height": 0}, {"width": -1}, {"channels": 1.5}, {"filters": 0}, {"kernel": 0}, {"stride": 0}, {"dilation": 0},
     {"kernel": 6}, {"kernel": 3, "dilation": (1, 3)}, {"step_time": 0.0}, {"delay": -1.0}, {"batch_size": 0}],
    ids=str,
)  # fmt: skip
def test_bad_sizes_raise(changes):
    arguments = {"height": 5, "width": 5, "channels": 1, "filters": 2, "step_time": 1.0, "kernel": 2} | changes
    with pytest.raises(ValueError):
        Conv2D(**arguments, synapse=DELTA)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("delay", [None, 4.0])
def test_bad_inputs_leave_the_state_alone(backend, name, delay):
    conn = make(name, delay=delay)
    run(conn, spikes(conn))
    before = states(conn)
    with pytest.raises(ValueError, match="inputs"):
        conn(torch.ones(3, *conn.inshape))
    conn.bias_.data = conn.bias_.data.double()
    with pytest.raises(TypeError, match="bias"):
        conn(torch.ones(conn.batched_inshape))
    conn.bias_.data = conn.bias_.data.float()
    if delay:
        conn.delay.data[0] = torch.nan
        with pytest.raises(ValueError, match="delay"):
            conn(torch.ones(conn.batched_inshape))
        del before["delay_"]
    assert_same_state({k: v for k, v in states(conn).items() if k in before}, before)


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("delay", [None, 4.0])
def test_an_input_without_a_batch_is_refused_under_its_own_shape(name, delay):
    conn = make(name, delay=delay)
    for x in (torch.ones(conn.inshape), torch.ones(3), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=rf"'inputs\[0\]' has the shape {re.escape(str(tuple(x.shape)))}, it must"):
            conn(x)


def test_a_batch_of_single_inputs_needs_no_dimension_for_them():
    conn = LinearDense(1, 3, 1.0, synapse=DELTA, batch_size=4, weight_init=torch.ones_like)
    assert conn(torch.tensor([0, 1, 0, 1])).equal(conn(torch.tensor([[0], [1], [0], [1]])))


@pytest.mark.cuda
@pytest.mark.parametrize("name, delay", list(itertools.product(NEW, [None, 4.0])))
def test_cuda_equals_cpu(name, delay):
    cpu, gpu = make(name, delay=delay), make(name, delay=delay).cuda()
    for x in spikes(cpu, 20):
        torch.testing.assert_close(gpu(x.cuda()).cpu(), cpu(x), rtol=0 if delay else 1e-5, atol=0 if delay else 1e-5)
    assert torch.equal(gpu.synspike.cpu(), cpu.synspike)


def test_a_synapse_of_inferno_ai_is_refused_as_such():
    theirs = pytest.importorskip("inferno.neural").DeltaCurrent.partialconstructor(1.0)
    with pytest.raises(TypeError, match="of type DeltaCurrent of inferno-ai: take that of inferno_cuda"):
        LinearDense(3, 2, 1.0, synapse=theirs)


@pytest.mark.parametrize("synapse", [None, DeltaCurrent, DeltaCurrent(4, 1.0, spike_charge=1.0), "delta"])
def test_what_makes_no_synapse_is_named(synapse):
    with pytest.raises(TypeError, match="'synapse' is .*, it must be a function that makes one"):
        LinearDense(4, 3, 1.0, synapse=synapse)
