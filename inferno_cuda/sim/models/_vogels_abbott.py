"""Self-sustained activity after Vogels and Abbott (2005), with the parameters of Brette et al. (2007)."""

from __future__ import annotations

from typing import Any

import torch

from ... import ops
from ...state import _check
from ..distributions import Uniform
from ..network import Network
from ..rules import PairwiseBernoulli

# 20,000 um^2 of membrane with 1 uF / cm^2 and 5e-5 S / cm^2
_C_M, _G_L, _TAU_M = 200.0, 10.0, 20.0  # pF, nS, ms
_SHARED = {"C_m": _C_M, "V_th": -50.0, "V_reset": -60.0, "t_ref": 5.0, "tau_syn_ex": 5.0, "tau_syn_in": 10.0}
_CUBA = {"tau_m": _TAU_M, "E_L": -49.0, **_SHARED}
_COBA = {"g_L": _G_L, "E_L": -60.0, "E_ex": 0.0, "E_in": -80.0, **_SHARED}
_WEIGHTS = {"cuba": (1.62 * _G_L, -9.0 * _G_L), "coba": (6.0, -67.0)}  # pA, nS
_PROBABILITY, _INHIBITORY = 0.02, 0.2
_KICK_RATE, _KICK_DURATION = 300.0, 50.0  # Hz, ms
_KICK_STREAM = (1 << 30) - 1


def vogels_abbott(
    kind: str = "cuba",
    size: int = 4000,
    *,
    delay: float | None = None,
    probability: float = _PROBABILITY,
    **options: Any,
) -> Network:
    """The network of Vogels and Abbott (2005), as in the benchmarks of Brette et al. (2007): a fifth is inhibitory.

    It goes on firing irregularly without any input. The populations are ``exc`` and ``inh``, and with conductances
    ``kick``: generators of Poisson spikes that start the activity in the first 50 ms; with some seeds it
    ends there, here as in NEST. With currents, leaks of the neurons are above the threshold, and the initial potentials
    are uniform.

    Args:
        kind: ``"cuba"``, current-based (``iaf_psc_exp``), or ``"coba"``, conductance-based (``iaf_cond_exp``).
        size: number of neurons. Weights are scaled with ``80 / (probability * size)``, so that the mean input stays.
            With conductances, activity needs weights near those of the model: with 16,000 neurons at the same
            probability it ends with the kick.
        delay: of all synapses, ms; None: one step, since the model has no delays.
        probability: that a pair is connected; ``80 / size`` keeps the in-degrees, and the weights, of 4,000 neurons.
        **options: of :class:`~inferno_cuda.sim.Network`.

    Returns:
        the network, not yet built.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if an option is none of a network.
    """
    _check.one_of("kind", kind, list(_WEIGHTS))
    size = _check.at_least("size", _check.size("size", size), 100, cast=int)
    probability = _check.at_most("probability", _check.positive("probability", probability), 1.0)
    net = Network(**options)
    delay = net.dt if delay is None else delay
    model, parameters = ("iaf_psc_exp", _CUBA) if kind == "cuba" else ("iaf_cond_exp", _COBA)
    initial = Uniform(_SHARED["V_reset"], _SHARED["V_th"])
    inhibitory = round(_INHIBITORY * size)
    exc = net.population(size - inhibitory, model, name="exc", V_m=initial, **parameters)
    inh = net.population(inhibitory, model, name="inh", V_m=initial, **parameters)
    up, down = (weight * 4000 / size * (_PROBABILITY / probability) for weight in _WEIGHTS[kind])
    rule = PairwiseBernoulli(probability)
    net.connect(exc, exc + inh, rule, weight=up, delay=delay, name="excitation")
    net.connect(inh, exc + inh, rule, weight=down, delay=delay, name="inhibition")
    if kind == "coba":
        _kick(net, size // 10, up, delay, rule)
    return net


def _kick(net: Network, size: int, weight: float, delay: float, rule: PairwiseBernoulli) -> None:
    count = round(size * _KICK_RATE * _KICK_DURATION / 1000)
    last = int(_KICK_DURATION / net.dt)
    uniform = {"seed": net.seed, "stream": _KICK_STREAM, "low": 0.0, "high": 1.0}
    steps = (ops.draw("uniform", index=torch.arange(count), **uniform) * last).floor() + 1
    who = (ops.draw("uniform", index=torch.arange(count) + count, **uniform) * size).floor().long()
    kick = net.spike_source(size, steps * net.dt, who, name="kick")
    net.connect(kick, net["exc"] + net["inh"], rule, weight=weight, delay=delay, name="kick")
