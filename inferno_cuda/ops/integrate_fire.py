"""Steps of integrate-and-fire neurons without units or refractory times, one or a whole sequence at once."""

from __future__ import annotations

import functools

import torch
from torch.autograd import forward_ad

from .. import reference
from ..reference import CHARGE_MODELS, Fired
from .backend import native_on_cpu, runs_native
from .common import check_floating, check_same, needs_graph, pack, shape_text
from .native import status

RESETS = ("none", "subtract", "zero", "set")  # in the order of the kernels
_COEFFICIENTS = ("decay", "current_decay", "threshold", "amount", "factor")
_CODES = {model: code for code, model in enumerate(CHARGE_MODELS)}
Coefficient = float | torch.Tensor

if status.loaded:
    _raw = torch.ops.inferno_cuda.integrate_fire.default
    _raw_packed = torch.ops.inferno_cuda.integrate_fire_packed.default

    @torch.library.register_fake("inferno_cuda::integrate_fire")
    def _(inputs, voltage, current, decay, current_decay, threshold, amount, factor, numbers):
        like = [inputs, voltage] + [voltage] * (current is not None) + [inputs] * int(numbers[3] + numbers[4])
        return [torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in like]


def _check(model, inputs, voltage, current, reset, delayed, tau, coefficients, record_resets):
    if model not in CHARGE_MODELS:
        raise ValueError(f"model was {model!r}; it must be one of {', '.join(map(repr, CHARGE_MODELS))}")
    kind = CHARGE_MODELS[model]
    if reset not in kind.resets:
        raise ValueError(f"reset was {reset!r}; it must be one of {', '.join(map(repr, kind.resets))} for {model!r}")
    for name, flag in (("delayed", delayed), ("record_resets", record_resets)):
        if flag and not kind.late:
            raise ValueError(f"{name} was {flag!r}; it must be False for {model!r}, which resets in the spike's step")
    if tau == 0:
        raise ValueError("tau was 0; it must be another number")
    check_floating("voltage", voltage)
    check_same("inputs", inputs, "voltage", voltage)
    if inputs.shape != voltage.shape and inputs.shape[1:] != voltage.shape:
        shape = voltage.shape
        raise ValueError(
            f"inputs had shape {shape_text(inputs.shape)}; it must be {shape_text(shape)} like voltage, or "
            f"{shape_text(('T', *shape))} for T steps"
        )
    if (current is not None) != kind.has_current:
        given = "None" if current is None else "a tensor"
        raise ValueError(f"current was {given}; {model!r} {'needs one' if kind.has_current else 'has none'}")
    if current is not None:
        check_same("current", current, "voltage", voltage)
        if current.shape != voltage.shape:
            raise ValueError(
                f"current had shape {shape_text(current.shape)}; it must be {shape_text(voltage.shape)} like voltage"
            )
    for name, value in coefficients.items():
        if isinstance(value, torch.Tensor):
            _check_coefficient(name, value, voltage)


def _check_coefficient(name, value, voltage):
    missing = voltage.ndim - value.ndim
    sizes = zip(value.shape, voltage.shape[max(missing, 0) :], strict=False)
    if missing < 0 or any(own not in (1, of) for own, of in sizes):
        raise ValueError(
            f"{name} had shape {shape_text(value.shape)}; it must broadcast to {shape_text(voltage.shape)}, the shape "
            "of voltage"
        )
    if value.is_complex():
        raise TypeError(f"{name} was {value.dtype}; it must be real")
    if value.device != voltage.device:
        raise ValueError(f"{name} was on {value.device}; it must be on {voltage.device} like voltage")


def _numbers(model, reset, delayed, record_voltages, record_resets, coefficients, tau, rest):
    """All numbers of a step as the kernels take them; those of coefficients that are tensors are not used."""
    flags = [1.0 if flag else 0.0 for flag in (delayed, record_voltages, record_resets)]
    rule = (float(_CODES[model]), float(RESETS.index(reset)))
    return [*rule, *flags, *coefficients, tau, rest]


@functools.lru_cache(maxsize=512)
def _packed(model, reset, delayed, record_voltages, record_resets, coefficients, tau, rest):
    """The numbers in the one tensor that the kernel takes them in; the same ones are met again.

    Raises:
        KeyError, ValueError: there is no such model or reset, or ``tau`` is 0.
        TypeError: tensors have no values here.
    """
    if tau == 0:
        raise ValueError("tau is 0")
    return pack(_numbers(model, reset, delayed, record_voltages, record_resets, coefficients, tau, rest))


def _fired(outputs, has_current, record_voltages, record_resets):
    """The kernel's list with its places named."""
    spikes, voltage, *others = outputs
    current = others.pop(0) if has_current else None
    voltages = others.pop(0) if record_voltages else None
    return Fired(spikes, voltage, current, voltages, others.pop(0) if record_resets else None)


def _merges(value, voltage):
    """Whether a kernel can take a coefficient as it is: the dimensions in which it is not 1 follow each other."""
    sizes = voltage.shape[voltage.ndim - value.ndim :]
    places = [own != 1 for own, of in zip(value.shape, sizes, strict=True) if of != 1]
    return sum(here and not last for last, here in zip([False, *places], places, strict=False)) <= 1


def _for_kernel(value, voltage, compute):
    """A coefficient as the kernels read it; None for a number."""
    if not isinstance(value, torch.Tensor):
        return None
    value = value.to(compute)
    return value.contiguous() if _merges(value, voltage) else value.expand_as(voltage).contiguous()


def integrate_fire(
    model: str,
    inputs: torch.Tensor,
    voltage: torch.Tensor,
    current: torch.Tensor | None = None,
    *,
    reset: str = "subtract",
    delayed: bool = False,
    decay: Coefficient = 1.0,
    current_decay: Coefficient = 1.0,
    threshold: Coefficient = 1.0,
    amount: Coefficient | None = None,
    factor: Coefficient = 1.0,
    tau: float = 1.0,
    rest: float = 0.0,
    record_voltages: bool = False,
    record_resets: bool = False,
) -> Fired:
    """Steps of integrate-and-fire neurons, one or a sequence; numbers have no units. No argument is written to.

    =============  ============================================================================  ==================
    model          charge                                                                        resets
    =============  ============================================================================  ==================
    ``leaky``      decay * voltage + inputs                                                      none|subtract|zero
    ``synaptic``   current = current_decay * current + inputs, then decay * voltage + current    none|subtract|zero
    ``perfect``    voltage + inputs                                                              subtract|set
    ``relaxing``   voltage - (voltage - rest) / tau + inputs                                     subtract|set
    ``filtering``  voltage + (inputs - (voltage - rest)) / tau                                   subtract|set
    =============  ============================================================================  ==================

    The first two fire where the voltage less the threshold is greater than 0, the others where it is not less. Their
    reset acts on neurons that stood above the threshold before the step: it subtracts ``amount`` from what they are
    charged to, or clears the voltage before the charge (leaky) or what they are charged to (synaptic). Without
    ``delayed``, ``amount`` (or the voltage, for ``"zero"``) times (spike - above) is subtracted in the end, where
    ``above`` says which neurons were above the threshold before: the neurons that fire are reset at once, and what has
    been subtracted from the others is put back. The other three models reset in the step of the spike alone: they
    subtract ``amount``, or set the voltage to ``rest``.

    Args:
        model: one of those above.
        inputs: ``[*shape]`` for one step, ``[T, *shape]`` for a sequence.
        voltage: before the first step, ``[*shape]``.
        current: the same, for ``"synaptic"``.
        reset: one of the model's.
        delayed: whether the reset waits for the step after the spike; for ``"leaky"`` and ``"synaptic"``.
        decay: what a step leaves of the voltage; outside [0, 1] it counts as the nearer end. A number or a tensor that
            broadcasts to `voltage`, as are the next four.
        current_decay: the same for the current.
        threshold: see above.
        amount: what ``"subtract"`` takes off; default: the threshold.
        factor: the value of a spike.
        tau: time constant in steps, not 0.
        rest: the voltage that neurons relax to, and that ``"set"`` sets.
        record_voltages: whether the voltage after each step is wanted.
        record_resets: whether it is wanted which neurons stood above the threshold before each step; for ``"leaky"``
            and ``"synaptic"``.

    Returns:
        :class:`Fired`: spikes, of the shape and dtype of the inputs, and the state after the last step. Half types
        compute in float32; current and voltage are rounded where they are kept or compared, so that a sequence equals
        its steps one by one.

    Raises:
        ValueError: unknown model, a reset that it does not have, wrong shape or device, ``tau`` of 0.
        TypeError: wrong dtype.
        RuntimeError: a tensor requires a gradient; there is no backward pass.
    """
    amount = threshold if amount is None else amount
    coefficients = (decay, current_decay, threshold, amount, factor)
    numbers, tensors = [], []
    for value in coefficients:
        is_tensor = isinstance(value, torch.Tensor)
        numbers.append(0.0 if is_tensor else value)
        tensors.append(value if is_tensor else None)
    if torch.is_grad_enabled() or forward_ad._current_level >= 0:
        if needs_graph(inputs, voltage, current, *tensors):
            raise RuntimeError("integrate_fire: a tensor requires a gradient, which this op drops; see torch.no_grad()")
    if type(voltage) is torch.Tensor and voltage.is_cpu and native_on_cpu() and not torch.compiler.is_compiling():
        try:
            how = _packed(model, reset, delayed, record_voltages, record_resets, tuple(numbers), tau, rest)
            outputs = _raw_packed(inputs, voltage, current, *tensors, how)
        except (RuntimeError, TypeError, ValueError, KeyError):
            pass  # the checks below name what was wrong; what the kernel does not read as it is is copied
        else:
            return _fired(outputs, current is not None, record_voltages, record_resets)
    named = dict(zip(_COEFFICIENTS, coefficients, strict=True))
    _check(model, inputs, voltage, current, reset, delayed, tau, named, record_resets)
    compute = torch.float64 if voltage.dtype == torch.float64 else torch.float32
    if runs_native(voltage, "integrate_fire"):
        outputs = _raw(
            inputs.contiguous(),
            voltage.contiguous(),
            None if current is None else current.contiguous(),
            *(_for_kernel(value, voltage, compute) for value in coefficients),
            _numbers(model, reset, delayed, record_voltages, record_resets, numbers, tau, rest),
        )
        return _fired(outputs, current is not None, record_voltages, record_resets)
    return _run_reference(
        model, inputs, voltage, current, reset, delayed, named | {"tau": tau, "rest": rest}, record_voltages,
        record_resets,
    )  # fmt: skip


def _run_reference(model, inputs, voltage, current, reset, delayed, numbers, record_voltages, record_resets):
    compute = torch.float64 if voltage.dtype == torch.float64 else torch.float32
    numbers = {name: torch.as_tensor(n, dtype=compute, device=voltage.device) for name, n in numbers.items()}
    sequence = inputs.ndim > voltage.ndim
    fired = reference.integrate_fire(
        model,
        inputs if sequence else inputs.unsqueeze(0),
        voltage,
        current,
        reset=reset,
        delayed=delayed,
        numbers=numbers,
        record_voltages=record_voltages,
        record_resets=record_resets,
    )
    if sequence:
        return fired
    rows = {name: getattr(fired, name) for name in ("spikes", "voltages", "resets")}
    return fired._replace(**{name: row if row is None else row.squeeze(0) for name, row in rows.items()})
