"""Synapses: lookup of the past, between samples and out of range."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from states import run, spikes
from synapse_cases import KINDS, PROPERTY, synapse

from inferno_cuda.neural.base import InfernoSynapse
from inferno_cuda.neural.synapses.mixins import CurrentDerivedSpikeMixin


class Threshold(CurrentDerivedSpikeMixin, InfernoSynapse):
    """Records what it is given; a spike is a current above 1 nA."""

    partialconstructor = None

    def __init__(self, delay, **over):
        InfernoSynapse.__init__(self, 2, 1.0, delay, 1, False)
        options = {"current_overbound": 0.0, "spike_overbound": False, **over}
        CurrentDerivedSpikeMixin.__init__(self, torch.zeros(1, 2), "previous", tolerance=0.0, **options)

    def to_spikes(self, currents):
        return currents > 1.0

    def clear(self, **kwargs):
        self.current_.reset(0.0)

    def forward(self, x):
        self.current = x
        return self.current


@pytest.mark.parametrize("over", [False, True, None])
def test_spikes_derived_from_currents(backend, over):
    s = Threshold(2.0, spike_overbound=over)
    for x in ([2.0, 0.5], [0.0, 3.0]):
        s(torch.tensor([x]))
    assert s.spike.tolist() == [[False, True]] and s.spike.dtype == torch.bool
    s.spike = torch.ones(1, 2)
    assert s.spike.tolist() == [[False, True]] and list(s.state_dict()) == ["_current__data", "_extra_state"]
    at = torch.tensor([[[0.0, 1.0, 0.5, -1.0], [0.0, 1.0, 0.5, -1.0]]])
    end = [False, True] if over is None else [over, over]
    assert s.spike_at(at).tolist() == [[[False, True, True, end[0]], [True, False, False, end[1]]]]
    assert s.double().spike_at(at.double()).dtype == torch.bool


def test_nearest_takes_the_older_sample_on_a_tie(backend):
    s = synapse("delta", 1, spike_charge=1.0, delay=3.0, interp_mode="Nearest")
    for x in (0.0, 0.0, 1.0, 0.0):
        s(torch.full((1, 1), x))
    at = torch.tensor([[[0.4, 0.5, 0.6, 1.4, 1.5, 3.1]]])
    assert s.current_at(at).tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]
    assert s.spike_at(at).tolist() == [[[False, True, True, True, False, False]]]


def test_previous_takes_the_older_sample(backend):
    s = synapse("delta", 1, spike_charge=1.0, delay=3.0)
    for x in (0.0, 0.0, 1.0, 0.0):
        s(torch.full((1, 1), x))
    at = torch.tensor([[[0.0, 0.01, 0.99, 1.0, 1.01, 2.0]]])
    assert s.current_at(at).tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]


def test_exponential_decays_between_samples(backend):
    s = synapse("exponential", 1, delay=3.0)
    for x in (1.0, 0.0, 0.0, 0.0):
        s(torch.full((1, 1), x))
    at = torch.tensor([[[0.0, 0.25, 1.0, 1.75, 3.0]]])
    expected = 0.5 * torch.exp(-(3.0 - at) / 4.0)
    torch.testing.assert_close(s.current_at(at), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("over", [0.0, 7.5, None], ids=str)
@pytest.mark.parametrize("spike_over", [False, True, None], ids=str)
def test_out_of_range(backend, kind, over, spike_over):
    s = synapse(kind, 2, delay=3.0, current_overbound=over, spike_overbound=spike_over)
    s(torch.ones(1, 2))
    for _ in range(3):
        s(torch.tensor([[0.0, 1.0]]))
    at = torch.tensor([[[3.5, -0.5], [3.5, -0.5]]])
    inside = torch.tensor([[[3.0, 0.0], [3.0, 0.0]]])
    currents = s.current_at(inside) if over is None else torch.full((1, 2, 2), over)
    fired = s.spike_at(inside) if spike_over is None else torch.full((1, 2, 2), spike_over)
    assert torch.equal(s.current_at(at), currents) and torch.equal(s.spike_at(at), fired)
    # the current of a double exponential starts at zero
    assert s.current_at(inside)[0, 1].max() > 0 and s.spike_at(inside)[0, 0].tolist() == [True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_the_range_ends_at_the_delay_and_not_at_the_oldest_sample(backend, kind):
    s = synapse(kind, 1, delay=2.5, current_overbound=-1.0, spike_overbound=True)
    s(torch.ones(1, 1))
    for _ in range(3):
        s(torch.zeros(1, 1))
    at = torch.tensor([[[2.5, 2.6]]])
    assert s.current_at(at)[0, 0, 0] > 0 and s.current_at(at)[0, 0, 1] == -1.0
    s(torch.zeros(1, 1))
    assert s.spike_at(at).tolist() == [[[False, True]]]


@pytest.mark.parametrize("kind", KINDS)
def test_tolerance_snaps_and_widens_the_range(backend, kind):
    s = synapse(kind, 1, delay=3.0, interp_tol=0.125)
    for x in (1.0, 0.0, 1.0, 0.0):
        s(torch.full((1, 1), x))
    near, exact = torch.tensor([[[3.125, 2.875, 1.125, 0.875]]]), torch.tensor([[[3.0, 3.0, 1.0, 1.0]]])
    assert torch.equal(s.current_at(near), s.current_at(exact)) and torch.equal(s.spike_at(near), s.spike_at(exact))
    assert s.current_at(torch.tensor([[3.25]])).item() == 0.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["previous", "nearest"])
def test_selector_layouts(backend, kind, mode):
    s = synapse(kind, 5, batch_size=3, delay=4.0, interp_mode=mode)
    run(s, spikes(9, 3, 5))
    delay = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)) * 5 - 0.5
    whole = delay.expand(3, 5, 7)
    for at in (whole, whole.contiguous(), delay.t().contiguous().t().expand(3, 5, 7)):
        assert at.shape == s.current_at(at).shape == s.spike_at(at).shape
        for d in range(7):
            assert torch.equal(s.current_at(at)[..., d], s.current_at(at[..., d]))
            assert torch.equal(s.spike_at(at)[..., d], s.spike_at(at[..., d]))
    assert torch.equal(s.current_at(whole.round().long().clamp(0)), s.current_at(whole.round().clamp(0)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (1, 3, 2, 2), (3,), (1,)], ids=str)
def test_bad_selectors_raise(backend, kind, shape):
    s = synapse(kind, delay=2.0)
    for look in (s.current_at, s.spike_at):
        with pytest.raises(ValueError, match="selector"):
            look(torch.zeros(shape))


@pytest.mark.parametrize("kind", KINDS)
def test_delayed_current_describes_current_at(backend, kind):
    s = synapse(kind, 2, 0.5, delay=3.0, interp_tol=0.25, current_overbound=1.5)
    how = s.delayed_current()
    record, *expected = {
        "delta": ("spike_", "previous", None, 4.0),
        "delta plus": ("current_", "previous", None, 1.0),
        "exponential": ("current_", "expdecay", 4.0, 1.0),
        "double exponential": ("pos_current_", "expdecay", 4.0, 1.0),
    }[kind]
    assert how.record is getattr(s, record)
    assert [how.mode, how.time_constant, how.scale] == expected
    assert (how.tolerance, how.overbound) == (0.25, 1.5)
    if kind == "double exponential":
        minus = how.minus
        assert minus.record is s.neg_current_ and minus.minus is None
        assert (minus.mode, minus.time_constant, minus.scale) == ("expdecay", 1.5, 1.0)
        assert (minus.tolerance, minus.overbound) == (0.25, 0.0)
        clamped = synapse(kind, current_overbound=None).delayed_current()
        assert clamped.overbound is None and clamped.minus.overbound is None
    else:
        assert how.minus is None


@PROPERTY
@given(kind=st.sampled_from(KINDS), dt=st.sampled_from([0.1, 0.3, 0.7, 1.0, 1.3]), k=st.integers(0, 9))
def test_a_delay_of_k_steps_is_the_past(backend, kind, dt, k):
    s = synapse(kind, 4, dt, delay=9 * dt)
    inputs = spikes(25, 1, 4, seed=k)
    at = torch.full((1, 4), k * dt)
    now, then, fired = [], [], []
    for x in inputs:
        now.append(s(x))
        then.append(s.current_at(at))
        fired.append(s.spike_at(at))
    assert torch.equal(torch.stack(then)[k:], torch.stack(now)[: 25 - k])
    assert torch.equal(torch.stack(fired)[k:], inputs[: 25 - k]) and not torch.stack(then)[:k].any()


@PROPERTY
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_batch_items_are_independent_and_synapses_permute(backend, kind, seed):
    inputs = spikes(20, 3, 6, seed=seed)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    at = torch.rand(3, 6, generator=torch.Generator().manual_seed(seed)) * 4
    whole, moved = (synapse(kind, 6, batch_size=3, delay=4.0) for _ in range(2))
    assert torch.equal(run(whole, inputs)[..., order], run(moved, inputs[..., order]))
    assert torch.equal(whole.current_at(at)[:, order], moved.current_at(at[:, order]))
    for b in range(3):
        alone = synapse(kind, 6, delay=4.0)
        run(alone, inputs[:, b : b + 1])
        assert torch.equal(alone.current_at(at[b : b + 1])[0], whole.current_at(at)[b])
