"""The neuron op: kernels against reference bit for bit, worked numbers, layouts, invariants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from neuron_cases import ADAPTIVE, CELL, EVERY, MEMBRANES, functional, in_place, inputs, of_model, state

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical


def simulate(model, shape, dtype, device, lock, reduction, steps=30):
    """Final state and all spikes of some steps in place."""
    voltage, refrac = state(shape, dtype, device)
    options = of_model(model, shape, dtype, device, reduction)
    spikes = [
        ops.neuron_step_(model, voltage, refrac, inputs(shape, dtype, device, 9 + t), refrac_lock=lock, **options)
        for t in range(steps)
    ]
    return voltage, refrac, torch.stack(spikes), options.get("adaptation", torch.zeros(()))


NAMES = ("voltage", "refrac", "spikes", "adaptation")


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (37, 5, 7), (1, 20011), (4, 0)], ids=str)
@pytest.mark.parametrize("model", MEMBRANES)
def test_kernel_equals_reference(native, device, model, shape, dtype, lock):
    results = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            results.append(simulate(model, shape, dtype, device, lock, "mean", 12))
    for name, actual, expected in zip(NAMES, *results[::-1], strict=True):
        assert_identical(actual, expected, name)
    assert results[0][2].any() or shape in [(1, 1), (4, 0)]


@pytest.mark.parametrize("reduction", [None, "sum"])
@pytest.mark.parametrize("model", ADAPTIVE)
def test_reductions_equal_reference(native, device, model, reduction):
    results = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            results.append(simulate(model, (70, 33), torch.float32, device, True, reduction, 4))
    for name, actual, expected in zip(NAMES, *results[::-1], strict=True):
        assert_identical(actual, expected, name)
    start = of_model(model, (70, 33), device=device)["adaptation"]
    assert torch.equal(results[0][3], start) == (reduction is None)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", MEMBRANES)
def test_cuda_equals_cpu(native, model, dtype):
    on_cuda, on_cpu = (simulate(model, (4, 12345), dtype, device, True, "mean") for device in ("cuda", "cpu"))
    for name, actual, expected in zip(NAMES, on_cuda, on_cpu, strict=True):
        assert_identical(actual, expected, name)


@pytest.mark.parametrize("model", MEMBRANES)
def test_in_place_and_functional_agree(backend, device, model):
    voltage, refrac = state((3, 50), device=device)
    x = inputs((3, 50), device=device)
    options = of_model(model, (3, 50), device=device)
    tensors = [t for t in (voltage, refrac, options.get("adaptation")) if t is not None]
    before = [t.clone() for t in tensors]
    new_voltage, new_refrac, spikes, adaptation = ops.neuron_step(model, voltage, refrac, x, **options)
    for t, old in zip(tensors, before, strict=True):
        assert_identical(t, old)
    assert_identical(ops.neuron_step_(model, voltage, refrac, x, **options), spikes)
    for t, new in zip(tensors, (new_voltage, new_refrac, adaptation), strict=False):
        assert_identical(t, new)
    assert (adaptation is None) == (model not in ADAPTIVE)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("model", ["lif", "adex"])
def test_threads_make_no_difference(native, model, threads):
    expected = simulate(model, (40, 3001), torch.float32, "cpu", True, "mean", 3)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        actual = simulate(model, (40, 3001), torch.float32, "cpu", True, "mean", 3)
    finally:
        torch.set_num_threads(before)
    for a, b in zip(actual, expected, strict=True):
        assert_identical(a, b)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 31, 32, 33, 64, 100])
def test_mean_over_the_batch(backend, batch):
    """Of adaptations that jump by one in the samples that spike, and stand still otherwise."""
    fires = torch.rand(batch, 11, generator=torch.Generator().manual_seed(batch)) < 0.4
    options = of_model("alif", (batch, 11)) | {
        "constants": torch.tensor([[1.0], [1.0]]),
        "adaptation": torch.zeros(11, 1),
    }
    x = torch.where(fires, 1e4, 0.0)
    *_, adaptation = ops.neuron_step("alif", torch.full((batch, 11), -60.0), torch.zeros(batch, 11), x, **options)
    torch.testing.assert_close(adaptation, fires.float().mean(0)[:, None])


def test_threshold_adaptation_by_hand(backend):
    """Jumps at the spike without decaying in that step, holds while refractory, then decays; raises the threshold."""
    options = of_model("alif", (1, 1)) | {"constants": torch.tensor([[0.5], [4.0]])}
    options["adaptation"] = torch.full((1, 1), 2.0)
    voltage, refrac = torch.full((1, 1), -60.0), torch.zeros(1, 1)
    seen = []
    for t in range(5):
        x = torch.full((1, 1), 1e4 if t == 0 else 0.0)
        seen.append(bool(ops.neuron_step_("alif", voltage, refrac, x, **options)))
        seen.append(options["adaptation"].item())
    assert seen == [True, 6.0, False, 6.0, False, 6.0, False, 3.0, False, 1.5]
    thresh = EVERY["thresh_v"]
    for above, fires in ((0.74, False), (0.76, True)):
        options["adaptation"] = torch.full((1, 1), 0.75)
        start = torch.full((1, 1), thresh + above)
        steady = options | {"decay": 1.0}
        assert bool(ops.neuron_step("alif", start, torch.zeros(1, 1), torch.zeros(1, 1), **steady)[2]) is fires


def test_current_adaptation_by_hand(backend):
    """Two adaptations take their sum off the input, and follow the voltage above rest."""
    constants = torch.tensor([[0.5, 0.25], [2.0, 0.0], [7.0, 1.0]])
    options = of_model("adex", (1, 1)) | {"constants": constants, "adaptation": torch.tensor([[3.0, 1.0]])}
    options |= {"sharpness": 1e-3, "rheobase_v": -46.0, "resistance": 1.0, "rate": 0.5}
    voltage, refrac = torch.full((1, 1), -60.0), torch.zeros(1, 1)
    assert not ops.neuron_step_("adex", voltage, refrac, torch.full((1, 1), 8.0), **options)
    assert voltage.item() == -58.0  # -60 + 0.5 * (8 - 4)
    assert options["adaptation"].tolist() == [[3.5, 0.75]]  # 3 + 0.5 * (2 * 2 - 3); 1 + 0.25 * (0 - 1)
    assert ops.neuron_step_("adex", voltage, refrac, torch.full((1, 1), 1e3), **options)
    assert options["adaptation"].tolist() == [[10.5, 1.75]]  # held by the refractory period, and the jump


def test_period_of_three_steps(backend):
    voltage, refrac = torch.full((1, 1), -60.0), torch.zeros(1, 1)
    spikes = [int(ops.neuron_step_("lif", voltage, refrac, torch.full((1, 1), 1e6), **CELL)) for _ in range(9)]
    assert spikes == [1, 0, 0, 1, 0, 0, 1, 0, 0]


def test_above_threshold_while_refractory(backend):
    voltage, refrac = torch.full((1, 1), -40.0), torch.full((1, 1), 2.0)
    assert not ops.neuron_step_("lif", voltage, refrac, torch.full((1, 1), 100.0), **CELL)
    assert voltage.item() == -40.0 and refrac.item() == 1.0
    voltage, refrac = torch.full((1, 1), -40.0), torch.full((1, 1), 3.0)
    assert not ops.neuron_step_("lif", voltage, refrac, torch.full((1, 1), 100.0), refrac_lock=False, **CELL)
    assert voltage.item() == pytest.approx(-40.9754, abs=1e-4) and refrac.item() == 2.0


def test_infinite_input_to_a_refractory_neuron_leaves_no_nan(backend):
    voltage, refrac = torch.full((1, 1), -60.0), torch.full((1, 1), 3.0)
    ops.neuron_step_("lif", voltage, refrac, torch.full((1, 1), torch.inf), refrac_lock=False, **CELL)
    assert voltage.item() == -60.0


@pytest.mark.parametrize("steps, dt", [(3, 0.1), (5, 0.1), (5, 0.2), (5, 0.25), (30, 0.1), (7, 0.7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_d07_refractory_period_has_no_extra_step(backend, dtype, steps, dt):
    voltage, refrac = torch.full((1,), -60.0, dtype=dtype), torch.zeros(1, dtype=dtype)
    cell = CELL | {"dt": dt, "refrac_t": steps * dt}
    x = torch.full((1,), 1e6, dtype=dtype)
    spikes = [bool(ops.neuron_step_("lif", voltage, refrac, x, **cell)) for _ in range(3 * steps + 1)]
    assert [t for t, s in enumerate(spikes) if s] == [0, steps, 2 * steps, 3 * steps]


def test_non_contiguous_state_is_written_in_place(backend):
    voltage, refrac = (t.T for t in state((40, 3)))
    x = inputs((3, 40))
    expected = ops.neuron_step("lif", voltage.contiguous(), refrac.contiguous(), x, **CELL)
    address = voltage.data_ptr()
    assert_identical(ops.neuron_step_("lif", voltage, refrac, x, **CELL), expected[2])
    assert_identical(voltage, expected[0])
    assert_identical(refrac, expected[1])
    assert voltage.data_ptr() == address and not voltage.is_contiguous()


def test_expanded_inputs(backend):
    voltage, refrac = state((3, 40))
    x = inputs((1, 40)).expand(3, 40)
    expected = ops.neuron_step("lif", voltage, refrac, x.contiguous(), **CELL)
    assert_identical(ops.neuron_step("lif", voltage, refrac, x, **CELL)[0], expected[0])


def test_parameters_may_be_tensors(backend):
    voltage, refrac = state((2, 3))
    thresholds = torch.tensor([-50.0, -49.0, -70.0], requires_grad=True)
    x = inputs((2, 3))
    cell = CELL | {"thresh_v": thresholds}
    got = ops.neuron_step("lif", voltage, refrac, x, **cell)
    for i in range(3):
        cell_i = CELL | {"thresh_v": thresholds[i].item()}
        one = ops.neuron_step("lif", voltage[:, i], refrac[:, i], x[:, i], **cell_i)
        for a, b in zip(got[:3], one, strict=False):
            assert_identical(a[:, i], b)
    assert_identical(ops.neuron_step_("lif", voltage, refrac, x, **cell), got[2])
    assert_identical(voltage, got[0])


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
        spikes = ops.neuron_step_("lif", voltage, refrac, inputs((n,), seed=seed + t) * 3, **cell)
        assert ((t - last)[spikes] >= refrac_steps).all()
        last[spikes] = t


def test_permuting_neurons_permutes_the_result(backend, rng):
    order = torch.randperm(101, generator=rng)
    voltage, refrac = state((2, 101))
    x = inputs((2, 101))
    straight = functional(voltage, refrac, x, **CELL)
    permuted = functional(voltage[:, order], refrac[:, order], x[:, order], **CELL)
    for a, b in zip(straight, permuted, strict=True):
        assert_identical(b, a[:, order])


def test_non_contiguous_adaptations(backend):
    voltage, refrac = state((2, 3))
    options = of_model("alif", (2, 3))
    expected = ops.neuron_step("alif", voltage, refrac, inputs((2, 3)), **options)
    options["adaptation"] = kept = options["adaptation"].T.contiguous().T
    ops.neuron_step_("alif", voltage, refrac, inputs((2, 3)), **options)
    assert_identical(kept, expected[3])
    assert_identical(voltage, expected[0])


@pytest.mark.parametrize("step", [ops.neuron_step, ops.neuron_step_], ids=["functional", "in place"])
def test_no_samples(backend, step):
    options = of_model("alif", (0, 3))
    with pytest.raises(ValueError, match=r"voltage had shape \(0, 3\); a reduction needs at least one sample"):
        step("alif", *state((0, 3)), inputs((0, 3)), **options)
    options["reduction"] = None
    result = step("alif", *state((0, 3)), inputs((0, 3)), **options)
    assert (result if step is ops.neuron_step_ else result[2]).shape == (0, 3)


def test_adaptations_that_overlap_the_state_are_refused(native):
    memory = torch.full((6,), -60.0)
    options = of_model("alif", (1, 3), reduction=None) | {"adaptation": memory[:3].view(3, 1)}
    options["constants"] = torch.ones(2, 1)
    with pytest.raises(RuntimeError, match="voltage, adaptation: overlap"):
        ops.neuron_step_("alif", memory[2:5].view(1, 3), torch.zeros(1, 3), torch.zeros(1, 3), **options)


def test_a_step_without_values_leaves_later_steps_alone(native):
    from torch._subclasses.fake_tensor import FakeTensorMode

    cell = CELL | {"reset_v": -66.125}
    with FakeTensorMode():
        assert in_place(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 3), **cell).shape == (2, 3)
    assert in_place(torch.full((2, 3), -50.0), torch.zeros(2, 3), torch.full((2, 3), 99.0), **cell).all()
