"""The neuron kernels of csrc, CPU and emulated, against their reference, for every model."""

import numpy as np
import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load, sparse_array, uniform, with_specials
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference

core = load()
MODELS = {name: (names, constants) for name, names, constants in core.cpu.neuron_models()}
ADAPTIVE = [name for name, (_, constants) in MODELS.items() if constants]

# What the parameters of each model are drawn from.
RANGES = {
    "thresh_v": (-58, -45),
    "rest_v": (-70, -60),
    "reset_v": (-80, -60),
    "resistance": (0.1, 3.0),
    "decay": (0.0, 1.0),
    "reset_v_mul": (-1.0, 1.0),
    "reset_v_add": (-2.0, 10.0),
    "rate": (0.001, 0.3),
    "crit_v": (-58, -48),
    "affinity": (0.0, 0.2),
    "rheobase_v": (-58, -45),
    "sharpness": (0.1, 5.0),
}
CELL = {name: (low + high) / 2 for name, (low, high) in RANGES.items()}


def cells(model):
    every = {"dt": st.sampled_from([0.1, 0.25, 1.0, 1.3]), "refrac_t": st.sampled_from([-0.0, 0.0, 0.1, 2.0, 3.1])}
    return st.fixed_dictionaries(every | {name: st.floats(*RANGES[name]) for name in MODELS[model][0]})


def plausible_cell(model):
    return {"dt": 1.0, "refrac_t": 2.0} | {name: CELL[name] for name in MODELS[model][0]}


def shifted(flat, shape, shift):
    """A view of the given shape that begins `shift` elements into the memory of `flat`."""
    return flat[shift : shift + np.prod(shape, dtype=int)].reshape(shape)


def draw(generator, shape, low, high, dtype, shift=0):
    flat = uniform(generator, (np.prod(shape, dtype=int) + shift,), low, high, dtype)
    return shifted(with_specials(generator, flat), shape, shift)


class Population:
    """State of [batch, count] neurons, with `kinds` adaptations each if the model adapts."""

    def __init__(self, model, dtype, batch, count, kinds=1, shift=0, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.model, self.shape, self.shift = model, (batch, count), shift
        self.state = [
            draw(self.generator, self.shape, -75, -45, dtype, shift),
            draw(self.generator, self.shape, -1, 4, dtype, shift),
        ]
        self.constants = self.adaptation = None
        rows = MODELS[model][1]
        if rows:
            compute = torch.float64 if dtype == torch.float64 else torch.float32
            self.adaptation = draw(self.generator, (count, kinds), -3, 6, dtype, shift)
            self.constants = uniform(self.generator, (rows, kinds), 0, 1, compute)

    def draw_inputs(self):
        return draw(self.generator, self.shape, -30, 120, self.state[0].dtype, self.shift)

    def expected(self, inputs, reduction, lock, cell):
        return reference.neuron_step(
            self.model,
            *self.state,
            inputs,
            adaptation=self.adaptation,
            constants=self.constants,
            reduction=reduction,
            refrac_lock=lock,
            **cell,
        )

    def step(self, backend, inputs, reduction, lock, cell, in_place=False, ranges=(None,)):
        """One step by the kernels, as `expected` has it; the population's own state stays as it is."""
        old = [None if t is None else same_place(t, self.shift) for t in (*self.state, self.adaptation)]
        new = old if in_place else [None if t is None else same_place(t, self.shift) for t in old]
        spikes = shifted(torch.full((inputs.numel() + self.shift,), 9, dtype=torch.uint8), self.shape, self.shift)
        for items in ranges:
            getattr(core, backend).neuron_step(
                self.model,
                *(array(t) for t in (*old[:2], inputs, *new[:2], spikes)),
                type=getattr(core.Scalar, SCALARS[inputs.dtype]),
                **kernel_cell(cell),
                adaptation_in=maybe_array(old[2]),
                adaptation=maybe_array(new[2]),
                constants=maybe_array(self.constants),
                reduction=reduction,
                refrac_lock=lock,
                **({} if items is None else {"range": items}),
            )
        if not in_place:
            for tensor, before in zip(old[:2], self.state, strict=True):
                assert_same(tensor, before)
        assert ((spikes == 0) | (spikes == 1)).all()
        return new[0], new[1], spikes.bool(), new[2]


def same_place(tensor, shift):
    """A copy that begins as many elements after an aligned address."""
    flat = torch.empty(tensor.numel() + shift, dtype=tensor.dtype)
    return shifted(flat, tuple(tensor.shape), shift).copy_(tensor)


def maybe_array(tensor):
    return None if tensor is None else array(tensor)


def kernel_cell(cell):
    parameters = {name: value for name, value in cell.items() if name not in ("dt", "refrac_t")}
    return {"dt": cell["dt"], "refrac_t": cell["refrac_t"], "parameters": parameters}


def assert_step(result, expected, before):
    """`before` is the adaptation that has to be left alone where no new one is expected."""
    for actual, wanted in zip(result[:3], expected[:3], strict=True):
        assert_same(actual, wanted)
    if result[3] is not None:
        assert_same(result[3], before if expected[3] is None else expected[3])


def test_models_are_those_of_the_reference():
    assert list(MODELS) == list(reference.MODELS)
    for name, (parameters, constants) in MODELS.items():
        assert set(parameters) == reference.MODELS[name].parameters and len(parameters) == len(set(parameters))
        assert constants == reference.MODELS[name].constants


@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_steps_have_the_reference_s_bits(model, dtype, data):
    cell = data.draw(cells(model))
    batch = data.draw(st.sampled_from([1, 2, 3, 31, 32, 33, 70]))
    count = data.draw(st.sampled_from([0, 1, 7, 64, 65] if batch > 3 else [0, 1, 7, 255, 256, 257, 600]))
    kinds, shift, seed = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 1)), data.draw(st.integers(0, 999))
    lock, in_place, backwards = (data.draw(st.booleans()) for _ in range(3))
    population = Population(model, dtype, batch, count, kinds, shift, seed)
    core.emulated.set_reversed(backwards)
    for _ in range(3):
        inputs = population.draw_inputs()
        reduction = data.draw(st.sampled_from([None, "mean", "sum"])) if model in ADAPTIVE else None
        expected = population.expected(inputs, reduction, lock, cell)
        for backend in BACKENDS:
            result = population.step(backend, inputs, reduction, lock, cell, in_place)
            assert_step(result, expected, population.adaptation)
        population.state = [same_place(t, shift) for t in expected[:2]]
        population.adaptation = population.adaptation if expected[3] is None else same_place(expected[3], shift)
    core.emulated.set_reversed(False)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_neurons_fire_and_wait(model, backend):
    """What the comparison of bits rests on: none of the branches is rare."""
    population = Population(model, torch.float32, 3, 600)
    _, refrac, spikes, adaptation = population.step(
        backend, population.draw_inputs(), "mean" if model in ADAPTIVE else None, True, plausible_cell(model)
    )
    assert 0.02 < spikes.float().mean() < 0.9
    assert 0.1 < (refrac > 0).float().mean() < 0.9
    assert adaptation is None or (adaptation != population.adaptation).float().mean() > 0.5


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=SCALARS.get)
def test_ranges_make_up_the_whole(model, dtype):
    population = Population(model, dtype, 3, 1000, 2)
    items = 1000 if model in ADAPTIVE else 3000
    cuts = [(items - 10, items), (0, 1), (1, 500), (500, 500), (500, items - 10)]
    options = population.draw_inputs(), "mean" if model in ADAPTIVE else None, True, plausible_cell(model)
    for in_place in (True, False):
        parts = population.step("cpu", *options, in_place=in_place, ranges=cuts)
        assert_step(parts, population.step("cpu", *options), population.adaptation)


def lanes_of(batch):
    return min(32, 1 << (batch - 1).bit_length())


@pytest.mark.parametrize("reduction", [None, "mean", "sum"])
@pytest.mark.parametrize("model", ["alif", "adex"])
@pytest.mark.parametrize("batch, dtype", [(1, torch.float32), (5, torch.float16), (40, torch.float64)], ids=str)
def test_partial_sums_fill_shared_memory(model, batch, dtype, reduction):
    """The kernel takes fewer neurons in a block the more adaptations each has."""
    lanes, itemsize = lanes_of(batch), max(dtype.itemsize, 4)
    most = 48 * 1024 // (lanes * itemsize)  # of one neuron
    of_full_block = most * min(lanes, 8) // 256
    for kinds in (of_full_block, of_full_block + 1, most // 3, most):
        population = Population(model, dtype, batch, 5, kinds)
        options = population.draw_inputs(), reduction, True, plausible_cell(model)
        expected = population.expected(*options)
        for backend in BACKENDS:
            assert_step(population.step(backend, *options), expected, population.adaptation)


@pytest.mark.parametrize("batch, dtype", [(1, torch.float32), (40, torch.float64)], ids=str)
def test_too_many_adaptations_of_one_neuron(batch, dtype):
    kinds = 48 * 1024 // (lanes_of(batch) * dtype.itemsize) + 1
    population = Population("alif", dtype, batch, 5, kinds)
    inputs, cell = population.draw_inputs(), plausible_cell("alif")
    before = [t.clone() for t in (*population.state, population.adaptation)]
    arrays = [array(t) for t in (*population.state, inputs, *population.state)]
    spikes = np.full(population.shape, 9, dtype=np.uint8)
    adaptation = {name: array(population.adaptation) for name in ("adaptation_in", "adaptation")}
    kernel = dict(type=getattr(core.Scalar, SCALARS[dtype]), constants=array(population.constants), **adaptation)
    with pytest.raises(RuntimeError, match="too many adaptations of one neuron"):
        core.emulated.neuron_step("alif", *arrays, spikes, **kernel, reduction="mean", **kernel_cell(cell))
    for tensor, old in zip((*population.state, population.adaptation), before, strict=True):
        assert_same(tensor, old)
    # Left alone, they need no memory.
    for reduction, backend in [(None, "emulated"), ("sum", "cpu")]:
        expected = population.expected(inputs, reduction, True, cell)
        assert_step(population.step(backend, inputs, reduction, True, cell), expected, population.adaptation)


def test_neurons_beyond_2_31():
    count, begin = 2**31 + 100, 2**31 - 50
    voltage, refrac, inputs = (sparse_array([1, count], [count, 1], np.float16) for _ in range(3))
    spikes = sparse_array([1, count], [count, 1], np.uint8)
    inputs[:, begin:] = np.linspace(0, 30, count - begin)
    expected = inputs[:, begin:] * np.float16(0.5) >= 10
    cell = {"thresh_v": 10.0, "rest_v": 0.0, "resistance": 1.0, "decay": 0.5, "reset_v": 0.0}
    kernel = dict(type=core.Scalar.f16, dt=1.0, refrac_t=2.0, parameters=cell)
    state = [voltage, refrac]
    core.cpu.neuron_step("lif", *state, inputs, *state, spikes, range=(begin, count), **kernel)
    np.testing.assert_array_equal(spikes[:, begin:], expected)


def test_samples_and_adaptations_beyond_2_31():
    """Three samples of 2^30 and some neurons, each with two adaptations."""
    batch, count, kinds, last = 3, 2**30 + 100, 2, 150
    begin = count - last
    voltage, refrac, inputs = (sparse_array([batch, count], [count, 1], np.float16) for _ in range(3))
    spikes = sparse_array([batch, count], [count, 1], np.uint8)
    adaptation = sparse_array([count, kinds], [kinds, 1], np.float16)
    inputs[:, begin:] = np.linspace(0, 60, batch * last).reshape(batch, last)
    adaptation[begin:] = [2, 3]
    expected = inputs[:, begin:] * np.float16(0.5) >= 10 + 2 + 3
    cell = {"thresh_v": 10.0, "rest_v": 0.0, "resistance": 1.0, "decay": 0.5, "reset_v": 0.0}
    kernel = dict(type=core.Scalar.f16, dt=1.0, refrac_t=2.0, parameters=cell, refrac_lock=False, reduction="sum")
    arrays = dict(adaptation_in=adaptation, adaptation=adaptation)
    constants = np.array([[0.5, 0.5], [1, 2]], dtype=np.float32)
    state = [voltage, refrac]
    core.cpu.neuron_step(
        "alif", *state, inputs, *state, spikes, constants=constants, range=(begin, count), **arrays, **kernel
    )
    np.testing.assert_array_equal(spikes[:, begin:], expected)
    fired = expected.sum(0)
    np.testing.assert_array_equal(adaptation[begin:], np.stack([3 + fired, 4.5 + 2 * fired], axis=1))
