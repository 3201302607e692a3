"""What simulate refuses, and that nothing has changed then."""

import network_cases as cases
import pytest
import torch

from inferno_cuda import ops

SIZE = 12


@pytest.fixture
def network():
    rows = ops.rows(*cases.synapses(0, SIZE, 50, 4), neurons=SIZE, bounds=ops.partition(SIZE, 1, 2))
    populations = [
        ops.spiking_population("generator", 0, 4, dt=0.1),
        ops.spiking_population("iaf_psc_exp", 4, SIZE, dt=0.1, current=500.0),
    ]
    return rows, populations, ops.SimulationState.zeros(populations, trials=2)


def exp(first, last, **options):
    return ops.spiking_population("iaf_psc_exp", first, last, dt=0.1, **options)


DRIVE = ops.PoissonDrive(ops.poisson_table(1.0), 1.0, 5)
PORT_1 = ops.PoissonDrive(ops.poisson_table(1.0), 1.0, 5, port=1)
SPIKES = ops.RandomSpikes(ops.poisson_table(1.0), 5)


@pytest.mark.parametrize(
    ("populations", "error", "message"),
    [
        (lambda p: p[:1], ValueError, "populations had 4 neurons; rows have 12"),
        (lambda p: p[1:], ValueError, r"populations\[0\] began at neuron 4; it must begin at 0"),
        (lambda p: [*p, exp(12, 13)], ValueError, "populations had 13 neurons"),
        (lambda p: [*p[:1], "iaf"], TypeError, r"populations\[1\] was str"),
        (lambda p: [*p[:1], exp(4, 12, dtype=torch.float64)], ValueError, "the state is torch.float32"),
        (lambda p: [*p[:1], exp(4, 12, ports=2)], ValueError, r"populations\[1\] has 2 ports; rows were made for 1"),
        (lambda p: [p[0].replace(stimuli=(DRIVE,)), p[1]], TypeError, "was PoissonDrive; it must be RandomSpikes"),
        (lambda p: [p[0], p[1].replace(stimuli=(SPIKES,))], TypeError, "must be PoissonDrive or NoiseCurrent"),
        (lambda p: [p[0], p[1].replace(stimuli=(PORT_1,))], ValueError, "there is only port 0"),
    ],
)
def test_populations_that_do_not_fit(network, populations, error, message):
    rows, right, state = network
    with pytest.raises(error, match=message):
        ops.simulate(rows, populations(right), state, 3)
    assert state.step == 0 and not state.values.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps was -1"),
        ({"threads": 0}, "threads was 0"),
        ({"record": torch.ones(3, dtype=torch.bool)}, r"record was torch.bool of shape \(3,\)"),
        ({"counts": torch.zeros(2, SIZE)}, "counts was torch.float32"),
        ({"counts": torch.zeros(SIZE, dtype=torch.int64)}, r"int64 of shape \(2, 12\)"),
        ({"probe": ops.Probe(torch.tensor([12]))}, "probe.neurons was 12 to 12"),
        ({"probe": ops.Probe(torch.tensor([1]), 0)}, "probe.every was 0"),
        ({"probe": ops.Probe(torch.tensor([1]), 1, 2)}, "probe.variable was 2; the state has rows 0 to 1"),
        ({"given": torch.zeros(1, 2, dtype=torch.int64)}, r"given was torch.int64 of shape \(1, 2\)"),
        ({"given": torch.tensor([[3, 0, 0]])}, "given had steps 3 to 3; they must be 0 to 2"),
        ({"given": torch.tensor([[0, 5, 0]])}, "given had neuron 5, which is no generator"),
        ({"given": torch.tensor([[0, 12, 0]])}, "given had neurons 12 to 12"),
        ({"given": torch.tensor([[0, 1, 2]])}, "given had trials 2 to 2"),
    ],
)
def test_options_that_do_not_fit(network, options, message):
    rows, populations, state = network
    options = {"steps": 3} | options
    with pytest.raises(ValueError, match=message):
        ops.simulate(rows, populations, state, **options)
    assert state.step == 0 and not state.values.any()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"values": torch.zeros(2, 2, SIZE, dtype=torch.float16)}, TypeError, "state.values was torch.float16"),
        ({"values": torch.zeros(2, 2, 5)}, ValueError, r"must be \(2, trials, 12\)"),
        ({"values": torch.zeros(1, 2, SIZE)}, ValueError, r"state.values had 1 rows; populations\[1\] has 2"),
        ({"refrac": torch.zeros(2, SIZE)}, ValueError, "state.refrac was torch.float32"),
        ({"flight": torch.zeros(1, 3, dtype=torch.int32)}, ValueError, "state.flight was torch.int32"),
        ({"flight": torch.tensor([[0, 1, 0]])}, ValueError, "a spike of step 0; the next step is 0"),
        ({"flight": torch.tensor([[-65536, 1, 0]])}, ValueError, "a spike of step -65536; before step 0, all"),
        ({"flight": torch.tensor([[-(2**40), 1, 0]])}, ValueError, "all of it has arrived"),
        ({"flight": torch.tensor([[-1, 12, 0]])}, ValueError, "state.flight had neurons 12 to 12"),
    ],
)
def test_states_that_do_not_fit(network, change, error, message):
    rows, populations, state = network
    for name, tensor in change.items():
        setattr(state, name, tensor)
    with pytest.raises(error, match=message):
        ops.simulate(rows, populations, state, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.PoissonDrive(torch.tensor([3, 1]), 1.0, 0), "table was not ascending"),
        (lambda: ops.PoissonDrive(torch.tensor([2**33]), 1.0, 0), "table was not ascending"),
        (lambda: ops.PoissonDrive(ops.poisson_table(1.0), float("nan"), 0), "weight was nan"),
        (lambda: ops.PoissonDrive(ops.poisson_table(1.0), 1.0, 0, 2), "port was 2"),
        (lambda: ops.PoissonDrive(ops.poisson_table(1.0), 1.0, 2**32), "stream was 4294967296"),
        (lambda: ops.NoiseCurrent(0.0, -1.0, 1, 0), "mean and std were 0.0 and -1.0"),
        (lambda: ops.NoiseCurrent(0.0, 1.0, 0, 0), "interval was 0"),
    ],
)
def test_bad_stimuli(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_run_of_no_steps(backend, network):
    rows, populations, state = network
    out = ops.simulate(rows, populations, state, 0, record=True, probe=ops.Probe(torch.tensor([4, 5])))
    assert out.spikes.shape == (0, 3) and out.probed.shape == (0, 2, 2) and state.step == 0


def test_states_come_back_from_tensors(network):
    state = network[2]
    tensors = state.tensors()
    assert ops.SimulationState.from_tensors(tensors).step == 0
    del tensors["refrac"]
    with pytest.raises(ValueError, match="no 'refrac'"):
        ops.SimulationState.from_tensors(tensors)


def _generators(repeats, stimuli=()):
    ends = torch.zeros(1, dtype=torch.int32)
    rows = ops.rows(ends, ends + 1, ends + 1, 5.0, neurons=2, repeats=repeats)
    populations = [
        ops.spiking_population("generator", 0, 1, dt=0.1, stimuli=stimuli),
        ops.spiking_population("iaf_psc_delta", 1, 2, dt=0.1, V_th=1e9),
    ]
    return rows, populations, ops.SimulationState.zeros(populations)


def test_generators_may_fire_as_often_as_sums_have_room_for(backend):
    spikes = torch.tensor([[0, 0, -1]] * 3)
    rows, populations, state = _generators(2)
    with pytest.raises(ValueError, match="given had 3 spikes of neuron 0 in a step; rows have room for 2"):
        ops.simulate(rows, populations, state, 2, given=spikes)
    assert state.step == 0
    rows, populations, state = _generators(torch.tensor([3, 1]))
    ops.simulate(ops.Rows.from_tensors(rows.tensors()), populations, state, 2, given=spikes)
    assert float(state.values[0, 0, 1]) == 15.0
    rows, populations, state = _generators(1, (SPIKES,))
    with pytest.raises(ValueError, match=r"populations\[0\] may fire 12 times in a step; rows have room for 1: make"):
        ops.simulate(rows, populations, state, 2)


def test_generators_may_have_two_sums_that_nobody_reads(backend):
    """Places in the rows are those of the rows' ports, not those of the populations'."""
    ends = torch.zeros(3, dtype=torch.int32)
    ports = torch.tensor([2, 1], dtype=torch.uint8)
    target = torch.tensor([0, 0, 1], dtype=torch.int32)
    rows = ops.rows(ends, target, ends + 1, torch.tensor([-4.0, -4.0, 5.0]), neurons=2, ports=ports)
    _, populations, state = _generators(1)
    ops.simulate(rows, populations, state, 2, given=torch.tensor([[0, 0, 0]]))
    assert float(state.values[0, 0, 1]) == 5.0


def test_calls_on_a_device_are_as_long_as_there_is_memory_for_all_spikes(monkeypatch):
    """Generators may fire often in a step; this stands in for a device, on which nothing fires."""
    from inferno_cuda.ops import _simulate_native

    capacities = []

    def device(*arguments):
        start, steps = arguments[14][:2]
        capacities.append((steps, arguments[16]))
        spikes, ends = torch.zeros(0, 3, dtype=torch.int32), torch.zeros(steps + 1, dtype=torch.int64)
        return spikes, ends, torch.zeros(0, 1, 0)

    monkeypatch.setattr(_simulate_native, "_raw_device", device, raising=False)
    table = ops.poisson_table(3000.0)
    populations = [ops.spiking_population("generator", 0, 100, dt=0.1, stimuli=(ops.RandomSpikes(table, 5),))]
    none = torch.zeros(0, dtype=torch.int32)
    rows, state = ops.rows(none, none, none, 1.0, neurons=100), ops.SimulationState.zeros(populations)
    given = torch.zeros(0, 3, dtype=torch.int64)
    _simulate_native.Run(rows, populations, state, 1000, 0, None, None, None, given).on_device()
    assert state.step == 1000 and sum(steps for steps, _ in capacities) == 1000
    assert max(capacity for _, capacity in capacities) <= _simulate_native._MOST_SPIKES
