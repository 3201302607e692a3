"""Neurons of large sparse networks: their parameters, under NEST's names, and what steps compute with."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import torch

from ..reference.spiking import SPIKING_FORMS, SpikingForm
from ._spiking_own import OWN_PARAMETERS, OWN_UNITS, WEIGHT_UNIT, check_own, own_coefficients
from ._spiking_values import Number, check_refractory, exp, expm1, holds, number, ratio, select


class SpikingModel(NamedTuple):
    """A model of neurons for :func:`simulate`.

    Attributes:
        name: NEST's name, that of a class of ``inferno_cuda.neural``, or "generator" for neurons that fire as they are
            told.
        parameters: names and defaults, those of NEST or of the class; None: there is no default.
        units: unit of each parameter.
        weight_unit: unit of the weights of synapses onto it.
        form: name in ``SPIKING_FORMS``.
    """

    name: str
    parameters: dict[str, float | None]
    units: dict[str, str]
    weight_unit: str
    form: str

    @property
    def adaptation(self) -> str | None:
        """Name of the state variable that adapts."""
        names = (name for (form, _), made in SPIKING_FORMS.items() if form == self.form for name in made.variables)
        return next((name for name in names if name.endswith("_adaptation")), None)

    def variables(self, ports: int) -> tuple[str, ...]:
        """Names of the state variables with so many ports, the voltage first."""
        return SPIKING_FORMS[self.form, ports].variables


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
    return SpikingModel(name, parameters, {key: _UNITS[key] for key in parameters}, weight_unit, name)


def _own_model(name: str, form: str, parameters: dict[str, float | None]) -> SpikingModel:
    return SpikingModel(name, parameters, {key: OWN_UNITS[key] for key in parameters}, WEIGHT_UNIT, form)


#: Models by name.
SPIKING_MODELS = {
    model.name: model
    for model in (
        _model("iaf_psc_exp", {**_MEMBRANE, **_SYNAPSES}, "pA"),
        _model("iaf_psc_alpha", {**_MEMBRANE, **_SYNAPSES, "V_min": -math.inf}, "pA"),
        _model("iaf_psc_delta", {**_MEMBRANE, "V_min": -math.inf}, "mV"),
        _model("iaf_cond_exp", _COND, "nS"),
        _model("generator", {}, ""),
        *(_own_model(name, form, parameters) for name, (form, parameters) in OWN_PARAMETERS.items()),
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
        offset: what the state's voltages are relative to, mV: E_L of NEST's models, otherwise 0. A number, or float64
            ``[last - first]``.
        rest: the resting voltage as the state has it, mV; likewise.
        stimuli: what else drives the neurons.
    """

    model: str
    ports: int
    first: int
    last: int
    numbers: torch.Tensor
    drive: torch.Tensor
    offset: Number
    rest: Number
    stimuli: tuple
    _gain: Number = dataclasses.field(repr=False)
    _I_e: Number = dataclasses.field(repr=False)

    @property
    def kind(self) -> tuple[str, int]:
        """Its key in ``SPIKING_FORMS``."""
        return SPIKING_MODELS[self.model].form, self.ports

    @property
    def form(self) -> SpikingForm:
        return SPIKING_FORMS[self.kind]

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
            current = number("current", current, self.size)
            if not holds(abs(current) < math.inf):
                raise ValueError(f"current was {current}; it must be finite (pA)")
            like = {"dtype": self.drive.dtype, "device": self.drive.device}
            drive = torch.as_tensor(self._gain * (self._I_e + current), dtype=torch.float64)
            changes["drive"] = drive.reshape(-1).to(**like)
        return dataclasses.replace(self, **changes)


def _check(parameters: dict[str, Number]) -> None:
    for name in ("C_m", "tau_m", "g_L", "tau_syn_ex", "tau_syn_in"):
        if name in parameters and not holds(parameters[name] > 0):
            raise ValueError(f"{name} was {parameters[name]}; it must be positive ({_UNITS[name]})")
    for name in parameters.keys() - {"V_th", "V_min"}:
        if not holds(abs(parameters[name]) < math.inf):
            raise ValueError(f"{name} was {parameters[name]}; it must be finite ({_UNITS[name]})")
    if not holds(parameters["t_ref"] >= 0):
        raise ValueError(f"t_ref was {parameters['t_ref']}; it must not be negative (ms)")
    if not holds(parameters["V_reset"] < parameters["V_th"]):
        reset, threshold = parameters["V_reset"], parameters["V_th"]
        raise ValueError(f"V_reset was {reset} with V_th {threshold}; it must be below V_th (mV)")


def _exp_response(tau_m: Number, tau_s: Number, c_m: Number, dt: float) -> Number:
    """mV after a step of 1 pA that decays with tau_s; dt exp(-dt / tau_m) / C_m where the time constants are equal."""
    slower = 1 / tau_s - 1 / tau_m
    rise = ratio(-expm1(-slower * dt), slower)
    return exp(-dt / tau_m) / c_m * select(abs(slower * dt) < 1e-12, dt, rise)


def _alpha_response(tau_m: Number, tau_s: Number, c_m: Number, dt: float) -> Number:
    """mV after a step of an alpha-shaped current with slope 1 pA / ms at its start."""
    slower = 1 / tau_s - 1 / tau_m
    z = slower * dt
    series = dt * dt * (1 / 2 - z * (1 / 3 - z * (1 / 8 - z * (1 / 30 - z * (1 / 144 - z / 840)))))
    exact = ratio(-expm1(-z) - z * exp(-z), slower * slower)
    return exp(-dt / tau_m) / c_m * select(abs(z) < 1e-2, series, exact)


def _coefficients(model: str, ports: int, q: dict[str, Number], dt: float) -> dict[str, Number]:
    """A model's own numbers, in double precision."""
    kinds = [("", "tau_syn_ex")] if ports == 1 else [("_ex", "tau_syn_ex"), ("_in", "tau_syn_in")]
    if model == "iaf_psc_delta":
        return {"p33": exp(-dt / q["tau_m"])}
    k = {}
    if model == "iaf_cond_exp":
        k = {"leak": q["g_L"], "e_ex": q["E_ex"] - q["E_L"], "e_in": q["E_in"] - q["E_L"], "sixth": 1 / 6}
        k["scale"] = dt / q["C_m"]
    elif model == "iaf_psc_exp":
        k["p22"] = exp(-dt / q["tau_m"])
    else:
        k["relax"] = expm1(-dt / q["tau_m"])
    for suffix, name in kinds:
        tau = q[name]
        k["p11" + suffix] = exp(-dt / tau)
        if model == "iaf_cond_exp":
            k["half" + suffix] = exp(-dt / 2 / tau)
            continue
        response = _exp_response(q["tau_m"], tau, q["C_m"], dt)
        if model == "iaf_psc_exp":
            k["p21" + suffix] = response
        else:
            k["p32" + suffix], k["p31" + suffix] = response, _alpha_response(q["tau_m"], tau, q["C_m"], dt)
            k["p21" + suffix], k["jump" + suffix] = dt * exp(-dt / tau), math.e / tau
    return k


def _iaf_coefficients(model: str, ports: int, q: dict[str, Number], dt: float) -> dict[str, Number]:
    """All numbers of a model of NEST, in double precision."""
    gain = 1.0 if model == "iaf_cond_exp" else -q["tau_m"] / q["C_m"] * expm1(-dt / q["tau_m"])
    refractory = torch.floor(torch.as_tensor(q["t_ref"], dtype=torch.float64) / dt + 0.5)
    common = {"gain": gain, "threshold": q["V_th"] - q["E_L"], "reset": q["V_reset"] - q["E_L"]}
    common |= {"lowest": q.get("V_min", -math.inf) - q["E_L"], "refractory": refractory}
    return common | _coefficients(model, ports, q, dt)


def _table(form: SpikingForm, k: dict[str, Number], size: int, **like) -> torch.Tensor:
    rows = [torch.as_tensor(k[name], dtype=torch.float64) for name in form.numbers]
    if any(row.ndim for row in rows):
        rows = [row.expand(size) for row in rows]
    return torch.stack(rows).to(**like)


def _ports(model: str, ports: int | None, q: dict[str, Number]) -> int:
    known = [p for name, p in SPIKING_FORMS if name == SPIKING_MODELS[model].form]
    if ports is None:
        if len(known) == 2:
            ports = 1 if holds(q["tau_syn_ex"] == q["tau_syn_in"]) else 2
        else:
            ports = known[0]
    if ports not in known:
        raise ValueError(f"ports was {ports!r}; {model} has {' or '.join(map(str, known))}")
    if len(known) == 2 and ports == 1 and not holds(q["tau_syn_ex"] == q["tau_syn_in"]):
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
        model: "iaf_psc_exp", "iaf_psc_alpha", "iaf_psc_delta", "iaf_cond_exp"; "LIF", "ALIF", "GLIF1", "GLIF2", "QIF",
            "Izhikevich", "EIF", "AdEx", the neurons of ``inferno_cuda.neural``; or "generator".
        first, last: the range of neurons.
        dt: length of a step, ms.
        ports: 1 or 2 sums of arriving weights; None: as few as the parameters allow.
        current: pA, in addition to I_e where there is one.
        stimuli: :class:`PoissonDrive`, :class:`NoiseCurrent`; generators: :class:`RandomSpikes`.
        dtype: of the state, float32 or float64.
        parameters: as in ``SPIKING_MODELS[model].parameters``, each a number or one value per neuron.

    The exact integration is that of Rotter & Diesmann (1999); conductance-based neurons take a step of the classical
    Runge-Kutta method of 4th order, with exact conductances. The neurons of ``inferno_cuda.neural`` step as these do,
    bit for bit: under the current that weights, which are charges in pC, arrive as within the step (``tau_syn_ex`` and
    ``tau_syn_in`` of 0) or decaying with these time constants, and the constant one. ``refrac_lock`` and ``adapt`` are
    those of a module's call: with 0, refractory neurons integrate without input, and adaptations stand still.

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
    missing = [name for name, default in known.items() if default is None and name not in parameters]
    if missing:
        raise ValueError(f"{model} needs {', '.join(missing)}, which have no default")
    size = last - first
    q = {name: number(name, parameters.get(name, default), size) for name, default in known.items()}
    stimuli = tuple(stimuli)
    like = {"dtype": dtype, "device": device}
    if model == "generator":
        empty = torch.zeros(0, **like)
        return Population(model, 1, first, last, empty, torch.zeros(1, **like), 0.0, 0.0, stimuli, 0.0, 0.0)
    if model in OWN_PARAMETERS:
        check_own(q)
        ports = _ports(model, ports, q)
        k, offset, rest = own_coefficients(SPIKING_MODELS[model].form, ports, q, dt, dtype), 0.0, q["rest_v"]
    else:
        _check(q)
        ports = _ports(model, ports, q)
        k, offset, rest = _iaf_coefficients(model, ports, q, dt), q["E_L"], 0.0
    name = "refrac_t" if model in OWN_PARAMETERS else "t_ref"
    check_refractory(name, q[name], k["refractory"])
    numbers = _table(SPIKING_FORMS[SPIKING_MODELS[model].form, ports], k, size, **like)
    gain, constant = k["gain"], q.get("I_e", 0.0)
    made = Population(model, ports, first, last, numbers, torch.zeros(1, **like), offset, rest, stimuli, gain, constant)
    return made.replace(current=current)
