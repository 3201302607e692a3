"""Tensors made like others, traces, signatures, and what passes values through."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda as inferno
from inferno_cuda import extra, types

INT = torch.ones(2, 3, dtype=torch.int32)
GRAD = torch.ones(3, 2, dtype=torch.float64, requires_grad=True).T
FACTORIES = {"zeros": (), "ones": (), "full": (2.5,), "fullc": (2.5,), "uniform": (), "normal": (), "empty": ()}
OVERRIDES = [
    {},
    {"shape": (4,)},
    {"shape": ()},
    {"dtype": torch.float16},
    {"requires_grad": False},
    {"shape": torch.Size([2, 1]), "device": torch.device("cpu"), "layout": torch.strided},
]


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("tensor", [INT, GRAD, INT.bool(), GRAD.detach().half()], ids=["int", "grad", "bool", "half"])
@pytest.mark.parametrize("options", OVERRIDES, ids=str)
def test_factories_equal_inferno(name, tensor, options):
    upstream = pytest.importorskip("inferno")
    if name in ("uniform", "normal"):
        if not tensor.is_floating_point() and "dtype" not in options:
            with pytest.raises(NotImplementedError):
                getattr(inferno, name)(tensor, **options)
            return
        options = {**options, "generator": None}
    made = []
    for i in (inferno, upstream):
        torch.manual_seed(1)
        made.append(getattr(i, name)(tensor, *FACTORIES[name], **options))
    ours, theirs = made
    assert (ours.shape, ours.dtype, ours.requires_grad, ours.is_leaf) == (
        theirs.shape, theirs.dtype, theirs.requires_grad, theirs.is_leaf
    )  # fmt: skip
    if name != "empty":
        assert torch.equal(ours, theirs)


def test_integers_do_not_inherit_requires_grad():
    assert not inferno.zeros(GRAD, dtype=torch.int64).requires_grad
    with pytest.raises(RuntimeError):
        inferno.zeros(GRAD, dtype=torch.int64, requires_grad=True)


def test_generators_make_random_tensors_repeat():
    for make in (inferno.uniform, inferno.normal):
        a, b = (make(torch.zeros(5), generator=torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(a, b) and len(a.unique()) == 5


@pytest.mark.parametrize("tensor", [INT, GRAD], ids=["int", "grad"])
def test_scalar_equals_inferno(tensor):
    upstream = pytest.importorskip("inferno")
    for options in ({}, {"dtype": torch.float32}):
        ours, theirs = (i.scalar(2.5, tensor, **options) for i in (inferno, upstream))
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype and ours.requires_grad == theirs.requires_grad


@pytest.mark.parametrize(
    "values", [(), (1,), (1, 2.5), (torch.tensor(1.0), True, 3), (1, torch.tensor(1.0).double(), INT, 2.5), ([1, 2],)]
)
def test_astensors_equals_inferno(values):
    upstream = pytest.importorskip("inferno")
    ours, theirs = (i.astensors(*values) for i in (inferno, upstream))
    assert type(ours) is type(theirs)
    pairs = [(ours, theirs)] if isinstance(ours, torch.Tensor) else list(zip(ours, theirs, strict=True))
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_astensors_converts_where_there_is_no_tensor():
    assert inferno.astensors(1, 2, conversion=lambda v: torch.tensor([v])) == (torch.tensor([1]), torch.tensor([2]))
    assert inferno.astensors(GRAD) is GRAD


OBSERVED = {
    "bool": torch.tensor([True, False, True]),
    "float": torch.tensor([1.0, 0.5, 0.0]),
    "double": torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64),
    "int": torch.tensor([1, 2, 0], dtype=torch.int32),
}
TRACES = {"none": None, "float": torch.tensor([4.0, 2.0, 0.5]), "double": torch.tensor([4.0, 2.0, 0.5]).double()}


def assert_equal(ours, theirs):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["trace_nearest", "trace_cumulative"])
@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("observed", OBSERVED)
@pytest.mark.parametrize("amplitude", [3, 2.5, 3j])
def test_traces_equal_inferno(name, trace, observed, amplitude):
    upstream = pytest.importorskip("inferno")
    # inferno takes no tolerance for bool observations
    for tolerance in [None] if observed == "bool" else [None, 0, 0.5]:
        options = {"decay": 0.5, "amplitude": amplitude, "target": 1, "tolerance": tolerance}
        ours, theirs = (getattr(i, name)(OBSERVED[observed], TRACES[trace], **options) for i in (inferno, upstream))
        assert_equal(ours, theirs)


@pytest.mark.parametrize("name", ["trace_nearest", "trace_cumulative"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
def test_tolerance_works_for_bools_and_unsigned_integers(name, dtype):
    args, options = (OBSERVED["bool"].to(dtype), TRACES["float"]), {"decay": 0.5, "amplitude": 3.0}
    for target in (True, 1, 0.75):
        tolerant = getattr(inferno, name)(*args, target=target, tolerance=0.25, **options)
        assert_equal(tolerant, getattr(inferno, name)(*args, target=1, **options))


@pytest.mark.parametrize("name", ["trace_nearest_scaled", "trace_cumulative_scaled"])
@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("observed", OBSERVED)
def test_scaled_traces_equal_inferno(name, trace, observed):
    upstream = pytest.importorskip("inferno")
    options = {"decay": 0.5, "amplitude": 3.0, "scale": 2.0, "matchfn": lambda x: x > 0.2}
    ours, theirs = (getattr(i, name)(OBSERVED[observed], TRACES[trace], **options) for i in (inferno, upstream))
    assert_equal(ours, theirs)
    options["matchfn"] = lambda x: (x > 0.2).float()
    assert_equal(getattr(inferno, name)(OBSERVED[observed], TRACES[trace], **options), ours)


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("observed", OBSERVED)
def test_value_traces_equal_inferno(trace, observed):
    upstream = pytest.importorskip("inferno")
    args = (OBSERVED[observed], TRACES[trace])
    ours, theirs = (i.trace_cumulative_value(*args, decay=0.5, scale=2.0) for i in (inferno, upstream))
    assert_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["nearest", "cumulative"])
@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("wrap", [float, torch.tensor])
def test_exponential_traces_equal_inferno(kind, trace, wrap):
    upstream = pytest.importorskip("inferno")
    args, options = (OBSERVED["float"], TRACES[trace]), {"amplitude": 3.0, "target": 1.0}
    rates = {"exp": {"time_constant": wrap(4.0)}, "exprate": {"rate_constant": wrap(0.25)}}
    for prefix, rate in rates.items():
        name = f"{prefix}_trace_{kind}"
        ours, theirs = (getattr(i, name)(*args, step_time=wrap(1.5), **rate, **options) for i in (inferno, upstream))
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
        plain = getattr(inferno, f"trace_{kind}")(*args, decay=math.exp(-0.375), **options)
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_traces_stay_half(dtype):
    spikes, trace = OBSERVED["bool"], torch.ones(3, dtype=dtype)
    for name in ("trace_nearest", "trace_cumulative"):
        assert getattr(inferno, name)(spikes, trace, decay=0.5, amplitude=3.0, target=True).dtype == dtype


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.floats(0.1, 0.99))
@settings(max_examples=50, deadline=None)
def test_traces_are_sums_over_past_events(spikes, decay):
    nearest = cumulative = None
    for spike in spikes:
        options = {"decay": decay, "amplitude": 1.0, "target": 1.0}
        observed = torch.tensor(float(spike), dtype=torch.float64)
        nearest = inferno.trace_nearest(observed, nearest, **options)
        cumulative = inferno.trace_cumulative(observed, cumulative, **options)
    ages = [len(spikes) - 1 - t for t, spike in enumerate(spikes) if spike]
    assert cumulative.item() == pytest.approx(sum(decay**a for a in ages))
    assert nearest.item() == pytest.approx(decay ** min(ages) if ages else 0.0)


@pytest.mark.parametrize("name", types.__all__)
def test_types_have_the_parameters_of_inferno(name):
    upstream = pytest.importorskip("inferno.types")
    ours, theirs = (inspect.signature(getattr(t, name).__call__).parameters for t in (types, upstream))
    assert [(p.name, p.kind) for p in ours.values()] == [(p.name, p.kind) for p in theirs.values()]
    arity = len(getattr(upstream, name).__parameters__)
    assert len(getattr(types, name).__parameters__) == arity
    assert getattr(types, name)[(int,) * arity] is not None


def test_values_pass_through():
    upstream = pytest.importorskip("inferno.extra")
    for e in (extra, upstream):
        assert (e.identity(3, a=1), e.tuplewrap(4, a=1)) == (3, (4,))
        assert (e.varidentity(1, 2, a=1), e.varidentity()) == ((1, 2), ())


def test_everything_of_inferno_is_there():
    upstream = pytest.importorskip("inferno")
    names = {n for n, v in vars(upstream).items() if not n.startswith("_") and not inspect.ismodule(v)}
    assert names <= set(inferno.__all__)
    assert all(hasattr(inferno, name) for name in inferno.__all__)
