"""Sequences of neurons: gradients of the kernels against autograd through the reference."""

import pytest
import torch
from neuron_cases import EVERY, MEMBRANES, of_model
from neuron_run_cases import LEARNED, MODELS, SURROGATES, assert_close, gradients, reductions, run, sequence

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.testing import assert_identical

LIF = EVERY | MEMBRANES["lif"]
SINGLE = 2e-4  # float32: rounding of up to nine steps, in another order


def both(model, **options):
    return gradients(ops.neuron_run, model, **options), gradients(reference.neuron_run, model, **options)


@pytest.mark.parametrize("learned", [None, "scalar", "neuron"])
@pytest.mark.parametrize("model", MODELS)
def test_equal_autograd_of_the_reference(native, model, learned):
    for lock in (True, False):
        for reduction in reductions(model):
            for detach in (True, False):
                options = {"refrac_lock": lock, "reduction": reduction, "detach_reset": detach, "learned": learned}
                for record in ((), ("voltage", "refrac")):
                    assert_close(*both(model, surrogate=SURROGATES[0], record=record, **options), 1e-10)


@pytest.mark.parametrize("spiking", SURROGATES, ids=lambda surrogate: surrogate.name)
@pytest.mark.parametrize("model", MODELS)
def test_every_surrogate_has_a_gradient(native, model, spiking):
    """From the spikes alone, and nowhere zero throughout."""
    found, expected = both(model, surrogate=spiking, weights=("spikes",), learned="scalar")
    assert_close(found, expected, 1e-10)
    for name in ("voltage", "inputs", *LEARNED):
        assert found[name].any(), name


@pytest.mark.parametrize("model", MODELS)
def test_without_a_surrogate(native, model):
    for detach in (True, False):
        found, expected = both(model, learned="neuron", detach_reset=detach, record=("voltage",))
        assert_close(found, expected, 1e-10)
        assert found["inputs"].any() and not found["thresh_v"].any()


@pytest.mark.parametrize("model", MODELS)
def test_float32(native, model):
    for spiking in SURROGATES[:3]:
        assert_close(*both(model, surrogate=spiking, learned="neuron", dtype=torch.float32), SINGLE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("model", ["lif", "alif", "adex"])
def test_half(native, model, dtype):
    """Only the results are rounded by the kernel; the reference rounds between the steps as well."""
    eps = torch.finfo(dtype).eps
    found, expected = both(model, surrogate=SURROGATES[0], dtype=dtype, learned=None)
    assert_close(found, expected, 30 * eps)


@pytest.mark.parametrize("model", MODELS)
def test_checkpoints_do_not_matter(native, model):
    """The same bits, however often the state was kept."""
    options = {"surrogate": SURROGATES[0], "learned": "neuron", "record": ("voltage",), "steps": 10}
    expected = gradients(ops.neuron_run, model, **options)
    for checkpoint in (1, 3, 10, 1000):
        for name, found in gradients(ops.neuron_run, model, checkpoint=checkpoint, **options).items():
            assert_identical(found, expected[name], name)


@pytest.mark.parametrize("model", ["lif", "alif"])
def test_more_steps_than_are_kept_by_default(native, model):
    assert_close(*both(model, steps=70, surrogate=SURROGATES[2], learned="scalar"), 1e-9)


@pytest.mark.parametrize(
    "steps, shape", [(0, (3, 5)), (1, (1, 1)), (4, (2, 0)), (3, (2, 3, 7)), (3, (35, 300)), (2, (4,))]
)
def test_edge_shapes(native, steps, shape):
    for model in ("lif", "izhikevich"):
        assert_close(*both(model, steps=steps, shape=shape, surrogate=SURROGATES[0]), 1e-10)


@pytest.mark.parametrize("size", [(), (1,), (7,), (3, 1), (1, 7), (3, 7), (1, 3, 7)])
def test_shapes_of_parameters(native, size):
    """Gradients have the shape and dtype of the parameter."""
    found = []
    for function in (ops.neuron_run, reference.neuron_run):
        threshold = torch.full(size, -45.0, requires_grad=True)
        results = run(
            function, "lif", shape=(2, 3, 7), dtype=torch.float64, thresh_v=threshold, surrogate=SURROGATES[0]
        )
        found.append(torch.autograd.grad((results.spikes * torch.arange(7)).sum(), threshold)[0])
    assert found[0].shape == size and found[0].dtype == torch.float32
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("form", ["sum", "sum of steps", "mean", "strided"])
def test_layouts_of_gradients(native, form):
    """Gradients that are one number, or one step, for all are not written out, and give the same bits."""
    voltage, refrac, series = sequence(5, (3, 8), torch.float64)
    series.requires_grad_()
    spikes = ops.neuron_run("lif", voltage, refrac, series, surrogate=SURROGATES[0], **LIF).spikes
    weight = torch.rand(3, 8, dtype=torch.float64)
    total = {
        "sum": lambda: spikes.sum(),
        "sum of steps": lambda: (spikes.sum(0) * weight).sum(),
        "mean": lambda: (spikes.mean(0) * weight).sum(),
        "strided": lambda: (spikes.transpose(0, 2) * torch.rand(8, 3, 5)).sum(),
    }[form]()
    given = torch.autograd.grad(total, spikes, retain_graph=True)[0]
    (found,) = torch.autograd.grad(spikes, series, given, retain_graph=True)
    (expected,) = torch.autograd.grad(spikes, series, given.clone(memory_format=torch.contiguous_format))
    assert found.any()
    assert_identical(found, expected)


def test_refractory_neurons_pass_nothing(native):
    """No gradient to their input nor through their spikes, and the whole gradient of the voltage where it is held."""
    voltage = torch.tensor([[-60.0, -60.0]], dtype=torch.float64, requires_grad=True)
    series = torch.full((2, 1, 2), 5.0, dtype=torch.float64, requires_grad=True)
    found = ops.neuron_run(
        "lif", voltage, torch.tensor([[9.0, 0.0]], dtype=torch.float64), series, surrogate=SURROGATES[0], **LIF
    )
    of_voltage, of_inputs = torch.autograd.grad(found.voltage.sum() + found.spikes.sum(), (voltage, series))
    assert of_voltage[0, 0] == 1 and not of_inputs[:, 0, 0].any()
    assert of_voltage[0, 1] != 1 and of_inputs[:, 0, 1].all()


def test_only_what_is_wanted(native):
    voltage, refrac, series = sequence(4, (2, 5), torch.float64)
    threshold = torch.tensor(-45.0, dtype=torch.float64, requires_grad=True)
    found = ops.neuron_run(
        "lif", voltage, refrac, series, surrogate=SURROGATES[0], record=("refrac",), **LIF | {"thresh_v": threshold}
    )
    assert found.spikes.requires_grad and found.voltage.requires_grad
    assert not found.refrac.requires_grad and not found.refracs.requires_grad
    assert torch.autograd.grad(found.spikes.sum(), threshold)[0] != 0
    silent = ops.neuron_run("lif", voltage.requires_grad_(), refrac, series, **LIF)
    assert not silent.spikes.requires_grad and silent.voltage.requires_grad


def test_no_graph_without_gradients(native):
    voltage, refrac, series = sequence(4, (2, 5))
    with torch.no_grad():
        found = ops.neuron_run("lif", voltage, refrac, series.requires_grad_(), surrogate=SURROGATES[0], **LIF)
    assert not found.spikes.requires_grad


def test_what_runs_in_torch_has_gradients(native):
    def own(x):
        return SURROGATES[0](x)

    with inferno_cuda.backend("auto"):
        found = gradients(ops.neuron_run, "glif2", surrogate=own)
    assert_close(found, gradients(ops.neuron_run, "glif2", surrogate=SURROGATES[0]), 1e-10)


def test_second_derivatives(native):
    voltage, refrac, series = sequence(3, (2, 5), torch.float64)
    series.requires_grad_()

    def first():
        spikes = ops.neuron_run("lif", voltage, refrac, series, surrogate=SURROGATES[0], **LIF).spikes
        return torch.autograd.grad((spikes * torch.arange(5)).sum(), series, create_graph=True)[0]

    with pytest.raises(RuntimeError, match="no second derivatives"):
        first()
    with inferno_cuda.backend("torch"):
        assert torch.autograd.grad(first().square().sum(), series)[0].any()


@pytest.mark.parametrize("model", ["lif", "adex"])
def test_threads_do_not_matter(native, model):
    options = {"shape": (5, 2053), "steps": 4, "learned": "scalar", "surrogate": SURROGATES[0], "dtype": torch.float32}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = gradients(ops.neuron_run, model, **options)
        torch.set_num_threads(3)
        for name, found in gradients(ops.neuron_run, model, **options).items():
            assert_identical(found, expected[name], name)
    finally:
        torch.set_num_threads(threads)


def test_memory_kept_for_the_backward_pass(native):
    """Besides what the caller has: voltage and refractory time every `checkpoint` steps."""
    voltage, refrac, series = sequence(64, (2, 50))
    series.requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        ops.neuron_run("lif", voltage, refrac, series, surrogate=SURROGATES[0], checkpoint=16, **LIF)
    given = {t.data_ptr() for t in (voltage, refrac, series)}
    assert sum(t.numel() for t in kept if t.data_ptr() not in given) == 2 * 3 * voltage.numel()


def test_opcheck_of_the_backward_pass(native):
    raw = torch.ops.inferno_cuda.neuron_run_backward.default
    voltage, refrac, series = sequence(5, (2, 7))
    adapting = [of_model("alif", (2, 7))[name] for name in ("adaptation", "constants")]
    marks = [torch.rand(2, 2, 7), torch.rand(2, 2, 7), torch.rand(2, 7, 2)]
    numbers = [1.0, 3.0, -50.0, -60.0, 1.0, 0.9, -65.0]
    arguments = (
        series, voltage, refrac, *adapting, [torch.full((7,), -50.0)], [2], numbers,
        1, 1, True, marks, torch.rand(5, 2, 7), None, torch.rand(7, 2), None, 2, 0, 1.0, False, 15, [2, 6],
    )  # fmt: skip
    torch.library.opcheck(raw, arguments, test_utils=("test_schema", "test_faketensor"))
