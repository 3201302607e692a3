"""Neurons with a surrogate, stepped: values, gradients through time, functions of others, attributes."""

import copy
import io
import pickle

import pytest
import torch
from surrogate_cases import EVERY, LEARNED, drive, neurons, referred, stepped
from test_neural_neurons import ADAPTIVE, make
from torch import nn

import inferno_cuda
from inferno_cuda.surrogate import ATan, Boxcar, SuperSpike
from inferno_cuda.testing import assert_identical


@pytest.fixture(params=EVERY)
def name(request):
    return request.param


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_values_are_those_without_a_surrogate(backend, name, dtype, grad):
    cells, plain = neurons(name, dtype), neurons(name, dtype, surrogate=None)
    x = drive(15, dtype)
    with torch.set_grad_enabled(grad):
        spikes, voltages = stepped(cells, x.requires_grad_(grad))
    expected, expected_voltages = stepped(plain, x.detach())
    assert spikes.dtype == dtype and expected.dtype == torch.bool and 10 < expected.sum() < expected.numel()
    assert spikes.requires_grad == grad
    assert_identical(spikes, expected.to(dtype))
    assert_identical(voltages, expected_voltages)
    assert_identical(cells.refrac, plain.refrac)
    assert torch.equal(cells.spike, plain.spike) and cells.spike.dtype == torch.bool
    if name in ADAPTIVE:
        assert_identical(getattr(cells, ADAPTIVE[name]), getattr(plain, ADAPTIVE[name]))


def test_state_is_in_place_where_no_graph_is_recorded(backend, name):
    """As without a surrogate: nothing is allocated for the state of an evaluation."""
    cells, x = neurons(name), drive(3)
    cells(x[0])
    where = cells._buffers["_voltage__data"].data_ptr()
    for now in x:
        cells(now)
    assert cells._buffers["_voltage__data"].data_ptr() == where
    kept = cells.voltage
    before = kept.clone()
    cells(x[0])
    assert torch.equal(kept, before)


def test_setting_and_removing_it_between_steps(backend):
    cells, plain = neurons("LIF", surrogate=None), neurons("LIF", surrogate=None)
    for t, now in enumerate(drive(12)):
        cells.surrogate = (None, ATan(), Boxcar(2.0))[t % 3]
        spikes, expected = cells(now), plain(now)
        assert spikes.dtype == (torch.bool if t % 3 == 0 else torch.float64)
        assert torch.equal(spikes != 0, expected)


# -- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock, detach_reset", [(True, False), (True, True), (False, False)])
def test_gradients_through_time_are_those_of_the_reference(backend, name, lock, detach_reset):
    cells = neurons(name, detach_reset=detach_reset)
    for attribute in LEARNED[name]:
        value = getattr(cells, attribute)
        per_neuron = attribute.startswith("t")  # thresholds and time constants, each of its own
        value = torch.full(cells.shape, value, dtype=torch.float64) if per_neuron else torch.tensor(value).double()
        setattr(cells, attribute, nn.Parameter(value))
    x = drive(18).requires_grad_()
    leaves = [x, *cells.parameters()]
    weight = torch.linspace(-1, 2, x.numel(), dtype=torch.float64).view_as(x)
    out = referred(cells, x, refrac_lock=lock, record=("voltage",))
    expected = torch.autograd.grad(((out.spikes + 0.1 * out.voltages) * weight).sum(), leaves)
    spikes, voltages = stepped(cells, x, refrac_lock=lock)
    found = torch.autograd.grad(((spikes + 0.1 * voltages) * weight).sum(), leaves)
    names = ["inputs", *dict(cells.named_parameters())]
    assert len(names) > 4
    for which, mine, theirs in zip(names, found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12, msg=lambda m, which=which: f"{which}: {m}")
        assert mine.any(), which


@pytest.mark.parametrize("attribute", ["tc_adaptation", "adapt_increment"])
def test_constants_of_adaptation_learn(backend, attribute):
    cells = neurons("ALIF")
    x = drive(30)
    setattr(cells, attribute, nn.Parameter(getattr(cells, attribute).clone()))
    expected = referred(cells, x).spikes.sum()
    (wanted,) = torch.autograd.grad(expected, list(cells.parameters()))
    (found,) = torch.autograd.grad(stepped(cells, x)[0].sum(), list(cells.parameters()))
    torch.testing.assert_close(found, wanted)
    assert found.all()
    with torch.no_grad():
        for now in x:
            assert not cells(now).requires_grad


def test_a_learned_constant_is_read_again_after_an_update(backend):
    learned, fresh = neurons("ALIF"), neurons("ALIF", tc_adaptation=(15.0, 50.0))
    learned.tc_adaptation = nn.Parameter(learned.tc_adaptation.clone())
    for grad in (False, True):
        with torch.no_grad():
            stepped(learned, drive(3))
            learned.tc_adaptation.mul_(0.5 if not grad else 1.0)
        for cells in (learned, fresh):
            cells.clear(keep_adaptations=False)
        with torch.set_grad_enabled(grad):
            for mine, theirs in zip(stepped(learned, drive(20)), stepped(fresh, drive(20)), strict=True):
                assert torch.equal(mine, theirs)


def test_a_reduction_of_ones_own(backend):
    def most(values, dim):
        return values.amax(dim)

    cells = neurons("ALIF", batch_reduction=most)
    x = drive(25).requires_grad_()
    spikes, _ = stepped(cells, x)
    (found,) = torch.autograd.grad(spikes[-1].sum(), x)
    plain = neurons("ALIF", batch_reduction=most, surrogate=None)
    assert torch.equal(stepped(plain, x.detach())[0], spikes != 0) and found.any()


def test_it_learns_to_spike():
    """The input that makes a neuron fire twice in 40 ms, by gradient descent from where it never fires."""
    cells = make("LIF", shape=1, surrogate=SuperSpike(0.3), detach_reset=True)
    current = nn.Parameter(torch.tensor([[8.0]]))
    optimizer = torch.optim.Adam([current], lr=1.0)
    counts = []
    for _ in range(16):
        cells.clear()
        count = sum(cells(current) for _ in range(40))
        counts.append(count.item())
        optimizer.zero_grad()
        (count - 2).square().sum().backward()
        optimizer.step()
    assert counts[0] == 0.0 and counts[-1] == 2.0


# -- functions of others ----------------------------------------------------------------------------------------------


def test_a_function_lends_its_gradient():
    x = drive(25)
    found = []
    for function in (inferno_cuda.surrogate.Sigmoid(0.5), lambda v: torch.sigmoid(0.5 * v)):
        y = x.clone().requires_grad_()
        stepped(neurons("LIF", surrogate=function), y)[0].sum().backward()
        found.append(y.grad)
    torch.testing.assert_close(found[0], found[1])


def test_explain_tells_of_it(native):
    cells = neurons("LIF")
    row = inferno_cuda.explain(cells)[0]
    assert (row.op, row.backend) == ("neuron_run", "native")
    cells.surrogate = torch.sigmoid
    row = inferno_cuda.explain(cells)[0]
    assert row.backend == "torch" and "sigmoid" in row.reason and "has no kernel" in row.reason
    cells.surrogate = ATan()
    cells.thresh_v = nn.Parameter(torch.full((4, 5), -50.0))
    assert inferno_cuda.explain(cells)[0].backend == "native"
    cells.rest_v = torch.full((2, 4, 5), -60.0)
    row = inferno_cuda.explain(cells)[0]
    assert row.backend == "torch" and "rest_v differs between the samples" in row.reason


def test_snntorchs_functions():
    theirs = pytest.importorskip("snntorch.surrogate").atan(alpha=2.0)
    x, y = drive(25).requires_grad_(), drive(25).requires_grad_()
    stepped(neurons("LIF", surrogate=theirs), x)[0].sum().backward()
    stepped(neurons("LIF", surrogate=ATan(2.0)), y)[0].sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_spikingjellys_modules():
    """A module becomes a child, and is copied, pickled and removed as one."""
    theirs = pytest.importorskip("spikingjelly.activation_based.surrogate").ATan(alpha=2.0)
    cells = neurons("LIF", surrogate=theirs)
    assert cells.surrogate is theirs and theirs in cells.children()
    x, y = drive(25).requires_grad_(), drive(25).requires_grad_()
    stepped(pickle.loads(pickle.dumps(cells)), x)[0].sum().backward()
    stepped(neurons("LIF", surrogate=ATan(2.0)), y)[0].sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    cells.surrogate = ATan()
    assert cells.surrogate == ATan() and not list(cells.children())
    cells.surrogate = theirs
    assert cells.surrogate is theirs
    cells.surrogate = None
    assert cells.surrogate is None and cells(drive(1)[0]).dtype == torch.bool


# -- attributes -------------------------------------------------------------------------------------------------------


def test_defaults(name):
    cells = make(name)
    assert cells.surrogate is None and cells.detach_reset is False


@pytest.mark.parametrize("value", [3, "atan", ATan])
def test_what_is_no_surrogate_is_refused(value):
    with pytest.raises(TypeError, match="'surrogate' was .* it must be None or a function"):
        make("LIF", surrogate=value)
    cells = neurons("LIF")
    with pytest.raises(TypeError, match="'surrogate'"):
        cells.surrogate = value
    assert cells.surrogate == ATan(0.2)


def test_detach_reset_must_be_a_bool():
    with pytest.raises(TypeError, match="'detach_reset' was 1; it must be a bool"):
        make("LIF", detach_reset=1)


def test_a_learned_refractory_time_is_refused(backend):
    cells, x = neurons("LIF"), drive(1)[0]
    cells.refrac_t = nn.Parameter(torch.tensor(3.0))
    before = cells.voltage.clone()
    with pytest.raises(TypeError, match="'refrac_t' is a Tensor"):
        cells(x)
    assert torch.equal(cells.voltage, before)


def test_copies(backend, name):
    cells = neurons(name, detach_reset=True)
    cells.rest_v = nn.Parameter(torch.tensor(-60.0, dtype=torch.float64))
    x = drive(10).requires_grad_()
    stepped(cells, x[:4])
    for twin in (copy.deepcopy(cells), pickle.loads(pickle.dumps(cells))):
        assert twin.surrogate == ATan(0.2) and twin.detach_reset and isinstance(twin.rest_v, nn.Parameter)
        assert not twin.voltage.requires_grad and twin.rest_v is not cells.rest_v
        twin.load_state_dict(cells.state_dict())
        spikes, _ = stepped(twin, x[4:])
        reference_run = copy.deepcopy(cells)
        assert torch.equal(spikes, stepped(reference_run, x[4:])[0]) and spikes.requires_grad


def test_the_state_dict_does_not_know_of_it(name):
    with_it, without = neurons(name), neurons(name, surrogate=None)
    assert list(with_it.state_dict()) == list(without.state_dict())
    file = io.BytesIO()
    torch.save(with_it.state_dict(), file)
    file.seek(0)
    without.load_state_dict(torch.load(file))


def test_conversion_refuses_what_the_other_library_lacks():
    pytest.importorskip("inferno")
    cells = make("LIF", surrogate=ATan())
    with pytest.raises(inferno_cuda.ConversionError, match="set 'surrogate' to None"):
        inferno_cuda.to_inferno(cells)
    cells.surrogate = None
    theirs = inferno_cuda.to_inferno(cells)
    assert not hasattr(theirs, "surrogate") and not hasattr(theirs, "detach_reset")
    assert inferno_cuda.from_inferno(theirs).surrogate is None
