"""Neurons with tensors as parameters, and neurons whose steps are captured in CUDA graphs."""

import pytest
import torch
from adaptation_cases import COPIES, NEURONS, assert_unchanged, drive, every, held, largest, lif, make, read, state_of

import inferno_cuda
from inferno_cuda.neural.neurons import _state
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

# -- tensors as parameters --------------------------------------------------------------------------------------------


def test_refractory_time_must_be_a_number(backend):
    for neurons in (lif(), make("ALIF")):
        before = state_of(neurons)
        neurons.refrac_t = torch.tensor(3.0)
        with pytest.raises(TypeError, match="'refrac_t' is a Tensor"):
            neurons(drive())
        assert_unchanged(neurons, before)


@pytest.mark.parametrize("name", ["LIF", *NEURONS])
def test_explain_and_native_tell_of_tensor_parameters(native, name):
    neurons = lif() if name == "LIF" else make(name)
    assert inferno_cuda.explain(neurons)[0].backend == "native"
    neurons.rest_v = torch.tensor([-60.0, -61.0, -62.0])
    row = inferno_cuda.explain(neurons)[0]
    assert row.backend == "torch" and "tensors run in torch: rest_v" in row.reason
    before = state_of(neurons)
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="native.*rest_v"):
        neurons(drive())
    assert_unchanged(neurons, before)
    neurons(drive())
    neurons.clear()
    assert torch.equal(neurons.voltage, neurons.rest_v.expand(2, 3))


def test_tensor_parameters_are_learned():
    neurons = lif()
    neurons.rest_v = torch.tensor([-60.0, -61.0, -62.0], requires_grad=True)
    for _ in range(2):
        neurons(drive(0.0))
        neurons(drive(0.0))
        neurons.voltage.sum().backward()
        neurons.clear()
        assert not neurons.voltage.requires_grad
    assert neurons.rest_v.grad.all()


def test_tensor_parameters_do_not_grow_the_state():
    neurons = lif()
    before = state_of(neurons)
    neurons.thresh_v = torch.full((4, 2, 3), -50.0)
    with pytest.raises(ValueError, match="thresh_v had shape"):
        neurons(drive())
    assert_unchanged(neurons, before)


# -- CUDA graphs, as far as they can be told without one --------------------------------------------------------------


@pytest.fixture
def capture(monkeypatch):
    """Makes steps believe that they are captured."""

    def start():
        monkeypatch.setattr(_state, "_capturing", lambda tensor: True)

    def stop():
        monkeypatch.setattr(_state, "_capturing", lambda tensor: False)

    start.stop = stop
    return start


@every
@pytest.mark.parametrize("reduction", [None, largest])
def test_captured_state_stays_where_it_is(backend, name, reduction, capture):
    neurons, eager = make(name, batch_reduction=reduction), make(name, batch_reduction=reduction)
    for n in (neurons, eager):
        n(drive())
    read(neurons), neurons.voltage
    capture()
    pointers = [tensor.data_ptr() for tensor in neurons.buffers()]
    neurons(drive())
    capture.stop()
    eager(drive())
    attribute = neurons._adaptation.rstrip("_")
    for n in (neurons, eager):
        read(n), n.voltage, n.refrac
        n(drive())
        n.voltage, n.refrac = -55.0, torch.ones(3)
        setattr(n, attribute, torch.ones(2, 3, 2))
        n(drive())
        setattr(n, attribute + "_", torch.full((3, 2), 0.5))
        n(drive())
        n.clear()
        n(drive())
        n.load_state_dict(n.state_dict(), assign=False)
        n(drive())
    for a, b in zip(neurons.buffers(), eager.buffers(), strict=True):
        assert_identical(a, b)
    for n in (neurons, eager):
        n.clear(keep_adaptations=False)
    assert pointers == [tensor.data_ptr() for tensor in neurons.buffers()]
    assert not held(neurons).any()


@pytest.mark.parametrize("when", ["while", "after"])
@pytest.mark.parametrize("name", ["LIF", *NEURONS])
def test_captured_steps_refuse_autograd(backend, name, when, capture):
    neurons = lif() if name == "LIF" else make(name)
    capture()
    if when == "after":
        neurons(drive())
        capture.stop()
    before = state_of(neurons)
    with pytest.raises(RuntimeError, match="captured CUDA graph"):
        neurons(drive(requires_grad=True))
    assert_unchanged(neurons, before)
    with torch.no_grad():
        neurons(drive(requires_grad=True))
    neurons.voltage = torch.zeros(3, requires_grad=True)
    assert not neurons.voltage.requires_grad


def test_a_refused_capture_leaves_training_alone(capture):
    neurons = make("ALIF")
    capture()
    with pytest.raises(RuntimeError, match="captured CUDA graph"):
        neurons(drive(requires_grad=True))
    capture.stop()
    neurons(drive(requires_grad=True))
    neurons.voltage.sum().backward()


@pytest.mark.parametrize("duplicate", COPIES)
def test_copies_were_never_captured_or_read(duplicate, capture):
    neurons = make("ALIF")
    capture()
    neurons(drive())
    capture.stop()
    neurons.voltage, read(neurons)
    twin = duplicate(neurons)
    twin(drive(requires_grad=True))
    twin.voltage.sum().backward()
    twin.clear()
    twin = duplicate(neurons)
    pointers = [tensor.data_ptr() for tensor in twin.buffers()]
    twin(drive())
    assert pointers == [tensor.data_ptr() for tensor in twin.buffers()]


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", ["LIF", *NEURONS])
def test_captured_steps_with_a_surrogate_stay_where_they_are(backend, name, learned, capture):
    neurons, eager = (lif() if name == "LIF" else make(name) for _ in range(2))
    for n in (neurons, eager):
        n.surrogate = ATan()
        if learned:
            n.resistance = torch.nn.Parameter(torch.tensor(1.5))
    capture()
    pointers = [tensor.data_ptr() for tensor in neurons.buffers()]
    with torch.no_grad():
        assert_identical(neurons(drive()), eager(drive()))
        ours, theirs = (n._run_sequence(torch.stack([drive()] * 5)) for n in (neurons, eager))
    assert_identical(ours.spikes, theirs.spikes)
    for a, b in zip(neurons.buffers(), eager.buffers(), strict=True):
        assert_identical(a, b)
    assert pointers == [tensor.data_ptr() for tensor in neurons.buffers()]
    before = state_of(neurons)
    for call in (lambda x: neurons(x), lambda x: neurons._run_sequence(x[None])):
        with pytest.raises(RuntimeError, match="captured CUDA graph"):
            call(drive(requires_grad=True))
        assert_unchanged(neurons, before)
