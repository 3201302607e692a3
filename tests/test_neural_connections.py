"""LinearDirect, LinearLateral and Conv2D: sums, gradients, memory, shapes for learning, checkpoints, bad input."""

import copy
import itertools
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.neural import Conv2D, DeltaCurrent, LinearDense, LinearDirect, LinearLateral, SingleExponentialCurrent
from inferno_cuda.neural.connections import _plan
from inferno_cuda.neural.synapses import DelayedCurrent

DELTA = DeltaCurrent.partialconstructor(2.0)
EXPONENTIAL = SingleExponentialCurrent.partialconstructor(2.0, 4.0)


class Plain(SingleExponentialCurrent):
    """Like a synapse that knows nothing of fused connections."""

    def current_at(self, selector):
        return super().current_at(selector)


class Difference(SingleExponentialCurrent):
    """The current less three times the recorded spikes."""

    def forward(self, *inputs, **kwargs):
        return super().forward(*inputs, **kwargs) - 3.0 * self.spike

    def delayed_current(self):
        minus = DelayedCurrent(self.spike_, "previous", None, 0.0, 0.0, 3.0)
        how = super().delayed_current()
        return DelayedCurrent(how.record, how.mode, how.time_constant, how.tolerance, 0.0, 1.0, minus)

    def current_at(self, selector):
        return super().current_at(selector) - 3.0 * self.spike_at(selector)



CONNECTIONS = {
    "dense": lambda **kw: LinearDense(6, (2, 2), 1.0, **kw),
    "direct": lambda **kw: LinearDirect((2, 3), 1.0, **kw),
    "lateral": lambda **kw: LinearLateral((2, 3), 1.0, **kw),
    "conv": lambda **kw: Conv2D(5, 4, 2, 3, 1.0, (3, 2), **kw),
    "conv strided": lambda **kw: Conv2D(6, 5, 1, 2, 1.0, 2, stride=(2, 1), padding=(1, 2), dilation=(1, 2), **kw),
}
OPS = {"dense": "delayed_dense", "direct": "delayed_direct", "lateral": "delayed_dense", "conv": "delayed_conv2d",
       "conv strided": "delayed_conv2d"}  # fmt: skip
NEW = [name for name in CONNECTIONS if name != "dense"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(name, *, synapse=EXPONENTIAL, seed=0, delay=4.0, high=4.6, dtype=torch.float32, **options):
    """A connection whose delays reach `high` ms."""
    torch.manual_seed(seed)
    spread = None if delay is None else lambda d: high * torch.rand(d.shape, generator=seeded(seed))
    options = {"bias": True, "batch_size": 2, "weight_init": lambda w: w - 0.3, **options}
    return CONNECTIONS[name](synapse=synapse, delay=delay, delay_init=spread, **options).to(dtype)


def spikes(conn, steps=10, seed=0):
    return torch.rand(steps, *conn.batched_inshape, generator=seeded(seed)) < 0.3


def run(conn, inputs):
    return torch.stack([conn(x) for x in inputs])


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
        grads.append([conn.weight.grad, conn.bias.grad, inputs.grad])
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


# -- parameters and checkpoints ---------------------------------------------------------------------------------------


def states(module):
    return {k: v.clone() if isinstance(v, torch.Tensor) else dict(v) for k, v in module.state_dict().items()}


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key], key


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_d41_lateral_diagonal_stays_zero(backend, assign, nested):
    conn = make("lateral")
    module = torch.nn.ModuleDict({"inner": conn}) if nested else conn
    state = {k: torch.full_like(v, torch.inf) if "weight_" in k or "delay_" in k else v
             for k, v in module.state_dict().items()}  # fmt: skip
    module.load_state_dict(state, assign=assign)
    for name in ("weight", "delay"):
        assert not getattr(conn, name).diagonal().any() and getattr(conn, name).isinf().sum() == 30
    assert all(v.isinf().all() for k, v in state.items() if "weight_" in k or "delay_" in k)
    conn.weight, conn.delay, conn.bias = torch.ones(6, 6), torch.ones(6, 6), torch.ones(6)
    assert torch.equal(conn.weight, conn.mask) and torch.equal(conn.delay, conn.mask) and (conn.bias == 1).all()
    conn.updater = conn.defaultupdater()
    conn.updater.weight = conn.updater.delay = (torch.ones(6, 6), None)
    conn.update()
    assert torch.equal(conn.weight, 2 * conn.mask) and torch.equal(conn.delay, 2 * conn.mask)
    assert "mask" not in conn.state_dict() and copy.deepcopy(conn).mask.equal(1 - torch.eye(6))
    with pytest.raises(ValueError, match="weight"):
        conn.weight = torch.zeros(6)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("copied", ["deepcopy", "pickle", "state_dict", "pixels"])
def test_copies_go_on_alike(backend, name, copied):
    conn = make(name)
    inputs = spikes(conn, 14)
    run(conn, inputs[:6])
    if copied == "deepcopy":
        other = copy.deepcopy(conn)
    elif copied == "pickle":
        other = pickle.loads(pickle.dumps(conn))
    else:
        other = make(name, seed=1)
        state = conn.state_dict()
        if copied == "pixels" and isinstance(conn, Conv2D):
            state.update({k: conn.synapse.get_buffer(k.split(".")[1]).clone() for k in state if "_data" in k})
        other.load_state_dict(state)
    assert_same_state(states(other), states(conn))
    assert torch.equal(run(other, inputs[6:]), run(conn, inputs[6:]))


def test_saved_histories_have_the_shape_of_the_windows():
    conn = make("conv")
    state = torch.nn.ModuleDict({"a": conn}).state_dict()
    for name in ("_current__data", "_spike__data"):
        assert state[f"a.synapse_.{name}"].shape == (5, 2, 12, 9)
        assert conn.synapse._buffers[name].shape == (5, 2, 2, 5, 4)


def test_histories_that_no_image_unfolds_to_are_refused_before_anything_is_written(backend):
    for name, tap in (("conv", 3), ("conv strided", 0)):  # windows that disagree, a value beyond the border
        conn, other = make(name), make(name, seed=1)
        run(conn, spikes(conn))
        before = states(conn)
        state = other.state_dict()
        state["synapse_._spike__data"][1, 0, tap, 0] = True
        with pytest.raises(ValueError, match="synapse_._spike__data"):
            conn.load_state_dict(state)
        assert_same_state(states(conn), before)


def test_histories_of_another_size_are_refused_as_usual():
    conn = make("conv")
    for shape in ((5, 3, 12, 9), (6, 2, 12, 9), (5, 2, 11, 9)):
        state = {**conn.state_dict(), "synapse_._current__data": torch.zeros(shape)}
        with pytest.raises(RuntimeError, match="size mismatch"):
            conn.load_state_dict(state)


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


# -- defects of inferno-ai --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW)
def test_d04_assigning_a_synapse_replaces_it(name):
    conn = make(name)
    new = DeltaCurrent(conn.synapse.shape, 1.0, spike_charge=5.0, delay=4.0, batch_size=2)
    conn.synapse = new
    assert conn.synapse is new and [n for n, _ in conn.named_modules()] == ["", "synapse_"]
    with pytest.raises(ValueError, match="synapse"):
        conn.synapse = DeltaCurrent(99, 1.0, spike_charge=5.0)


@pytest.mark.parametrize("name", NEW)
def test_d08_multiples_of_the_step_are_exact(backend, name):
    # at this step length inferno-ai looks up some of the multiples one step too late
    conns = []
    for k in (0, 6, 11):
        torch.manual_seed(0)
        conns.append(CONNECTIONS[name](synapse=DELTA, delay=26.0, delay_init=lambda d, k=k: (k * 1.3 + d)))
        conns[-1].dt = 1.3
        conns[-1].delay = torch.full_like(conns[-1].delay, k * 1.3)
    inputs = spikes(conns[0], 30)
    now, six, eleven = (run(conn, inputs) for conn in conns)
    if name == "lateral":
        # the diagonal has no delay, and no weight
        assert all((c.delay.diagonal() == 0).all() for c in conns)
    torch.testing.assert_close(six[6:], now[:-6])
    torch.testing.assert_close(eleven[11:], now[:-11])


def test_d09_presyn_receptive_of_convolutions():
    conn = Conv2D(5, 5, 1, 2, 1.0, 2, synapse=DELTA)
    conn(torch.ones(1, 1, 5, 5))
    assert conn.presyn_receptive(conn.synspike).shape == (1, 1, 1, 2, 2, 16)
    late = make("conv")
    assert late.presyn_receptive(late.synspike).shape == (2, 3, 2, 3, 2, 9)
    assert torch.equal(late.presyn_receptive(late.syncurrent)[:, 1].flatten(1, 3), late.syncurrent[..., 1])


def test_d29_pixels_that_no_window_covers_are_zero(backend):
    conn = Conv2D(5, 5, 1, 2, 1.0, 2, stride=2, synapse=DELTA)
    ones = torch.ones(1, 1, 5, 5)
    covered = F.pad(torch.ones(4, 4), (0, 1, 0, 1))[None, None]
    assert torch.equal(conn.like_input(conn.like_synaptic(ones)), covered)
    assert torch.equal(conn.like_input(conn.like_synaptic(ones.bool())), covered.bool())


@pytest.mark.parametrize("name", NEW)
def test_d34_insize_and_outsize_are_methods(name):
    conn = make(name)
    assert conn.insize() == torch.ones(conn.inshape).numel() and conn.outsize() == conn.bias.numel() * (
        conn.outheight * conn.outwidth if isinstance(conn, Conv2D) else 1
    )


@pytest.mark.parametrize("name", NEW)
def test_d47_like_input_takes_delayed_values(backend, name):
    conn = make(name, high=0.0)  # so that all outputs see the same
    x = spikes(conn)[0]
    conn(x)
    covered = conn.like_input(torch.ones_like(conn.synspike))
    assert torch.equal(conn.like_input(conn.synspike), x & covered)
    torch.testing.assert_close(conn.like_input(conn.syncurrent), 0.5 * (x & covered).float())


@pytest.mark.parametrize("name", NEW)
def test_d51_delays_out_of_range_silence_unless_clamped(backend, name):
    for overbound, silent in ((0.0, True), (None, False)):
        synapse = DeltaCurrent.partialconstructor(1.0, current_overbound=overbound)
        conn = make(name, synapse=synapse, bias=False, weight_init=lambda w: w + 1)
        conn.delay = torch.full_like(conn.delay, 4.0 + 1e-4)
        y = run(conn, torch.ones(6, *conn.batched_inshape))[-1]
        assert silent == (not y.any())


@pytest.mark.cuda
@pytest.mark.parametrize("name, delay", list(itertools.product(NEW, [None, 4.0])))
def test_cuda_equals_cpu(name, delay):
    cpu, gpu = make(name, delay=delay), make(name, delay=delay).cuda()
    for x in spikes(cpu, 20):
        torch.testing.assert_close(gpu(x.cuda()).cpu(), cpu(x), rtol=0 if delay else 1e-5, atol=0 if delay else 1e-5)
    assert torch.equal(gpu.synspike.cpu(), cpu.synspike)
