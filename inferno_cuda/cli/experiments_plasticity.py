"""What `check` runs of the ops of learning rules."""

from __future__ import annotations

import itertools

import torch

from .. import ops, testing

SLOTS, BATCH, INPUTS, OUTPUTS = 7, 5, 37, 29
NEURONS = 131  # of connections from one to one
IMAGES = (6, 3, 4), (3, 5, 7), (6, 3, 3, 2)  # shapes of outputs, inputs and weights
DT = 0.7
MODES = {"previous": None, "nearest": None, "linear": None, "expdecay": 5.0}
KINDS = list(itertools.product((True, False), repeat=2))  # whether post and pre are spikes


def _side(shape, spikes, dtype, rng):
    values = torch.rand(shape, generator=rng, dtype=torch.float64)
    return values < 0.1 if spikes else (values * 2 - 1).to(dtype)


def _plan(synapses, mode, rng):
    delay = ((SLOTS + 1) * torch.rand(synapses, generator=rng) - 1) * DT
    timing = {"dt": DT, "slots": SLOTS, "max_delay": DT * (SLOTS - 1)}
    return delay, {"mode": mode, "time_constant": MODES[mode], **timing}


def _correlate(function, post, pre, synapses, **geometry):
    """Spikes and values on either side, without delays and at delays on the grid and between."""

    def experiment(device, dtype, rng):
        for post_spikes, pre_spikes in KINDS:
            value = _side((BATCH, *post), post_spikes, dtype, rng).to(device)
            ring = _side((SLOTS, BATCH, *pre), pre_spikes, dtype, rng).to(device)
            if post_spikes or pre_spikes:
                yield "without delays", function(value, ring[0], scale=0.7, **geometry).to(dtype)
            for mode in MODES:
                delay, timing = _plan(synapses, mode, rng)
                plan, pointer = ops.delay_plan(delay.to(device), **timing), torch.tensor(3, device=device)
                yield f"{mode}", function(value, ring, pointer, plan, scale=0.7, **geometry).to(dtype)

    return experiment


def _apply_updates(device, dtype, rng):
    """Dense updates and outer products of spikes and values, under every bound that the kernels know."""
    shape = (OUTPUTS, INPUTS)
    start, *updates = (_side(shape, False, dtype, rng).abs().to(device) for _ in range(3))
    outers = [
        ops.OuterProduct(
            _side((BATCH, OUTPUTS), post, dtype, rng).to(device), _side((BATCH, INPUTS), pre, dtype, rng).to(device)
        )
        for post, pre in KINDS
    ]
    for power in (1.0, 2.0, 3.0, None):
        limits = {"upper": ops.Limit(1.5, True, power), "lower": ops.Limit(-0.5, False, power, 2.0)}
        for name, pos, neg in (("dense", *updates), ("outer products", outers[:3], outers[2:])):
            param = start.clone()
            ops.apply_updates_(param, pos, neg, **limits)
            yield f"{name}, power {power}", param


def _pairs(function, post, pre, synapses, **geometry):
    """Times since last spikes, NaN without one."""
    rates = {"pos": (0.5, 10.0), "neg": (2.0, 20.0)}

    def experiment(device, dtype, rng):
        def times(*shape):
            silent = torch.rand(shape, generator=rng) < 0.3
            return torch.where(silent, torch.nan, 40 * torch.rand(shape, generator=rng)).to(dtype).to(device)

        last, ring, scale = (
            times(BATCH, *post),
            times(SLOTS, BATCH, *pre),
            _side((BATCH,), False, dtype, rng).to(device),
        )
        delay, _ = _plan(synapses, "previous", rng)
        options = {"delay": delay.to(dtype).to(device), "sample_scale": scale, **rates, **geometry}
        yield from zip(("after", "before"), function(last, ring[0], **options), strict=True)
        for mode in MODES:
            delay, timing = _plan(synapses, mode, rng)
            plan, pointer = ops.delay_plan(delay.to(device), **timing), torch.tensor(3, device=device)
            found = function(last, ring, pointer, plan, **rates, **geometry)
            yield from zip((f"{mode}, after", f"{mode}, before"), found, strict=True)

    return experiment


def _eligibility_step(device, dtype, rng):
    maps = [
        ((OUTPUTS,), (INPUTS,), (OUTPUTS, INPUTS), {}),
        ((INPUTS,), (INPUTS,), (INPUTS,), {}),
        (*IMAGES, {"stride": (1, 2), "padding": (0, 1)}),
    ]
    for (post, pre, synapses, geometry), (post_spikes, pre_spikes) in itertools.product(maps, KINDS):
        value = _side((BATCH, *post), post_spikes, dtype, rng).to(device)
        ring = _side((SLOTS, BATCH, *pre), pre_spikes, dtype, rng).to(device)
        trace = _side((BATCH, *synapses), False, dtype, rng).to(device)
        delay, timing = _plan(synapses, "linear", rng)
        plan, pointer = ops.delay_plan(delay.to(device), **timing), torch.tensor(3, device=device)
        ops.eligibility_step_(trace, value, ring[0], decay=0.9, scale=0.3, **geometry)
        yield "without delays", trace
        ops.eligibility_step_(trace, value, ring, pointer, plan, decay=0.9, scale=0.3, **geometry)
        yield "linear", trace


def _eligibility_sum(device, dtype, rng):
    trace = _side((BATCH, OUTPUTS, INPUTS), False, dtype, rng).to(device)
    yield "sum", ops.eligibility_sum(trace, _side((BATCH,), False, dtype, rng).to(device))


EXPERIMENTS = {
    "apply_updates": _apply_updates,
    "eligibility_step": _eligibility_step,
    "eligibility_sum": _eligibility_sum,
    "spike_time_pairs_dense": _pairs(ops.spike_time_pairs_dense, (OUTPUTS,), (INPUTS,), (OUTPUTS, INPUTS)),
    "spike_time_pairs_direct": _pairs(ops.spike_time_pairs_direct, (NEURONS,), (NEURONS,), (NEURONS,)),
    "spike_time_pairs_conv2d": _pairs(
        ops.spike_time_pairs_conv2d, *IMAGES, kernel=(3, 2), stride=(1, 2), padding=(0, 1)
    ),
    "correlate_dense": _correlate(ops.correlate_dense, (OUTPUTS,), (INPUTS,), (OUTPUTS, INPUTS)),
    "correlate_direct": _correlate(ops.correlate_direct, (NEURONS,), (NEURONS,), (NEURONS,)),
    "correlate_conv2d": _correlate(ops.correlate_conv2d, *IMAGES, kernel=(3, 2), stride=(1, 2), padding=(0, 1)),
}
EXPERIMENTS = {name: (experiment, testing.DTYPES) for name, experiment in EXPERIMENTS.items()}
