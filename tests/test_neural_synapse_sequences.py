"""Sequences of synapses at once: the currents, histories and gradients are those of single steps."""

import pytest
import torch
from states import assert_same_state, states
from synapse_cases import KINDS, synapse

from inferno_cuda.neural import DeltaCurrent
from inferno_cuda.testing import assert_identical

B, SHAPE = 2, (5,)


def pair(kind, **options):
    options = {"shape": SHAPE, "batch_size": B, **options}
    return synapse(kind, **options), synapse(kind, **options)


def inputs_of(kind, steps, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(steps, B, *SHAPE, generator=g) < 0.4
    x = x if dtype == torch.bool else (x * torch.rand(x.shape, generator=g)).to(dtype)
    return (x, torch.rand(x.shape, generator=g), 0.5) if kind == "delta plus" else (x,)


def step(module, inputs, t):
    return module(*(x[t] if isinstance(x, torch.Tensor) else x for x in inputs))


def records(module):
    how = module.delayed_current()
    return [part.record for part in (how, how.minus) if part is not None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64, torch.int64], ids=str)
def test_a_sequence_is_that_many_steps(backend, kind, delay, dtype):
    once, each = pair(kind, delay=delay)
    for k, steps in enumerate((3, 0, 1, 9)):
        inputs = inputs_of(kind, steps, dtype, seed=k)
        before = [[record.read(age) for age in range(record.recordsz - 1, 0, -1)] for record in records(once)]
        current, series = once._sequence(inputs, True)
        wanted = [step(each, inputs, t) for t in range(steps)]
        assert_identical(current, torch.stack(wanted) if wanted else current.new_empty(0, B, *SHAPE))
        assert_same_state(states(once), states(each))
        for past, record, old in zip(series, records(once), before, strict=True):
            assert past.shape == (record.recordsz - 1 + steps, B, *SHAPE) and past.dtype == record.value.dtype
            for x, y in zip(past, old, strict=False):
                assert_identical(x, y)
            for age in range(1, record.recordsz):
                assert_identical(past[-age], record.read(age))


def test_without_past_there_is_no_series(backend):
    once, _ = pair("exponential", delay=3.0)
    assert once._sequence(inputs_of("exponential", 2), False)[1] == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_are_those_of_single_steps(backend, kind, delay, dtype):
    once, each = pair(kind, delay=delay)
    inputs = inputs_of(kind, 8, dtype)
    leaves = [[x.clone().requires_grad_() for x in inputs if isinstance(x, torch.Tensor)] for _ in range(2)]
    cost = torch.rand(8, B, *SHAPE)
    # two sequences, of which the second begins with what the first one recorded
    parts = [once._sequence([x[part] for x in leaves[0]], False)[0] for part in (slice(3), slice(3, 8))]
    (torch.cat(parts) * cost).sum().backward()
    (torch.stack([step(each, leaves[1], t) for t in range(8)]) * cost).sum().backward()
    for a, b in zip(*leaves, strict=True):
        assert a.grad.any()
        torch.testing.assert_close(a.grad, b.grad)


def test_delta_spikes_with_a_gradient_are_a_series_of_currents(backend):
    s, _ = pair("delta", delay=2.0)
    s(torch.ones(B, *SHAPE))
    x = inputs_of("delta", 4)[0].requires_grad_()
    current, (series,) = s._sequence((x,), True)
    assert_identical(series[2:], current)
    assert series[:2].tolist() == [torch.zeros(B, *SHAPE).tolist(), torch.full((B, *SHAPE), 2.0).tolist()]
    (gradient,) = torch.autograd.grad(series.sum(), x)
    assert gradient.eq(2.0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_the_gradient_of_a_single_delta_step_is_that_of_the_magnitude(backend, dtype):
    s = DeltaCurrent(3, 0.5, spike_charge=2.0)
    x = torch.tensor([[0.0, 0.5, -3.0]], dtype=dtype, requires_grad=True)
    out = s(x)
    assert out.tolist() == [[0.0, 4.0, 4.0]] and s.spike.tolist() == [[False, True, True]]
    out.sum().backward()
    assert x.grad.tolist() == [[4.0, 4.0, 4.0]] and x.grad.dtype == dtype
    s.inplace = True
    assert not s(x).requires_grad
    s.inplace = False
    with torch.no_grad():
        assert not s(x).requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_forced_writes_in_place_cut_the_graph(backend, kind):
    once, each = pair(kind, delay=2.0, inplace=True)
    x = inputs_of("delta", 4)[0].requires_grad_()
    current, series = once._sequence((x,), True)
    assert not current.requires_grad and not any(y.requires_grad for y in series)
    assert_identical(current, torch.stack([each(y) for y in x]))
    assert_same_state(states(once), states(each))


def test_what_only_single_steps_do_is_left_to_them(backend):
    class Own(DeltaCurrent):
        def forward(self, *inputs, **kwargs):
            return super().forward(*inputs, **kwargs) + 1

    class Tensors(DeltaCurrent):
        pass

    x = inputs_of("delta", 3)
    assert Own(SHAPE, 1.0, spike_charge=2.0, batch_size=B)._sequence(x, False) is None
    s = Tensors(SHAPE, 1.0, spike_charge=2.0, batch_size=B)
    handle = s.register_forward_hook(lambda *_: None)
    assert s._sequence(x, False) is None
    handle.remove()
    assert s._sequence(x, False) is not None
    s.spike_charge = torch.tensor(2.0)
    before = states(s)
    assert s._sequence(x, False) is None
    assert_same_state(states(s), before)


BAD = [
    ("delta", (), TypeError, "takes one input"),
    ("delta", (torch.ones(3, B, *SHAPE),) * 2, TypeError, "'inputs' has 2"),
    ("delta plus", (), TypeError, "'inputs' has 0"),
    ("exponential", (torch.ones(B, *SHAPE),), ValueError, r"must be \('T', 2, 5\)"),
    ("exponential", (torch.ones(()),), ValueError, r"must be \('T', 2, 5\)"),
    ("exponential", ([1.0],), TypeError, "is a list"),
    ("exponential", (torch.ones(3, B, *SHAPE, dtype=torch.complex64),), TypeError, "must be real"),
    ("delta plus", (torch.ones(3, B, *SHAPE), torch.ones(2, B, *SHAPE)), ValueError, "3 steps"),
    ("delta plus", (torch.ones(3, B, *SHAPE), torch.ones(3, 4)), ValueError, r"broadcasts to \(2, 5\)"),
    ("delta plus", (torch.ones(3, B, *SHAPE), torch.ones(())), ValueError, "3 steps"),
]


@pytest.mark.parametrize("kind, inputs, error, match", BAD, ids=[match for *_, match in BAD])
def test_bad_inputs_leave_the_state(backend, kind, inputs, error, match):
    s, _ = pair(kind, delay=2.0)
    before = states(s)
    with pytest.raises(error, match=match):
        s._sequence(inputs, True)
    assert_same_state(states(s), before)


def test_currents_broadcast_in_every_step(backend):
    once, each = pair("delta plus")
    x, row = torch.ones(4, B, *SHAPE), torch.rand(4, *SHAPE)
    current, _ = once._sequence((x, row), False)
    assert_identical(current, torch.stack([each(x[t], row[t]) for t in range(4)]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 3])
def test_gradients_reach_the_spikes_of_the_sequence_before(backend, kind, cut):
    x = inputs_of("exponential", 5)[0]
    found = []
    for cuts in ([x.shape[0]], [cut, x.shape[0] - cut]):
        s, leaf = pair(kind, delay=3.0)[0], x.clone().requires_grad_()
        last = [s._sequence((part,), True)[1] for part in leaf.split(cuts)][-1]
        cost = torch.rand(last[0][-5:].shape, generator=torch.Generator().manual_seed(1))
        found.append(torch.autograd.grad(sum((series[-5:] * cost).sum() for series in last), leaf)[0])
    torch.testing.assert_close(*found)
    assert found[0][0].any()


def test_spikes_that_were_written_since_have_no_gradient(backend):
    for change in (lambda s: s(torch.ones(B, *SHAPE)), lambda s: s.clear(), lambda s: s.spike_.push(s.spike)):
        s = pair("delta", delay=3.0)[0]
        s._sequence((inputs_of("delta", 4)[0].requires_grad_(),), True)
        change(s)
        assert s._sequence(inputs_of("delta", 2), True)[1][0].dtype == torch.bool
