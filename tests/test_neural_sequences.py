"""Whole sequences of steps by neurons: what single calls give, state and gradients included."""

import copy

import pytest
import torch
from surrogate_cases import EVERY, drive, neurons, referred
from test_neural_neurons import ADAPTIVE
from torch import nn

import inferno_cuda
from inferno_cuda import surrogate
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import DTYPES, assert_identical

RECORD = ("refrac", "voltage")


@pytest.fixture(params=EVERY)
def name(request):
    return request.param


def stepped(cells, x, **options):
    found = [(cells(now, **options), cells.refrac, cells.voltage) for now in x]
    return [torch.stack(series) for series in zip(*found, strict=True)]


def assert_same_state(ours, theirs):
    for (name, a), (_, b) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        assert_identical(a, b, name)
    assert torch.equal(ours.spike, theirs.spike)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, lock", [(None, True), (ATan(), True), (ATan(), False)])
def test_sequences_are_calls(backend, name, dtype, shape, lock):
    cells, x = neurons(name, dtype, surrogate=shape), drive(14, dtype)
    twin = copy.deepcopy(cells)
    out = cells._run_sequence(x, RECORD, refrac_lock=lock)
    for ours, theirs in zip((out.spikes, *out.records.values()), stepped(twin, x, refrac_lock=lock), strict=True):
        assert_identical(ours, theirs)
    assert list(out.records) == list(RECORD) and 10 < out.spikes.sum() < out.spikes.numel()
    assert_same_state(cells, twin)


@pytest.mark.parametrize("cuts", [(1,), (7, 8), (0, 11, 11)])
def test_chunks_are_one_sequence(backend, name, cuts):
    cells, x = neurons(name), drive(14).requires_grad_()
    twin = copy.deepcopy(cells)
    chunks = [cells._run_sequence(part) for part in x.tensor_split(cuts)]
    spikes, whole = torch.cat([chunk.spikes for chunk in chunks]), twin._run_sequence(x)
    assert_identical(spikes, whole.spikes)
    assert_same_state(cells, twin)
    weight = torch.linspace(-1, 2, spikes.numel(), dtype=torch.float64).view_as(spikes)
    found, wanted = (torch.autograd.grad((run * weight).sum(), x)[0] for run in (spikes, whole.spikes))
    torch.testing.assert_close(found, wanted)
    assert found[0].any()


@pytest.mark.parametrize("adapt", [None, True, False])
@pytest.mark.parametrize("training", [True, False])
def test_adaptations_move_as_in_calls(backend, adapt, training):
    for name in ADAPTIVE:
        cells, x = neurons(name).train(training), drive(12)
        twin, before = copy.deepcopy(cells), getattr(cells, ADAPTIVE[name]).clone()
        cells._run_sequence(x, adapt=adapt)
        stepped(twin, x, adapt=adapt)
        assert_same_state(cells, twin)
        moves = training if adapt is None else adapt
        assert torch.equal(getattr(cells, ADAPTIVE[name]), before) != moves


def test_gradients_are_those_of_calls(backend, name):
    cells, x = neurons(name), drive(15).requires_grad_()
    cells.resistance = nn.Parameter(torch.ones(4, 5, dtype=torch.float64))
    twin = copy.deepcopy(cells)
    out = cells._run_sequence(x, ("voltage",))
    spikes, _, voltages = stepped(twin, x)
    weight = torch.linspace(-1, 2, spikes.numel(), dtype=torch.float64).view_as(spikes)
    found = torch.autograd.grad(((out.spikes + out.records["voltage"]) * weight).sum(), (x, cells.resistance))
    wanted = torch.autograd.grad(((spikes + voltages) * weight).sum(), (x, twin.resistance))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert ours.any()


@pytest.mark.parametrize("cls", [getattr(surrogate, n) for n in surrogate.__all__ if n != "Surrogate"])
def test_every_surrogate_has_a_gradient(backend, cls):
    """That of the reference, and not all zeros."""
    cells, x = neurons("ALIF", surrogate=cls(0.03)), drive(12).requires_grad_()
    expected = referred(cells, x).spikes
    (wanted,) = torch.autograd.grad((expected * expected.cumsum(0).detach()).sum(), x)
    spikes = cells._run_sequence(x).spikes
    (found,) = torch.autograd.grad((spikes * expected.cumsum(0).detach()).sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    assert found.count_nonzero() > 100


def test_inputs_broadcast_as_in_calls(backend):
    for shape in [(6, 1, 4, 5), (6, 2, 1, 5), (6, 5), (6, 1), (6,), (6, 2, 4, 5)]:
        cells, x = neurons("LIF"), 40 * torch.rand(shape)
        twin = copy.deepcopy(cells)
        assert_identical(cells._run_sequence(x).spikes, stepped(twin, x)[0])
        assert_same_state(cells, twin)


@pytest.mark.parametrize("x, error, said", [
    (torch.zeros(6, 2, 4, 4), ValueError, "one dimension of steps"),
    (torch.zeros(6, 1, 2, 4, 5), ValueError, "one dimension of steps"),
    (torch.tensor(1.0), ValueError, "one dimension of steps"),
    (torch.zeros(6, 2, 4, 5).double(), TypeError, "converts to torch.float32"),
    (3.0, TypeError, "must be a Tensor"),
])  # fmt: skip
def test_other_inputs_are_refused(backend, x, error, said):
    cells = neurons("LIF", torch.float32)
    before = cells.voltage.clone()
    with pytest.raises(error, match=said):
        cells._run_sequence(x)
    assert torch.equal(cells.voltage, before)


def test_no_steps_leave_everything(backend, name):
    cells = neurons(name)
    cells._run_sequence(drive(9))
    twin, kept = copy.deepcopy(cells), cells.voltage
    out = cells._run_sequence(drive(9)[:0], RECORD)
    assert out.spikes.shape == out.records["voltage"].shape == (0, 2, 4, 5) and out.spikes.dtype == torch.float64
    assert_same_state(cells, twin)
    before = kept.clone()
    with torch.no_grad():
        cells(drive(1)[0])
    assert torch.equal(kept, before)  # what was read keeps its values


def test_what_was_read_keeps_its_values(backend, name):
    cells = neurons(name)
    voltage, out = cells.voltage, cells._run_sequence(drive(9), RECORD)
    start = voltage.clone()
    last, recorded = cells.voltage, out.records["voltage"].clone()
    with torch.no_grad():
        for now in drive(5):
            cells(now)
    assert torch.equal(voltage, start) and torch.equal(last, recorded[-1])
    assert torch.equal(out.records["voltage"], recorded)


def test_without_gradients_the_state_has_none(backend, name):
    cells, x = neurons(name), drive(9).requires_grad_()
    with torch.no_grad():
        assert not cells._run_sequence(x).spikes.requires_grad
    assert not any(buffer.requires_grad for buffer in cells.buffers())
    cells._run_sequence(x)
    assert cells.voltage.requires_grad
    cells.detach_()
    assert not any(buffer.requires_grad for buffer in cells.buffers())


def hooked(kind):
    cells = neurons("LIF")
    getattr(cells, f"register_{kind}")(lambda *_: None)
    return cells


class Louder(type(neurons("LIF"))):
    def forward(self, inputs, refrac_lock=True, **kwargs):
        return super().forward(2 * inputs, refrac_lock)


def replaced():
    cells = neurons("LIF")
    cells.forward = lambda inputs: inputs
    return cells


def overridden():
    cells = neurons("LIF")
    cells.__class__ = Louder
    return cells


@pytest.mark.parametrize("make", [
    lambda: hooked("forward_hook"),
    lambda: hooked("forward_pre_hook"),
    lambda: hooked("full_backward_hook"),
    lambda: hooked("full_backward_pre_hook"),
    replaced,
    overridden,
    lambda: neurons("ALIF", batch_reduction=lambda values, dim: values.amax(dim)),
])  # fmt: skip
def test_calls_that_must_be_made(make):
    cells = make()
    before = cells.voltage.clone()
    assert cells._run_sequence(drive(3)) is None
    assert torch.equal(cells.voltage, before)


def test_a_hook_on_all_modules_is_called():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert neurons("LIF")._run_sequence(drive(3)) is None
    finally:
        handle.remove()
    assert neurons("LIF")._run_sequence(drive(3)) is not None


def test_a_reduction_that_is_not_needed_does_not_matter():
    cells = neurons("ALIF", batch_reduction=lambda values, dim: values.amax(dim)).eval()
    assert cells._run_sequence(drive(3)) is not None
    assert cells._run_sequence(drive(3), adapt=True) is None


def test_records_that_it_does_not_have():
    assert neurons("LIF")._run_sequence(drive(3), ("voltage", "spike")) is None


def test_other_neurons_are_called_step_by_step():
    cells = inferno_cuda.extra.ExactNeuron(3, 1.0, rest_v=-60.0, thresh_v=-50.0)
    assert cells._run_sequence(torch.zeros(4, 1, 3)) is None
