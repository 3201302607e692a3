"""Sequences of neurons against single steps and the reference; what is refused; the choice of backend."""

import pytest
import torch
from neuron_cases import ADAPTIVE, EVERY, MEMBRANES, of_model, state
from neuron_run_cases import MODELS, SURROGATES, reductions, run, sequence

import inferno_cuda
from inferno_cuda import ops, reference, surrogate
from inferno_cuda.testing import DTYPES, assert_identical

EDGES = [(0, (3, 5)), (4, (0, 5)), (3, (2, 0)), (5, (1, 1)), (3, (2, 3, 7)), (2, (1, 1021)), (3, (35, 3)), (2, (4,))]
LIF = EVERY | MEMBRANES["lif"]


def assert_same(found, expected):
    for name, result, right in zip(expected._fields, found, expected, strict=True):
        assert (result is None) == (right is None), name
        if right is not None:
            assert_identical(result, right, name)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("model", MODELS)
def test_equals_the_reference(native, model, dtype):
    for lock in (True, False):
        for reduction in reductions(model):
            for spiking in (None, SURROGATES[0]):
                options = {"refrac_lock": lock, "reduction": reduction, "surrogate": spiking, "dtype": dtype}
                options["record"] = ("voltage", "refrac")
                found = run(ops.neuron_run, model, **options)
                assert_same(found, run(reference.neuron_run, model, **options))
                assert found.spikes.dtype == (torch.bool if spiking is None else dtype)


@pytest.mark.parametrize("model", MODELS)
def test_equals_single_steps(backend, model):
    for lock in (True, False):
        voltage, refrac, series = sequence(6, (3, 21))
        options = of_model(model, (3, 21)) | {"refrac_lock": lock}
        found = ops.neuron_run(model, voltage, refrac, series, record=("refrac", "voltage"), **options)
        for t, current in enumerate(series):
            voltage, refrac, spikes, adapted = ops.neuron_step(model, voltage, refrac, current, **options)
            if adapted is not None:
                options["adaptation"] = adapted
            assert_identical(found.spikes[t], spikes)
            assert_identical(found.voltages[t], voltage)
            assert_identical(found.refracs[t], refrac)
        assert found.spikes.any()
        assert_identical(found.voltage, voltage)
        assert_identical(found.refrac, refrac)
        if adapted is not None:
            assert_identical(found.adaptation, adapted)


@pytest.mark.parametrize("steps, shape", EDGES)
def test_edge_shapes(native, steps, shape):
    for model in ("lif", "adex"):
        for spiking in (None, SURROGATES[0]):
            if model == "adex" and not shape[0]:
                continue  # a reduction needs a sample
            options = {"steps": steps, "shape": shape, "surrogate": spiking, "record": ("voltage",)}
            assert_same(run(ops.neuron_run, model, **options), run(reference.neuron_run, model, **options))


def test_no_samples(backend):
    found = run(ops.neuron_run, "adex", shape=(0, 5), reduction=None)
    assert found.spikes.shape == (7, 0, 5) and found.adaptation is None


@pytest.mark.parametrize("model", ["lif", "alif"])
def test_arguments_are_left_alone(backend, model):
    given = sequence(4, (3, 8))
    options = of_model(model, (3, 8))
    before = [tensor.clone() for tensor in given]
    adaptation = options["adaptation"].clone() if model in ADAPTIVE else None
    ops.neuron_run(model, *given, **options)
    for tensor, old in zip(given, before, strict=True):
        assert_identical(tensor, old)
    if adaptation is not None:
        assert_identical(options["adaptation"], adaptation)


def test_layouts_do_not_matter(backend):
    voltage, refrac, series = sequence(4, (6, 10))
    expected = ops.neuron_run("lif", voltage, refrac, series, **LIF)
    late = torch.stack([series, series], -1)[..., 0]
    assert_same(ops.neuron_run("lif", voltage.t().contiguous().t(), refrac, late, **LIF), expected)
    constant = series[:1].expand(4, -1, -1)
    assert_same(
        ops.neuron_run("lif", voltage, refrac, constant, **LIF),
        ops.neuron_run("lif", voltage, refrac, constant.contiguous(), **LIF),
    )
    one = torch.tensor(33.0).expand(4, 6, 10)
    assert_same(
        ops.neuron_run("lif", voltage, refrac, one, **LIF), ops.neuron_run("lif", voltage, refrac, one.clone(), **LIF)
    )


@pytest.mark.parametrize("model", MODELS)
def test_parameters_of_each_neuron(native, model):
    shape = (3, 4, 5)
    for name in ("thresh_v", "refrac_t", *MEMBRANES[model]):
        value = float(of_model(model, shape)[name])
        for size in ((), (1,), (5,), (4, 1), (4, 5), (1, 4, 5)):
            each = torch.linspace(0.9, 1.1, max(torch.Size(size).numel(), 1)).reshape(size) * value
            options = {"shape": shape, name: each}
            assert_same(run(ops.neuron_run, model, **options), run(reference.neuron_run, model, **options))


def test_a_period_of_zero_is_marked(native):
    for period in (0.0, -0.0, torch.zeros(5)):
        found = run(ops.neuron_run, "lif", shape=(2, 5), refrac_t=period, record=("refrac",))
        assert_same(found, run(reference.neuron_run, "lif", shape=(2, 5), refrac_t=period, record=("refrac",)))
        assert_identical(found.refracs.signbit(), found.spikes)


@pytest.mark.parametrize("model", ["lif", "alif"])
def test_threads_do_not_matter(native, model):
    options = {"steps": 5, "shape": (7, 4099), "record": ("voltage",)}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(ops.neuron_run, model, **options)
        torch.set_num_threads(3)
        assert_same(run(ops.neuron_run, model, **options), one)
    finally:
        torch.set_num_threads(threads)


# -- backends ---------------------------------------------------------------------------------------------------------


class OfMyOwn(surrogate.ATan):
    """A subclass, which may compute anything."""


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"surrogate": torch.sigmoid}, "surrogate .*sigmoid.* has no kernel"),
        ({"surrogate": OfMyOwn()}, "surrogate .* has no kernel"),
        ({"dt": torch.tensor(1.0)}, "dt is a tensor"),
        ({"thresh_v": torch.full((3, 40), -45.0)}, "thresh_v differs between the samples"),
    ],
)
def test_what_runs_in_torch(native, changes, why):
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match=f"native.*{why}"):
        run(ops.neuron_run, "lif", **changes)
    with inferno_cuda.backend("auto"):
        assert_same(run(ops.neuron_run, "lif", **changes), run(reference.neuron_run, "lif", **changes))


def test_what_has_a_kernel_runs_native(native):
    with inferno_cuda.backend("native"):
        for spiking in SURROGATES:
            run(ops.neuron_run, "adex", surrogate=spiking, thresh_v=torch.full((40,), -45.0))


# -- bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, match, changes",
    [
        (ValueError, "record was 'voltage'", {"record": "voltage"}),
        (ValueError, "record was .*spikes", {"record": ("spikes",)}),
        (ValueError, "checkpoint was 0", {"checkpoint": 0}),
        (TypeError, "checkpoint was 2.0", {"checkpoint": 2.0}),
        (TypeError, "checkpoint was True", {"checkpoint": True}),
        (TypeError, "surrogate was 'atan'", {"surrogate": "atan"}),
        (ValueError, "thresh_v had shape", {"thresh_v": torch.zeros(3)}),
        (ValueError, "lif does not adapt", {"reduction": "mean"}),
        (TypeError, "unknown: .*rate", {"rate": 0.1}),
    ],
)
def test_bad_options(backend, error, match, changes):
    with inferno_cuda.backend("auto"), pytest.raises(error, match=match):
        run(ops.neuron_run, "lif", **changes)


@pytest.mark.parametrize("shape", [(3, 40), (5, 3, 41), (5, 1, 3, 40)])
def test_inputs_of_another_shape(backend, shape):
    voltage, refrac = state((3, 40))
    with pytest.raises(ValueError, match=r"inputs had shape .*'T', 3, 40"):
        ops.neuron_run("lif", voltage, refrac, torch.zeros(shape), **LIF)


def test_inputs_of_another_dtype(backend):
    voltage, refrac = state((3, 4))
    with pytest.raises(TypeError, match="inputs was torch.float64"):
        ops.neuron_run("lif", voltage, refrac, torch.zeros(2, 3, 4, dtype=torch.float64), **LIF)


def test_a_state_without_samples_dimension(backend):
    with pytest.raises(ValueError, match="voltage had shape"):
        ops.neuron_run("lif", torch.zeros(()), torch.zeros(()), torch.zeros(2), **LIF)


# -- torch ------------------------------------------------------------------------------------------------------------


def test_opcheck(native):
    raw = torch.ops.inferno_cuda.neuron_run.default
    voltage, refrac, series = sequence(5, (2, 7))
    adaptation, constants = torch.rand(7, 2), torch.rand(2, 2)
    numbers = [1.0, 3.0, -50.0, -60.0, 1.0, 0.9, -65.0]
    each = [torch.full((7,), -50.0), torch.tensor(0.9)]
    for spiking, record, interval in ((True, False, 0), (False, True, 2)):
        flags = (True, spiking, record, record, interval)
        lif = (series, voltage, refrac, None, None, each, [2, 5], numbers, 0, 0, *flags)
        alif = (series, voltage, refrac, adaptation, constants, [], [], numbers, 1, 1, *flags)
        for arguments in (lif, alif):
            torch.library.opcheck(raw, arguments, test_utils=("test_schema", "test_faketensor"))


def test_compiles_in_one_graph(native):
    voltage, refrac, series = sequence(4, (2, 5))
    series.requires_grad_()
    threshold = torch.full((5,), -45.0, requires_grad=True)

    def step(series, threshold):
        found = ops.neuron_run(
            "lif", voltage, refrac, series, surrogate=surrogate.ATan(), **LIF | {"thresh_v": threshold}
        )
        return (found.spikes * torch.arange(5.0)).sum() + found.voltage.sum()

    with torch.no_grad():
        assert_identical(
            torch.compile(step, backend="aot_eager", fullgraph=True)(series, threshold), step(series, threshold)
        )
    expected = torch.autograd.grad(step(series, threshold), (series, threshold))
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)(series, threshold)
    for found, right in zip(torch.autograd.grad(compiled, (series, threshold)), expected, strict=True):
        assert_identical(found, right)
