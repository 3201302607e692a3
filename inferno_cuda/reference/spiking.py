"""Neurons of large sparse networks: how a step of 0.1 ms or so changes them. NEST's models, and the list of all."""

from typing import NamedTuple

import torch

from .neuron import MODELS
from .spiking_own import own_numbers, own_step, own_variables

# What NEST's models have before their own numbers. The gain is in mV of a pA in a step (1 for conductance-based
# models), V_th, V_reset and V_min are in mV above E_L, and the refractory period is in steps.
_COMMON = ("gain", "threshold", "reset", "lowest", "refractory")


class SpikingForm(NamedTuple):
    """A model: the names of its state and of its numbers, and a step.

    Attributes:
        variables: names of the state variables, the voltage first.
        numbers: names of the numbers; the first one is what a current is multiplied with to be a drive.
        ports: sums of arriving weights that are kept apart.
        step: ``step(x, refrac, arrivals, drive, numbers) -> (x', refrac', fired)``; None: a generator.
    """

    variables: tuple[str, ...]
    numbers: tuple[str, ...]
    ports: int
    step: object


def _psc_exp(x, arrivals, drive, k):
    v, current = x
    moved = k["p22"] * v + k["p21"] * current + drive
    return moved, k["p11"] * current + arrivals[0]


def _psc_exp_two(x, arrivals, drive, k):
    v, excitatory, inhibitory = x
    moved = k["p22"] * v + k["p21_ex"] * excitatory + k["p21_in"] * inhibitory + drive
    return moved, k["p11_ex"] * excitatory + arrivals[0], k["p11_in"] * inhibitory + arrivals[1]


def _alpha(slope, current, arrived, k, suffix):
    """An alpha-shaped current after a step, and its slope."""
    moved = k["p21" + suffix] * slope + k["p11" + suffix] * current
    return k["p11" + suffix] * slope + k["jump" + suffix] * arrived, moved


def _psc_alpha(x, arrivals, drive, k):
    v, slope, current = x
    moved = drive + k["p31"] * slope + k["p32"] * current + k["relax"] * v + v
    return moved, *_alpha(slope, current, arrivals[0], k, "")


def _psc_alpha_two(x, arrivals, drive, k):
    v, slope_ex, current_ex, slope_in, current_in = x
    moved = drive + k["p31_ex"] * slope_ex + k["p32_ex"] * current_ex
    moved = moved + k["p31_in"] * slope_in + k["p32_in"] * current_in + k["relax"] * v + v
    excitatory = _alpha(slope_ex, current_ex, arrivals[0], k, "_ex")
    return moved, *excitatory, *_alpha(slope_in, current_in, arrivals[1], k, "_in")


def _psc_delta(x, arrivals, drive, k):
    return (drive + k["p33"] * x[0] + arrivals[0],)


def _cond_exp(x, arrivals, drive, k):
    """The classical Runge-Kutta method of 4th order; conductances in the middle and at the end are exact."""
    v, excitatory, inhibitory = x
    half_ex, half_in = k["half_ex"] * excitatory, k["half_in"] * inhibitory
    whole_ex, whole_in = k["p11_ex"] * excitatory, k["p11_in"] * inhibitory

    def change(v, g_ex, g_in):
        return k["scale"] * (drive - k["leak"] * v - g_ex * (v - k["e_ex"]) - g_in * (v - k["e_in"]))

    k1 = change(v, excitatory, inhibitory)
    k2 = change(v + k1 * 0.5, half_ex, half_in)
    k3 = change(v + k2 * 0.5, half_ex, half_in)
    k4 = change(v + k3, whole_ex, whole_in)
    moved = v + ((k1 + k4) + (k2 + k3) * 2.0) * k["sixth"]
    return moved, whole_ex + arrivals[0], whole_in - arrivals[1]


def _iaf_step(dynamics):
    """The step of a model of NEST. While the refractory period lasts, the voltage stays and the rest goes on."""

    def step(x, refrac, arrivals, drive, k):
        waiting = refrac > 0
        moved, *rest = dynamics(x, arrivals, drive, k)
        moved = torch.where(moved < k["lowest"], k["lowest"], moved)
        v = torch.where(waiting, x[0], moved)
        fired = (v >= k["threshold"]) & ~waiting
        v = torch.where(fired, k["reset"], v)
        left = torch.where(waiting, refrac - 1, 0)
        return (v, *rest), torch.where(fired, k["refractory"].to(torch.int16), left).to(torch.int16), fired

    return step


def _iaf(variables, numbers, ports, dynamics) -> SpikingForm:
    return SpikingForm(variables, _COMMON + numbers, ports, _iaf_step(dynamics))


def _own(model, ports) -> SpikingForm:
    return SpikingForm(own_variables(model, ports), own_numbers(model, ports), ports, own_step(model, ports))


_EXP, _EXP_TWO = ("p22", "p21", "p11"), ("p22", "p21_ex", "p21_in", "p11_ex", "p11_in")
_ALPHA = ("relax", "p31", "p32", "p21", "p11", "jump")
_ALPHA_TWO = ("relax", *(f"{name}{kind}" for kind in ("_ex", "_in") for name in _ALPHA[1:]))
_COND = ("leak", "e_ex", "e_in", "half_ex", "half_in", "p11_ex", "p11_in", "scale", "sixth")

#: Models by name and number of ports, in the order of csrc/core/spiking.h. A generator has no dynamics, it fires as it
#: is told; the models of ``MODELS`` are behind those of NEST.
SPIKING_FORMS = {
    ("generator", 1): SpikingForm((), (), 1, None),
    ("iaf_psc_exp", 1): _iaf(("V", "I"), _EXP, 1, _psc_exp),
    ("iaf_psc_exp", 2): _iaf(("V", "I_ex", "I_in"), _EXP_TWO, 2, _psc_exp_two),
    ("iaf_psc_alpha", 1): _iaf(("V", "dI", "I"), _ALPHA, 1, _psc_alpha),
    ("iaf_psc_alpha", 2): _iaf(("V", "dI_ex", "I_ex", "dI_in", "I_in"), _ALPHA_TWO, 2, _psc_alpha_two),
    ("iaf_psc_delta", 1): _iaf(("V",), ("p33",), 1, _psc_delta),
    ("iaf_cond_exp", 2): _iaf(("V", "g_ex", "g_in"), _COND, 2, _cond_exp),
    **{(model, ports): _own(model, ports) for ports in (1, 2) for model in MODELS},
}


def spiking_step(form, numbers, x, refrac, arrivals, drive):
    """One step: ``(x', refrac', fired)``.

    Args:
        form: a :class:`SpikingForm`.
        numbers: ``[numbers of the form]`` or ``[..., n]``.
        x: the state variables, ``[B, n]`` each.
        refrac: int16 ``[B, n]``, steps that are left.
        arrivals: ``[B, n]`` for each port.
        drive: current times gain, broadcasts to ``[B, n]``.
    """
    return form.step(x, refrac, arrivals, drive, dict(zip(form.numbers, numbers, strict=True)))
