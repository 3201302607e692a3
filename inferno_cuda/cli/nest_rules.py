"""Projections of `inferno_cuda.sim` in the words of NEST, which then draws synapses, weights and delays by itself."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from .. import sim

_NAMES = {"number": "N", "autapses": "allow_autapses", "multapses": "allow_multapses"}


def nodes(nest: Any, neurons: sim.Neurons, ids: np.ndarray) -> Any:
    """The nodes of some neurons; ``ids`` has one for each neuron of the network."""
    return nest.NodeCollection(sorted(ids[neurons.first : neurons.last].tolist()))


def rule(given: sim.Rule) -> dict[str, Any]:
    """A rule as a dictionary of NEST's."""
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    return {"rule": given.kind, **{_NAMES.get(name, name): value for name, value in values.items()}}


def distribution(nest: Any, given: sim.Distribution) -> Any:
    """A number, or a parameter of NEST's that is drawn.

    Raises:
        ValueError: if NEST has no such distribution.
    """
    if isinstance(given, sim.Constant):
        return given.value
    if isinstance(given, sim.Uniform):
        return nest.random.uniform(given.low, given.high)
    if isinstance(given, sim.Normal):
        drawn = nest.random.normal(given.mean, given.std)
    elif isinstance(given, sim.LogNormal):
        drawn = nest.random.lognormal(given.mu, given.sigma)
    else:
        raise ValueError(f"{given!r} is no distribution of NEST")
    low = -math.inf if given.low is None else given.low
    high = math.inf if given.high is None else given.high
    if (low, high) == (-math.inf, math.inf):
        return drawn
    if given.bounded == "redraw":
        return nest.math.redraw(drawn, min=low, max=high)
    drawn = drawn if low == -math.inf else nest.math.max(drawn, low)
    return drawn if high == math.inf else nest.math.min(drawn, high)


def connect(nest: Any, projection: sim.Projection, ids: np.ndarray) -> None:
    """Makes the synapses of a projection.

    Raises:
        ValueError: if weights or delays are given for synapses that NEST draws.
    """
    dt = projection.source.network.dt
    if isinstance(projection.rule, sim.Explicit):
        given = {"weight": projection.weight, "delay": projection.delay}
        values = {name: _each(name, value, len(projection.rule.sources)) for name, value in given.items()}
        values["delay"] = np.round(np.floor(values["delay"] / dt + 0.5) * dt, 6)
        source = ids[projection.source.first + projection.rule.sources.numpy()]
        target = ids[projection.target.first + projection.rule.targets.numpy()]
        if len(source):
            nest.Connect(source, target, "one_to_one", values)
        return
    if isinstance(projection.weight, torch.Tensor) or isinstance(projection.delay, torch.Tensor):
        raise ValueError(f"{projection!r} has weights or delays of its own, which NEST cannot give to what it draws")
    weight, delay = (distribution(nest, value) for value in (projection.weight, projection.delay))
    # NEST rounds delays to steps as well, but refuses those below half a step, where here they become one
    delay = max(delay, dt) if isinstance(delay, float) else nest.math.max(delay, dt)
    # NEST takes 134 million synapses of a model and thread at most, which the projections of a large network exceed
    model = f"drawn_{len(nest.synapse_models)}"
    nest.CopyModel("static_synapse", model)
    ends = (nodes(nest, neurons, ids) for neurons in (projection.source, projection.target))
    nest.Connect(*ends, rule(projection.rule), {"synapse_model": model, "weight": weight, "delay": delay})


def _each(name: str, given: sim.Distribution | torch.Tensor, count: int) -> np.ndarray:
    """One number for each synapse.

    Raises:
        ValueError: if they are not given one by one, or are the same for all.
    """
    if isinstance(given, sim.Constant):
        return np.full(count, given.value)
    if isinstance(given, torch.Tensor) and given.ndim == 1:
        return given.numpy()
    raise ValueError(f"'{name}' of synapses that are given one by one must be one number, or one for each of them")
