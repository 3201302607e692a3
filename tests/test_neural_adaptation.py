"""State of neurons that adapt: who owns it, how long it lives, reductions over the batch, constants."""

import pytest
import torch
from adaptation_cases import COPIES, assert_unchanged, drive, every, held, largest, make, read, state_of

import inferno_cuda
from inferno_cuda.testing import assert_identical

# -- autograd ---------------------------------------------------------------------------------------------------------


@every
def test_clear_cuts_the_graph_through_kept_adaptations(backend, name):
    neurons, x = make(name), drive(requires_grad=True)
    for _ in range(2):
        neurons.clear()
        assert not held(neurons).requires_grad
        for _ in range(5):
            neurons(x)
        (neurons.voltage.sum() + read(neurons).sum()).backward()
    kept = held(neurons).detach().clone()
    neurons.clear()
    assert_identical(held(neurons), kept)


@every
def test_clear_leaves_the_graph_that_it_cuts(backend, name):
    neurons, x = make(name), drive(requires_grad=True)
    for _ in range(5):
        neurons(x)
    loss = neurons.voltage.sum() + read(neurons).sum()
    neurons.clear()
    neurons(drive())
    loss.backward()
    assert x.grad.any()


@every
def test_steps_without_gradients_stay_in_place(backend, name):
    neurons = make(name)
    pointers = [tensor.data_ptr() for tensor in neurons.buffers()]
    with torch.no_grad():
        for _ in range(3):
            neurons(drive(requires_grad=True))
    assert pointers == [tensor.data_ptr() for tensor in neurons.buffers()]


@every
def test_steps_without_gradients_spare_the_graph_before(backend, name):
    neurons, x = make(name), drive(requires_grad=True)
    neurons(x)
    loss = (neurons.voltage_.value ** 2).sum() + (held(neurons) ** 2).sum()
    with torch.no_grad():
        neurons(x)
    assert not neurons.voltage_.value.requires_grad and not held(neurons).requires_grad
    loss.backward()
    assert x.grad.any()


def test_what_was_read_stays_although_steps_without_adaptation_come_between(backend):
    neurons = make("ALIF")
    adaptation = neurons.threshold_adaptation
    neurons(drive(), adapt=False)
    for _ in range(5):
        neurons(drive(500.0))
    assert not adaptation.any() and neurons.threshold_adaptation.any()


# -- who owns the adaptations -----------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("how", ["step", "read", "graph", "clear", "reset", "assign", "buffer", "load", "build"])
def test_adaptations_outlive_inference_mode(backend, name, how):
    neurons = make(name)
    if how in ("graph", "clear", "reset"):
        neurons(drive(requires_grad=True))
    if how in ("read", "reset"):
        read(neurons)
    with torch.inference_mode():
        if how == "clear":
            neurons.clear()
        elif how == "reset":
            neurons.clear(keep_adaptations=False)
        elif how == "assign":
            setattr(neurons, neurons._adaptation.rstrip("_"), torch.ones(3, 2))
        elif how == "buffer":
            setattr(neurons, neurons._adaptation, torch.ones(3, 2))
        elif how == "load":
            neurons.load_state_dict(neurons.state_dict(), assign=True)
        elif how == "build":
            neurons = make(name)
        else:
            neurons(drive())
    assert not any(tensor.is_inference() for tensor in (held(neurons), neurons.voltage_.value, neurons.refrac_.value))
    neurons(drive())
    neurons(drive(requires_grad=True))
    (neurons.voltage.sum() + read(neurons).sum()).backward()


@every
def test_state_dicts_are_snapshots(backend, name):
    neurons, other = make(name), make(name)
    inputs = torch.rand(9, 2, 3) * 60
    for x in inputs[:4]:
        neurons(x)
    saved = neurons.state_dict()
    before = {key: value.clone() for key, value in saved.items() if isinstance(value, torch.Tensor)}
    assert neurons.state_dict(keep_vars=True)[neurons._adaptation] is held(neurons)
    expected = [neurons(x).clone() for x in inputs[4:]]
    other.load_state_dict(saved)
    assert all(torch.equal(other(x), y) for x, y in zip(inputs[4:], expected, strict=True))
    neurons.load_state_dict(saved, assign=True)
    for _ in range(2):
        neurons(inputs[0])
    for key, value in before.items():
        assert_identical(saved[key], value)
    neurons.load_state_dict(saved)
    assert all(torch.equal(neurons(x), y) for x, y in zip(inputs[4:], expected, strict=True))


@every
def test_tensors_given_to_the_buffer_are_not_written_to(backend, name):
    neurons, given = make(name), torch.ones(3, 2)
    setattr(neurons, neurons._adaptation, given)
    assert torch.equal(getattr(neurons, neurons._adaptation), given)
    for _ in range(3):
        neurons(drive(500.0))
    neurons.clear(keep_adaptations=False)
    assert torch.equal(given, torch.ones(3, 2)) and not held(neurons).any()


@every
def test_gradients_pass_assigned_adaptations(name):
    for suffix in ("", "_"):
        neurons, start = make(name), torch.full((3, 2), 2.0, requires_grad=True)
        setattr(neurons, neurons._adaptation.rstrip("_") + suffix, start)
        neurons(drive(0.0))
        read(neurons).sum().backward()
        assert start.grad.all()


@every
@pytest.mark.parametrize("duplicate", COPIES)
def test_copies_leave_the_graph_behind(backend, name, duplicate):
    neurons, x = make(name), drive(requires_grad=True)
    for _ in range(3):
        neurons(x)
    twin = duplicate(neurons)
    assert not any(tensor.requires_grad for tensor in twin.buffers())
    assert_identical(held(twin), held(neurons).detach())
    assert torch.equal(twin(drive()), neurons(drive()))
    read(neurons).sum().backward()


# -- constants --------------------------------------------------------------------------------------------------------


@every
def test_steps_in_inference_mode_leave_constants_that_train(backend, name):
    neurons = make(name)
    with torch.inference_mode():
        neurons(drive())
    x = drive(requires_grad=True)
    neurons(x)
    (neurons.voltage.sum() + read(neurons).sum()).backward()
    assert x.grad.any()


@every
@pytest.mark.parametrize("write", ["data", "inference"])
def test_every_write_to_the_constants_is_seen(backend, name, write):
    if write == "inference":
        with torch.inference_mode():
            neurons = make(name)
    else:
        neurons = make(name)
    neurons(drive())
    for jump in (3.0, 5.0):
        if write == "data":
            neurons.adapt_increment.data.fill_(jump)
        else:
            with torch.inference_mode():
                neurons.adapt_increment.fill_(jump)
        neurons.clear(keep_adaptations=False)
        neurons(drive(1e5))
        other = make(name, spike_increment=(jump, jump))
        other(drive(1e5))
        assert_identical(held(neurons), held(other))


# -- reductions -------------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_own_reductions_of_half_types_round_once(backend, name, dtype):
    def mean(values, dim):
        assert values.dtype == torch.float32
        return values.mean(dim)

    fused, own = make(name).to(dtype), make(name, batch_reduction=mean).to(dtype)
    for x in torch.rand(20, 2, 3).to(dtype) * 60:
        assert torch.equal(fused(x), own(x))
        assert_identical(held(fused), held(own))
    samples = torch.rand(2, 3, 2).to(dtype)
    setattr(own, own._adaptation.rstrip("_"), samples)
    assert_identical(held(own), samples.float().mean(0).to(dtype))


def fails(values, dim):
    raise ArithmeticError("no")


@pytest.mark.parametrize(
    "reduction, error, match",
    [
        (fails, ArithmeticError, "no"),
        (torch.median, TypeError, "batch_reduction.*median"),
        (lambda values, dim: None, TypeError, "batch_reduction.*NoneType"),
        (lambda values, dim: values, ValueError, "batch_reduction.*shape"),
        (lambda values, dim: values.mean(dim, keepdim=True), ValueError, "batch_reduction.*shape"),
        (lambda values, dim: values.mean(dim)[1:], ValueError, "batch_reduction.*shape"),
        (lambda values, dim: values.mean(dim).double(), TypeError, "batch_reduction.*float64"),
    ],
)
@every
def test_reductions_that_fail_leave_the_state(backend, name, reduction, error, match):
    neurons = make(name)
    neurons(drive())
    before = state_of(neurons)
    neurons._batch_reduction = reduction
    with pytest.raises(error, match=match):
        neurons(drive())
    assert_unchanged(neurons, before)
    with pytest.raises(error, match=match):
        setattr(neurons, neurons._adaptation.rstrip("_"), torch.ones(2, 3, 2))
    assert_unchanged(neurons, before)


def test_reductions_need_no_hash(backend):
    class Largest:
        __hash__ = None

        def __call__(self, values, dim):
            return values.amax(dim)

    a, b = make("ALIF", batch_reduction=Largest()), make("ALIF", batch_reduction=largest)
    for x in torch.rand(10, 2, 3) * 500:
        assert torch.equal(a(x), b(x))
        assert_identical(held(a), held(b))


@pytest.mark.parametrize("kind", ["mean", "sum"])
def test_reductions_of_this_package_are_fused(backend, kind):
    ours = make("ALIF", batch_reduction=getattr(inferno_cuda.functional, kind))
    torchs = make("ALIF", batch_reduction=getattr(torch, kind))
    pointer = held(ours).data_ptr()
    for x in torch.rand(10, 2, 3) * 500:
        assert torch.equal(ours(x), torchs(x))
    assert_identical(held(ours), held(torchs))
    assert held(ours).data_ptr() == pointer


def test_what_a_reduction_returns_stays_its_own(backend):
    kept = torch.ones(3, 2)
    neurons = make("ALIF", batch_reduction=lambda values, dim: kept)
    neurons(drive())
    neurons._batch_reduction = torch.mean
    neurons(drive(500.0))
    assert torch.equal(kept, torch.ones(3, 2))
