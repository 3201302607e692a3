"""torch.autocast: state and spikes keep their dtype, what autocast computes in half types is cast up to it."""

import pytest
import torch
import torch.nn.functional as F
from citizen_cases import (
    CELL,
    EXPONENTIAL,
    INPUTS,
    OUTPUTS,
    assert_all_learn,
    assert_close,
    clear,
    dense,
    lif,
    loss_of,
    network,
    spikes,
    train_step,
)
from torch import nn

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

HALF = [torch.bfloat16, torch.float16]


@pytest.fixture(params=HALF, ids=str)
def half(request):
    return request.param


def autocast(half):
    return torch.autocast("cpu", dtype=half)


def mixed():
    torch.manual_seed(0)
    linear = nn.Linear(INPUTS, OUTPUTS)
    with torch.no_grad():
        linear.weight.mul_(3000)
    return nn.Sequential(linear, lif(), dense(OUTPUTS, 4), lif(4), dense(4, 3, EXPONENTIAL, None), lif(3))


def test_a_network_is_what_casts_by_hand_make_of_it(backend, half):
    def automatic(m, x):
        with autocast(half):
            out = inferno_cuda.run(m, x)
        assert out.dtype == torch.float32
        return loss_of(out)

    def by_hand(m, x):
        linear, cells, delayed, more, present, last = m

        def halved(x, layer, weight, bias):
            return F.linear(x.to(half), weight.to(half), bias.to(half)).float()

        x = delayed.run(cells.run(halved(x, linear, linear.weight, linear.bias)))
        currents = present.synapse.run(more.run(x))
        return loss_of(last.run(halved(currents, present, present.weight_, present.bias_)))

    module, twin = mixed(), mixed()
    found, wanted = train_step(module, spikes(12), automatic), train_step(twin, spikes(12), by_hand)
    assert_all_learn(wanted)
    assert_close(found, wanted, rtol=0.02, atol=1e-6)  # autocast keeps a weight's half for all uses
    assert {b.dtype for b in module.buffers() if b.is_floating_point()} == {torch.float32}
    for a, b in zip(module.buffers(), twin.buffers(), strict=True):
        assert_identical(a, b)


def test_steps_and_runs_are_the_same(backend, half):
    module, twin, x = mixed(), mixed(), spikes(12)
    with autocast(half), torch.no_grad():
        whole = inferno_cuda.run(module, x)
        steps = torch.stack([twin(row) for row in x])
    assert_identical(whole, steps)
    assert whole.any()
    for a, b in zip(module.buffers(), twin.buffers(), strict=True):
        assert_identical(a, b)


def test_our_layers_alone_do_not_change(backend, half):
    module, twin = network(), network()

    def automatic(m, x):
        with autocast(half):
            return loss_of(inferno_cuda.run(m, x))

    assert_close(train_step(module, spikes(), automatic), train_step(twin, spikes()), rtol=0, atol=0)


def test_a_state_in_half_stays_so(backend, half):
    cells = lif().to(half)
    with autocast(half):
        out = cells.run(F.linear(torch.ones(3, 2, INPUTS), torch.full((OUTPUTS, INPUTS), 90.0)))
    assert out.dtype == half and cells.voltage.dtype == half and out.any()
    clear(cells)


def ops_of(half, x):
    """Each op on an input in a half type, with all else in float32."""
    state = torch.full((2, 5), -65.0), torch.zeros(2, 5)
    grid = {"dt": 1.0, "slots": 3, "max_delay": 2.0, "mode": "linear"}
    weight = torch.full((4, 5), 2.0)
    delay = torch.linspace(0, 2, 20).view(4, 5)
    plan = ops.delay_plan(delay, **grid)
    images, filters = x.view(6, 2, 1, 5, 1), torch.full((3, 1, 2, 1), 2.0)
    return {
        "neuron_run": lambda: ops.neuron_run("lif", *state, x, surrogate=ATan(0.2), **CELL).spikes,
        "neuron_step": lambda: ops.neuron_step("lif", *state, x[0], **CELL)[0],
        "synapse_run": lambda: ops.synapse_run("exponential", x, [state[1]], gain=2.0, decay=[0.5])[0],
        "delayed_dense_run": lambda: ops.delayed_dense_run(x, weight, delay, **grid),
        "delayed_direct_run": lambda: ops.delayed_direct_run(x, weight[0], delay[0], **grid),
        "delayed_conv2d_run": lambda: ops.delayed_conv2d_run(images, filters, filters / 2, **grid),
        "delayed_dense": lambda: ops.delayed_dense(x[:3], torch.tensor(1), weight, plan),
    }


@pytest.mark.parametrize("name", list(ops_of(None, torch.zeros(6, 2, 5))))
def test_ops_cast_up(backend, half, name):
    inputs = 500 * torch.rand(6, 2, 5, generator=torch.Generator().manual_seed(1))
    narrow, wide = (inputs.to(half).to(dtype).requires_grad_() for dtype in (half, torch.float32))
    with pytest.raises(TypeError, match="like"):
        ops_of(half, narrow)[name]()
    with autocast(half):
        out = ops_of(half, narrow)[name]()
    wanted = ops_of(half, wide)[name]()
    assert_identical(out, wanted)
    loss_of(out).backward(), loss_of(wanted).backward()
    assert narrow.grad.dtype == half and narrow.grad.any()
    assert_identical(narrow.grad, wide.grad.to(half))


def test_steps_in_place_keep_the_dtype_of_their_state(backend, half):
    voltage, refrac = torch.full((2, 5), -65.0), torch.zeros(2, 5)
    with autocast(half):
        spikes = ops.neuron_step_("lif", voltage, refrac, torch.full((2, 5), 600.0, dtype=half), **CELL)
        assert spikes.all() and voltage.dtype == torch.float32
        with pytest.raises(TypeError, match="inputs was torch.float32"):
            ops.neuron_step_("lif", voltage.to(half), refrac.to(half), torch.full((2, 5), 600.0), **CELL)
