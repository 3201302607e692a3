"""The sparsely connected network of excitatory and inhibitory neurons of Brunel (2000)."""

from __future__ import annotations

from typing import Any

from ...state import _check
from ..distributions import Uniform
from ..network import Network
from ..rules import FixedInDegree

#: Regimes of :func:`brunel`, by name: relative inhibition ``g`` and external rate ``eta`` of figure 8 of the paper.
BRUNEL_REGIMES = {
    "synchronous regular": (3.0, 2.0),
    "synchronous irregular, fast": (6.0, 4.0),
    "asynchronous irregular": (5.0, 2.0),
    "synchronous irregular, slow": (4.5, 0.9),
}
_NEURON = {"tau_m": 20.0, "E_L": 0.0, "V_reset": 10.0, "V_th": 20.0, "t_ref": 2.0}
_IN_DEGREE = 0.1  # of the neurons of each kind


def brunel(
    regime: str | None = "asynchronous irregular",
    *,
    g: float | None = None,
    eta: float | None = None,
    excitatory: int = 10000,
    weight: float = 0.1,
    delay: float = 1.5,
    **options: Any,
) -> Network:
    """The network of Brunel (2000), model A: ``iaf_psc_delta`` neurons, four of five of them excitatory.

    The populations are ``exc`` and ``inh``. Every neuron gets synapses from a tenth of the neurons of each kind, and
    Poisson spikes at ``eta`` times the rate that takes its mean potential to the threshold.

    Args:
        regime: one of ``BRUNEL_REGIMES``; None: ``g`` and ``eta`` say it.
        g: how much stronger inhibitory synapses are than excitatory ones; replaces that of the regime.
        eta: external rate over that threshold rate; replaces that of the regime.
        excitatory: number of excitatory neurons, a multiple of 40. With fewer of them each neuron has fewer inputs, and
            the network another working point unless ``weight`` grows.
        weight: jump of the potential by an excitatory spike, mV.
        delay: of all synapses, ms.
        **options: of :class:`~inferno_cuda.sim.Network`.

    Returns:
        the network, not yet built.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if an option is none of a network.
    """
    if regime is not None:
        _check.one_of("regime", regime, list(BRUNEL_REGIMES))
    elif g is None or eta is None:
        raise ValueError("without a 'regime' there must be 'g' and 'eta'")
    known = BRUNEL_REGIMES.get(regime, (g, eta))
    g, eta = (
        _check.span(name, given if given is not None else own)
        for name, given, own in zip(("g", "eta"), (g, eta), known, strict=True)
    )
    excitatory, weight = _check.size("excitatory", excitatory), _check.positive("weight", weight)
    if excitatory % 40:
        raise ValueError(
            f"'excitatory' of {excitatory} must be a multiple of 40, of which a tenth of a quarter is whole"
        )
    net = Network(**options)
    initial = Uniform(_NEURON["E_L"], _NEURON["V_th"])
    exc = net.population(excitatory, "iaf_psc_delta", name="exc", V_m=initial, **_NEURON)
    inh = net.population(excitatory // 4, "iaf_psc_delta", name="inh", V_m=initial, **_NEURON)
    inputs = round(_IN_DEGREE * excitatory)
    threshold_rate = (_NEURON["V_th"] - _NEURON["E_L"]) / (weight * _NEURON["tau_m"]) * 1000  # Hz, of all inputs
    net.poisson(exc + inh, eta * threshold_rate, weight)
    net.connect(exc, exc + inh, FixedInDegree(inputs), weight=weight, delay=delay, name="excitation")
    net.connect(inh, exc + inh, FixedInDegree(inputs // 4), weight=-g * weight, delay=delay, name="inhibition")
    return net
