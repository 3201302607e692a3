"""The neuron op: gradients of constants and tensor parameters, memory that overlaps, zeros of either sign."""

import pytest
import torch

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.testing import assert_identical

LIF = {"dt": 1.0, "decay": 0.95, "resistance": 1.0, "rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0}
LIF["refrac_t"] = 3.0
ADEX = {"dt": 1.0, "refrac_t": 3.0, "thresh_v": -45.0, "rest_v": -60.0, "resistance": 1.5, "rate": 0.05}
ADEX |= {"rheobase_v": -50.0, "sharpness": 2.0, "reset_v": -65.0}
CONSTANTS = [[0.01, 0.1], [0.2, 0.1], [1.0, 0.5]]


def tensors(shape=(3, 4), dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    voltage = torch.rand(shape, generator=generator, dtype=dtype) * 30 - 75
    refrac = torch.randint(0, 4, shape, generator=generator).to(dtype)
    return voltage, refrac, torch.rand(shape, generator=generator, dtype=dtype) * 60 - 20


def adex(dtype=torch.float64, shape=(4,), **changes):
    given = {"adaptation": torch.ones(*shape, 2, dtype=dtype), "constants": torch.tensor(CONSTANTS, dtype=dtype)}
    return ADEX | given | changes


# -- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_constants_have_gradients(backend, reduction):
    state = tensors()

    def step(constants):
        return ops.neuron_step("adex", *state, **adex(constants=constants, reduction=reduction))[3]

    constants = torch.tensor(CONSTANTS, dtype=torch.float64, requires_grad=True)
    step(constants).sum().backward()
    assert constants.grad.abs().min() > 0
    assert torch.autograd.gradcheck(step, constants)


def test_constants_that_have_no_effect_have_no_gradient(backend):
    constants = torch.tensor(CONSTANTS, dtype=torch.float64, requires_grad=True)
    voltage, *_ = ops.neuron_step("adex", *tensors(), **adex(constants=constants))
    voltage.sum().backward()
    assert constants.grad is None or not constants.grad.any()


@pytest.mark.parametrize("name", ["constants", "thresh_v", "rest_v"])
def test_in_place_refuses_to_drop_gradients_of_parameters(name):
    values = {"constants": torch.tensor(CONSTANTS, dtype=torch.float64), "rest_v": torch.tensor(-60.0)}
    values["thresh_v"] = torch.full((4,), -45.0)
    options = adex(reduction="mean") | {name: values[name].requires_grad_()}
    state = tensors()
    before = [tensor.clone() for tensor in (*state, options["adaptation"])]
    for mode in ("auto", "torch"):
        with inferno_cuda.backend(mode), pytest.raises(RuntimeError, match=f"{name} requires a gradient"):
            ops.neuron_step_("adex", *state, **options)
    for tensor, old in zip((*state, options["adaptation"]), before, strict=True):
        assert_identical(tensor, old)
    with torch.no_grad(), inferno_cuda.backend("auto"):
        ops.neuron_step_("adex", *state, **options)
    assert not torch.equal(state[0], before[0]) and not state[0].requires_grad


def test_tensor_parameters_have_gradients():
    voltage, refrac, x = tensors()
    rest = torch.full((4,), -60.0, dtype=torch.float64, requires_grad=True)
    with inferno_cuda.backend("auto"):
        ops.neuron_step("lif", voltage, refrac, x, **LIF | {"rest_v": rest})[0].sum().backward()
    assert rest.grad.any()


# -- tensors as parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [ops.neuron_step, ops.neuron_step_])
def test_native_refuses_tensor_parameters(native, step):
    state = tensors()
    before = [tensor.clone() for tensor in state]
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="native.*thresh_v.*tensors"):
        step("lif", *state, **LIF | {"thresh_v": torch.full((4,), -50.0, dtype=torch.float64)})
    for tensor, old in zip(state, before, strict=True):
        assert_identical(tensor, old)


@pytest.mark.parametrize("step", [ops.neuron_step, ops.neuron_step_])
@pytest.mark.parametrize("shape", [(3,), (5, 3, 4), (1, 3, 4), (2, 1), (0,)])
def test_tensor_parameters_must_broadcast_to_the_state(step, shape):
    state = tensors()
    with inferno_cuda.backend("auto"), pytest.raises(ValueError, match=r"thresh_v had shape .*broadcast to \(3, 4\)"):
        step("lif", *state, **LIF | {"thresh_v": torch.full(shape, -50.0, dtype=torch.float64)})


def test_rest_voltages_of_neurons_that_adapt():
    voltage, refrac, x = tensors()
    rest = torch.tensor([-60.0, -61.0, -62.0, -63.0], dtype=torch.float64)
    with inferno_cuda.backend("auto"):
        got = ops.neuron_step("adex", voltage, refrac, x, **adex(rest_v=rest, reduction="mean"))
        for i in range(4):
            column = slice(i, i + 1)
            state = [tensor[:, column] for tensor in (voltage, refrac, x)]
            one = ops.neuron_step("adex", *state, **adex(shape=(1,), rest_v=rest[i].item(), reduction="mean"))
            assert_identical(got[0][:, column], one[0])
            assert_identical(got[3][column], one[3])


# -- zeros ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0.0, -0.0])
def test_zeros_of_either_sign_are_one_parameter(backend, first):
    """Numbers that compare equal share packed parameters, whichever came first."""
    options = LIF | {"decay": 0.25 + abs(first), "thresh_v": 5.0, "rest_v": -1.0}
    options["decay"] += 0.125 if str(first).startswith("-") else 0.0  # parameters that no other test has packed
    for reset in (first, -first):
        options["reset_v"] = reset
        voltage, refrac, x = (torch.tensor([[v]]) for v in (0.0, 0.0, 100.0))
        new = ops.neuron_step("lif", voltage, refrac, x, **options)
        spikes = ops.neuron_step_("lif", voltage, refrac, x, **options)
        assert spikes.all() and new[2].all()
        assert not torch.signbit(voltage).any() and not torch.signbit(new[0]).any()


# -- memory -----------------------------------------------------------------------------------------------------------


def overlapping():
    memory = torch.full((40,), -60.0)
    yield "voltage, refrac", (memory[:12], memory[6:18], torch.zeros(12)), {}
    yield "voltage, inputs", (memory[1:13], torch.zeros(12), memory[:12]), {}
    yield "refrac, inputs", (torch.full((12,), -60.0), memory[1:13], memory[:12]), {}
    yield "voltage, refrac", (memory[:24:2], memory[2:26:2], torch.zeros(12)), {}
    constants = torch.tensor(CONSTANTS)
    aside = {"constants": constants, "adaptation": memory[3:11].view(4, 2), "reduction": "mean"}
    yield "voltage, adaptation", (memory[:12].view(3, 4), torch.zeros(3, 4), torch.zeros(3, 4)), aside
    yield "adaptation, inputs", (torch.zeros(3, 4), torch.zeros(3, 4), memory[:12].view(3, 4)), aside


OVERLAPPING = list(overlapping())


@pytest.mark.parametrize("names, state, aside", OVERLAPPING, ids=[case[0] for case in OVERLAPPING])
def test_every_backend_refuses_memory_that_overlaps(backend, names, state, aside):
    before = [tensor.clone() for tensor in state]
    with pytest.raises(RuntimeError, match=f"{names}: overlap in memory"):
        ops.neuron_step_("adex" if aside else "lif", *state, **(ADEX | aside if aside else LIF))
    for tensor, old in zip(state, before, strict=True):
        assert_identical(tensor, old)


def test_views_between_each_other_do_not_overlap(backend):
    memory = torch.zeros(12, 2)
    memory[:, 0] = -60.0
    x = torch.linspace(-5.0, 50.0, 12)
    expected = ops.neuron_step("lif", *(t.contiguous() for t in memory.unbind(1)), x, **LIF)
    voltage, refrac = memory.unbind(1)
    assert_identical(ops.neuron_step_("lif", voltage, refrac, x, **LIF), expected[2])
    assert_identical(voltage.contiguous(), expected[0])
    assert_identical(refrac.contiguous(), expected[1])


def test_the_state_itself_is_an_input(backend):
    voltage, refrac, _ = tensors(dtype=torch.float32)
    expected = ops.neuron_step("lif", voltage, refrac, voltage, **LIF)
    ops.neuron_step_("lif", voltage, refrac, voltage, **LIF)
    assert_identical(voltage, expected[0])


def test_reference_sees_the_same_zeros(native):
    """Kernel and reference agree on parameters that are zero."""
    state = tensors(dtype=torch.float32)
    for zero in (0.0, -0.0):
        options = LIF | {"rest_v": zero, "reset_v": zero, "refrac_t": zero}
        with inferno_cuda.backend("native"):
            got = ops.neuron_step("lif", *state, **options)
        wanted = reference.neuron_step(
            "lif",
            *state,
            adaptation=None,
            constants=None,
            reduction=None,
            refrac_lock=True,
            **{name: value + 0.0 for name, value in options.items()},
        )
        for a, b in zip(got[:3], wanted[:3], strict=True):
            assert_identical(a, b)
