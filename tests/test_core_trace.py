"""Steps of traces in csrc, CPU and emulated, against their reference."""

import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load, uniform, with_specials
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference

core = load()
EVENTS = ("masked", "nonzero", "equal", "within")


def laid_out(tensor, order):
    """The same values with memory in another order of dimensions."""
    return tensor.permute(order).contiguous().permute([order.index(d) for d in range(tensor.ndim)])


def seen(generator, shape, dtype):
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.4
    drawn = with_specials(generator, uniform(generator, shape, -2, 2, dtype))
    return torch.where(torch.rand(shape, generator=generator) < 0.3, 0.5, drawn).to(dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("kind", reference.TRACES)
@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(0, 300)),
    orders=st.tuples(st.permutations([0, 1, 2]), st.booleans()),
    as_bool=st.booleans(),
    events=st.sampled_from(EVENTS),
    scaled=st.booleans(),
    merge=st.booleans(),
    seed=st.integers(0, 999),
)
def test_steps_have_the_reference_s_bits(backend, dtype, kind, size, orders, as_bool, events, scaled, merge, seed):
    generator = torch.Generator().manual_seed(seed)
    data = laid_out(with_specials(generator, uniform(generator, size, -3, 3, dtype)), orders[0])
    pointer = torch.randint(size[0], (), generator=generator)
    expected, at = data.clone(), pointer.clone()
    flip = [1, 0] if orders[1] else [0, 1]
    how = {"decay": 0.9, "amplitude": 1.3, "scale": -0.7 if scaled else None}
    target = {"equal": 0.5, "within": 0.4}.get(events)
    tolerance = 0.6 if events == "within" else None
    rounded = reference.round_target(target, dtype)
    for _ in range(2):
        obs = laid_out(seen(generator, size[1:], torch.bool if as_bool else dtype), flip)
        mask = laid_out(seen(generator, size[1:], torch.bool), flip) if events == "masked" else None
        reference.trace_push_(expected, at, obs, kind=kind, target=target, tolerance=tolerance, mask=mask, **how)
        getattr(core, backend).trace_push(
            array(data), pointer.numpy(), array(obs), None if mask is None else array(mask),
            type=getattr(core.Scalar, SCALARS[dtype]), kind=reference.TRACES.index(kind), events=EVENTS.index(events),
            target=rounded or 0.0, tolerance=tolerance or 0.0, merge=merge, **how,
        )  # fmt: skip
        assert_same(data, expected)
        assert pointer == at


@pytest.mark.parametrize("parts", [[(0, 50)], [(25, 50), (0, 25)], [(0, 1), (1, 49), (49, 50)]])
def test_parts_make_a_whole(parts):
    generator = torch.Generator().manual_seed(3)
    data, pointer = torch.rand(1, 3, 50, generator=generator), torch.tensor(0)
    obs = torch.rand(3, 50, generator=generator) < 0.4
    expected, at = data.clone(), pointer.clone()
    how = {"decay": 0.9, "amplitude": 1.0}
    reference.trace_push_(expected, at, obs, kind="nearest", **how)
    for part in parts:
        core.cpu.trace_push(
            array(data), pointer.numpy(), array(obs), type=core.Scalar.f32, kind=1, events=1, range=part, advance=False,
            **how,
        )  # fmt: skip
    assert_same(data, expected)
