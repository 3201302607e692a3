"""The models of neuron.py in large sparse networks: with currents in front, and refractory periods in steps."""

import torch

from .neuron import MODELS, fire, threshold_adaptation


def _suffixes(ports):
    return ("",) if ports == 1 else ("_ex", "_in")


def _constants(model):
    """Names of the constants of the law of adaptation."""
    return tuple(f"constant_{number}" for number in range(MODELS[model].constants))


def _parameters(model):
    """Names of the membrane's parameters, in the order of its struct in csrc/core."""
    _, _, _, membrane, after = MODELS[model]
    return tuple(dict.fromkeys(("thresh_v", *membrane, *after)))


def own_variables(model, ports):
    """Names of the state: voltage (mV), a current (nA) for each port, and the adaptation (mV or nA)."""
    currents = tuple(f"I{suffix}" for suffix in _suffixes(ports))
    if not MODELS[model].constants:
        return ("V", *currents)
    kind = "threshold" if MODELS[model].adapt is threshold_adaptation else "current"
    return ("V", *currents, f"{kind}_adaptation")


def own_numbers(model, ports):
    """Names of the numbers: gain in nA of a pA, refractory period in steps, whether refractory neurons keep their
    voltage; of each port, nA of an arriving pC, and the share that a step leaves of the current; whether a spike starts
    a refractory period, and the law of adaptation."""
    currents = [f"{name}{suffix}" for suffix in _suffixes(ports) for name in ("arriving", "kept")]
    adaptation = ("holds", *_constants(model)) if MODELS[model].constants else ()
    return ("gain", "refractory", "lock", *currents, *adaptation, *_parameters(model))


def own_step(model, ports):
    """The step of a model, see :class:`SpikingForm`. What arrives in a step acts in that step."""
    integrate, reset, adapt, membrane, after = MODELS[model]

    def step(x, refrac, arrivals, drive, k):
        v = x[0]
        currents = [
            x[1 + port] * k["kept" + suffix] + k["arriving" + suffix] * arrivals[port]
            for port, suffix in enumerate(_suffixes(ports))
        ]
        inputs = (currents[0] if ports == 1 else currents[0] + currents[1]) + drive
        thresh_v = k["thresh_v"]
        if adapt is threshold_adaptation:
            thresh_v = thresh_v + x[-1]
        elif adapt is not None:
            inputs = inputs - x[-1]
        held = (refrac > 0) & (k["lock"] > 0)
        # fire() counts down first, and in units of dt: here these are steps
        fired, v, left = fire(
            inputs,
            refrac.to(v.dtype) + 1,
            lambda current: torch.where(held, v, integrate(v, current, **{name: k[name] for name in membrane})),
            None,
            reset=lambda reached: reset(reached, **{name: k[name] for name in after}),
            dt=1.0,
            refrac_t=k["refractory"] + 1,
            thresh_v=thresh_v,
        )
        left = (left - 1).clamp_min(0).to(torch.int16)
        if adapt is None:
            return (v, *currents), left, fired
        hold = held | (fired & (k["holds"] > 0) & (k["lock"] > 0))
        constants = [k[name] for name in _constants(model)]
        return (v, *currents, adapt(x[-1], hold, fired, v, rest_v=k["rest_v"], constants=constants)), left, fired

    return step
