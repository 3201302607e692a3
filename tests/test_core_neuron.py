"""The LIF kernels of csrc, CPU and emulated, against their reference."""

import numpy as np
import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load, sparse_array, uniform, with_specials
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference

core = load()

parameters = st.fixed_dictionaries(
    {
        "dt": st.sampled_from([0.1, 0.25, 1.0, 1.3]),
        "decay": st.floats(0.0, 1.0),
        "rest_v": st.floats(-70, -60),
        "reset_v": st.floats(-80, -60),
        "thresh_v": st.floats(-58, -45),
        "refrac_t": st.sampled_from([0.0, 0.1, 2.0, 3.1]),
        "resistance": st.floats(0.1, 3.0),
        "refrac_lock": st.booleans(),
    }
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@settings(deadline=None)
@given(p=parameters, count=st.integers(0, 600), shift=st.integers(0, 1), seed=st.integers(0, 999))
def test_steps_have_the_reference_s_bits(backend, dtype, p, count, shift, seed):
    generator = torch.Generator().manual_seed(seed)
    voltage = with_specials(generator, uniform(generator, count + shift, -75, -45, dtype))[shift:]
    refrac = uniform(generator, count + shift, -1, 4, dtype)[shift:]
    expected_state = [voltage.clone(), refrac.clone()]
    for _ in range(3):
        inputs = with_specials(generator, uniform(generator, count + shift, -30, 60, dtype))[shift:]
        *expected_state, expected_spikes = reference.lif_step(*expected_state, inputs, **p)
        spikes = np.full(count, 9, dtype=np.uint8)
        state = [array(voltage), array(refrac)]
        step = getattr(core, backend).lif_step
        step(*state, array(inputs), *state, spikes, type=getattr(core.Scalar, SCALARS[dtype]), **p)
        assert_same(voltage, expected_state[0])
        assert_same(refrac, expected_state[1])
        np.testing.assert_array_equal(spikes, expected_spikes.numpy())


def test_ranges_make_up_the_whole():
    generator = torch.Generator().manual_seed(0)
    p = dict(dt=1.0, decay=0.9, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0)
    whole = [uniform(generator, 1000, low, high, torch.float32).numpy() for low, high in [(-70, -45), (0, 3), (0, 20)]]
    parts = [a.copy() for a in whole]
    whole_spikes, part_spikes = np.zeros((2, 1000), dtype=np.uint8)
    core.cpu.lif_step(*whole, *whole[:2], whole_spikes, type=core.Scalar.f32, **p)
    for begin, end in [(990, 1000), (0, 1), (1, 500), (500, 500), (500, 990)]:
        core.cpu.lif_step(*parts, *parts[:2], part_spikes, type=core.Scalar.f32, range=(begin, end), **p)
    for a, b in zip([*whole, whole_spikes], [*parts, part_spikes], strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole_spikes.any()


def test_neurons_beyond_2_31():
    count, begin = 2**31 + 100, 2**31 - 50
    voltage, refrac, inputs = (sparse_array([count], [1], np.float16) for _ in range(3))
    spikes = sparse_array([count], [1], np.uint8)
    inputs[begin:] = np.linspace(0, 30, count - begin)
    expected = inputs[begin:] * np.float16(0.5) >= 10
    p = dict(dt=1.0, decay=0.5, rest_v=0.0, reset_v=0.0, thresh_v=10.0, refrac_t=2.0)
    state = [voltage, refrac]
    core.cpu.lif_step(*state, inputs, *state, spikes, type=core.Scalar.f16, range=(begin, count), **p)
    np.testing.assert_array_equal(spikes[begin:], expected)
