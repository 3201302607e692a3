"""The functions that neuron models are built from, against inferno-ai's and against the fused neurons."""

import pytest
import torch

from inferno_cuda import neural
from inferno_cuda.neural import functional as ours

theirs = pytest.importorskip("inferno.neural.functional")
DTYPES = [torch.float32, torch.float64]


def drawn(*shape, low=0.0, high=1.0, seed=0, dtype=torch.float32):
    return (low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


def both(name, *args, **kwargs):
    return getattr(ours, name)(*args, **kwargs), getattr(theirs, name)(*args, **kwargs)


MEMBRANES = {
    "voltage_integration_linear": {},
    "voltage_integration_quadratic": {"crit_v": -52.0, "affinity": 0.04},
    "voltage_integration_exponential": {"rheobase_v": -50.0, "sharpness": 2.0},
}


@pytest.mark.parametrize("name", MEMBRANES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("as_tensors", [False, True])
def test_membranes(name, dtype, as_tensors):
    x, v = drawn(3, 50, low=-10, high=40, dtype=dtype), drawn(3, 50, low=-70, high=-45, seed=1, dtype=dtype)
    parameters = {"step_time": 0.5, "time_constant": 20.0, "rest_v": -60.0, "resistance": 1.5} | MEMBRANES[name]
    if as_tensors:
        parameters = {key: torch.full((50,), value, dtype=dtype) for key, value in parameters.items()}
    torch.testing.assert_close(*both(name, x, v, **parameters))


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("linear", [True, False])
def test_thresholding(held, linear):
    voltage, refrac = drawn(4, 60, low=-70, high=-40), torch.randint(0, 3, (4, 60)).float()
    options = {"step_time": 1.0, "thresh_v": -50.0, "refrac_t": 3.0}
    options |= {"rest_v": -60.0, "v_slope": 0.4, "v_intercept": 2.0} if linear else {"reset_v": -65.0}
    name = "voltage_thresholding_linear" if linear else "voltage_thresholding_constant"
    x = drawn(4, 60, low=-5, high=15, seed=2)
    results = both(name, x, refrac, lambda current: voltage + current, voltage if held else None, **options)
    for mine, right in zip(*results, strict=True):
        torch.testing.assert_close(mine, right)
    assert results[0][0].any() and not results[0][0].all()


ADAPTATIONS = {
    "adaptive_currents_linear": {"time_constant": 30.0, "voltage_coupling": 0.5, "spike_increment": 0.1},
    "adaptive_thresholds_linear_spike": {"time_constant": 30.0, "spike_increment": 0.1},
    "adaptive_thresholds_linear_voltage": {"adapt_rate": 0.1, "rebound_rate": 0.2},
}


@pytest.mark.parametrize("name", ADAPTATIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("as_tensors", [False, True])
def test_adaptations(name, dtype, locked, as_tensors):
    adaptation = drawn(7, 2, dtype=dtype)
    voltage, spikes = drawn(3, 7, low=-70, high=-45, seed=1, dtype=dtype), drawn(3, 7, seed=2) < 0.5
    parameters = dict(ADAPTATIONS[name])
    if as_tensors:
        parameters = {key: torch.tensor([value, 2 * value], dtype=dtype) for key, value in parameters.items()}
    if "linear_spike" not in name:
        parameters["rest_v"] = torch.linspace(-62, -58, 7, dtype=dtype) if as_tensors else -60.0
    if name.endswith("linear_voltage"):
        parameters |= {"adapt_reset_min": 0.6, "spikes": spikes}
    args = {"adaptive_currents_linear": (voltage, spikes), "adaptive_thresholds_linear_spike": (spikes,)}
    refracs = torch.where(drawn(3, 7, seed=3) < 0.5, 1.0, 0.0).to(dtype) if locked else None
    mine, right = both(name, adaptation, *args.get(name, (voltage,)), step_time=0.5, refracs=refracs, **parameters)
    assert mine.dtype == dtype and mine.shape == (3, 7, 2)
    torch.testing.assert_close(mine, right)


def test_applied_adaptations():
    adaptation, current = drawn(7, 3), drawn(2, 7, seed=1)
    torch.testing.assert_close(*both("apply_adaptive_currents", current, adaptation))
    torch.testing.assert_close(*both("apply_adaptive_thresholds", -50.0, adaptation))


def test_a_neuron_built_from_them_equals_the_fused_one(backend):
    """AdEx, bit for bit."""
    adex = neural.AdEx(
        9,
        1.0,
        rest_v=-60.0,
        rheobase_v=-50.0,
        sharpness=2.0,
        reset_v=-65.0,
        thresh_v=-40.0,
        refrac_t=3.0,
        tc_membrane=20.0,
        tc_adaptation=(100.0, 30.0),
        voltage_coupling=(0.2, 0.1),
        spike_increment=(1.0, 0.5),
        batch_size=1,
    )
    voltage, refrac, adaptation = torch.full((1, 9), -60.0), torch.zeros(1, 9), torch.zeros(9, 2)
    membrane = {"rest_v": -60.0, "rheobase_v": -50.0, "sharpness": 2.0, "time_constant": 20.0, "resistance": 1.0}
    fired = 0
    for x in drawn(80, 1, 9, low=0, high=60):
        acting, before = ours.apply_adaptive_currents(x, adaptation), voltage
        spikes, voltage, refrac = ours.voltage_thresholding_constant(
            acting,
            refrac,
            lambda current, v=before: ours.voltage_integration_exponential(current, v, step_time=1.0, **membrane),
            before,
            step_time=1.0,
            reset_v=-65.0,
            thresh_v=-40.0,
            refrac_t=3.0,
        )
        adaptation = ours.adaptive_currents_linear(
            adaptation,
            voltage,
            spikes,
            step_time=1.0,
            rest_v=-60.0,
            time_constant=torch.tensor([100.0, 30.0]),
            voltage_coupling=torch.tensor([0.2, 0.1]),
            spike_increment=torch.tensor([1.0, 0.5]),
            refracs=refrac,
        )[0]
        assert torch.equal(adex(x), spikes)
        fired += int(spikes.sum())
    assert torch.equal(adex.voltage, voltage) and torch.equal(adex.current_adaptation, adaptation)
    assert fired > 20
