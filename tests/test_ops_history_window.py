"""Lookups many per element, for which the kernel copies what it reads; and steps of small batches in one lane."""

import pytest
import torch

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.neural import DoubleExponentialCurrent, LinearDirect, SingleExponentialCurrent
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

MODES = ("previous", "nearest", "linear", "expdecay")
DEPTHS = {1: 4, 11: 9, 70: 40}  # by batch: enough for the copy to pay, with and without


def _times(batch, inputs, depth, reach):
    g = torch.Generator().manual_seed(batch + depth)
    drawn = torch.rand((batch, inputs, depth), generator=g) * (reach + 1) - 0.5
    return torch.where(torch.rand(drawn.shape, generator=g) < 0.3, drawn.round(), drawn)


def _both(call):
    with inferno_cuda.backend("torch"):
        expected = call()
    assert_identical(call(), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool], ids=str)
@pytest.mark.parametrize("batch", DEPTHS)
@pytest.mark.parametrize("pointer", [0, 3])
def test_lookups_in_a_ring_with_the_batch_innermost(native, mode, dtype, batch, pointer):
    if dtype == torch.bool and mode in ("linear", "expdecay"):
        mode = "next"
    data, at = random_ring((5, batch, 23), dtype, pointer=pointer, batch_innermost=True)
    for depth in (1, DEPTHS[batch]):
        times = _times(batch, 23, depth, 4.0)
        times[0, 0, 0] = float("nan")
        for overbound in (None, 0.0):
            options = {"dt": 1.0, "mode": mode, "time_constant": 3.0, "overbound": overbound}
            _both(lambda t=times, o=options: ops.history_gather(data, at, t, **o))
            _both(lambda t=times, o=options: ops.history_gather(data, at, t[:1].expand_as(t), **o))


@pytest.mark.parametrize("pushes", [0, 2])
def test_lookups_that_subtract(native, pushes):
    synapse = DoubleExponentialCurrent(
        33, 1.0, spike_charge=1.0, tc_decay=10.0, tc_rise=2.0, delay=6.0, batch_size=20, current_overbound=None
    )
    g = torch.Generator().manual_seed(4)
    for _ in range(9 + pushes):
        synapse(torch.rand((20, 33), generator=g) < 0.3)
    _both(lambda: synapse.current_at(_times(20, 33, 12, 6.0)))


@pytest.mark.parametrize("batch", [2, 16, 20, 300])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_steps_of_small_batches(native, batch, dtype):
    """Every output and every record, of a connection with a delay at each synapse."""
    g = torch.Generator().manual_seed(batch)
    delays, weights, biases = (torch.rand(37, generator=g) * scale for scale in (7.0, 1.0, 1.0))

    def build():
        connection = LinearDirect(
            37,
            1.0,
            synapse=SingleExponentialCurrent.partialconstructor(2.0, 3.0),
            bias=True,
            delay=6.0,
            batch_size=batch,
            weight_init=lambda like: weights,
            bias_init=lambda like: biases,
            delay_init=lambda like: delays,
        )
        return connection.to(dtype)

    ours, expected = build(), build()
    for _ in range(8):
        spikes = torch.rand((batch, 37), generator=g) < 0.3
        with inferno_cuda.backend("torch"):
            wanted = expected(spikes)
        assert_identical(ours(spikes), wanted)
        assert_identical(ours.synapse.current_.value, expected.synapse.current_.value)
        assert_identical(ours.synapse.spike_.value, expected.synapse.spike_.value)
