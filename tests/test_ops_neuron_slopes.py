"""The derivatives of the steps of neurons, each alone: the kernel, and single steps of sequences."""

import sys

import pytest
import torch
from surrogate_cases import ADAPTIVE, EVERY, MODELS, drive, neurons

from inferno_cuda import ops, surrogate

module = sys.modules["inferno_cuda.ops.neuron_slopes"]  # which the function of its name hides
pytestmark = pytest.mark.usefixtures("native")


def given(name, dtype, **others):
    """The arguments for neurons of a class in the middle of a sequence, with adaptations that differ."""
    cells = neurons(name, dtype)
    options = dict(cells._dynamics(), dt=cells.dt, refrac_t=cells.refrac_t, surrogate=cells.surrogate)
    if name in ADAPTIVE:
        adaptation = torch.rand(cells._buffers[cells._adaptation].shape, dtype=torch.float64).to(dtype)
        options |= {"adaptation": adaptation, "constants": cells._constants_of_step(dtype)}
    state = cells.voltage_.value, cells.refrac_.value
    return MODELS.get(name, name.lower()), *state, drive(40, dtype), options | others


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("how", [{}, {"detach_reset": True}, {"refrac_lock": False}], ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_the_kernel_gives_what_single_steps_give(name, how, dtype):
    torch.manual_seed(2)
    model, voltage, refrac, inputs, options = given(name, dtype, **how)
    made = ops.neuron_slopes(model, voltage, refrac, inputs, **options)
    adaptation = options.pop("adaptation", None)
    wanted = module._by_single_steps(model, voltage, refrac, inputs, adaptation, **options)
    assert made.spike_of_input.any() and not made.spike_of_input.all()  # some are refractory
    for found, like in zip(made, wanted, strict=True):
        assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert torch.equal(found, like)


@pytest.mark.parametrize("name", ["LIF", "AdEx"])
def test_pieces_of_a_sequence_are_the_whole(name, monkeypatch):
    torch.manual_seed(2)
    model, voltage, refrac, inputs, options = given(name, torch.float64)
    adaptation = options.pop("adaptation", None)
    arguments = (model, voltage, refrac, inputs, adaptation)
    whole = module._by_single_steps(*arguments, **options)
    monkeypatch.setattr(module, "_ELEMENTS", 7 * voltage.numel())
    assert all(map(torch.equal, whole, module._by_single_steps(*arguments, **options)))


def test_worked_numbers():
    # v' = v / 2 + x in mV; at the threshold, a spike puts 0 in the place of 1
    lif = {"dt": 1.0, "refrac_t": 0.0, "thresh_v": 1.0, "rest_v": 0.0, "reset_v": 0.0, "decay": 0.5, "resistance": 2.0}
    inputs = torch.tensor([0.5, 0.75]).view(2, 1, 1)
    spike = surrogate.Boxcar(1.0)
    slopes = ops.neuron_slopes("lif", torch.zeros(1, 1), torch.zeros(1, 1), inputs, surrogate=spike, **lif)
    slope = torch.autograd.functional.jacobian(lambda x: spike(x), torch.tensor([-0.5, 0.0])).diagonal()
    assert torch.equal(slopes.spike_of_input.flatten(), slope)
    assert torch.equal(slopes.spike_of_voltage.flatten(), slope / 2)
    # without a spike the voltage passes, less what the spike would take: its slope times the voltage that is reset
    reset = slope * torch.tensor([0.5, 1.0])
    kept = torch.tensor([1.0, 0.0]) - reset
    assert torch.equal(slopes.voltage_of_input.flatten(), kept)
    assert torch.equal(slopes.voltage_of_voltage.flatten(), kept / 2)


def test_parameters_of_each_neuron():
    torch.manual_seed(2)
    model, voltage, refrac, inputs, options = given("LIF", torch.float64)
    options["thresh_v"] = torch.linspace(-52, -48, voltage[0].numel(), dtype=torch.float64).view(voltage.shape[1:])
    made = ops.neuron_slopes(model, voltage, refrac, inputs, **options)
    wanted = module._by_single_steps(model, voltage, refrac, inputs, None, **options)
    assert all(map(torch.equal, made, wanted))


def test_adaptations_that_move_are_refused():
    model, voltage, refrac, inputs, options = given("ALIF", torch.float64)
    with pytest.raises(RuntimeError, match="adaptations must stand still"):
        ops.neuron_slopes(model, voltage, refrac, inputs, **options, reduction="mean")


def test_the_op_has_a_fake():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        voltage = torch.empty(2, 3)
        options = {"dt": 1.0, "refrac_t": 0.0, "thresh_v": 1.0, "rest_v": 0.0, "reset_v": 0.0, "decay": 0.5}
        spike = surrogate.ATan()
        options |= {"resistance": 1.0, "surrogate": spike}
        slopes = ops.neuron_slopes("lif", voltage, voltage, torch.empty(4, 2, 3), **options)
        assert {slope.shape for slope in slopes} == {(4, 2, 3)}
