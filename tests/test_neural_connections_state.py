"""Connections: parameters, copies and checkpoints, and the defects of inferno-ai in all of them."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from connection_cases import CONNECTIONS, DELTA, EXPONENTIAL, NEW, make, spikes
from states import assert_same_state, run, states

from inferno_cuda.neural import Conv2D, DeltaCurrent, SingleExponentialCurrent

# -- parameters and checkpoints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_d41_lateral_diagonal_stays_zero(backend, assign, nested):
    conn = make("lateral")
    module = torch.nn.ModuleDict({"inner": conn}) if nested else conn
    state = {k: torch.full_like(v, torch.inf) if "weight_" in k or "delay_" in k else v
             for k, v in module.state_dict().items()}  # fmt: skip
    module.load_state_dict(state, assign=assign)
    for name in ("weight", "delay"):
        assert not getattr(conn, name).diagonal().any() and getattr(conn, name).isinf().sum() == 30
    assert all(v.isinf().all() for k, v in state.items() if "weight_" in k or "delay_" in k)
    conn.weight, conn.delay, conn.bias = torch.ones(6, 6), torch.ones(6, 6), torch.ones(6)
    assert torch.equal(conn.weight, conn.mask) and torch.equal(conn.delay, conn.mask) and (conn.bias == 1).all()
    conn.updater = conn.defaultupdater()
    conn.updater.weight = conn.updater.delay = (torch.ones(6, 6), None)
    conn.update()
    assert torch.equal(conn.weight, 2 * conn.mask) and torch.equal(conn.delay, 2 * conn.mask)
    assert "mask" not in conn.state_dict() and copy.deepcopy(conn).mask.equal(1 - torch.eye(6))
    with pytest.raises(ValueError, match="weight"):
        conn.weight = torch.zeros(6)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("copied", ["deepcopy", "pickle", "state_dict", "pixels"])
def test_copies_go_on_alike(backend, name, copied):
    conn = make(name)
    inputs = spikes(conn, 14)
    run(conn, inputs[:6])
    if copied == "deepcopy":
        other = copy.deepcopy(conn)
    elif copied == "pickle":
        other = pickle.loads(pickle.dumps(conn))
    else:
        other = make(name, seed=1)
        state = conn.state_dict()
        if copied == "pixels" and isinstance(conn, Conv2D):
            state.update({k: conn.synapse.get_buffer(k.split(".")[1]).clone() for k in state if "_data" in k})
        other.load_state_dict(state)
    assert_same_state(states(other), states(conn))
    assert torch.equal(run(other, inputs[6:]), run(conn, inputs[6:]))


def test_saved_histories_have_the_shape_of_the_windows():
    conn = make("conv")
    state = torch.nn.ModuleDict({"a": conn}).state_dict()
    for name in ("_current__data", "_spike__data"):
        assert state[f"a.synapse_.{name}"].shape == (5, 2, 12, 9)
        assert conn.synapse._buffers[name].shape == (5, 2, 2, 5, 4)


def test_histories_that_no_image_unfolds_to_are_refused_and_not_written(backend):
    for name, tap in (("conv", 3), ("conv strided", 0)):  # windows that disagree, a value beyond the border
        conn, other = make(name), make(name, seed=1)
        run(conn, spikes(conn))
        before = conn.synapse.get_buffer("_spike__data").clone()
        state = torch.nn.ModuleDict({"a": other}).state_dict()
        state["a.synapse_._spike__data"][1, 0, tap, 0] = True
        with pytest.raises(RuntimeError, match="'a.synapse_._spike__data' has windows that disagree"):
            torch.nn.ModuleDict({"a": conn}).load_state_dict(state)
        # torch loads the rest, as it does when a size is wrong
        assert torch.equal(conn.synapse.get_buffer("_spike__data"), before) and torch.equal(conn.weight, other.weight)


def test_histories_of_another_size_are_refused_as_usual():
    conn = make("conv")
    for shape in ((5, 3, 12, 9), (6, 2, 12, 9), (5, 2, 11, 9)):
        state = {**conn.state_dict(), "synapse_._current__data": torch.zeros(shape)}
        with pytest.raises(RuntimeError, match="size mismatch"):
            conn.load_state_dict(state)


# -- defects of inferno-ai --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONNECTIONS)
def test_d04_assigning_a_synapse_replaces_it(name):
    conn = make(name)
    new = DeltaCurrent(conn.synapse.shape, 1.0, spike_charge=5.0, delay=4.0, batch_size=2)
    conn.synapse = new
    assert conn.synapse is new and [n for n, _ in conn.named_modules()] == ["", "synapse_"]
    conn(torch.ones(conn.batched_inshape))
    assert new.spike.all()
    with pytest.raises(ValueError, match="synapse"):
        conn.synapse = DeltaCurrent(99, 1.0, spike_charge=5.0)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_d08_multiples_of_the_step_are_exact(backend, name):
    # at this step length inferno-ai looks up some of the multiples one step too late
    conns = []
    for k in (0, 6, 11):
        torch.manual_seed(0)
        conns.append(CONNECTIONS[name](synapse=DELTA, delay=26.0, delay_init=lambda d, k=k: (k * 1.3 + d)))
        conns[-1].dt = 1.3
        conns[-1].delay = torch.full_like(conns[-1].delay, k * 1.3)
    inputs = spikes(conns[0], 30)
    now, six, eleven = (run(conn, inputs) for conn in conns)
    if name == "lateral":
        # the diagonal has no delay, and no weight
        assert all((c.delay.diagonal() == 0).all() for c in conns)
    torch.testing.assert_close(six[6:], now[:-6])
    torch.testing.assert_close(eleven[11:], now[:-11])


def test_d09_presyn_receptive_of_convolutions():
    conn = Conv2D(5, 5, 1, 2, 1.0, 2, synapse=DELTA)
    conn(torch.ones(1, 1, 5, 5))
    assert conn.presyn_receptive(conn.synspike).shape == (1, 1, 1, 2, 2, 16)
    late = make("conv")
    assert late.presyn_receptive(late.synspike).shape == (2, 3, 2, 3, 2, 9)
    assert torch.equal(late.presyn_receptive(late.syncurrent)[:, 1].flatten(1, 3), late.syncurrent[..., 1])


def test_d29_pixels_that_no_window_covers_are_zero(backend):
    conn = Conv2D(5, 5, 1, 2, 1.0, 2, stride=2, synapse=DELTA)
    ones = torch.ones(1, 1, 5, 5)
    covered = F.pad(torch.ones(4, 4), (0, 1, 0, 1))[None, None]
    assert torch.equal(conn.like_input(conn.like_synaptic(ones)), covered)
    assert torch.equal(conn.like_input(conn.like_synaptic(ones.bool())), covered.bool())


@pytest.mark.parametrize("name", CONNECTIONS)
def test_d34_insize_and_outsize_are_methods(name):
    conn = make(name)
    assert conn.insize() == torch.ones(conn.inshape).numel() and conn.outsize() == conn.bias.numel() * (
        conn.outheight * conn.outwidth if isinstance(conn, Conv2D) else 1
    )


@pytest.mark.parametrize("synapse, charge", [(EXPONENTIAL, 0.5), (DELTA, 2.0)])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_d47_like_input_takes_delayed_values(backend, name, synapse, charge):
    conn = make(name, high=0.0, synapse=synapse)  # so that all outputs see the same
    x = spikes(conn)[0]
    conn(x)
    covered = conn.like_input(torch.ones_like(conn.synspike))
    assert torch.equal(conn.like_input(conn.synspike), x & covered)
    torch.testing.assert_close(conn.like_input(conn.syncurrent), charge * (x & covered).float())


@pytest.mark.parametrize("synapse", [EXPONENTIAL, DELTA])
def test_d47_like_input_averages_over_what_outputs_see(backend, synapse):
    conn = make("dense", synapse=synapse)
    run(conn, spikes(conn))
    currents, fired = conn.syncurrent, conn.synspike
    assert currents.shape == fired.shape == (2, 6, 4) and fired.any(2).sum() > fired.all(2).sum()
    torch.testing.assert_close(conn.like_input(currents), currents.mean(2))
    assert torch.equal(conn.like_input(fired), fired.any(2))


@pytest.mark.parametrize("cls, args", [(SingleExponentialCurrent, (1.0, 5.0)), (DeltaCurrent, (1.0,))])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_d51_delays_out_of_range_silence_unless_clamped(backend, name, cls, args):
    for options, silent in (({}, True), ({"current_overbound": None}, False)):
        synapse = cls.partialconstructor(*args, **options)
        conn = make(name, synapse=synapse, bias=False, weight_init=lambda w: w + 1)
        conn.delay = torch.full_like(conn.delay, 4.0 + 1e-4)
        y = run(conn, torch.ones(6, *conn.batched_inshape))[-1]
        assert silent == (not y.any())
        conn.delay = torch.full_like(conn.delay, 4.0)
        assert run(conn, torch.ones(6, *conn.batched_inshape))[-1].all()
