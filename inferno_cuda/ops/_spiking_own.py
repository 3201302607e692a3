"""Parameters of the neurons of inferno_cuda.neural in large sparse networks, and what their steps compute with."""

from __future__ import annotations

import math

import torch

from ..reference.neuron import MODELS, current_constants, threshold_adaptation, threshold_constants
from ._spiking_values import MAX_REFRACTORY, Number, divide, exp_each, holds

WEIGHT_UNIT = "pC"
_SYNAPSES = {"tau_syn_ex": 0.0, "tau_syn_in": 0.0}
#: Arguments of a module's call that are parameters here, 0 or 1.
SWITCHES = ("refrac_lock", "adapt")


def _parameters(*names: str) -> dict[str, float | None]:
    adapts = {"adapt": 1.0} if "spike_increment" in names else {}
    return {**dict.fromkeys(names), "resistance": 1.0, **_SYNAPSES, "refrac_lock": 1.0, **adapts}


_LINEAR = _parameters("rest_v", "reset_v", "thresh_v", "refrac_t", "time_constant")
_ADAPTIVE = ("refrac_t", "tc_membrane", "tc_adaptation", "voltage_coupling", "spike_increment")
_QUADRATIC, _EXPONENTIAL = ("rest_v", "crit_v", "affinity"), ("rest_v", "rheobase_v", "sharpness")
_RESET = ("reset_v", "thresh_v")
_GLIF2 = ("rest_v", "reset_v_add", "reset_v_mul", "thresh_eq_v", "refrac_t", "tc_membrane", "rc_adaptation")

#: Of each class of neurons: the name of the model, and its parameters with their defaults; None: there is none.
OWN_PARAMETERS = {
    "LIF": ("lif", _LINEAR),
    "ALIF": (
        "alif",
        _parameters(
            *("rest_v", "reset_v", "thresh_eq_v", "refrac_t", "tc_membrane", "tc_adaptation", "spike_increment")
        ),
    ),
    "GLIF1": ("lif", _LINEAR),
    "GLIF2": ("glif2", _parameters(*_GLIF2, "spike_increment")),
    "QIF": ("qif", _parameters(*_QUADRATIC, *_RESET, "refrac_t", "time_constant")),
    "Izhikevich": ("izhikevich", _parameters(*_QUADRATIC, *_RESET, *_ADAPTIVE)),
    "EIF": ("eif", _parameters(*_EXPONENTIAL, *_RESET, "refrac_t", "time_constant")),
    "AdEx": ("adex", _parameters(*_EXPONENTIAL, *_RESET, *_ADAPTIVE)),
}

_MV = ("rest_v", "reset_v", "thresh_v", "thresh_eq_v", "crit_v", "rheobase_v", "sharpness", "reset_v_add")
_MS = ("refrac_t", "time_constant", "tc_membrane", "tc_adaptation", "tau_syn_ex", "tau_syn_in")
#: Jumps of thresholds are in mV, those of currents in nA.
OWN_UNITS = {
    **dict.fromkeys(_MV, "mV"),
    **dict.fromkeys(_MS, "ms"),
    **{"affinity": "1/mV", "rc_adaptation": "1/ms", "resistance": "MOhm", "voltage_coupling": "uS"},
    **{"reset_v_mul": "", "spike_increment": "mV or nA", **dict.fromkeys(SWITCHES, "")},
}

_POSITIVE = ("time_constant", "tc_membrane", "tc_adaptation", "rc_adaptation", "affinity", "sharpness")
_NOT_NEGATIVE = ("refrac_t", "tau_syn_ex", "tau_syn_in")


def check_own(q: dict[str, Number]) -> None:
    """Refuses what the classes refuse.

    Raises:
        ValueError: says which parameter, and what it must be.
    """
    for name in q.keys() & set(SWITCHES):
        if not holds((q[name] == 0) | (q[name] == 1)):
            raise ValueError(f"{name} was {q[name]}; it must be True or False, 1 or 0")
    for name in q.keys() - {"thresh_v", "thresh_eq_v"}:
        if not holds(abs(q[name]) < math.inf):
            raise ValueError(f"{name} was {q[name]}; it must be finite ({OWN_UNITS[name]})")
    for name in q.keys() & set(_POSITIVE):
        if not holds(q[name] > 0):
            raise ValueError(f"{name} was {q[name]}; it must be positive ({OWN_UNITS[name]})")
    for name in q.keys() & set(_NOT_NEGATIVE):
        if not holds(q[name] >= 0):
            raise ValueError(f"{name} was {q[name]}; it must not be negative ({OWN_UNITS[name]})")
    if not holds(abs(q["resistance"]) > 0):
        raise ValueError(f"resistance was {q['resistance']}; it must not be 0 (MOhm)")
    threshold = "thresh_v" if "thresh_v" in q else "thresh_eq_v"
    for low, high in (("rest_v", threshold), ("reset_v", threshold), ("rest_v", "crit_v"), ("rest_v", "rheobase_v")):
        if low in q and high in q and not holds(q[low] < q[high]):
            raise ValueError(f"{low} was {q[low]} with {high} {q[high]}; it must be below {high} (mV)")
    for low in q.keys() & {"crit_v", "rheobase_v"}:
        if not holds(q[low] <= q[threshold]):
            raise ValueError(f"{low} was {q[low]} with {threshold} {q[threshold]}; it must not be above (mV)")


def _waiting_steps(period: Number, dt: float, dtype: torch.dtype) -> torch.Tensor:
    """Steps for which a neuron waits after a spike: as the countdown in ms goes, rounding included."""
    period = torch.as_tensor(period, dtype=torch.float64)
    different, where = torch.unique(period, return_inverse=True)
    left, steps = different.to(dtype), torch.floor(different / dt)
    if steps.numel() and float(steps.max()) > MAX_REFRACTORY:
        return steps[where]
    one, snap = (torch.tensor(value, dtype=torch.float64).to(dtype) for value in (dt, dt * 1e-3))
    steps = torch.zeros_like(different)
    while True:
        left = left - one
        waiting = left > snap
        if not bool(waiting.any()):
            return steps[where].reshape(period.shape)
        steps += waiting


def _law(form: str, q: dict[str, Number], dt: float, dtype: torch.dtype) -> dict[str, Number]:
    """The constants of the law of adaptation. A module keeps what they are made of in its dtype."""
    names = [name for name in ("tc_adaptation", "rc_adaptation", "voltage_coupling", "spike_increment") if name in q]
    values = [torch.as_tensor(q[name], dtype=torch.float64).to(dtype).double().reshape(-1) for name in names]
    time_constant, *others = torch.broadcast_tensors(*values)
    if "rc_adaptation" in q:
        time_constant = 1 / time_constant
    raises = MODELS[form].adapt is threshold_adaptation
    constants = (threshold_constants if raises else current_constants)(dt, time_constant, *others)
    # adaptations that neither relax nor jump stay what they are, to the bit
    moves = torch.as_tensor(q["adapt"], dtype=torch.float64).reshape(-1) > 0
    frozen = (1.0, 0.0) if raises else (0.0, 0.0, 0.0)
    constants = [torch.where(moves, row, value) for row, value in zip(constants, frozen, strict=True)]
    return {f"constant_{number}": row if row.numel() > 1 else row[0] for number, row in enumerate(constants)}


def own_coefficients(form: str, ports: int, q: dict[str, Number], dt: float, dtype: torch.dtype) -> dict[str, Number]:
    """All numbers of a model, in double precision, under the names of :func:`own_numbers`."""
    k = {name: q[name] for name in MODELS[form].parameters & q.keys()}
    k["thresh_v"] = q["thresh_v"] if "thresh_v" in q else q["thresh_eq_v"]
    membrane = q["time_constant"] if "time_constant" in q else q["tc_membrane"]
    k |= {"decay": exp_each(divide(-dt, membrane)), "rate": divide(dt, membrane)}
    k |= {"gain": 1e-3, "refractory": _waiting_steps(q["refrac_t"], dt, dtype), "lock": q["refrac_lock"]}
    for suffix, name in [("", "tau_syn_ex")] if ports == 1 else [("_ex", "tau_syn_ex"), ("_in", "tau_syn_in")]:
        k["arriving" + suffix], k["kept" + suffix] = _synapse(q[name], dt)
    if MODELS[form].constants:
        k["holds"] = torch.as_tensor(q["refrac_t"], dtype=torch.float64) > 0
        k |= _law(form, q, dt, dtype)
    return k


def _synapse(tau: Number, dt: float) -> tuple[Number, Number]:
    """nA of an arriving pC, and the share of a current that a step leaves; with a time constant of 0, none."""
    if not isinstance(tau, torch.Tensor):
        return (1 / tau, math.exp(-dt / tau)) if tau else (1 / dt, 0.0)
    lasting = torch.where(tau > 0, tau, 1.0)
    return torch.where(tau > 0, divide(1, lasting), 1 / dt), torch.where(tau > 0, exp_each(divide(-dt, lasting)), 0.0)
