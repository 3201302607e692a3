"""Integrate-and-fire steps: kernel against reference bit for bit, worked numbers, bad arguments, torch.compile."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from integrate_fire_cases import LATE, NUMBERS, RULES, drawn, state

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical


def run(rule, inputs, voltage, current, **options):
    model, reset, delayed = rule
    options = {**NUMBERS, "record_voltages": True, "record_resets": model in LATE, **options}
    return ops.integrate_fire(model, inputs, voltage, current, reset=reset, delayed=bool(delayed), **options)


def assert_all_identical(results, expected):
    for name, result, right in zip(expected._fields, results, expected, strict=True):
        assert (result is None) == (right is None), name
        if result is not None:
            assert_identical(result, right, name)


def assert_native_equals_reference(rule, inputs, voltage, current, **options):
    results = {}
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            results[name] = run(rule, inputs, voltage, current, **options)
    assert_all_identical(results["native"], results["torch"])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 1, 3), (2, 0), (), (1031,)], ids=str)
def test_kernel_equals_reference(native, device, dtype, rule, shape):
    for steps in ((), (0,), (1,), (4,)):
        inputs = drawn((*steps, *shape), dtype, 1, specials=True).to(device)
        voltage, current = (t if t is None else t.to(device) for t in state(rule[0], shape, dtype, 2))
        assert_native_equals_reference(rule, inputs, voltage, current)


# shapes of coefficients that broadcast to (2, 3, 4, 5); the last two are in several runs of dimensions
SHAPES = [(), (1,), (5,), (4, 5), (3, 1, 1), (1, 3, 4, 1), (2, 3, 4, 5), (2, 1, 1, 1), (3, 1, 5), (2, 1, 4, 1)]


@settings(max_examples=60, deadline=None)
@given(
    rule=st.sampled_from(RULES),
    dtype=st.sampled_from(DTYPES),
    shapes=st.lists(st.sampled_from([None, *SHAPES]), min_size=5, max_size=5),
    given_dtype=st.sampled_from([*DTYPES, torch.int64]),
    permuted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_coefficients_that_are_tensors(native_or_skip, rule, dtype, shapes, given_dtype, permuted, seed):
    names = ("decay", "current_decay", "threshold", "amount", "factor")
    chosen = {
        name: (drawn(shape, torch.float64, seed + k).abs() + 0.5).to(given_dtype)
        for k, (name, shape) in enumerate(zip(names, shapes, strict=True))
        if shape is not None
    }
    inputs = drawn((3, 2, 3, 4, 5), dtype, seed)
    voltage, current = state(rule[0], (2, 3, 4, 5), dtype, seed + 1)
    if permuted:
        inputs, voltage = drawn((5, 4, 3, 2, 3), dtype, seed).permute(4, 3, 2, 1, 0), voltage.expand(2, 3, 4, 5).mT.mT
    assert_native_equals_reference(rule, inputs, voltage, current, **chosen)


@pytest.mark.parametrize("steps", [(), (3,)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_results_lie_in_memory_as_the_voltage(backend, rule, dtype, steps):
    shape = (2, 3, 4, 5)
    coefficients = {"decay": (3, 1, 1), "threshold": (4, 5), "amount": (3, 4, 1), "factor": (5,)}
    coefficients = {name: torch.rand(size) + 0.5 for name, size in coefficients.items()}
    inputs, (voltage, current) = drawn((*steps, *shape), dtype, 1), state(rule[0], shape, dtype, 2)
    expected = run(rule, inputs, voltage, current, **coefficients)
    moved = voltage.movedim(1, -1).contiguous().movedim(-1, 1)
    fired = run(rule, inputs, moved, current, **coefficients)
    assert_all_identical(fired, expected)
    for result in fired:
        assert result is None or result.movedim(-3, -1).is_contiguous()
    gaps = torch.stack([voltage, voltage], -1)[..., 0]
    for result in run(rule, inputs.mT.contiguous().mT, gaps, current, **coefficients):
        assert result is None or result.is_contiguous()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_sequence_is_its_steps(backend, dtype, rule):
    inputs, (voltage, current) = drawn((6, 33), dtype, 1), state(rule[0], (33,), dtype, 2)
    whole = run(rule, inputs, voltage, current)
    assert 0 < whole.spikes.count_nonzero() < whole.spikes.numel()
    for t, x in enumerate(inputs):
        step = run(rule, x, voltage, current)
        voltage, current = step.voltage, step.current
        assert_identical(step.spikes, whole.spikes[t])
        assert_identical(step.voltages, whole.voltages[t])
        assert_identical(step.voltages, voltage)
        if rule[0] in LATE:
            assert_identical(step.resets, whole.resets[t])
    assert_identical(voltage, whole.voltage)
    if current is not None:
        assert_identical(current, whole.current)


def voltages(model, reset, delayed, inputs, **options):
    """Spikes and voltages of one neuron that begins at 0, with a threshold of 1."""
    current = torch.zeros(1) if model == "synaptic" else None
    inputs = torch.tensor(inputs).unsqueeze(1)
    fired = ops.integrate_fire(
        model, inputs, torch.zeros(1), current, reset=reset, delayed=delayed, record_voltages=True, **options
    )
    return fired.spikes.flatten().tolist(), fired.voltages.flatten().tolist()


@pytest.mark.parametrize(
    "arguments, options, expected",
    [
        (("leaky", "subtract", True, [2.0, 0.0, 1.0]), {"decay": 0.5}, ([1, 0, 0], [2.0, 0.0, 1.0])),
        (("leaky", "subtract", False, [2.5, 0.0]), {"decay": 0.5}, ([1, 0], [1.5, 0.75])),
        (("leaky", "zero", True, [2.0, 0.25]), {"decay": 0.5}, ([1, 0], [2.0, 0.25])),
        (("leaky", "zero", False, [2.0, 0.25]), {"decay": 0.5}, ([1, 0], [0.0, 0.25])),
        (("leaky", "none", True, [2.0, 0.0, 0.0]), {"decay": 0.75}, ([1, 1, 1], [2.0, 1.5, 1.125])),
        (("leaky", "none", True, [1.0]), {}, ([0], [1.0])),
        (("leaky", "none", True, [1.0, 1.0]), {"decay": 7.0, "factor": 3.0}, ([0, 3], [1.0, 2.0])),
        (("synaptic", "none", True, [1.0, 0.0]), {"decay": 0.5, "current_decay": 0.5}, ([0, 0], [1.0, 1.0])),
        (("synaptic", "zero", True, [2.0, 0.5]), {"current_decay": 0.0}, ([1, 0], [2.0, 0.0])),
        (("perfect", "subtract", False, [1.0, 0.5]), {"amount": 0.75}, ([1, 0], [0.25, 0.75])),
        (("perfect", "set", False, [1.0, 0.5]), {"rest": -0.5}, ([1, 0], [-0.5, 0.0])),
        (("relaxing", "subtract", False, [0.5, 0.25]), {"tau": 2.0, "rest": 0.25}, ([0, 0], [0.625, 0.6875])),
        (("filtering", "set", False, [1.0, 4.0]), {"tau": 2.0, "rest": 0.5}, ([0, 1], [0.75, 0.5])),
    ],
    ids=str,
)
def test_worked_numbers(backend, arguments, options, expected):
    assert voltages(*arguments, **options) == expected


def test_half_types_fire_by_what_they_keep(backend):
    """The sum is below 1, and 1 when it is kept as float16."""
    voltage, x = torch.tensor([0.9995], dtype=torch.float16), torch.tensor([0.0003], dtype=torch.float16)
    fired = ops.integrate_fire("perfect", x, voltage, reset="subtract")
    assert float(voltage) + float(x) < 1.0
    assert fired.spikes.tolist() == [1.0] and fired.voltage.tolist() == [0.0]


def test_arguments_are_left_as_they_are(backend):
    inputs, (voltage, current) = drawn((3, 9), torch.float32, 1), state("synaptic", (9,), torch.float32, 2)
    copies = [t.clone() for t in (inputs, voltage, current)]
    fired = run(("synaptic", "subtract", 1), inputs, voltage, current)
    for tensor, copy in zip((inputs, voltage, current), copies, strict=True):
        assert_identical(tensor, copy)
        assert all(tensor.data_ptr() != result.data_ptr() for result in fired)


BAD = [
    ({"model": "quadratic"}, ValueError, "model was 'quadratic'"),
    ({"reset": "set"}, ValueError, "reset was 'set'; it must be one of 'none', 'subtract', 'zero' for 'leaky'"),
    ({"reset": "off"}, ValueError, "reset was 'off'"),
    ({"model": "perfect", "delayed": True}, ValueError, "delayed was True"),
    ({"model": "perfect", "record_resets": True}, ValueError, "record_resets was True"),
    ({"model": "relaxing", "tau": 0.0}, ValueError, "tau was 0"),
    ({"inputs": torch.zeros(3, 2)}, ValueError, r"inputs had shape \(3, 2\); it must be \(4,\) like voltage, or"),
    ({"inputs": torch.zeros(4, dtype=torch.float64)}, TypeError, "inputs was torch.float64"),
    ({"voltage": torch.zeros(4, dtype=torch.int64)}, TypeError, "voltage was torch.int64"),
    ({"inputs": torch.zeros(4, device="meta")}, ValueError, "inputs was on meta"),
    ({"current": torch.zeros(4)}, ValueError, "current was a tensor; 'leaky' has none"),
    ({"model": "synaptic"}, ValueError, "current was None; 'synaptic' needs one"),
    ({"model": "synaptic", "current": torch.zeros(5)}, ValueError, r"current had shape \(5,\)"),
    ({"model": "synaptic", "current": torch.zeros(4).half()}, TypeError, "current was torch.float16"),
    ({"decay": torch.zeros(3)}, ValueError, r"decay had shape \(3,\); it must broadcast to \(4,\)"),
    ({"threshold": torch.zeros(1, 4)}, ValueError, r"threshold had shape \(1, 4\)"),
    ({"factor": torch.zeros(4, dtype=torch.complex64)}, TypeError, "factor was torch.complex64"),
    ({"decay": torch.zeros((), device="meta")}, ValueError, "decay was on meta"),
    ({"model": ["leaky"]}, ValueError, r"model was \['leaky'\]; it must be one of 'leaky'"),
    ({"threshold": None}, TypeError, "threshold was None; it must be a number or a tensor"),
    ({"decay": "0.9"}, TypeError, "decay was '0.9'; it must be a number or a tensor"),
    ({"decay": [0.9]}, TypeError, r"decay was \[0.9\]; it must be a number or a tensor"),
    ({"tau": None}, TypeError, "tau was None; it must be a number"),
    ({"tau": torch.tensor(2.0)}, TypeError, "tau was a tensor; it must be a number"),
    ({"rest": None}, TypeError, "rest was None; it must be a number"),
    ({"rest": torch.tensor(2.0)}, TypeError, "rest was a tensor; it must be a number"),
    ({"inputs": [1.0] * 4}, TypeError, "inputs was .*; it must be a tensor"),
    ({"voltage": None}, TypeError, "voltage was None; it must be a tensor"),
    ({"model": "synaptic", "current": 0.5}, TypeError, "current was 0.5; it must be a tensor or None"),
    ({"inputs": torch.zeros(4, requires_grad=True)}, RuntimeError, "requires a gradient"),
    ({"decay": torch.tensor(0.5, requires_grad=True)}, RuntimeError, "requires a gradient"),
]


@pytest.mark.parametrize("change, error, match", BAD, ids=[match for *_, match in BAD])
def test_bad_arguments(backend, change, error, match):
    arguments = {"model": "leaky", "inputs": torch.zeros(4), "voltage": torch.zeros(4), "current": None}
    with pytest.raises(error, match=match):
        ops.integrate_fire(**{**arguments, **change})


def test_without_gradients_tensors_may_require_them(backend):
    weight = torch.ones(4, requires_grad=True)
    with torch.no_grad():
        fired = ops.integrate_fire("leaky", weight * 2, torch.zeros(4), decay=torch.tensor(0.5, requires_grad=True))
    assert fired.spikes.tolist() == [1.0] * 4 and not fired.voltage.requires_grad


@pytest.mark.parametrize("rule", [("leaky", "subtract", 1), ("synaptic", "zero", 0), ("filtering", "set", 0)], ids=str)
def test_compile_fullgraph(native, device, rule):
    def steps(x, voltage, current, threshold):
        fired = run(rule, x, voltage, current, threshold=threshold)
        return fired.spikes * 2, *fired[1:]

    voltage, current = (t if t is None else t.to(device) for t in state(rule[0], (2, 9), torch.float32, 2))
    arguments = (drawn((3, 2, 9), torch.float32, 1).to(device), voltage, current, torch.full((9,), 0.7, device=device))
    compiled = torch.compile(steps, fullgraph=True, backend="aot_eager")
    assert_all_identical(compiled(*arguments), ops.Fired(*steps(*arguments)))


@pytest.mark.parametrize("n", [0, 1, 37])
def test_opcheck(native, device, n):
    utils = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    x, voltage = torch.rand(3, 2, n, device=device), torch.rand(2, n, device=device)
    for model, current, flags in ((0, None, (1, 1)), (1, voltage + 1, (1, 0)), (4, None, (0, 0))):
        numbers = [model, 1, 0, *flags, 0.9, 0.8, 1.0, 1.0, 1.0, 2.0, 0.0]
        args = (x, voltage, current, torch.rand(n, device=device), None, None, None, None, [float(k) for k in numbers])
        torch.library.opcheck(torch.ops.inferno_cuda.integrate_fire.default, args, test_utils=utils)


def test_raw_ops_check_for_themselves(native):
    x, numbers = torch.zeros(4), [0.0, 1, 1, 0, 0, 0.9, 0.9, 1, 1, 1, 1, 0]
    raw = torch.ops.inferno_cuda.integrate_fire
    for change, match in (
        ({"voltage": torch.zeros(5)}, "inputs: wrong shape"),
        ({"voltage": torch.zeros(4, dtype=torch.float64)}, "inputs: wrong dtype"),
        ({"inputs": torch.zeros(8)[::2]}, "inputs: must be contiguous"),
        ({"current": torch.zeros(4)}, "current: is of synaptic neurons"),
        ({"decay": torch.zeros(3)}, "decay: does not broadcast"),
        ({"numbers": numbers[:-1]}, "numbers: there are 12"),
        ({"numbers": [9.0, *numbers[1:]]}, "there is no such rule"),
        ({"numbers": [0.0, 3.0, *numbers[2:]]}, "there is no such rule"),
        ({"numbers": [2.0, 1, 0, 0, 1, *numbers[5:]]}, "resets: are of models that reset late"),
    ):
        arguments = {"inputs": x, "voltage": x, "current": None, "decay": None, "current_decay": None,
                     "threshold": None, "amount": None, "factor": None, "numbers": numbers, **change}  # fmt: skip
        with pytest.raises(RuntimeError, match=match):
            raw(**arguments)


@pytest.mark.cuda
def test_cuda_graph(native):
    x, (voltage, current) = drawn((3, 700), torch.float32, 1).cuda(), state("synaptic", (700,), torch.float32, 2)
    arguments = (("synaptic", "subtract", 1), x, voltage.cuda(), current.cuda())
    expected = run(*arguments)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = run(*arguments)
    graph.replay()
    assert_all_identical(captured, expected)
