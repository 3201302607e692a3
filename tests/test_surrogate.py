"""Surrogates as functions: their formulas, areas and antiderivatives, and as spikes in any torch code."""

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inferno_cuda import reference, surrogate
from inferno_cuda.surrogate import ATan, Boxcar, Gaussian, StraightThrough, SuperSpike, Surrogate

ALL = [getattr(surrogate, name) for name in surrogate.__all__ if name != "Surrogate"]
NAMES = ["atan", "sigmoid", "fast_sigmoid", "super_spike", "triangular", "gaussian", "boxcar", "straight_through"]


def logistic(u):
    return 1 / (1 + math.exp(-u))


# The formulas as they are published, in plain Python.
FORMULAS = {
    "atan": lambda x, k: k / 2 / (1 + (math.pi / 2 * k * x) ** 2),
    "sigmoid": lambda x, k: k * logistic(k * x) * (1 - logistic(k * x)),
    "fast_sigmoid": lambda x, k: k / 2 / (1 + k * abs(x)) ** 2,
    "super_spike": lambda x, k: 1 / (1 + k * abs(x)) ** 2,
    "triangular": lambda x, k: k * max(0, 1 - k * abs(x)),
    "gaussian": lambda x, k: k / math.sqrt(2 * math.pi) * math.exp(-((k * x) ** 2) / 2),
    "boxcar": lambda x, k: k if abs(x) < 1 / (2 * k) else 0.0,
    "straight_through": lambda x, k: k,
}
POINTS = [-7.0, -1.3, -0.4, -0.1, 0.0, 0.05, 0.3, 0.7, 2.0, 7.0]


@pytest.fixture(params=ALL, ids=lambda cls: cls.name)
def cls(request):
    return request.param


def test_the_numbers_of_the_kernels():
    assert list(reference.SURROGATES) == NAMES
    assert sorted(cls.name for cls in ALL) == sorted(NAMES)


@pytest.mark.parametrize("scale", [1.0, 0.3, 4.0])
def test_derivatives_are_the_published_formulas(cls, scale):
    x = torch.tensor(POINTS, dtype=torch.float64)
    expected = torch.tensor([FORMULAS[cls.name](v, scale) for v in POINTS], dtype=torch.float64)
    torch.testing.assert_close(cls(scale).derivative(x), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("scale", [1.0, 0.3, 4.0])
def test_derivatives_are_those_of_the_smooth_functions(cls, scale):
    """By autograd, and by central differences away from kinks."""
    s = cls(scale)
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(s.smooth(x).sum(), x)
    torch.testing.assert_close(slope, s.derivative(x.detach()), rtol=1e-12, atol=1e-15)
    h, y = 1e-5, x.detach() + 1e-3
    torch.testing.assert_close((s.smooth(y + h) - s.smooth(y - h)) / (2 * h), s.derivative(y), rtol=1e-5, atol=1e-8)
    assert s.smooth(torch.zeros(1)).item() == 0.5


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_areas(cls, scale):
    """1, but for the two that say something else."""
    bound = 1e9 / scale
    x = torch.tensor([-bound, bound], dtype=torch.float64)
    low, high = cls(scale).smooth(x).tolist()
    area = {SuperSpike: 2 / scale, StraightThrough: 2 * scale * bound}.get(cls, 1.0)
    assert high - low == pytest.approx(area, rel=1e-8)


@given(
    x=st.floats(-1e6, 1e6, allow_subnormal=False),
    scale=st.floats(1e-3, 1e3),
    number=st.integers(0, len(ALL) - 1),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
)
def test_derivatives_are_even_finite_and_not_negative(x, scale, number, dtype):
    s = ALL[number](scale)
    there = s.derivative(torch.tensor([x, -x], dtype=torch.float64).clamp(-6e4, 6e4).to(dtype))
    assert there.dtype == dtype and there[0] == there[1] and 0 <= there[0] < math.inf
    assert s.derivative(torch.zeros(1, dtype=dtype)) >= there[0] * (1 - 1e-14)


def test_sigmoid_keeps_its_gradient_far_above_the_threshold():
    """The formula s (1 - s) is zero there in float32."""
    above, below = surrogate.Sigmoid().derivative(torch.tensor([30.0, -30.0]))
    assert above == below
    torch.testing.assert_close(above.item(), math.exp(-30.0), rtol=1e-5, atol=0)


def test_half_types_compute_in_float32(cls):
    x = torch.tensor(POINTS).half()
    assert torch.equal(cls(3.0).derivative(x), cls(3.0).derivative(x.float()).half())
    assert torch.equal(cls(3.0).smooth(x), cls(3.0).smooth(x.float()).half())


def test_a_spike_is_a_step_with_that_gradient(cls):
    s = cls(2.0)
    x = torch.tensor([*POINTS, -0.0, math.inf, -math.inf, math.nan], requires_grad=True)
    spikes = s(x)
    assert spikes.dtype == x.dtype and torch.equal(spikes, (x >= 0).float())
    weight = torch.linspace(1, 2, len(x))
    (spikes * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight * s.derivative(x.detach()), rtol=0, atol=0, equal_nan=True)
    assert x.grad[:10].any()


def test_second_derivatives(cls):
    s = cls(0.7)
    x = torch.tensor([-1.1, 0.2, 0.5], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(s(x).sum(), x, create_graph=True)
    expected = torch.autograd.functional.jacobian(s.derivative, x.detach()).diagonal()
    second = torch.autograd.grad(first.sum(), x)[0] if first.requires_grad else torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(second, expected)


def test_under_compile():
    """All in one graph; fullgraph=True refuses breaks of it."""

    def loss(x, weight):
        return sum((cls(2.0)(x * weight) * x).sum() * i for i, cls in enumerate(ALL, 1))

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    x = torch.linspace(-2, 2, 9)
    found = []
    for function in (loss, compiled):
        weight = torch.linspace(0.5, 1.5, 9).requires_grad_()
        function(x, weight).backward()
        found.append(weight.grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-6)
    assert found[0].count_nonzero() == 8


def test_under_vmap_and_grad(cls):
    s = cls(2.0)
    x = torch.linspace(-2, 2, 9)
    assert torch.equal(torch.func.vmap(torch.func.grad(s))(x), s.derivative(x))
    assert torch.equal(torch.func.vmap(s)(x), s(x))


def test_in_a_plain_module(cls):
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 4)
    cls(0.5)(layer(torch.rand(3, 5))).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_they_are_values(cls):
    s = cls(2)
    assert s == cls(2.0) and hash(s) == hash(cls(2.0)) and s != cls(3.0)
    assert all(s != other(2.0) for other in ALL if other is not cls)
    assert pickle.loads(pickle.dumps(s)) == s and copy.deepcopy(s) == s
    assert repr(s) == f"{cls.__name__}(scale=2.0)" and type(s.scale) is float
    with pytest.raises(AttributeError):
        s.scale = 1.0
    assert cls().scale == 1.0


@pytest.mark.parametrize("scale", [0, -1.0, math.nan, math.inf])
def test_scales_must_be_positive(cls, scale):
    with pytest.raises(ValueError, match="'scale' was .* it must be positive and finite"):
        cls(scale)


def test_spikes_of_integers_are_refused():
    with pytest.raises(TypeError, match=r"'x' was torch.int64"):
        ATan()(torch.tensor([1]))


def test_a_subclass_does_not_pass_for_the_kernel_of_its_base():
    class Narrow(Gaussian):
        def derivative(self, x):
            return super().derivative(3 * x)

    s, x = Narrow(2.0), torch.tensor([0.1], requires_grad=True)
    assert s.name is None and Gaussian(2.0).name == "gaussian"
    s(x).backward()
    assert torch.equal(x.grad, Gaussian(2.0).derivative(3 * x.detach()))


def test_a_surrogate_of_ones_own():
    class Exponential(Surrogate):
        def derivative(self, x):
            return self.scale / 2 * torch.exp(-self.scale * x.abs())

    s = Exponential(0.5)
    assert torch.func.grad(s)(torch.tensor(0.0)) == 0.25 and s.name is None
    with pytest.raises(NotImplementedError, match="Exponential must implement 'smooth'"):
        s.smooth(torch.zeros(1))
    with pytest.raises(NotImplementedError, match="Surrogate must implement 'derivative'"):
        Surrogate().derivative(torch.zeros(1))


def gradient(spike, x):
    x = x.clone().requires_grad_()
    spike(x).sum().backward()
    return x.grad


# What the libraries call them, and the scale that gives the same gradient.
SNNTORCH = [
    ("atan", {"alpha": 2.0}, ATan(2.0)),
    ("atan", {"alpha": 0.7}, ATan(0.7)),
    ("sigmoid", {"slope": 25}, surrogate.Sigmoid(25)),
    ("fast_sigmoid", {"slope": 25}, SuperSpike(25)),
    ("straight_through_estimator", {}, StraightThrough(1.0)),
]
SPIKINGJELLY = [
    ("ATan", {"alpha": 2.0}, ATan(2.0)),
    ("Sigmoid", {"alpha": 4.0}, surrogate.Sigmoid(4.0)),
    ("SoftSign", {"alpha": 2.0}, surrogate.FastSigmoid(2.0)),
    ("SuperSpike", {"alpha": 1.0}, SuperSpike(1.0)),
    ("PiecewiseQuadratic", {"alpha": 1.5}, surrogate.Triangular(1.5)),
    ("Erf", {"alpha": 2.0}, Gaussian(math.sqrt(2.0) * 2.0)),
    ("Rect", {"alpha": 1.5}, Boxcar(1.5)),
    ("DeterministicPass", {}, StraightThrough(1.0)),
]
APART = torch.tensor([-2.0, -0.7, -0.31, -0.1, 0.05, 0.29, 0.5, 1.7])


@pytest.mark.parametrize(("name", "options", "ours"), SNNTORCH)
def test_those_of_snntorch(name, options, ours):
    theirs = getattr(pytest.importorskip("snntorch.surrogate"), name)(**options)
    torch.testing.assert_close(gradient(ours, APART), gradient(theirs, APART), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("name", "options", "ours"), SPIKINGJELLY)
def test_those_of_spikingjelly(name, options, ours):
    theirs = getattr(pytest.importorskip("spikingjelly.activation_based.surrogate"), name)(**options)
    torch.testing.assert_close(gradient(ours, APART), gradient(theirs, APART), rtol=1e-4, atol=1e-7)
