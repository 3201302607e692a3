"""LIF neurons: worked numbers, timing (see docs/timing.md), state in place or not, bad input."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferno_cuda.neural import LIF

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}


def lif(shape=3, step_time=1.0, **changes):
    return LIF(shape, step_time, **{**CELL, **changes})


def currents(steps, *shape, seed=0, scale=40.0, dtype=torch.float32):
    return torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * scale


def run(neuron, inputs, **kwargs):
    return torch.stack([neuron(x, **kwargs) for x in inputs])


def train(neuron, steps):
    return "".join(str(int(neuron(torch.full((1, 1), 1e6)))) for _ in range(steps))


def snapshot(neuron):
    return neuron.voltage_.value.clone(), neuron.refrac_.value.clone()


def assert_untouched(neuron, before):
    assert all(torch.equal(a, b) for a, b in zip(snapshot(neuron), before, strict=True))


def test_starts_at_rest():
    neuron = lif((2, 3), batch_size=4)
    assert neuron.shape == (2, 3) and neuron.count == 6 and neuron.batchsz == 4 and neuron.batchedshape == (4, 2, 3)
    assert torch.equal(neuron.voltage, torch.full((4, 2, 3), -60.0))
    assert torch.equal(neuron.refrac, torch.zeros(4, 2, 3)) and not neuron.spike.any()
    assert repr(neuron) == "LIF(shape=(2, 3), batchsz=4, dt=1.0)"


def test_huge_input_fires_every_refractory_period(backend):
    assert train(lif(1), 9) == "100100100"


def test_refractory_neuron_above_threshold_waits(backend):
    neuron = lif(1)
    neuron.voltage, neuron.refrac = torch.full((1, 1), -40.0), torch.full((1, 1), 2.0)
    assert not neuron(torch.full((1, 1), 100.0))
    assert neuron.voltage.item() == -40.0 and neuron.refrac.item() == 1.0


def test_refractory_neuron_without_lock_relaxes(backend):
    neuron = lif(1)
    neuron.voltage, neuron.refrac = torch.full((1, 1), -40.0), torch.full((1, 1), 3.0)
    assert not neuron(torch.full((1, 1), 100.0), refrac_lock=False)
    assert neuron.voltage.item() == pytest.approx(-40.9754, abs=5e-5) and neuron.refrac.item() == 2.0


def test_threshold_is_inclusive(backend):
    neuron = lif(1, rest_v=0.0, reset_v=-1.0, thresh_v=8.0, time_constant=1e-9)
    assert neuron(torch.full((1, 1), 8.0)) and not lif(1, rest_v=0.0, reset_v=-1.0, thresh_v=8.0)(torch.zeros(1, 1))


def test_reads_parameters_live(backend):
    neuron = lif(1)
    neuron.time_constant, neuron.rest_v, neuron.resistance = 1e-9, -70.0, 2.0
    neuron(torch.full((1, 1), 3.0))
    assert neuron.voltage.item() == -64.0


def test_spike_is_that_of_the_last_step(backend):
    neuron = lif(40, batch_size=2)
    for x in currents(30, 2, 40):
        assert torch.equal(neuron(x), neuron.spike)


def test_spike_follows_assigned_refractory_periods():
    neuron = lif(3)
    neuron.refrac = torch.tensor([[3.0, 2.0, 0.0]])
    assert neuron.spike.tolist() == [[True, False, False]]


def test_what_was_read_keeps_its_values(backend):
    neuron = lif(5)
    seen, copies = [], []
    for x in currents(20, 1, 5):
        neuron(x)
        seen.append((neuron.voltage, neuron.refrac))
        copies.append(snapshot(neuron))
    neuron.clear()
    for was, copy in zip(seen, copies, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(was, copy, strict=True))


def test_writing_to_what_was_read_changes_the_state(backend):
    neuron = lif(2)
    neuron.voltage[0, 1] = -45.0
    assert neuron(torch.zeros(1, 2)).tolist() == [[False, True]]


def test_assigned_tensors_are_not_written_to(backend):
    neuron = lif(2)
    voltage, refrac = torch.full((1, 2), -55.0), torch.full((1, 2), 1.0)
    neuron.voltage, neuron.refrac = voltage, refrac
    for _ in range(3):
        neuron(torch.full((1, 2), 50.0))
    assert torch.equal(voltage, torch.full((1, 2), -55.0)) and torch.equal(refrac, torch.full((1, 2), 1.0))


def test_state_can_be_assigned_from_an_expanded_tensor(backend):
    neuron = lif(3, batch_size=2)
    neuron.voltage = torch.tensor(-55.0).expand(2, 3)
    neuron(torch.tensor([[0.0, 10.0, 20.0]]))
    assert neuron.voltage[0].unique().numel() == 3


def test_steps_in_place_unless_the_state_was_read(backend):
    neuron = lif(3)
    address = neuron.voltage_.value.data_ptr()
    run(neuron, currents(3, 1, 3))
    neuron.clear()
    assert neuron.voltage_.value.data_ptr() == address
    kept = neuron.voltage
    run(neuron, currents(3, 1, 3))
    assert neuron.voltage_.value.data_ptr() != address and torch.equal(kept, torch.full((1, 3), -60.0))


def test_clear_and_batch_size(backend):
    neuron = lif(3, batch_size=2)
    run(neuron, currents(5, 2, 3))
    neuron.batchsz = 4
    assert neuron.batchedshape == (4, 3) and torch.equal(neuron.voltage, torch.full((4, 3), -60.0))
    neuron(torch.ones(4, 3) * 1e6)
    neuron.clear(keep_adaptations=False)
    assert torch.equal(neuron.voltage, torch.full((4, 3), -60.0)) and not neuron.refrac.any() and not neuron.spike.any()


def test_dt_leaves_the_state_alone(backend):
    neuron = lif(3)
    run(neuron, currents(5, 1, 3))
    before = snapshot(neuron)
    neuron.dt = 0.5
    assert neuron.dt == neuron.step_time == 0.5
    assert_untouched(neuron, before)
    with pytest.raises(ValueError, match="dt"):
        neuron.dt = 0.0
    assert neuron.dt == 0.5


LAYOUTS = {
    "transposed": lambda x: x.t().contiguous().t(),
    "strided": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "expanded": lambda x: x[:1].expand(4, 3),
    "offset": lambda x: torch.cat([x, x])[2:6],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_of_inputs_does_not_matter(backend, layout):
    a, b = (lif(3, batch_size=4) for _ in range(2))
    for x in currents(12, 4, 3):
        x = LAYOUTS[layout](x)
        assert torch.equal(a(x), b(x.clone(memory_format=torch.contiguous_format)))
    assert torch.equal(a.voltage, b.voltage)


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (2, 1), (1, 1)], ids=str)
def test_inputs_broadcast_to_the_state(backend, shape):
    a, b = (lif(3, batch_size=2) for _ in range(2))
    for x in currents(10, *shape):
        assert torch.equal(a(x), b(x.expand(2, 3).contiguous()))
    assert torch.equal(a.voltage, b.voltage) and a.voltage.shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16, torch.bfloat16], ids=str)
def test_inputs_that_fit_the_dtype_are_cast(backend, dtype):
    a, b = lif(), lif()
    for x in currents(10, 1, 3):
        assert torch.equal(a(x.to(dtype)), b(x.to(dtype).float()))
    assert a.voltage.dtype == torch.float32 and torch.equal(a.voltage, b.voltage)


@pytest.mark.parametrize("shape", [(2,), (1, 4), (3, 3), (1, 1, 3), (0,)], ids=str)
def test_bad_input_shapes_raise(backend, shape):
    neuron = lif(3, batch_size=1)
    run(neuron, currents(3, 1, 3))
    before = snapshot(neuron)
    with pytest.raises(ValueError, match="inputs"):
        neuron(torch.zeros(shape))
    assert_untouched(neuron, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64], ids=str)
def test_bad_input_dtypes_raise(backend, dtype):
    neuron = lif()
    before = snapshot(neuron)
    with pytest.raises(TypeError, match="inputs"):
        neuron(torch.zeros(1, 3, dtype=dtype))
    assert_untouched(neuron, before)


def test_bad_input_device_raises(backend):
    neuron = lif()
    before = snapshot(neuron)
    with pytest.raises((ValueError, RuntimeError)):
        neuron(torch.zeros(1, 3, device="meta"))
    assert_untouched(neuron, before)


@pytest.mark.parametrize(
    "changes",
    [
        {"step_time": 0.0}, {"step_time": float("nan")}, {"rest_v": -50.0}, {"reset_v": -49.0}, {"refrac_t": -1.0},
        {"thresh_v": float("nan")}, {"time_constant": 0.0}, {"resistance": 0.0}, {"batch_size": 0}, {"shape": (2, 0)},
        {"batch_size": 1.5}, {"shape": 2.5}, {"rest_v": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_bad_parameters_raise(changes):
    with pytest.raises(ValueError):
        lif(**changes)


def test_integral_sizes_are_accepted():
    assert lif(3.0).shape == (3,) and lif([2, 3.0]).shape == (2, 3) and lif("4").shape == (4,)


def test_runs_in_inference_mode_and_outside(backend):
    a, b = lif(), lif()
    inputs = currents(12, 1, 3)
    expected = run(b, inputs)
    with torch.inference_mode():
        first = run(a, inputs[:6])
    assert torch.equal(torch.cat([first.clone(), run(a, inputs[6:])]), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_other_dtypes(backend, dtype):
    neuron = lif(50).to(dtype)
    spikes = run(neuron, currents(40, 1, 50, dtype=dtype))
    assert spikes.any() and neuron.voltage.dtype == neuron.refrac.dtype == dtype


# -- invariants -------------------------------------------------------------------------------------------------------

PROPERTY = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(
    dt=st.sampled_from([0.1, 0.2, 0.25, 0.5, 1.0, 1.3]),
    k=st.integers(0, 7),
    seed=st.integers(0, 99),
    lock=st.booleans(),
)
def test_spikes_are_a_refractory_period_apart(backend, dt, k, seed, lock):
    neuron = lif(20, dt, refrac_t=k * dt)
    spikes = run(neuron, currents(60, 1, 20, seed=seed, scale=400.0), refrac_lock=lock)[:, 0]
    for train in spikes.T:
        gaps = train.nonzero().flatten().diff()
        assert (gaps >= max(k, 1)).all()
    assert spikes.any()


@PROPERTY
@given(seed=st.integers(0, 99), batch=st.integers(1, 5))
def test_batch_items_are_independent(backend, seed, batch):
    inputs = currents(40, batch, 6, seed=seed)
    together = run(lif(6, batch_size=batch), inputs)
    for b in range(batch):
        assert torch.equal(together[:, b], run(lif(6), inputs[:, b : b + 1])[:, 0])


@PROPERTY
@given(seed=st.integers(0, 99))
def test_permuting_neurons_permutes_the_result(backend, seed):
    inputs = currents(40, 2, 9, seed=seed)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    spikes = run(lif(9, batch_size=2), inputs)
    assert torch.equal(run(lif(9, batch_size=2), inputs[..., order]), spikes[..., order])


@PROPERTY
@given(seed=st.integers(0, 99), cut=st.integers(1, 39), refrac=st.sampled_from([0.0, 3.0]))
def test_save_load_resume_equals_uninterrupted(backend, seed, cut, refrac):
    inputs = currents(40, 2, 9, seed=seed)
    whole, first, second = (lif(9, batch_size=2, refrac_t=refrac) for _ in range(3))
    expected = run(whole, inputs)
    start = run(first, inputs[:cut])
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.spike, start[-1])
    assert torch.equal(torch.cat([start, run(second, inputs[cut:])]), expected)
    assert torch.equal(second.voltage, whole.voltage)


# -- CUDA graphs ------------------------------------------------------------------------------------------------------


@pytest.mark.cuda
def test_captured_steps_go_on_from_replay_to_replay():
    inputs = currents(30, 2, 40).cuda()
    neuron, eager = lif(40, batch_size=2).cuda(), lif(40, batch_size=2).cuda()
    x = inputs[0].clone()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        neuron(x)
    torch.cuda.synchronize()
    neuron.clear()
    assert neuron.voltage.eq(-60.0).all()  # reading it must not make the captured step write elsewhere
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        spikes = neuron(x)
    for repeat in range(2):
        neuron.clear()
        eager.clear()
        for step in inputs:
            x.copy_(step)
            graph.replay()
            assert torch.equal(spikes, eager(step)), repeat
            assert torch.equal(neuron.voltage, eager.voltage) and torch.equal(neuron.refrac, eager.refrac)
        assert torch.equal(neuron(x), eager(x)) and torch.equal(neuron.voltage, eager.voltage)
