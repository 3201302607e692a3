"""The microcircuit below 1 mm^2 of cortex, after Potjans and Diesmann (2014)."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ...state import _check
from ..distributions import Normal
from ..network import Network
from ..rules import FixedTotalNumber

#: Neurons of each population of :func:`microcircuit` at full scale.
MICROCIRCUIT_SIZES = {
    **{"L23E": 20683, "L23I": 5834, "L4E": 21915, "L4I": 5479},
    **{"L5E": 4850, "L5I": 1065, "L6E": 14395, "L6I": 2948},
}

#: Mean rates of the populations of :func:`microcircuit` at full scale, Hz; of one run of the model's authors with NEST.
MICROCIRCUIT_RATES = {
    **{"L23E": 0.903, "L23I": 2.965, "L4E": 4.414, "L4I": 5.876},
    **{"L5E": 7.569, "L5I": 8.633, "L6E": 1.105, "L6I": 7.829},
}

# Probability that a pair has a synapse at least: rows are targets, columns sources, in the order above.
_PROBABILITIES = (
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.1350, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.0600, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.0010, 0.0034, 0.0005, 0.0277, 0.0080, 0.0658, 0.1443),
)
_EXTERNAL = dict(zip(MICROCIRCUIT_SIZES, (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100), strict=True))
# mV: mean and standard deviation, near those of the running network, so that it does not start with a burst
_POTENTIALS = {
    **{"L23E": (-68.28, 5.36), "L23I": (-63.16, 4.57), "L4E": (-63.33, 4.74), "L4I": (-63.45, 4.94)},
    **{"L5E": (-63.11, 4.94), "L5I": (-61.66, 4.55), "L6E": (-66.72, 5.46), "L6I": (-61.43, 4.48)},
}
_NEURON = {
    **{"C_m": 250.0, "tau_m": 10.0, "E_L": -65.0, "V_reset": -65.0, "V_th": -50.0, "t_ref": 2.0},
    **{"tau_syn_ex": 0.5, "tau_syn_in": 0.5},
}
_PSP = 0.15  # mV, peak of the response to an excitatory spike
_INHIBITION, _SPREAD = -4.0, 0.1  # relative to the mean excitatory weight, standard deviation relative to the mean
_DELAY = {"E": 1.5, "I": 0.75}  # ms, means; standard deviations are half of that
_BACKGROUND = 8.0  # Hz, of each external input


def _peak_weight() -> float:
    """pA: the jump of a current with tau_syn of which the potential rises by ``_PSP`` at its peak."""
    tau_m, tau_s, c_m = _NEURON["tau_m"], _NEURON["tau_syn_ex"], _NEURON["C_m"]
    peak = math.log(tau_m / tau_s) * tau_m * tau_s / (tau_m - tau_s)  # ms
    shape = math.exp(-peak / tau_m) - math.exp(-peak / tau_s)
    return _PSP * c_m * (tau_m - tau_s) / (tau_m * tau_s * shape)


def _synapses(target: str, source: str) -> int:
    """At full scale; multapses included, hence the logarithms."""
    names = list(MICROCIRCUIT_SIZES)
    p = _PROBABILITIES[names.index(target)][names.index(source)]
    pairs = MICROCIRCUIT_SIZES[target] * MICROCIRCUIT_SIZES[source]
    return round(math.log(1 - p) / math.log(1 - 1 / pairs))


def _weight(target: str, source: str) -> float:
    """pA, mean at full scale."""
    if source.endswith("I"):
        return _INHIBITION * _peak_weight()
    return (2 if (target, source) == ("L23E", "L4E") else 1) * _peak_weight()


def _missing_current(target: str, kept: float, drive: str) -> float:
    """pA: what smaller in-degrees with larger weights take away from the mean input; ``kept`` of it is there."""
    rates = {source: MICROCIRCUIT_RATES[source] / 1000 for source in MICROCIRCUIT_SIZES}  # 1 / ms
    recurrent = sum(
        _synapses(target, source) / MICROCIRCUIT_SIZES[target] * _weight(target, source) * rates[source]
        for source in MICROCIRCUIT_SIZES
    )
    external = _external_current(target) if drive == "poisson" else 0.0
    return (1 - kept) * (_NEURON["tau_syn_ex"] * recurrent + external)


def _external_current(target: str) -> float:
    """pA: mean of all external inputs."""
    return _BACKGROUND / 1000 * _EXTERNAL[target] * _peak_weight() * _NEURON["tau_syn_ex"]


def _constant_current(target: str, root: float, drive: str) -> float:
    """pA; ``root``: that of the share of the in-degrees that is there."""
    return _missing_current(target, root, drive) + (_external_current(target) if drive == "dc" else 0.0)


def _falls_silent(root: float) -> bool:
    """Whether constant currents alone take no excitatory population to its threshold.

    Then nothing starts activity again where fluctuations, which small networks have, have once ended it.
    """
    resistance = _NEURON["tau_m"] / _NEURON["C_m"] * 1000  # MOhm
    largest = max(_constant_current(name, root, "dc") for name in MICROCIRCUIT_SIZES if name.endswith("E"))
    return _NEURON["E_L"] + largest * resistance / 1000 < _NEURON["V_th"]


def microcircuit(
    scale: float = 1.0, drive: str = "dc", *, in_degree_scale: float | None = None, **options: Any
) -> Network:
    """The cortical microcircuit of Potjans and Diesmann (2014): 77,169 neurons in four layers, 298,880,968 synapses.

    The populations are ``L23E``, ``L23I``, ``L4E``, ``L4I``, ``L5E``, ``L5I``, ``L6E``, ``L6I``, of ``iaf_psc_exp``
    neurons. Weights are normal and keep their sign, delays normal and at least one step. With a scale below 1 there are
    fewer neurons and smaller in-degrees; weights grow with the root of what is lost, and a constant current stands for
    the rest of the mean input at the published rates (van Albada, Helias and Diesmann 2015), so that rates stay near
    those of full scale; correlations do not. With a constant drive and a tenth of the in-degrees, or less, it leaves
    every excitatory population below its threshold, so the activity ends, here as in NEST: there is a warning, and a
    Poisson drive or ``in_degree_scale=1.0`` keeps it up.

    Args:
        scale: share of the neurons that are there, above 0 to 1.
        drive: ``"dc"``, a constant current, or ``"poisson"``, spikes of :math:`8` Hz from each external input.
        in_degree_scale: share of the synapses of each neuron that are there; None: ``scale``.
        **options: of :class:`~inferno_cuda.sim.Network`, such as ``seed``, ``dtype`` or ``device``.

    Returns:
        the network, not yet built.

    Raises:
        ValueError: if a scale is out of range, or ``drive`` is neither.
        TypeError: if an option is none of a network.

    Warns:
        UserWarning: if the network will fall silent.

    Example:
        >>> from inferno_cuda import sim
        >>> sim.models.microcircuit(0.01, "poisson")
        <network: 772 neurons in 8 populations, about 29,892 synapses, not built yet, at 0 ms>
    """
    _check.one_of("drive", drive, ("dc", "poisson"))
    scale = _check.at_most("scale", _check.positive("scale", scale), 1.0)
    kept = scale if in_degree_scale is None else _check.positive("in_degree_scale", in_degree_scale)
    root = math.sqrt(_check.at_most("in_degree_scale", kept, 1.0))
    net = Network(**options)
    if drive == "dc" and _falls_silent(root):
        warnings.warn(
            f"with a constant drive and {kept:g} of the in-degrees no excitatory population reaches its threshold, so "
            'the network falls silent: take drive="poisson", a larger scale, or in_degree_scale=1.0',
            stacklevel=2,
        )
    for name, size in MICROCIRCUIT_SIZES.items():
        current = _constant_current(name, root, drive)
        initial = Normal(*_POTENTIALS[name])
        made = net.population(
            max(1, round(size * scale)), "iaf_psc_exp", name=name, I_e=current, V_m=initial, **_NEURON
        )
        if drive == "poisson":
            net.poisson(made, _BACKGROUND * _EXTERNAL[name] * kept, _peak_weight() / root)
    for target in MICROCIRCUIT_SIZES:
        for source in MICROCIRCUIT_SIZES:
            count = round(_synapses(target, source) * scale * kept)
            if count:
                _connect(net, source, target, count, root)
    return net


def _connect(net: Network, source: str, target: str, count: int, root: float) -> None:
    mean = _weight(target, source) / root
    sign = {"high": 0.0} if mean < 0 else {"low": 0.0}
    delay = _DELAY[source[-1]]
    net.connect(
        source,
        target,
        FixedTotalNumber(count),
        weight=Normal(mean, _SPREAD * abs(mean), **sign),
        delay=Normal(delay, delay / 2, low=net.dt / 2),
        name=f"{source} -> {target}",
    )
