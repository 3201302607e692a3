"""Sequences of neurons of csrc, CPU and emulated, against their reference, and forward and backward of one another."""

import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load
from neuron_cases import ADAPTIVE, MEMBRANES, of_model
from neuron_run_cases import MODELS, reductions, sequence

from inferno_cuda import reference

core = load()
REDUCTIONS = (None, "mean", "sum")
# in the order of the headers in csrc/core
PARAMETERS = {
    "linear": ("thresh_v", "rest_v", "resistance", "decay", "reset_v"),
    "glif2": ("thresh_v", "rest_v", "resistance", "decay", "reset_v_mul", "reset_v_add"),
    "quadratic": ("thresh_v", "rest_v", "resistance", "rate", "crit_v", "affinity", "reset_v"),
    "exponential": ("thresh_v", "rest_v", "resistance", "rate", "rheobase_v", "sharpness", "reset_v"),
}
MEMBRANE_OF = dict(
    zip(MODELS, ["linear", "linear", "glif2", "quadratic", "quadratic", "exponential", "exponential"], strict=True)
)
PLAIN = [model for model in MODELS if model not in ADAPTIVE]


def numbers_of(model, options):
    names = (*PARAMETERS[MEMBRANE_OF[model]], "dt", "refrac_t")
    return [array(options[n]) if isinstance(options[n], torch.Tensor) else options[n] for n in names]


def marks_of(steps, interval, states):
    return [torch.empty((max(steps - 1, 0) // interval, *state.shape), dtype=state.dtype) for state in states]


def forward(backend, model, voltage, refrac, inputs, options, *, interval=3, bool_spikes=False, **how):
    """The results by name, marks included."""
    series = torch.empty_like(inputs)
    results = {
        "spikes": series.to(torch.bool) if bool_spikes else series.clone(),
        "voltage": torch.empty_like(voltage), "refrac": torch.empty_like(refrac),
        "voltages": series.clone(), "refracs": series.clone(),
    }  # fmt: skip
    given = {"inputs": inputs, "voltage_in": voltage, "refrac_in": refrac}
    states = [voltage, refrac]
    if model in ADAPTIVE:
        given |= {"adaptation_in": options["adaptation"], "constants": options["constants"]}
        results["adaptation"] = torch.empty_like(options["adaptation"])
        states.append(options["adaptation"])
    names = ("voltage_marks", "refrac_marks", "adaptation_marks")
    results |= dict(zip(names, marks_of(len(inputs), interval, states), strict=False))
    getattr(core, backend).neuron_run(
        model=MODELS.index(model), arrays={name: array(tensor) for name, tensor in (given | results).items()},
        numbers=numbers_of(model, options), reduction=REDUCTIONS.index(options.get("reduction")),
        lock=how.pop("lock", True), interval=interval, bool_spikes=bool_spikes,
        type=getattr(core.Scalar, SCALARS[inputs.dtype]), **how,
    )  # fmt: skip
    return given, results


def backward(backend, model, given, results, options, *, interval=3, lock=True, surrogate=0, detach=False, **how):
    """Random gradients of all results taken back; by name, with those of parameters by their number."""
    generator = torch.Generator().manual_seed(3)

    def drawn(like):
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.dtype)

    inputs, voltage = given["inputs"], given["voltage_in"]
    compute = torch.float64 if voltage.dtype == torch.float64 else torch.float32
    passed = given | {name: tensor for name, tensor in results.items() if name.endswith("marks")}
    passed |= {"of_spikes": drawn(inputs), "of_voltages": drawn(inputs), "of_voltage": drawn(voltage)}
    found = {"inputs_out": torch.empty_like(inputs), "voltage_out": torch.empty_like(voltage)}
    if model in ADAPTIVE:
        passed["of_adaptation"] = drawn(given["adaptation_in"])
        found["adaptation_out"] = torch.empty_like(given["adaptation_in"])
        found["constants_out"] = torch.empty((*given["constants"].shape, voltage.shape[1]), dtype=compute)
    learned = {str(p): torch.empty(voltage.shape, dtype=compute) for p in range(len(PARAMETERS[MEMBRANE_OF[model]]))}
    getattr(core, backend).neuron_run_backward(
        model=MODELS.index(model), arrays={name: array(tensor) for name, tensor in (passed | found).items()},
        numbers=numbers_of(model, options), reduction=REDUCTIONS.index(options.get("reduction")), lock=lock,
        interval=interval, surrogate=surrogate, scale=0.3, detach=detach,
        learned={name: array(tensor) for name, tensor in learned.items()},
        type=getattr(core.Scalar, SCALARS[inputs.dtype]), **how,
    )  # fmt: skip
    return found | learned


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("model", MODELS)
def test_forward_has_the_reference_s_bits(backend, model, dtype):
    for shape in ((3, 21), (35, 5)):
        voltage, refrac, inputs = sequence(5, shape, dtype)
        for reduction in reductions(model):
            for lock in (True, False):
                options = of_model(model, shape, dtype) | ({"reduction": reduction} if model in ADAPTIVE else {})
                _, found = forward(backend, model, voltage, refrac, inputs, options, lock=lock, bool_spikes=lock)
                expected = reference.neuron_run(
                    model, voltage, refrac, inputs, record=("voltage", "refrac"), refrac_lock=lock, **options
                )
                for name, right in expected._asdict().items():
                    if right is not None:
                        assert_same(found[name].to(right.dtype), right)
                assert_same(found["voltage_marks"][0], expected.voltages[2])
                assert_same(found["refrac_marks"][0], expected.refracs[2])


@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("model", MODELS)
def test_emulated_gradients_are_those_of_the_cpu(model, dtype):
    """Bit for bit, from marks nearer and farther than a thread remembers."""
    for reduction in reductions(model):
        for shape, steps, interval, surrogate in (((2, 11), 75, 7, 0), ((1, 5), 70, 1000, 2), ((37, 3), 36, 34, 5)):
            voltage, refrac, inputs = sequence(steps, shape, dtype)
            for lock in (True, False):
                options = of_model(model, shape, dtype) | ({"reduction": reduction} if model in ADAPTIVE else {})
                options["thresh_v"] = torch.linspace(-47, -45, shape[1], dtype=torch.float64)
                options["thresh_v"] = options["thresh_v"].to(torch.float64 if dtype == torch.float64 else torch.float32)
                how = {"interval": interval, "lock": lock}
                given, results = forward("cpu", model, voltage, refrac, inputs, options, **how)
                how |= {"surrogate": surrogate, "detach": not lock}
                expected = backward("cpu", model, given, results, options, **how)
                found = backward("emulated", model, given, results, options, **how)
                for name, right in expected.items():
                    assert right.any() or (name == "constants_out" and reduction is None), name
                    assert_same(found[name], right)


@pytest.mark.parametrize("cut", [0, 1, 256, 300])
@pytest.mark.parametrize("model", ["lif", "adex"])
def test_ranges_add_up(model, cut):
    shape = (3, 300)
    voltage, refrac, inputs = sequence(4, shape)
    options = of_model(model, shape)
    given, whole = forward("cpu", model, voltage, refrac, inputs, options)
    expected = backward("cpu", model, given, whole, options)
    items = 300 if model in ADAPTIVE else 900
    for ends in ((0, cut), (cut, items)):
        given, part = forward("cpu", model, voltage, refrac, inputs, options, range=ends)
        found = backward("cpu", model, given, whole, options, range=ends)
        for name, right in (whole | expected).items():
            of_items = slice(*ends)
            result = (part | found)[name]
            if model in ADAPTIVE:
                axis = -2 if "adaptation" in name else -1
                assert_same(*(t.movedim(axis, 0)[of_items] for t in (result, right)))
            else:
                assert_same(*(t.flatten(-2)[..., of_items] for t in (result, right)))


def test_threads_in_any_order():
    """No barrier is missing where neurons share adaptations over many samples."""
    shape = (70, 40)
    voltage, refrac, inputs = sequence(3, shape)
    options = of_model("izhikevich", shape)

    def both():
        given, results = forward("emulated", "izhikevich", voltage, refrac, inputs, options, interval=2)
        return results | backward("emulated", "izhikevich", given, results, options, interval=2)

    expected = both()
    core.emulated.set_reversed(True)
    try:
        found = both()
    finally:
        core.emulated.set_reversed(False)
    for name, right in expected.items():
        assert_same(found[name], right)


def test_every_model_is_covered():
    assert [*MEMBRANES] == MODELS == list(reference.MODELS)
