"""Neurons of large sparse networks: their parameters, under NEST's names, and what steps compute with."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import torch

from ..reference.spiking import COMMON_NUMBERS, SPIKING_FORMS, SpikingForm

Number = float | torch.Tensor
MAX_REFRACTORY = 2**15 - 1  # steps


class SpikingModel(NamedTuple):
    """A model of neurons for :func:`simulate`.

    Attributes:
        name: NEST's name, or "generator" for neurons that fire as they are told.
        parameters: names and defaults, NEST's.
        units: unit of each parameter.
        weight_unit: unit of the weights of synapses onto it.
    """

    name: str
    parameters: dict[str, float]
    units: dict[str, str]
    weight_unit: str


_UNITS = {
    **dict.fromkeys(("E_L", "V_th", "V_reset", "V_min", "E_ex", "E_in"), "mV"),
    **dict.fromkeys(("tau_m", "t_ref", "tau_syn_ex", "tau_syn_in"), "ms"),
    **{"C_m": "pF", "g_L": "nS", "I_e": "pA"},
}
_MEMBRANE = {"C_m": 250.0, "tau_m": 10.0, "E_L": -70.0, "V_th": -55.0, "V_reset": -70.0, "t_ref": 2.0, "I_e": 0.0}
_SYNAPSES = {"tau_syn_ex": 2.0, "tau_syn_in": 2.0}
_COND = {
    **{"C_m": 250.0, "g_L": 50.0 / 3.0, "E_L": -70.0, "V_th": -55.0, "V_reset": -60.0, "t_ref": 2.0, "I_e": 0.0},
    **{"E_ex": 0.0, "E_in": -85.0, "tau_syn_ex": 0.2, "tau_syn_in": 2.0},
}


def _model(name: str, parameters: dict[str, float], weight_unit: str) -> SpikingModel:
    return SpikingModel(name, parameters, {key: _UNITS[key] for key in parameters}, weight_unit)


#: Models by name.
SPIKING_MODELS = {
    model.name: model
    for model in (
        _model("iaf_psc_exp", {**_MEMBRANE, **_SYNAPSES}, "pA"),
        _model("iaf_psc_alpha", {**_MEMBRANE, **_SYNAPSES, "V_min": -math.inf}, "pA"),
        _model("iaf_psc_delta", {**_MEMBRANE, "V_min": -math.inf}, "mV"),
        _model("iaf_cond_exp", _COND, "nS"),
        _model("generator", {}, ""),
    )
}


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """Neurons ``first``..``last - 1``, which share a model; made by :func:`spiking_population`.

    Attributes:
        model: name of the model.
        ports: 1, or 2 where negative weights are summed apart from the others.
        first: number of the first neuron.
        last: number behind the last neuron.
        numbers: coefficients of a step, ``[K]`` or ``[K, last - first]``, in the dtype of the state.
        drive: constant current times gain, ``[1]`` or ``[last - first]``.
        offset: E_L in mV; the state holds voltages above it. A number, or float64 ``[last - first]``.
        stimuli: what else drives the neurons.
    """

    model: str
    ports: int
    first: int
    last: int
    numbers: torch.Tensor
    drive: torch.Tensor
    offset: Number
    stimuli: tuple
    _gain: Number = dataclasses.field(repr=False)
    _I_e: Number = dataclasses.field(repr=False)

    @property
    def form(self) -> SpikingForm:
        return SPIKING_FORMS[self.model, self.ports]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the state variables, in the order of the rows of the state."""
        return self.form.variables

    @property
    def size(self) -> int:
        return self.last - self.first

    def replace(self, *, current: Number | None = None, stimuli: tuple | None = None) -> Population:
        """The same neurons with another current, pA, in addition to I_e, or other stimuli; None leaves them.

        Raises:
            TypeError: a stimulus is none.
            ValueError: the current has another size.
        """
        changes = {} if stimuli is None else {"stimuli": tuple(stimuli)}
        if current is not None:
            current = _number("current", current, self.size)
            if not _holds(abs(current) < math.inf):
                raise ValueError(f"current was {current}; it must be finite (pA)")
            like = {"dtype": self.drive.dtype, "device": self.drive.device}
            drive = torch.as_tensor(self._gain * (self._I_e + current), dtype=torch.float64)
            changes["drive"] = drive.reshape(-1).to(**like)
        return dataclasses.replace(self, **changes)


def _number(name: str, value, size: int) -> Number:
    if isinstance(value, torch.Tensor) and value.ndim:
        if value.shape != (size,):
            raise ValueError(f"{name} had shape {tuple(value.shape)}; it must be a number or ({size},), one per neuron")
        value = value.detach().to("cpu", torch.float64)
        bad = bool(torch.isnan(value).any())
    else:
        value = float(value)
        bad = math.isnan(value)
    if bad:
        raise ValueError(f"{name} was NaN; it must be a number")
    return value


def _holds(condition) -> bool:
    return bool(condition.all()) if isinstance(condition, torch.Tensor) else bool(condition)


def _check(parameters: dict[str, Number]) -> None:
    for name in ("C_m", "tau_m", "g_L", "tau_syn_ex", "tau_syn_in"):
        if name in parameters and not _holds(parameters[name] > 0):
            raise ValueError(f"{name} was {parameters[name]}; it must be positive ({_UNITS[name]})")
    for name in parameters.keys() - {"V_th", "V_min"}:
        if not _holds(abs(parameters[name]) < math.inf):
            raise ValueError(f"{name} was {parameters[name]}; it must be finite ({_UNITS[name]})")
    if not _holds(parameters["t_ref"] >= 0):
        raise ValueError(f"t_ref was {parameters['t_ref']}; it must not be negative (ms)")
    if not _holds(parameters["V_reset"] < parameters["V_th"]):
        reset, threshold = parameters["V_reset"], parameters["V_th"]
        raise ValueError(f"V_reset was {reset} with V_th {threshold}; it must be below V_th (mV)")


def _exp(x: Number) -> Number:
    return torch.exp(x) if isinstance(x, torch.Tensor) else math.exp(x)


def _expm1(x: Number) -> Number:
    return torch.expm1(x) if isinstance(x, torch.Tensor) else math.expm1(x)


def _select(condition, yes: Number, no: Number) -> Number:
    if isinstance(condition, torch.Tensor):
        yes, no = (torch.as_tensor(value, dtype=torch.float64) for value in (yes, no))
        return torch.where(condition, yes, no)
    return yes if condition else no


def _ratio(numerator: Number, denominator: Number) -> Number:
    """0 / 0 stands where another formula is selected."""
    safe = _select(denominator == 0, 1.0, denominator)
    return numerator / safe


def _exp_response(tau_m: Number, tau_s: Number, c_m: Number, dt: float) -> Number:
    """mV after a step of 1 pA that decays with tau_s; dt exp(-dt / tau_m) / C_m where the time constants are equal."""
    slower = 1 / tau_s - 1 / tau_m
    rise = _ratio(-_expm1(-slower * dt), slower)
    return _exp(-dt / tau_m) / c_m * _select(abs(slower * dt) < 1e-12, dt, rise)


def _alpha_response(tau_m: Number, tau_s: Number, c_m: Number, dt: float) -> Number:
    """mV after a step of an alpha-shaped current with slope 1 pA / ms at its start."""
    slower = 1 / tau_s - 1 / tau_m
    z = slower * dt
    series = dt * dt * (1 / 2 - z * (1 / 3 - z * (1 / 8 - z * (1 / 30 - z * (1 / 144 - z / 840)))))
    exact = _ratio(-_expm1(-z) - z * _exp(-z), slower * slower)
    return _exp(-dt / tau_m) / c_m * _select(abs(z) < 1e-2, series, exact)


def _coefficients(model: str, ports: int, q: dict[str, Number], dt: float) -> dict[str, Number]:
    """A model's own numbers, in double precision."""
    kinds = [("", "tau_syn_ex")] if ports == 1 else [("_ex", "tau_syn_ex"), ("_in", "tau_syn_in")]
    if model == "iaf_psc_delta":
        return {"p33": _exp(-dt / q["tau_m"])}
    k = {}
    if model == "iaf_cond_exp":
        k = {"leak": q["g_L"], "e_ex": q["E_ex"] - q["E_L"], "e_in": q["E_in"] - q["E_L"], "sixth": 1 / 6}
        k["scale"] = dt / q["C_m"]
    elif model == "iaf_psc_exp":
        k["p22"] = _exp(-dt / q["tau_m"])
    else:
        k["relax"] = _expm1(-dt / q["tau_m"])
    for suffix, name in kinds:
        tau = q[name]
        k["p11" + suffix] = _exp(-dt / tau)
        if model == "iaf_cond_exp":
            k["half" + suffix] = _exp(-dt / 2 / tau)
            continue
        response = _exp_response(q["tau_m"], tau, q["C_m"], dt)
        if model == "iaf_psc_exp":
            k["p21" + suffix] = response
        else:
            k["p32" + suffix], k["p31" + suffix] = response, _alpha_response(q["tau_m"], tau, q["C_m"], dt)
            k["p21" + suffix], k["jump" + suffix] = dt * _exp(-dt / tau), math.e / tau
    return k


def _table(form: SpikingForm, k: dict[str, Number], size: int, **like) -> torch.Tensor:
    rows = [torch.as_tensor(k[name], dtype=torch.float64) for name in COMMON_NUMBERS + form.numbers]
    if any(row.ndim for row in rows):
        rows = [row.expand(size) for row in rows]
    return torch.stack(rows).to(**like)


def _ports(model: str, ports: int | None, q: dict[str, Number]) -> int:
    known = [p for name, p in SPIKING_FORMS if name == model]
    if ports is None:
        if len(known) == 2:
            ports = 1 if _holds(q["tau_syn_ex"] == q["tau_syn_in"]) else 2
        else:
            ports = known[0]
    if ports not in known:
        raise ValueError(f"ports was {ports!r}; {model} has {' or '.join(map(str, known))}")
    if len(known) == 2 and ports == 1 and not _holds(q["tau_syn_ex"] == q["tau_syn_in"]):
        raise ValueError("ports was 1, but tau_syn_ex and tau_syn_in differ; it must be 2")
    return ports


def spiking_population(
    model: str,
    first: int,
    last: int,
    *,
    dt: float,
    ports: int | None = None,
    current: Number = 0.0,
    stimuli: tuple = (),
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    **parameters: Number,
) -> Population:
    """Neurons ``first``..``last - 1`` of a model, with the coefficients of a step computed in double precision.

    Args:
        model: "iaf_psc_exp", "iaf_psc_alpha", "iaf_psc_delta", "iaf_cond_exp" or "generator".
        first, last: the range of neurons.
        dt: length of a step, ms.
        ports: 1 or 2 sums of arriving weights; None: as few as the parameters allow.
        current: pA, in addition to I_e.
        stimuli: :class:`PoissonDrive`, :class:`NoiseCurrent`; generators: :class:`RandomSpikes`.
        dtype: of the state, float32 or float64.
        parameters: as in ``SPIKING_MODELS[model].parameters``, each a number or one value per neuron.

    The exact integration is that of Rotter & Diesmann (1999); conductance-based neurons take a step of the classical
    Runge-Kutta method of 4th order, with exact conductances.

    Raises:
        ValueError: an unknown model or parameter, a value out of its range, or of another size.
    """
    if model not in SPIKING_MODELS:
        raise ValueError(f"model was {model!r}; it must be one of {', '.join(map(repr, SPIKING_MODELS))}")
    known = SPIKING_MODELS[model].parameters
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise ValueError(f"{model} has no parameter {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"dtype was {dtype}; it must be torch.float32 or torch.float64")
    if not 0 <= first <= last:
        raise ValueError(f"first and last were {first} and {last}; they must be a range of neurons")
    if not dt > 0:
        raise ValueError(f"dt was {dt}; it must be positive (ms)")
    size = last - first
    q = {name: _number(name, parameters.get(name, default), size) for name, default in known.items()}
    stimuli = tuple(stimuli)
    like = {"dtype": dtype, "device": device}
    if model == "generator":
        empty = torch.zeros(0, **like)
        return Population(model, 1, first, last, empty, torch.zeros(1, **like), 0.0, stimuli, 0.0, 0.0)
    _check(q)
    ports = _ports(model, ports, q)
    gain = 1.0 if model == "iaf_cond_exp" else -q["tau_m"] / q["C_m"] * _expm1(-dt / q["tau_m"])
    refractory = torch.floor(torch.as_tensor(q["t_ref"], dtype=torch.float64) / dt + 0.5)
    if size and float(refractory.max()) > MAX_REFRACTORY:
        raise ValueError(f"t_ref was {q['t_ref']} ms, {int(refractory.max())} steps; at most {MAX_REFRACTORY} fit")
    k = {"gain": gain, "refractory": refractory, **_coefficients(model, ports, q, dt)}
    k |= {"threshold": q["V_th"] - q["E_L"], "reset": q["V_reset"] - q["E_L"]}
    k["lowest"] = q.get("V_min", -math.inf) - q["E_L"]
    numbers = _table(SPIKING_FORMS[model, ports], k, size, **like)
    made = Population(model, ports, first, last, numbers, torch.zeros(1, **like), q["E_L"], stimuli, gain, q["I_e"])
    return made.replace(current=current)
