"""The ops as citizens of torch: schemas, fakes, torch.compile, the choice of backend."""

import math

import pytest
import torch

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.ops import native
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

pytestmark = pytest.mark.usefixtures("native")
CELL = {
    "dt": 1.0,
    "decay": math.exp(-1 / 20),
    "resistance": 1.0,
    "rest_v": -60.0,
    "reset_v": -65.0,
    "thresh_v": -50.0,
    "refrac_t": 3.0,
}
LIF = (0, 1.0, 3.0, [-50.0, -60.0, 1.0, 0.9, -65.0], 0, True)
ALIF = (1, 1.0, 3.0, [-50.0, -60.0, 1.0, 0.9, -65.0], 1, True)


def samples(dtype, device):
    """Arguments of every raw op, empty and odd sizes included."""
    raw = torch.ops.inferno_cuda
    for n in (0, 1, 37):
        voltage, refrac, x = (torch.rand(2, n, device=device).to(dtype) for _ in range(3))
        yield raw.neuron_step, (voltage, refrac, None, x, None, *LIF)
        yield raw.neuron_step_, (voltage.clone(), refrac.clone(), None, x, None, *LIF)
        adaptation = torch.rand(n, 2, device=device).to(dtype)
        constants = torch.rand(2, 2, device=device).to(torch.float64 if dtype == torch.float64 else torch.float32)
        yield raw.neuron_step, (voltage, refrac, adaptation, x, constants, *ALIF)
        yield raw.neuron_step_, (voltage.clone(), refrac.clone(), adaptation.clone(), x, constants, *ALIF)
        data, pointer = random_ring((4, 2, n), dtype, pointer=1, batch_innermost=True, device=device)
        yield raw.history_push_, (data.clone(), pointer.clone(), x)
        time = torch.rand(2, n, 3, device=device) * 3
        grid = (1.0, 3.0, 3, 3, 1.0, 0.0, 1e-7, 1)
        yield raw.history_gather, (data, pointer, time, *grid, None)
        yield raw.history_gather, (data, pointer, time, *grid, 0.5)
        delay = torch.rand(5, n, device=device) * 3
        yield raw.delay_plan, (delay, 4, 1.0, 3.0, 4, 5.0, 0.0, 1e-7, False)
        slot, factor = raw.delay_plan(delay, 4, 1.0, 3.0, 4, 5.0, 0.0, 1e-7, False)
        factor = factor.to(torch.float64 if dtype == torch.float64 else torch.float32)
        weight, bias = torch.rand(5, n, device=device).to(dtype), torch.rand(5, device=device).to(dtype)
        yield raw.delayed_dense, (data, pointer, weight, bias, slot, factor, False, 1.0, 0.0)
        yield raw.delayed_dense, (data > 0, pointer, weight, None, slot, None, False, 2.0, 0.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck(device, dtype):
    count = 0
    for op, args in samples(dtype, device):
        utils = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
        torch.library.opcheck(op.default, args, test_utils=utils)
        count += 1
    assert count == 30


def test_compile_fullgraph_in_place(device):
    def step(voltage, refrac, x, data, pointer, weight, delay):
        for _ in range(3):
            spikes = ops.neuron_step_("lif", voltage, refrac, x, **CELL)
            ops.history_push_(data, pointer, spikes.to(data.dtype))
        late = ops.history_gather(data, pointer, delay.T.expand(2, -1, -1), dt=1.0, mode="expdecay", time_constant=5.0)
        plan = ops.delay_plan(delay, dt=1.0, slots=4, max_delay=3.0)
        return spikes, late, ops.delayed_dense(data, pointer, weight, plan)

    def arguments():
        g = torch.Generator().manual_seed(1)
        data, pointer = random_ring((4, 2, 9), generator=g, device=device)
        weight, delay = torch.rand(5, 9, generator=g), torch.rand(5, 9, generator=g) * 3
        voltage = torch.rand(2, 9, generator=g) * 20 - 65
        state = (voltage, torch.zeros(2, 9), voltage + 500, data, pointer, weight, delay)
        return [t.to(device) for t in state]

    eager, compiled = arguments(), arguments()
    expected = step(*eager)
    got = torch.compile(step, fullgraph=True, backend="aot_eager")(*compiled)
    for a, b in zip((*got, *compiled), (*expected, *eager), strict=True):
        assert_identical(a, b)
    assert eager[1].any()  # refractory after a spike


def test_compile_with_layouts_that_no_kernel_reads():
    def step(voltage, refrac, x, data, pointer, time):
        spikes = ops.neuron_step_("lif", voltage, refrac, x, **CELL)
        ops.history_push_(data, pointer, x.unsqueeze(1))
        return spikes, ops.history_gather(data, pointer, time, dt=1.0)

    def arguments():
        g = torch.Generator().manual_seed(1)
        voltage = (torch.rand(4, 3, generator=g) * 20 - 65).T
        x = (torch.rand(4, 3, generator=g) * 90).T
        data = torch.rand(5, 4, 3, 2, generator=g).permute(0, 2, 3, 1)[:, :, :1]
        return voltage, torch.zeros(3, 4), x, data, torch.tensor(1), torch.rand(3, 1, 4, generator=g) * 4

    eager, compiled = arguments(), arguments()
    expected = step(*eager)
    got = torch.compile(step, fullgraph=True, backend="aot_eager")(*compiled)
    for a, b in zip((*got, *compiled), (*expected, *eager), strict=True):
        assert_identical(a, b)


@pytest.mark.slow
def test_compile_fullgraph_with_inductor(device):
    def step(voltage, refrac, x):
        spikes = ops.neuron_step_("lif", voltage, refrac, x * 2, **CELL)
        return spikes.float().sum()

    states = [(torch.full((2, 500), -60.0, device=device), torch.zeros(2, 500, device=device)) for _ in range(2)]
    x = torch.rand(2, 500, device=device) * 60
    compiled = torch.compile(step, fullgraph=True)
    for _ in range(5):
        assert_identical(compiled(*states[0], x), step(*states[1], x))
        assert_identical(states[0][0], states[1][0])


def test_compile_fullgraph_with_gradients(device):
    def loss(voltage, refrac, x, data, pointer, weight, plan_slot):
        voltage, refrac, *_ = ops.neuron_step("lif", voltage, refrac, x, **CELL)
        plan = ops.DelayPlan(plan_slot, None, 4, False, 0.0)
        return voltage.square().mean() + ops.delayed_dense(data, pointer, weight, plan).square().sum()

    grads = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        g = torch.Generator().manual_seed(1)
        data, pointer = random_ring((4, 2, 9), generator=g, device=device)
        x = (torch.rand(2, 9, generator=g) * 50).to(device).requires_grad_()
        weight = torch.rand(5, 9, generator=g).to(device).requires_grad_()
        slot = torch.randint(0, 4, (5, 9), generator=g).to(torch.uint8).to(device)
        start = torch.full((2, 9), -60.0, device=device)
        function(start, torch.zeros(2, 9, device=device), x, data, pointer, weight, slot).backward()
        grads.append((x.grad, weight.grad))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)
        assert (a != 0).any()


def test_raw_ops_have_no_autograd_of_their_own():
    """Called directly they would drop gradients without a word: only the wrappers may call them."""
    x = torch.rand(2, 3, requires_grad=True)
    voltage = torch.zeros(2, 3)
    torch.ops.inferno_cuda.neuron_step_(voltage, torch.zeros(2, 3), None, x, None, *LIF)
    assert not voltage.requires_grad
    with pytest.raises(RuntimeError, match="inputs requires a gradient"):
        ops.neuron_step_("lif", voltage, torch.zeros(2, 3), x, **CELL)
    ops.neuron_step("lif", voltage, torch.zeros(2, 3), x, **CELL)[0].sum().backward()
    assert (x.grad != 0).all()


def test_raw_ops_check_for_themselves():
    raw = torch.ops.inferno_cuda
    voltage = torch.zeros(2, 3)
    with pytest.raises(RuntimeError, match="refrac: wrong shape"):
        raw.neuron_step_(voltage, torch.zeros(7), None, voltage.clone(), None, *LIF)
    with pytest.raises(RuntimeError, match="inputs: must be contiguous"):
        raw.neuron_step_(voltage, torch.zeros(2, 3), None, torch.zeros(3, 2).T, None, *LIF)
    with pytest.raises(RuntimeError, match="obs: wrong shape"):
        raw.history_push_(torch.zeros(2, 3, 4), torch.tensor(0), torch.zeros(4, 3))
    with pytest.raises(RuntimeError, match="slot: wrong dtype"):
        raw.delayed_dense(
            torch.zeros(2, 1, 3), torch.tensor(0), torch.zeros(4, 3), None, torch.zeros(4, 3), None, False, 1.0, 0.0
        )


def test_backend_is_setter_and_context_manager():
    assert inferno_cuda.active_mode() == "auto"
    with inferno_cuda.backend("torch") as active:
        assert active.name == inferno_cuda.active_mode() == "torch"
        assert ops.choose("neuron_step", "cpu").backend == "torch"
        with inferno_cuda.backend("native"):
            assert ops.choose("neuron_step", "cpu") == ("neuron_step", "cpu", "native", "")
        assert inferno_cuda.active_mode() == "torch"
    assert inferno_cuda.active_mode() == "auto"
    inferno_cuda.backend("torch")
    assert inferno_cuda.active_mode() == "torch"
    inferno_cuda.backend("auto")
    again = inferno_cuda.backend("torch")
    inferno_cuda.backend("auto")
    with again:
        assert inferno_cuda.active_mode() == "torch"
    assert inferno_cuda.active_mode() == "auto"
    with pytest.raises(ValueError, match="backend was 'fast'"):
        inferno_cuda.backend("fast")
    assert inferno_cuda.active_mode() == "auto"


def test_native_raises_where_there_is_no_kernel():
    tensors = [torch.zeros(2, 3, device="meta")] * 3
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="no kernels for device type 'meta'"):
        ops.neuron_step("lif", *tensors, **CELL)
    assert ops.neuron_step("lif", *tensors, **CELL)[2].shape == (2, 3)
    assert ops.choose("neuron_step", "meta").reason == "there are no kernels for device type 'meta'"


def test_a_library_that_lacks_an_operator_is_not_used(monkeypatch):
    if not ops.native_status.loaded:
        pytest.skip(ops.native_status.problem)
    monkeypatch.setattr(native, "_OPERATORS", ("neuron_step_", "an_op_of_the_future"))
    found = native._load()
    assert not found.loaded and "without an_op_of_the_future; rebuild it" in found.problem
