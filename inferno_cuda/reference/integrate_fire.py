"""Steps of integrate-and-fire neurons without units or refractory times, as other libraries compute them."""

from typing import NamedTuple

import torch


class ChargeModel(NamedTuple):
    """How a model takes its input in, and when it fires.

    ``strict`` neurons fire above their threshold, others also at it. ``late`` ones know the reset only from the voltage
    that the last step has left: it can wait for the step after the spike.
    """

    resets: tuple[str, ...]
    strict: bool
    late: bool
    has_current: bool


_LATE = ("none", "subtract", "zero")
_AT_ONCE = ("subtract", "set")

# =========  ==========================================================================
# leaky      decay * voltage + inputs
# synaptic   current = current_decay * current + inputs; decay * voltage + current
# perfect    voltage + inputs
# relaxing   voltage - (voltage - rest) / tau + inputs
# filtering  voltage + (inputs - (voltage - rest)) / tau
# =========  ==========================================================================
CHARGE_MODELS = {
    "leaky": ChargeModel(_LATE, strict=True, late=True, has_current=False),
    "synaptic": ChargeModel(_LATE, strict=True, late=True, has_current=True),
    "perfect": ChargeModel(_AT_ONCE, strict=False, late=False, has_current=False),
    "relaxing": ChargeModel(_AT_ONCE, strict=False, late=False, has_current=False),
    "filtering": ChargeModel(_AT_ONCE, strict=False, late=False, has_current=False),
}


class Fired(NamedTuple):
    """What neurons have done, and their state after it.

    Attributes:
        spikes: ``factor`` where a neuron fired, else 0; the shape and dtype of the inputs.
        voltage: after the last step.
        current: the same; None for models without.
        voltages: after each step; None unless they were asked for.
        resets: 1 where the voltage was above the threshold before a step, else 0; None unless they were asked for.
    """

    spikes: torch.Tensor
    voltage: torch.Tensor
    current: torch.Tensor | None = None
    voltages: torch.Tensor | None = None
    resets: torch.Tensor | None = None


def _fires(model, distance):
    return distance > 0 if model.strict else distance >= 0


def _charged(model, voltage, current, x, n):
    if model == "leaky":
        return n["decay"] * voltage + x
    if model == "synaptic":
        return n["decay"] * voltage + current
    if model == "perfect":
        return voltage + x
    if model == "relaxing":
        return voltage - (voltage - n["rest"]) / n["tau"] + x
    return voltage + (x - (voltage - n["rest"])) / n["tau"]


def integrate_fire_step(model, reset, delayed, voltage, current, x, rounded, numbers):
    """One step in the compute type; ``rounded`` takes a value to what its dtype can hold of it.

    The reset of late models acts on neurons whose voltage was above the threshold before the step; ``"subtract"`` takes
    ``amount`` from what they are charged to, ``"zero"`` clears their voltage before the charge (leaky) or all that they
    are charged to (synaptic). Without delay the neurons that fire are reset in the end, and ``amount`` put back where
    it was taken from others. In the other models ``"subtract"`` takes ``amount`` from neurons that fire, ``"set"``
    puts ``rest``.

    Returns:
        spikes, voltage, current, and whether the voltage was above the threshold before, as numbers.
    """
    kind, compute = CHARGE_MODELS[model], voltage.dtype
    above = _fires(kind, voltage - numbers["threshold"]).to(compute)
    if reset == "zero" and model == "leaky":
        voltage = (1 - above) * voltage
    if kind.has_current:
        current = rounded(numbers["current_decay"] * current + x)
    charged = _charged(model, voltage, current, x, numbers)
    if kind.late and reset == "subtract":
        charged = charged - above * numbers["amount"]
    if reset == "zero" and model == "synaptic":
        charged = charged - charged * above
    charged = rounded(charged)
    fired = _fires(kind, charged - numbers["threshold"]).to(compute)
    spikes, voltage = fired * numbers["factor"], charged
    if kind.late and not delayed and reset != "none":
        now = spikes / numbers["factor"] - above
        voltage = charged - now * (numbers["amount"] if reset == "subtract" else charged)
    elif not kind.late and reset == "subtract":
        voltage = charged - fired * numbers["amount"]
    elif reset == "set":
        voltage = fired * numbers["rest"] + (1 - fired) * charged
    return spikes, rounded(voltage), current, above


def integrate_fire(
    model, inputs, voltage, current, *, reset, delayed, numbers, record_voltages=False, record_resets=False
):
    """Steps over ``inputs``, ``[T, *shape]``, from ``voltage``, ``[*shape]``; ``numbers`` are tensors."""
    dtype = voltage.dtype
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    numbers = {name: number.to(compute) for name, number in numbers.items()}
    for name in ("decay", "current_decay"):
        numbers[name] = numbers[name].clamp(0, 1)
    v, c = voltage.to(compute), None if current is None else current.to(compute)
    kept = {"spikes": [], "voltages": [], "resets": []}
    for x in inputs:
        spikes, v, c, above = integrate_fire_step(
            model, reset, delayed, v, c, x.to(compute), lambda value: value.to(dtype).to(compute), numbers
        )
        for name, value in zip(kept, (spikes, v, above), strict=True):
            kept[name].append(value.to(dtype))
    rows = {name: torch.stack(values) if values else inputs.new_empty(inputs.shape) for name, values in kept.items()}
    return Fired(
        rows["spikes"],
        v.to(dtype),
        None if c is None else c.to(dtype),
        rows["voltages"] if record_voltages else None,
        rows["resets"] if record_resets else None,
    )
