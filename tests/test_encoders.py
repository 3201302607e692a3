"""Encoders and the functions they draw spikes with: rates, intervals, reproducibility, checks."""

import copy
import inspect
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import neural
from inferno_cuda.neural import functional as nf

ENCODERS = ["HomogeneousPoissonEncoder", "HomogeneousPoissonApproxEncoder", "PoissonIntervalEncoder"]
FUNCTIONS = ["homogeneous_poisson_exp_interval", "homogenous_poisson_bernoulli_approx", "poisson_interval"]
ENCODING = [*FUNCTIONS, *(f"{name}_online" for name in FUNCTIONS), "inhomogeneous_poisson_bernoulli_approx"]
INTENSITIES = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)).index_fill_(0, torch.tensor([2]), 0.0)


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def encoder(name, steps=200, step_time=1.0, frequency=100.0, seed=7, **options):
    return getattr(neural, name)(steps, step_time, frequency, generator=seeded(seed), **options)


def draw(encoder, inputs, online):
    return torch.stack(list(encoder(inputs, online=True))) if online else encoder(inputs)


def intervals(spikes):
    """Steps between spikes of all trains together; ``spikes`` is (steps, n)."""
    element, step = spikes.T.nonzero(as_tuple=True)
    return step.diff()[element.diff() == 0]


@pytest.mark.parametrize("name", ENCODERS + ENCODING)
def test_parameters_are_those_of_inferno(name):
    pytest.importorskip("inferno.neural")
    import inferno.neural as theirs

    homes = (nf, theirs.functional) if name in ENCODING else (neural, theirs)
    ours, theirs = (inspect.signature(getattr(home, name)).parameters for home in homes)
    a, b = ([(p.name, p.kind, p.default) for p in side.values()] for side in (ours, theirs))
    assert a == b


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("step_time, frequency", [(1.0, 50.0), (1.0, 300.0), (0.1, 300.0), (1.3, 300.0)])
def test_the_same_seed_gives_the_spikes_of_inferno(name, step_time, frequency):
    theirs = pytest.importorskip("inferno.neural")
    kinds = [{}, {"compensate": False}] if name == ENCODERS[0] else [{}]
    for options in kinds:
        a = encoder(name, 400, step_time, frequency, **options)(INTENSITIES)
        b = getattr(theirs, name)(400, step_time, frequency, generator=seeded(), **options)(INTENSITIES)
        # inferno's intervals put a spike into the last step of every train
        end = -1 if name == "PoissonIntervalEncoder" else None
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a[:end], b[:end]) and a.any()


@pytest.mark.parametrize("name", ENCODERS[1:])
def test_the_same_seed_gives_the_online_spikes_of_inferno(name):
    theirs = pytest.importorskip("inferno.neural")
    a = draw(encoder(name), INTENSITIES, True)
    b = draw(getattr(theirs, name)(200, 1.0, 100.0, generator=seeded()), INTENSITIES, True)
    assert torch.equal(a, b)


def test_rates_for_every_step_equal_inferno():
    theirs = pytest.importorskip("inferno.neural").functional
    rates = torch.rand(30, 2, 3, generator=seeded(2)) * 1500
    name = "inhomogeneous_poisson_bernoulli_approx"
    a, b = (getattr(f, name)(rates, 0.5, generator=seeded()) for f in (nf, theirs))
    assert torch.equal(a, b) and a.dtype == torch.bool


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (0, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])
def test_shapes_and_dtypes(name, online, shape, dtype):
    spikes = draw(encoder(name, 11), torch.ones(shape).to(dtype), online)
    assert spikes.shape == (11, *shape) and spikes.dtype == torch.bool and not spikes.requires_grad


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_no_graph_and_no_change_of_the_input(name, online):
    inputs = INTENSITIES.clone().T.requires_grad_()
    before = inputs.detach().clone()
    spikes = draw(encoder(name, 11), inputs, online)
    assert not spikes.requires_grad and torch.equal(inputs, before)
    assert torch.equal(spikes, draw(encoder(name, 11), before, online))


def expected_rate(name, frequency, options):
    """Spikes per step of 1 ms, long after the start."""
    mean = 1000 / frequency
    if name == "HomogeneousPoissonApproxEncoder":
        return 1 / mean
    if name == "PoissonIntervalEncoder":
        return 1 / (mean + math.exp(-mean))
    dead = options.get("refrac", 1.0)
    return 1 / (mean if options.get("compensate", True) else mean + dead)


CASES = [(n, f, {}) for n in ENCODERS for f in (20.0, 200.0, 500.0)] + [
    (ENCODERS[0], 60.0, {"refrac": 10.0}),
    (ENCODERS[0], 60.0, {"refrac": 10.0, "compensate": False}),
    (ENCODERS[0], 300.0, {"refrac": 2.5}),
    (ENCODERS[0], 200.0, {"compensate": False}),
]


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name, frequency, options", CASES)
def test_rates(name, frequency, options, online):
    spikes = draw(encoder(name, 500, frequency=frequency, seed=3, **options), torch.ones(400), online)
    late = spikes[200:].double()
    expected = expected_rate(name, frequency, options)
    # the error of the mean from the spread of the trains, which are independent
    error = late.mean(0).std().item() / math.sqrt(400)
    assert abs(late.mean().item() - expected) < 4 * error


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("refrac, expected", [(0.0, 1 - math.exp(-0.8)), (0.25, None)])
def test_dead_times_below_a_step(refrac, expected, online):
    spikes = draw(encoder(ENCODERS[0], 300, frequency=800.0, refrac=refrac, seed=5), torch.ones(300), online)
    rate = spikes[50:].double().mean()
    if expected is None:
        # steps with two events count once: 0.8 events a step, at most 4, and dead times make them more regular
        assert 1 - math.exp(-0.8) < rate < 0.8
    else:
        assert abs(rate - expected) < 4 * math.sqrt(expected * (1 - expected) / (250 * 300))
    assert intervals(spikes).min() == 1


def test_dead_times_below_a_step_agree_between_the_modes():
    rates = [
        draw(encoder(ENCODERS[0], 300, frequency=900.0, refrac=0.4, seed=s), torch.ones(300), s)[50:].double().mean()
        for s in (0, 1)
    ]
    assert abs(rates[0] - rates[1]) < 4 * math.sqrt(2 * 0.25 / (250 * 300))


@pytest.mark.parametrize("compensate", [True, False])
def test_first_spikes_come_after_a_whole_interval(compensate):
    spikes = encoder(ENCODERS[0], 60, frequency=90.0, refrac=10.0, compensate=compensate)(torch.ones(3000))
    assert not spikes[:10].any() and spikes[10:20].any()
    mean = 1000 / 90 - (10 if compensate else 0)
    expected = 1 - math.exp(-1 / mean)
    assert abs(spikes[10].double().mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / 3000)


@pytest.mark.parametrize("online", [False, True])
def test_intervals_are_those_of_both_modes_alike(online):
    for name, options in ((ENCODERS[0], {"refrac": 3.0}), (ENCODERS[2], {})):
        found = intervals(draw(encoder(name, 600, frequency=100.0, **options), torch.ones(200), online)).double()
        mean, variance = (10, 49 + 1 / 12) if options else (10, 10)
        # long intervals are cut off by the end
        assert abs(found.mean() - mean) < 0.25
        assert abs(found.var() / variance - 1) < 0.12


@pytest.mark.parametrize("online", [False, True])
def test_d11_the_refractory_period_counts(online):
    spikes = draw(encoder("HomogeneousPoissonEncoder", 5000, frequency=60.0, refrac=10.0), torch.ones(1), online)
    assert intervals(spikes).min() >= 10 and spikes.sum() > 200


@given(
    st.integers(1, 12), st.sampled_from([0.1, 0.25, 0.3, 1.0, 1.3]), st.floats(0.0, 0.99), st.booleans(), st.booleans(),
    st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_interval_is_shorter_than_the_refractory_period(count, step_time, load, compensate, online, seed):
    refrac = count * step_time
    e = encoder(
        ENCODERS[0], 150, step_time, load * 1000 / refrac, seed, refrac=refrac, compensate=compensate
    )
    found = intervals(draw(e, torch.ones(8), online))
    assert not len(found) or found.min() >= count


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_rate_zero_is_silent(name, online):
    spikes = draw(encoder(name, 300, frequency=300.0), INTENSITIES, online)
    assert not spikes[:, 2].any() and spikes[:, 3].any()
    assert not draw(encoder(name, 50, frequency=0.0), INTENSITIES, online).any()


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("rate", [1e-17, 1e-20, 1e-38, 1e-45])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_lowest_rates_are_silent(name, rate, dtype, online):
    for step_time in (1.0, 0.1, 1e-3):
        inputs = torch.full((500,), rate, dtype=dtype)
        assert not draw(encoder(name, 30, step_time, frequency=1.0), inputs, online).any()


@pytest.mark.parametrize("name", ENCODING[:6])
def test_steps_are_a_whole_number(name):
    function = getattr(nf, name)
    spikes = [list(function(torch.tensor([300.0]), steps, 1.0, generator=seeded())) for steps in (10, 10.0)]
    assert len(spikes[1]) == 10 and torch.equal(*map(torch.stack, spikes))
    for steps in (2.7, -1, "x"):
        with pytest.raises(ValueError, match="'steps'"):
            function(torch.tensor([300.0]), steps, 1.0)


@pytest.mark.parametrize("online", [False, True])
def test_the_highest_rates(online):
    fastest = {"HomogeneousPoissonApproxEncoder": 1e6, "PoissonIntervalEncoder": 1e9}
    for name, frequency in fastest.items():
        assert draw(encoder(name, 20, frequency=frequency), torch.ones(3), online).all()
    spikes = draw(encoder(ENCODERS[0], 20, frequency=1000.0), torch.ones(3), online)
    assert not spikes[0].any() and spikes[1:].all()


def test_d12a_online_yields_every_step():
    e = encoder("HomogeneousPoissonEncoder", 50, frequency=200.0)
    assert len(list(e(torch.ones(5), online=True))) == 50


def test_d12b_frequency_can_be_set():
    for name in ENCODERS:
        e = encoder(name)
        e.frequency = 20.0
        assert e.frequency == 20.0


def test_d12c_refrac_none_follows_dt():
    e = encoder("HomogeneousPoissonEncoder", refrac=3.0)
    e.refrac = None
    assert e.refrac == 1.0
    e.dt = 2.0
    assert e.refrac == 2.0 and e.duration == 400.0


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_generator_makes_spikes_repeat(name, online):
    e = encoder(name)
    first = draw(e, INTENSITIES, online)
    assert not torch.equal(draw(e, INTENSITIES, online), first)
    e.generator = seeded()
    assert torch.equal(draw(e, INTENSITIES, online), first)
    e.generator = None
    torch.manual_seed(7)
    assert torch.equal(draw(e, INTENSITIES, online), first)
    with pytest.raises(TypeError, match="'generator' must be an instance of Generator"):
        e.generator = 3


@pytest.mark.cuda
@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_generator_of_the_cpu_gives_the_same_spikes_everywhere(name, online):
    spikes = draw(encoder(name), INTENSITIES.cuda(), online)
    assert spikes.is_cuda and torch.equal(spikes.cpu(), draw(encoder(name), INTENSITIES, online))


@pytest.mark.cuda
@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_drawing_on_a_gpu(name, online):
    e = getattr(neural, name)(300, 1.0, 100.0, generator=torch.Generator("cuda").manual_seed(1))
    spikes = draw(e, torch.ones(500, device="cuda"), online)
    assert spikes.is_cuda and abs(spikes[100:].double().mean().item() - 0.1) < 0.005


@pytest.mark.parametrize("name", ENCODERS)
def test_copies(name):
    e = encoder(name)
    for other in (copy.deepcopy(e), pickle.loads(pickle.dumps(e))):
        assert repr(other) == repr(e)
        assert torch.equal(other(INTENSITIES), copy.deepcopy(e)(INTENSITIES))
    assert list(e.state_dict()) == ["_extra_state"] and not e._extras


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_bad_rates_draw_nothing(name, online, bad):
    e = encoder(name)
    state = e.generator.get_state()
    with pytest.raises(ValueError, match="'inputs' had a rate of (-100.0|NaN); rates must be nonnegative"):
        e(torch.tensor([1.0, bad]), online=online)
    assert torch.equal(e.generator.get_state(), state)


@pytest.mark.parametrize("name", ENCODING)
def test_bad_arguments_of_functions(name):
    function = getattr(nf, name)
    steps = () if name.startswith("inhomogeneous") else (10,)
    with pytest.raises(ValueError, match="'inputs' had a rate of -1"):
        function(torch.tensor([-1.0]), *steps, 1.0)
    with pytest.raises(TypeError, match="'inputs' must be an instance of Tensor"):
        function(3.0, *steps, 1.0)
    for bad in (0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="'step_time'"):
            function(torch.ones(2), *steps, bad)
    if steps:
        with pytest.raises(ValueError, match="'steps'"):
            function(torch.ones(2), -1, 1.0)
        assert len(list(function(torch.ones(2), 0, 1.0))) == 0


@pytest.mark.parametrize("online", [False, True])
def test_rates_that_cannot_be_compensated(online):
    e = encoder(ENCODERS[0], frequency=1500.0)
    with pytest.raises(ValueError, match="'inputs' had a rate of 1500.0 Hz.*at most 1000.0 Hz"):
        e(torch.tensor([0.1, 1.0]), online=online)
    assert draw(e, torch.tensor([0.1, 0.5]), online).any()
    e.compensated = False
    assert draw(e, torch.ones(2), online).any()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("args", [(0, 1.0, 5.0), (1.5, 1.0, 5.0), (3, 0.0, 5.0), (3, math.inf, 5.0), (3, 1.0, -5.0),
                                  (3, 1.0, math.nan), (3, 1.0, math.inf)])  # fmt: skip
def test_constructors_check(name, args):
    with pytest.raises(ValueError, match="'(steps|step_time|frequency)'"):
        getattr(neural, name)(*args)


@pytest.mark.parametrize("attribute, bad", [("steps", 0), ("steps", 2.5), ("dt", 0.0), ("dt", math.nan),
                                            ("frequency", -1.0), ("frequency", 1000.0), ("refrac", -1.0),
                                            ("refrac", 10.0), ("compensated", True)])  # fmt: skip
def test_setters_check_and_leave_the_value(attribute, bad):
    e = encoder(ENCODERS[0], compensate=attribute != "compensated", frequency=1000.0 if bad is True else 100.0)
    before = getattr(e, attribute)
    with pytest.raises(ValueError, match=f"'{attribute}'"):
        setattr(e, attribute, bad)
    assert getattr(e, attribute) == before


def test_properties():
    e = neural.HomogeneousPoissonEncoder("3", 2, 10, compensate=0)
    assert (e.steps, e.dt, e.duration, e.frequency, e.refrac) == (3, 2, 6, 10, 2)
    assert e.compensated is False and e.generator is None
    e.steps, e.frequency, e.refrac, e.compensated = 5, 2000.0, 0.25, True
    assert (e.steps, e.frequency, e.refrac, e.compensated) == (5, 2000.0, 0.25, True)
    assert "refrac=0.25" in repr(e) and "frequency=2000.0" in repr(e)
