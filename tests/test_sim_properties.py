"""What holds for any network: spikes are conserved, and neither numbering nor bookkeeping matters."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import sim, testing

DTYPES = st.sampled_from([torch.float32, torch.float64])


@st.composite
def synapses(draw, size, weights, most=120):
    """Sources, targets, weights and delays (steps) between ``size`` neurons, with multapses and autapses."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    count, longest = draw(st.integers(0, most)), draw(st.sampled_from([1, 2, 16, 17, 64, 65, 200]))
    source, target = rng.integers(size, size=(2, count))
    delay = np.where(rng.random(count) < 0.3, longest, rng.integers(1, longest + 1, count))
    return source, target, rng.choice(weights, count), delay


@given(
    made=synapses(20, [-2.0, 1.0, 3.0]),
    dtype=DTYPES,
    threads=st.integers(1, 3),
    trials=st.integers(1, 2),
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 150), max_size=3),
)
@settings(max_examples=15, deadline=None)
def test_every_spike_arrives_once_at_each_of_its_synapses(made, dtype, threads, trials, seed, cuts):
    """Neurons that fire in every step, often and rarely; others count what they get, in whole mV."""
    source, target, weight, delay = made
    steps, firing, size = 150, 20, 8
    rng = np.random.default_rng(seed)
    current = rng.choice([1e6, 3e4, 2e3, 0.0], firing)
    for backend in testing.backends():
        with inferno_cuda.backend(backend):
            net = sim.Network(dtype=dtype, threads=threads, trials=trials)
            active = net.population(
                firing, "iaf_psc_delta", t_ref=0.0, V_m=sim.Uniform(-70.0, -55.0), I_e=current, name="active"
            )
            lasting = {"tau_m": 1e300, "E_L": 0.0, "V_reset": -1.0, "V_th": float("inf")}
            counters = net.population(size, "iaf_psc_delta", **lasting)
            net.connect(active, counters, (source, target % size), weight=weight, delay=0.1 * delay)
            net.connect(active, active, (source, target), weight=0.1 * weight, delay=0.1 * delay)
            recorder, voltage = net.record_spikes(active), net.record_voltage(counters, every=0.1)
            for part in np.diff([0, *sorted(cuts), steps]):
                net.run(0.1 * part)
        at, who, trial = (column.cpu().numpy() for column in (recorder.steps, recorder.neurons, recorder.trials))
        assert len(set(zip(at, who, trial, strict=True))) == len(at)
        assert all((who == k).sum() == steps * trials for k in np.flatnonzero(current == 1e6))
        expected = np.zeros((steps, trials, size))
        for s, t, w, d in zip(source, target % size, weight, delay, strict=True):
            mine = who == s
            # a spike of time k is in the potentials of time k + d, which is sample k + d - 1
            sample = at[mine] + d - 1
            np.add.at(expected, (sample[sample < steps], trial[mine][sample < steps], t), w)
        np.testing.assert_array_equal(voltage.values.double().numpy(), expected.cumsum(0))


# populations of the permuted networks: name, model, neurons, what they need to fire with few inputs
KINDS = [
    ("exp", "iaf_psc_exp", 9, {"tau_syn_ex": 1.0}),
    ("alpha", "iaf_psc_alpha", 5, {}),
    ("delta", "iaf_psc_delta", 4, {}),
    ("cond", "iaf_cond_exp", 6, {"tau_syn_in": 3.0}),
]
SCALE = {"exp": 60.0, "alpha": 60.0, "delta": 1.0, "cond": 4.0}  # of weights, in the unit of the model
NAMES = [(name, k) for name, _, size, _ in KINDS for k in range(size)]


def spikes_of(made, dtype, populations, places, parts):
    """Who spiked when, by name; ``places`` numbers neurons within their populations, ``parts`` splits projections."""
    net = sim.Network(dtype=dtype)
    for kind in populations:
        name, model, size, options = KINDS[kind]
        place = places[name]
        initial, current = np.empty(size), np.empty(size)
        initial[place], current[place] = np.linspace(-70, -55.5, size), np.linspace(400.0, 1500.0, size)
        net.population(size, model, name=name, V_m=initial, I_e=current, **options)
    recorder = net.record_spikes()
    source, target, weight, delay = made
    ends = [np.array([NAMES[k] for k in column], dtype=object).reshape(-1, 2) for column in (source, target)]
    for chosen in parts:
        for first in SCALE:
            for second in SCALE:
                these = chosen[(ends[0][chosen, 0] == first) & (ends[1][chosen, 0] == second)]
                if not len(these):
                    continue
                pair = (places[first][ends[0][these, 1].astype(int)], places[second][ends[1][these, 1].astype(int)])
                net.connect(first, second, pair, weight=SCALE[second] * weight[these], delay=0.1 * delay[these])
    net.run(12.0)
    found = set()
    for name in SCALE:
        number, back = net[name].first, np.argsort(places[name])
        mine = (recorder.neurons >= number) & (recorder.neurons < net[name].last)
        who = back[(recorder.neurons[mine] - number).numpy()]
        found |= {(step, name, k) for step, k in zip(recorder.steps[mine].tolist(), who.tolist(), strict=True)}
    assert len(found) == len(recorder)
    return found


STRAIGHT = {name: np.arange(size) for name, _, size, _ in KINDS}


@given(
    made=synapses(len(NAMES), [-1.5, -0.7, 0.3, 1.0, 2.0], 250),
    dtype=DTYPES,
    order=st.permutations(range(4)),
    seed=st.integers(0, 9999),
    count=st.integers(2, 4),
)
@settings(max_examples=10, deadline=None)
def test_permuting_neurons_permutes_spikes_and_splitting_projections_changes_nothing(made, dtype, order, seed, count):
    rng = np.random.default_rng(seed)
    permuted = {name: rng.permutation(size) for name, _, size, _ in KINDS}
    everything, owner = np.arange(len(made[0])), rng.integers(count, size=len(made[0]))
    parts = [everything[owner == k] for k in range(count)]
    for backend in testing.backends():
        with inferno_cuda.backend(backend):
            expected = spikes_of(made, dtype, range(4), STRAIGHT, [everything])
            assert len(expected) > 20
            assert spikes_of(made, dtype, order, permuted, [everything]) == expected
            assert spikes_of(made, dtype, range(4), STRAIGHT, parts) == expected
