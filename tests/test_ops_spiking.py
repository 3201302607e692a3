"""Neurons of large networks against formulas of their own: exact solutions, and steps written out one by one."""

import inspect
import math

import numpy as np
import pytest
import torch
from network_cases import OWN
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from inferno_cuda import neural, ops

DT = 0.1
NONE = torch.zeros(0, dtype=torch.int32)


def rows_from_generator(delays, weights, ports, dtype=torch.float64):
    """Neuron 0 is a generator onto neuron 1."""
    ends = torch.zeros(len(delays), dtype=torch.int32)
    delay, weight = torch.tensor(delays, dtype=torch.int32), torch.tensor(weights, dtype=dtype)
    kinds = torch.tensor([1, ports], dtype=torch.uint8)
    return ops.rows(ends, ends + 1, delay, weight, neurons=2, ports=kinds, dtype=dtype, repeats=3)


def respond(model, steps, given=(), delays=(1,), weights=(100.0,), dtype=torch.float64, start=None, **parameters):
    """State variables ``[steps, K]`` and spikes of a neuron onto which a generator projects."""
    neuron = ops.spiking_population(model, 1, 2, dt=DT, dtype=dtype, **parameters)
    populations = [ops.spiking_population("generator", 0, 1, dt=DT, dtype=dtype), neuron]
    rows = rows_from_generator(delays, weights, neuron.ports, dtype)
    state = ops.SimulationState.zeros(populations, dtype=dtype)
    if start is not None:
        state.values[: len(start), 0, 1] = torch.tensor(start, dtype=dtype)
    values, spikes = [], []
    for step in range(steps):
        now = torch.tensor([(0, 0, 0)] * list(given).count(step), dtype=torch.int64).reshape(-1, 3)
        record = torch.tensor([False, True])
        out = ops.simulate(rows, populations, state, 1, given=now, record=record)
        values.append(state.values[:, 0, 1].clone())
        spikes += [step] * len(out.spikes)
    return torch.stack(values).numpy(), spikes


def exact(matrix, drive, start, jumps, steps):
    """x' = A x + b with jumps at the ends of steps, by matrix exponentials."""
    size = len(start)
    augmented = np.zeros((size + 1, size + 1))
    augmented[:size, :size], augmented[:size, size] = matrix, drive
    step = expm(augmented * DT)
    x, seen = np.append(np.array(start, float), 1.0), []
    for k in range(steps):
        x = step @ x
        x[:size] += jumps.get(k, np.zeros(size))
        seen.append(x[:size].copy())
    return np.array(seen)


@pytest.mark.parametrize("tau_syn_in", [0.5, 3.0, 10.0])
@pytest.mark.parametrize("tau_syn_ex", [0.5, 10.0])
def test_exponential_currents_are_integrated_exactly(backend, tau_syn_ex, tau_syn_in):
    """Also where time constants are equal, for which the usual formula divides by zero."""
    steps, c_m, tau_m, current = 60, 250.0, 10.0, 90.0
    taus = {"tau_syn_ex": tau_syn_ex, "tau_syn_in": tau_syn_in, "tau_m": tau_m, "C_m": c_m}
    mine, spikes = respond(
        "iaf_psc_exp", steps, given=[2, 5], delays=(3, 8), weights=(50.0, -80.0), ports=2, I_e=current, **taus
    )
    matrix = [[-1 / tau_m, 1 / c_m, 1 / c_m], [0, -1 / tau_syn_ex, 0], [0, 0, -1 / tau_syn_in]]
    up, down = np.array([0, 50.0, 0]), np.array([0, 0, -80.0])
    jumps = {5: up, 8: up, 10: down, 13: down}
    expected = exact(matrix, [current / c_m, 0, 0], [0, 0, 0], jumps, steps)
    assert not spikes
    # weights are multiples of the quantum, which 50 and 80 are
    np.testing.assert_allclose(mine, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("tau_syn_in", [2.0, 10.0, 10.01])
def test_alpha_currents_are_integrated_exactly(backend, tau_syn_in):
    steps, c_m, tau_m, tau_syn_ex = 80, 250.0, 10.0, 2.0
    taus = {"tau_syn_ex": tau_syn_ex, "tau_syn_in": tau_syn_in, "tau_m": tau_m, "C_m": c_m}
    mine, _ = respond("iaf_psc_alpha", steps, [0], delays=(1, 4), weights=(100.0, -60.0), ports=2, **taus)
    a, b = 1 / tau_syn_ex, 1 / tau_syn_in
    matrix = [
        [-1 / tau_m, 0, 1 / c_m, 0, 1 / c_m],
        [0, -a, 0, 0, 0],
        [0, 1, -a, 0, 0],
        [0, 0, 0, -b, 0],
        [0, 0, 0, 1, -b],
    ]
    jumps = {1: np.array([0, 100 * math.e * a, 0, 0, 0]), 4: np.array([0, 0, 0, -60 * math.e * b, 0])}
    np.testing.assert_allclose(mine, exact(matrix, [0] * 5, [0] * 5, jumps, steps), rtol=1e-9, atol=1e-12)
    # the current peaks tau_syn after the spike arrived, with the weight
    assert mine[:, 2].max() == pytest.approx(100.0, rel=1e-9) and mine[:, 2].argmax() == 1 + round(tau_syn_ex / DT)


def test_one_port_stands_for_two_where_time_constants_are_equal(backend):
    for model in ("iaf_psc_exp", "iaf_psc_alpha"):
        one, two = (
            respond(model, 50, [1, 3], (2, 5), (40.0, -30.0), ports=ports, I_e=100.0)[0][:, 0] for ports in (1, 2)
        )
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_conductances_agree_with_a_fine_integration(backend):
    steps, p = 60, {"C_m": 250.0, "g_L": 16.7, "E_L": -70.0, "E_ex": 0.0, "E_in": -85.0}
    taus = {"tau_syn_ex": 0.6, "tau_syn_in": 2.0}
    mine, spikes = respond(
        "iaf_cond_exp", steps, [0, 9], (1, 6), (20.0, -30.0), I_e=100.0, V_th=-20.0, V_reset=-60.0, **p, **taus
    )

    def change(_, x):
        v, ex, inh = x
        current = 100.0 - p["g_L"] * (v + 70) - ex * (v - p["E_ex"]) - inh * (v - p["E_in"])
        return [current / p["C_m"], -ex / taus["tau_syn_ex"], -inh / taus["tau_syn_in"]]

    x, expected = np.array([-70.0, 0, 0]), []
    for step in range(steps):
        x = solve_ivp(change, (0, DT), x, rtol=1e-12, atol=1e-12).y[:, -1]
        x = x + {1: [0, 20, 0], 10: [0, 20, 0], 6: [0, 0, 30], 15: [0, 0, 30]}.get(step, [0, 0, 0])
        expected.append(x - [-70, 0, 0])
    assert not spikes
    # the method is of 4th order: at 0.1 ms it is this near
    np.testing.assert_allclose(mine, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("t_ref", [0.0, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("model", ["iaf_psc_exp", "iaf_psc_alpha", "iaf_psc_delta", "iaf_cond_exp"])
def test_refractory_period_in_steps(backend, model, t_ref, dtype):
    """A neuron that one step takes from reset to threshold fires every t_ref / dt + 1 steps, and stays in between."""
    values, spikes = respond(model, 80, dtype=dtype, t_ref=t_ref, V_reset=-70.0, I_e=1e6)
    period = round(t_ref / DT) + 1
    assert spikes == list(range(0, 80, period))
    assert not values[:, 0].any()


def test_currents_go_on_while_the_neuron_is_refractory(backend):
    """Spikes that arrive then move currents, and with delta synapses are lost."""
    quiet = {"t_ref": 1.0, "V_reset": -70.0, "V_th": -55.0}
    values, spikes = respond("iaf_psc_exp", 40, [3], (2,), (500.0,), start=(14.999, 1e6), tau_syn_ex=0.5, **quiet)
    assert spikes[0] == 0
    plain, _ = respond("iaf_psc_exp", 40, [3], (2,), (500.0,), start=(0.0, 1e6), tau_syn_ex=0.5, V_th=1e9, t_ref=1.0)
    np.testing.assert_array_equal(values[:, 1], plain[:, 1])
    assert not values[:10, 0].any()
    values, spikes = respond("iaf_psc_delta", 40, [3], (2,), (10.0,), start=(20.0,), **quiet)
    assert spikes == [0] and not values.any()


def test_the_threshold_is_reached_by_equality(backend):
    reached = {"V_th": -55.0, "V_reset": -70.0, "tau_m": 1e300, "C_m": 1.0, "t_ref": 0.3}
    assert respond("iaf_psc_delta", 12, [0, 5], (1,), (15.0,), **reached)[1] == [1, 6]
    assert respond("iaf_psc_delta", 12, [0, 5], (1,), (14.5,), **reached)[1] == [6]


def test_voltages_stay_above_their_minimum(backend):
    values, _ = respond("iaf_psc_delta", 20, [0, 1, 2], (1,), (-30.0,), V_min=-80.0)
    assert values[:, 0].min() == -10.0
    values, _ = respond("iaf_psc_alpha", 200, [0], (1,), (-9000.0,), V_min=-75.0)
    assert values[:, 0].min() == -5.0


@pytest.mark.parametrize("delay", [1, 2, 7])
def test_a_spike_of_step_s_arrives_in_step_s_plus_delay(backend, delay):
    values, _ = respond("iaf_psc_delta", 20, [4], (delay,), (3.0,), tau_m=1e300, C_m=1.0)
    assert np.flatnonzero(values[:, 0])[0] == 4 + delay


def test_a_volley_of_several_spikes_in_one_step_counts_each(backend):
    values, _ = respond("iaf_psc_delta", 6, [1, 1, 1], (2,), (3.0,), tau_m=1e300, C_m=1.0)
    assert values[:, 0].tolist() == [0, 0, 0, 9, 9, 9]


def test_a_constant_current_ends_in_ohms_law(backend):
    values, _ = respond("iaf_psc_exp", 200, I_e=900.0, tau_m=1.0)
    assert values[-1, 0] == pytest.approx(900.0 * 1.0 / 250.0, rel=1e-6)


def test_numbers_of_each_neuron_and_of_all_alike(backend):
    """Parameters given one by one act as those given for all."""
    size = 70
    currents = torch.linspace(300, 700, size, dtype=torch.float64)
    rows = ops.rows(NONE, NONE, NONE, NONE.float(), neurons=size)
    results = []
    for tau in (9.0, torch.full((size,), 9.0, dtype=torch.float64)):
        populations = [ops.spiking_population("iaf_psc_exp", 0, size, dt=DT, current=currents, tau_m=tau)]
        state = ops.SimulationState.zeros(populations)
        spikes = ops.simulate(rows, populations, state, 300, record=True).spikes
        results.append((state.values, spikes))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
    assert len(results[0][1]) > 50


def test_current_is_added_to_i_e_and_can_be_replaced():
    made = ops.spiking_population("iaf_psc_exp", 0, 3, dt=DT, I_e=100.0, current=50.0, dtype=torch.float64)
    same = ops.spiking_population("iaf_psc_exp", 0, 3, dt=DT, I_e=150.0, dtype=torch.float64)
    assert torch.equal(made.drive, same.drive)
    assert torch.equal(made.replace(current=0.0).replace(current=50.0).drive, same.drive)
    each = made.replace(current=torch.tensor([0.0, 50.0, 100.0])).drive
    assert each.shape == (3,) and each[1] == same.drive
    assert made.variables == ("V", "I") and made.offset == -70.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tau": 1.0}, "iaf_psc_exp has no parameter 'tau'; it has C_m, tau_m"),
        ({"C_m": 0.0}, "C_m was 0.0; it must be positive"),
        ({"tau_syn_ex": -1.0}, "tau_syn_ex was -1.0"),
        ({"t_ref": -0.1}, "t_ref was -0.1"),
        ({"V_reset": -50.0}, "V_reset was -50.0 with V_th -55.0"),
        ({"t_ref": 1e4}, "t_ref was 10000.0 ms, 100000 steps; at most 32767"),
        ({"I_e": math.nan}, "I_e was NaN"),
        ({"C_m": torch.ones(4)}, r"C_m had shape \(4,\); it must be a number or \(3,\)"),
        ({"ports": 3}, "ports was 3; iaf_psc_exp has 1 or 2"),
        ({"ports": 1, "tau_syn_in": 1.0}, "tau_syn_ex and tau_syn_in differ"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ops.spiking_population("iaf_psc_exp", 0, 3, dt=DT, **parameters)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="model was 'lif'; it must be one of 'iaf_psc_exp'"):
        ops.spiking_population("lif", 0, 3, dt=DT)
    with pytest.raises(ValueError, match="dt was 0"):
        ops.spiking_population("iaf_psc_exp", 0, 3, dt=0.0)
    with pytest.raises(TypeError, match="dtype was torch.float16"):
        ops.spiking_population("iaf_psc_exp", 0, 3, dt=DT, dtype=torch.float16)
    with pytest.raises(ValueError, match="first and last were 3 and 2"):
        ops.spiking_population("iaf_psc_exp", 3, 2, dt=DT)


@pytest.mark.parametrize("model", OWN)
def test_our_own_models_have_the_parameters_of_their_classes(model):
    """The same names, and no default where the class has none."""
    signature = inspect.signature(getattr(neural, model).__init__).parameters.values()
    shared = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
    for name in ("batch_size", "batch_reduction", "surrogate", "detach_reset"):
        shared.pop(name, None)
    known = dict(ops.SPIKING_MODELS[model].parameters)
    here = {name: known.pop(name) for name in ("tau_syn_ex", "tau_syn_in", "refrac_lock", "adapt") if name in known}
    adapts = {"adapt": 1.0} if ops.SPIKING_MODELS[model].adaptation else {}
    assert here == {"tau_syn_ex": 0.0, "tau_syn_in": 0.0, "refrac_lock": 1.0, **adapts}
    assert known == {name: None if default is inspect.Parameter.empty else default for name, default in shared.items()}
    assert set(ops.SPIKING_MODELS[model].units) == {*known, *here}
    with pytest.raises(ValueError, match=f"{model} needs .*refrac_t"):
        ops.spiking_population(model, 0, 3, dt=DT)


@pytest.mark.parametrize("model", OWN)
def test_our_own_models_start_at_rest(model):
    rest = torch.linspace(-70.0, -66.0, 3, dtype=torch.float64)
    made = ops.spiking_population(model, 0, 3, dt=DT, dtype=torch.float64, **OWN[model] | {"rest_v": rest})
    state = ops.SimulationState.zeros([made], trials=2, dtype=torch.float64)
    assert torch.equal(state.values[0], rest.expand(2, 3)) and not state.values[1:].any()
    assert made.offset == 0.0 and made.drive.tolist() == [0.0]
    assert made.replace(current=500.0).drive.tolist() == [0.5]  # nA of a pA


@pytest.mark.parametrize("tau_syn", [0.0, 2.0])
def test_charges_act_in_the_step_in_which_they_arrive(backend, tau_syn):
    given = OWN["LIF"] | {"time_constant": 1e9, "resistance": 1e9, "tau_syn_ex": tau_syn, "tau_syn_in": tau_syn}
    values, spikes = respond("LIF", 8, [2], (3,), (0.5,), start=(-65.0,), **given)
    lasting = np.exp(-DT / tau_syn * np.arange(3)) / tau_syn if tau_syn else np.array([1 / DT, 0, 0])
    current = 0.5 * np.concatenate([np.zeros(5), lasting])
    assert not spikes
    np.testing.assert_allclose(values[:, 1], current, rtol=1e-12)
    np.testing.assert_allclose(values[:, 0] + 65.0, np.cumsum(current) * DT, rtol=1e-6)
