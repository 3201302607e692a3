"""The four kinds of synapses: worked numbers, and the currents of each step."""

import math

import pytest
import torch
from states import assert_same_state, spikes, states
from synapse_cases import KINDS, synapse


def test_delta_is_charge_over_step(backend):
    s = synapse("delta", step_time=0.5)
    x = torch.tensor([[1.0, 0.0, -3.0]])
    assert torch.equal(s(x), torch.tensor([[4.0, 0.0, 4.0]])) and torch.equal(s.current, s(x))
    assert s.spike.tolist() == [[True, False, True]]
    s.current = torch.ones(1, 3)
    assert torch.equal(s.current, torch.tensor([[4.0, 0.0, 4.0]]))


def test_exponential_jumps_and_decays(backend):
    s = synapse("exponential", 1)
    currents = [s(torch.full((1, 1), x)).item() for x in (1.0, 0.0, 0.5)]
    assert currents == pytest.approx([0.5, 0.38940, 0.55327], abs=5e-6)
    assert s.spike.item() and s.current.item() == currents[-1]


def test_exponential_records_spikes(backend):
    s = synapse("exponential", 1, delay=2.0)
    for x in (1.0, 0.0, 0.5):
        s(torch.full((1, 1), x))
    assert s.spike_at(torch.tensor([[[2.0, 1.0, 0.0]]])).tolist() == [[[True, False, True]]]


def test_exponential_reads_parameters_live(backend):
    s = synapse("exponential", 1)
    s(torch.ones(1, 1))
    s.time_constant, s.spike_charge = 2.0, 3.0
    assert s(torch.ones(1, 1)).item() == pytest.approx(0.5 * math.exp(-0.5) + 1.5)


def test_assigning_pushes_onto_one_history(backend):
    s = synapse("exponential", 1, delay=2.0)
    s.current = torch.full((1, 1), 5.0)
    s.current = torch.full((1, 1), 6.0)
    s.spike = torch.ones(1, 1)
    assert s.current.item() == 6.0 and s.current_.read(2).item() == 5.0 and s.current_.pointer == 2
    assert s.spike.item() and s.spike_.pointer == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_returned_or_read_keeps_its_values(backend, kind):
    s = synapse(kind)
    kept, copies = [], []
    for x in spikes(10, 1, 3):
        kept += [s(x), s.current, s.spike]
        copies += [t.clone() for t in kept[-3:]]
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0.0, 3.0])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_what_is_returned_is_the_present_current(backend, kind, delay, shape):
    for dtype in (torch.float32, torch.float16):
        s = synapse(kind, shape, batch_size=2, delay=delay).to(dtype)
        for x in spikes(6, 2, *shape):
            assert torch.equal(s(x * 1.5), s.current) and torch.equal(s.spike, x)


def test_delta_plus_weighs_spikes_and_adds_currents(backend):
    s = synapse("delta plus", step_time=0.5, delay=0.5)
    x = torch.tensor([[1.0, 0.0, -3.0]])
    extra = torch.tensor([[0.5, 1.0, 2.0]])
    assert s(x).tolist() == [[4.0, 0.0, -12.0]] and s.spike.tolist() == [[True, False, True]]
    assert s(x, extra, extra * 2, True).tolist() == [[6.5, 4.0, -5.0]]
    assert s(x.bool(), extra[0], -1.0).tolist() == [[3.5, 0.0, 5.0]]
    assert s.current_at(torch.full((1, 3), 0.5)).tolist() == [[6.5, 4.0, -5.0]]


def test_delta_plus_takes_many_currents():
    s = synapse("delta plus")
    assert torch.equal(s(torch.zeros(1, 3), *(torch.ones(1, 3) for _ in range(12))), torch.full((1, 3), 12.0))


@pytest.mark.parametrize("extra", ["a", torch.ones(2, 3), torch.ones(1, 3, dtype=torch.complex64),
                                   torch.ones(1, 3, device="meta")], ids=str)  # fmt: skip
def test_bad_currents_raise(backend, extra):
    s = synapse("delta plus", delay=2.0)
    before = states(s)
    with pytest.raises((TypeError, ValueError), match=r"inputs\[2\]"):
        s(torch.ones(1, 3), torch.ones(1, 3), extra)
    assert_same_state(states(s), before)


def test_double_exponential_is_a_difference(backend):
    s = synapse("double exponential", 1)
    gain, expected = 2.0 / 2.5, []
    pos = neg = 0.0
    for x in (1.0, 0.0, 0.5):
        pos, neg = pos * math.exp(-1 / 4) + gain * x, neg * math.exp(-1 / 1.5) + gain * x
        expected.append(pos - neg)
    assert [s(torch.full((1, 1), x)).item() for x in (1.0, 0.0, 0.5)] == pytest.approx(expected, abs=1e-6)
    assert s.pos_current.item() == pytest.approx(pos) and s.neg_current.item() == pytest.approx(neg)
    s.current = torch.ones(1, 1)
    assert s.current.item() == pytest.approx(pos - neg, abs=1e-6)
    s.tc_decay, s.tc_rise, s.spike_charge = 3.0, 1.0, 4.0
    pos, neg = pos * math.exp(-1 / 3) + 2.0, neg * math.exp(-1) + 2.0
    assert s(torch.ones(1, 1)).item() == pytest.approx(pos - neg, abs=1e-6)


def test_double_exponential_parts(backend):
    s = synapse("double exponential", 2, delay=2.0, current_overbound=7.0)
    s.pos_current = torch.tensor([[3.0, 5.0]])
    s.neg_current = torch.tensor([[1.0, 2.0]])
    assert (s.pos_current_.pointer, s.neg_current_.pointer, s.spike_.pointer) == (1, 1, 0)
    at = torch.tensor([[0.0, 2.5]])
    assert s.current.tolist() == [[2.0, 3.0]] and s.current_at(at).tolist() == [[2.0, 7.0]]
    assert s.pos_current_at(at).tolist() == [[3.0, 7.0]] and s.neg_current_at(at).tolist() == [[1.0, 7.0]]
    s.pos_current = s.neg_current = torch.zeros(1, 2)
    at = torch.full((1, 2), 0.75)
    old = torch.tensor([[3.0, 5.0]]) * math.exp(-0.25 / 4), torch.tensor([[1.0, 2.0]]) * math.exp(-0.25 / 1.5)
    torch.testing.assert_close(s.current_at(at), old[0] - old[1])


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_a_graph_does_not_change_the_numbers(backend, kind, dtype):
    with_graph, without = (synapse(kind, 5, batch_size=2, delay=2.0).to(dtype) for _ in range(2))
    g, total = torch.Generator().manual_seed(4), 0.0
    leaves = []
    for _ in range(6):
        x = torch.rand(2, 5, generator=g).to(dtype)
        leaves.append(x.clone().requires_grad_())
        out = with_graph(leaves[-1])
        assert torch.equal(out, without(x))
        total = total + out.sum()
    total.backward()
    assert all((leaf.grad != 0).any() for leaf in leaves) or kind == "double exponential"
    with_graph.clear()
    assert_same_state({k: v.shape for k, v in states(with_graph).items() if "data" in k},
                      {k: v.shape for k, v in states(without).items() if "data" in k})  # fmt: skip
