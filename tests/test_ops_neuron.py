"""The LIF op: kernel against reference bit for bit, worked numbers, layouts, gradients, bad input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical

CELL = {"dt": 1.0, "decay": math.exp(-1 / 20), "rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0}


def state(shape, dtype=torch.float32, device="cpu", seed=0):
    g = torch.Generator().manual_seed(seed)
    voltage = (torch.rand(shape, generator=g, dtype=torch.float64) * 30 - 75).to(dtype)
    refrac = torch.randint(0, 4, shape, generator=g).to(dtype)
    return voltage.to(device), refrac.to(device)


def inputs(shape, dtype=torch.float32, device="cpu", seed=1):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g, dtype=torch.float64) * 60 - 20).to(dtype).to(device)


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (2, 5, 7), (1, 20011), (4, 0)], ids=str)
def test_kernel_equals_reference(native, device, shape, dtype, lock):
    results = []
    for name in ("torch", "native"):
        voltage, refrac = state(shape, dtype, device)
        with inferno_cuda.backend(name):
            steps = [
                ops.lif_step_(voltage, refrac, inputs(shape, dtype, device, 9 + t), refrac_lock=lock, **CELL)
                for t in range(30)
            ]
        results.append((voltage, refrac, torch.stack(steps)))
    for name, actual, expected in zip(("voltage", "refrac", "spikes"), *results[::-1], strict=True):
        assert_identical(actual, expected, name)
    assert results[0][2].any() or 0 in shape


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cuda_equals_cpu(native, dtype):
    states = {}
    for device in ("cpu", "cuda"):
        voltage, refrac = state((4, 12345), dtype, device)
        spikes = [ops.lif_step_(voltage, refrac, inputs((4, 12345), dtype, device, t), **CELL) for t in range(50)]
        states[device] = (voltage, refrac, torch.stack(spikes))
    for actual, expected in zip(states["cuda"], states["cpu"], strict=True):
        assert_identical(actual, expected)


def test_in_place_and_functional_agree(backend, device):
    voltage, refrac = state((3, 50), device=device)
    x = inputs((3, 50), device=device)
    before = voltage.clone(), refrac.clone()
    new_voltage, new_refrac, spikes = ops.lif_step(voltage, refrac, x, **CELL)
    assert_identical(voltage, before[0])
    assert_identical(refrac, before[1])
    assert_identical(ops.lif_step_(voltage, refrac, x, **CELL), spikes)
    assert_identical(voltage, new_voltage)
    assert_identical(refrac, new_refrac)


def test_period_of_three_steps(backend):
    voltage, refrac = torch.full((1, 1), -60.0), torch.zeros(1, 1)
    spikes = [int(ops.lif_step_(voltage, refrac, torch.full((1, 1), 1e6), **CELL)) for _ in range(9)]
    assert spikes == [1, 0, 0, 1, 0, 0, 1, 0, 0]


def test_above_threshold_while_refractory(backend):
    voltage, refrac = torch.full((1, 1), -40.0), torch.full((1, 1), 2.0)
    assert not ops.lif_step_(voltage, refrac, torch.full((1, 1), 100.0), **CELL)
    assert voltage.item() == -40.0 and refrac.item() == 1.0
    voltage, refrac = torch.full((1, 1), -40.0), torch.full((1, 1), 3.0)
    assert not ops.lif_step_(voltage, refrac, torch.full((1, 1), 100.0), refrac_lock=False, **CELL)
    assert voltage.item() == pytest.approx(-40.9754, abs=1e-4) and refrac.item() == 2.0


def test_infinite_input_to_a_refractory_neuron_leaves_no_nan(backend):
    voltage, refrac = torch.full((1, 1), -60.0), torch.full((1, 1), 3.0)
    ops.lif_step_(voltage, refrac, torch.full((1, 1), torch.inf), refrac_lock=False, **CELL)
    assert voltage.item() == -60.0


@pytest.mark.parametrize("steps, dt", [(3, 0.1), (5, 0.1), (5, 0.2), (5, 0.25), (30, 0.1), (7, 0.7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_d07_refractory_period_has_no_extra_step(backend, dtype, steps, dt):
    voltage, refrac = torch.full((1,), -60.0, dtype=dtype), torch.zeros(1, dtype=dtype)
    cell = CELL | {"dt": dt, "refrac_t": steps * dt}
    x = torch.full((1,), 1e6, dtype=dtype)
    spikes = [bool(ops.lif_step_(voltage, refrac, x, **cell)) for _ in range(3 * steps + 1)]
    assert [t for t, s in enumerate(spikes) if s] == [0, steps, 2 * steps, 3 * steps]


def test_non_contiguous_state_is_written_in_place(backend):
    voltage, refrac = (t.T for t in state((40, 3)))
    x = inputs((3, 40))
    expected = ops.lif_step(voltage.contiguous(), refrac.contiguous(), x, **CELL)
    address = voltage.data_ptr()
    assert_identical(ops.lif_step_(voltage, refrac, x, **CELL), expected[2])
    assert_identical(voltage, expected[0])
    assert_identical(refrac, expected[1])
    assert voltage.data_ptr() == address and not voltage.is_contiguous()


def test_expanded_inputs(backend):
    voltage, refrac = state((3, 40))
    x = inputs((1, 40)).expand(3, 40)
    expected = ops.lif_step(voltage, refrac, x.contiguous(), **CELL)
    assert_identical(ops.lif_step(voltage, refrac, x, **CELL)[0], expected[0])


def test_writes_are_seen_by_autograd(backend):
    voltage, refrac = state((2, 3))
    weight = torch.ones(2, 3, requires_grad=True)
    loss = (weight * voltage).sum()
    ops.lif_step_(voltage, refrac, inputs((2, 3)), **CELL)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("lock", [True, False])
def test_gradients_equal_autograd_of_the_reference(backend, lock):
    from inferno_cuda import reference

    def run(step):
        voltage, refrac = state((2, 30), torch.float64)
        voltage = leaf = voltage.requires_grad_()
        x = inputs((5, 2, 30), torch.float64).requires_grad_()
        for t in range(5):
            voltage, refrac, _ = step(voltage, refrac, x[t], resistance=2.0, refrac_lock=lock, **CELL)
        (voltage * torch.linspace(-1, 1, 60, dtype=torch.float64).view(2, 30)).sum().backward()
        return leaf.grad, x.grad

    for actual, expected in zip(run(ops.lif_step), run(reference.lif_step), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)
        assert (actual != 0).any()


def test_parameters_may_be_tensors(backend):
    voltage, refrac = state((2, 3))
    thresholds = torch.tensor([-50.0, -49.0, -70.0], requires_grad=True)
    x = inputs((2, 3))
    cell = CELL | {"thresh_v": thresholds}
    got = ops.lif_step(voltage, refrac, x, **cell)
    for i in range(3):
        one = ops.lif_step(voltage[:, i], refrac[:, i], x[:, i], **(CELL | {"thresh_v": thresholds[i].item()}))
        for a, b in zip(got, one, strict=True):
            assert_identical(a[:, i], b)
    assert_identical(ops.lif_step_(voltage, refrac, x, **cell), got[2])
    assert_identical(voltage, got[0])


def test_refractory_time_carries_no_gradient(backend):
    voltage, refrac = state((2, 3))
    out = ops.lif_step(voltage, refrac.requires_grad_(), inputs((2, 3)), **CELL)
    assert not out[1].requires_grad
    out[0].sum().backward()
    assert refrac.grad is None


def test_forward_mode_is_refused_rather_than_dropped(backend):
    voltage, refrac = state((2, 3))
    with torch.autograd.forward_ad.dual_level():
        x = torch.autograd.forward_ad.make_dual(inputs((2, 3)), torch.ones(2, 3))
        for step in (ops.lif_step, ops.lif_step_):
            with pytest.raises((RuntimeError, NotImplementedError)):
                step(voltage, refrac, x, **CELL)


def test_overlapping_memory_is_refused(native):
    memory = torch.full((11,), -60.0)
    with pytest.raises(RuntimeError, match="overlap"):
        ops.lif_step_(memory[1:], torch.zeros(10), memory[:-1], **CELL)
    voltage = torch.full((3,), -60.0)
    with pytest.raises(ValueError, match="refrac was expanded"):
        ops.lif_step_(voltage, torch.zeros(1).expand(3), torch.full((3,), 1e6), **CELL)
    assert_identical(voltage, torch.full((3,), -60.0))


@pytest.mark.parametrize("which", ["voltage", "refrac", "inputs"])
def test_in_place_refuses_to_drop_a_gradient(backend, which):
    tensors = dict(zip(("voltage", "refrac", "inputs"), (*state((2, 3)), inputs((2, 3))), strict=True))
    before = {name: t.clone() for name, t in tensors.items()}
    tensors[which].requires_grad_()
    with pytest.raises(RuntimeError, match=f"{which} requires a gradient"):
        ops.lif_step_(**tensors, **CELL)
    for name, t in tensors.items():
        assert_identical(t, before[name])


@pytest.mark.parametrize(
    "change, error, match",
    [
        ({"refrac": torch.zeros(2, 4)}, ValueError, r"refrac had shape \(2, 4\)"),
        ({"inputs": torch.zeros(3, 2, 3)}, ValueError, r"inputs had shape \(3, 2, 3\)"),
        ({"inputs": torch.zeros(2, 3, dtype=torch.float64)}, TypeError, "inputs was torch.float64"),
        ({"refrac": torch.zeros(2, 3, dtype=torch.int64)}, TypeError, "refrac was torch.int64"),
        ({"inputs": torch.zeros(2, 3, device="meta")}, ValueError, "inputs was on meta"),
    ],
)
@pytest.mark.parametrize("step", [ops.lif_step, ops.lif_step_], ids=["functional", "in place"])
def test_bad_input_raises_and_leaves_the_state(backend, step, change, error, match):
    tensors = dict(zip(("voltage", "refrac", "inputs"), (*state((2, 3)), inputs((2, 3))), strict=True)) | change
    before = {name: t.clone() for name, t in tensors.items()}
    with pytest.raises(error, match=match):
        step(**tensors, **CELL)
    for name in ("voltage", "refrac"):
        assert_identical(tensors[name], before[name])


def test_integer_state_is_refused(backend):
    with pytest.raises(TypeError, match="voltage was torch.int64"):
        ops.lif_step(*[torch.zeros(2, dtype=torch.int64)] * 3, **CELL)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 70),
    refrac_steps=st.integers(0, 6),
    dt=st.sampled_from([0.1, 0.25, 0.5, 1.0, 1.3]),
    tau=st.floats(0.5, 50),
    seed=st.integers(0, 2**20),
)
def test_intervals_are_at_least_the_refractory_period(n, refrac_steps, dt, tau, seed):
    voltage, refrac = torch.full((n,), -60.0), torch.zeros(n)
    cell = CELL | {"dt": dt, "decay": math.exp(-dt / tau), "refrac_t": refrac_steps * dt}
    last = torch.full((n,), -(10**6))
    for t in range(40):
        spikes = ops.lif_step_(voltage, refrac, inputs((n,), seed=seed + t) * 3, **cell)
        assert ((t - last)[spikes] >= refrac_steps).all()
        last[spikes] = t


def test_permuting_neurons_permutes_the_result(backend, rng):
    order = torch.randperm(101, generator=rng)
    voltage, refrac = state((2, 101))
    x = inputs((2, 101))
    straight = ops.lif_step(voltage, refrac, x, **CELL)
    permuted = ops.lif_step(voltage[:, order], refrac[:, order], x[:, order], **CELL)
    for a, b in zip(straight, permuted, strict=True):
        assert_identical(b, a[:, order])
