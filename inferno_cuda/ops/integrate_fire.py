"""Steps of integrate-and-fire neurons without units or refractory times, one or a whole sequence at once."""

from __future__ import annotations

import functools
from numbers import Real

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
_NUMBERS = (Real, torch.SymInt, torch.SymFloat)

if status.loaded:
    _raw = torch.ops.inferno_cuda.integrate_fire.default
    _raw_packed = torch.ops.inferno_cuda.integrate_fire_packed.default

    @torch.library.register_fake("inferno_cuda::integrate_fire")
    def _(inputs, voltage, current, decay, current_decay, threshold, amount, factor, numbers):
        like = [inputs, voltage] + [voltage] * (current is not None) + [inputs] * int(numbers[3] + numbers[4])
        return [torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in like]


def _named(value):
    return "a tensor" if isinstance(value, torch.Tensor) else repr(value)


def _check_tensors(inputs, voltage, current):
    if isinstance(inputs, torch.Tensor) and isinstance(voltage, torch.Tensor):
        if current is None or isinstance(current, torch.Tensor):
            return
    for name, value in (("inputs", inputs), ("voltage", voltage), ("current", current)):
        if not isinstance(value, torch.Tensor) and (value is not None or name != "current"):
            raise TypeError(f"{name} was {value!r}; it must be a tensor{' or None' * (name == 'current')}")


def _check(model, inputs, voltage, current, reset, delayed, tau, rest, coefficients, record_resets):
    if not isinstance(model, str) or model not in CHARGE_MODELS:
        raise ValueError(f"model was {model!r}; it must be one of {', '.join(map(repr, CHARGE_MODELS))}")
    kind = CHARGE_MODELS[model]
    if reset not in kind.resets:
        raise ValueError(f"reset was {reset!r}; it must be one of {', '.join(map(repr, kind.resets))} for {model!r}")
    for name, flag in (("delayed", delayed), ("record_resets", record_resets)):
        if flag and not kind.late:
            raise ValueError(f"{name} was {flag!r}; it must be False for {model!r}, which resets in the spike's step")
    for name, value in (("tau", tau), ("rest", rest)):
        if not isinstance(value, _NUMBERS):
            raise TypeError(f"{name} was {_named(value)}; it must be a number")
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
        elif not isinstance(value, _NUMBERS):
            raise TypeError(f"{name} was {_named(value)}; it must be a number or a tensor")


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
        TypeError: tensors have no values here, or a number is none.
    """
    if not (isinstance(tau, _NUMBERS) and isinstance(rest, _NUMBERS)):
        raise TypeError("tau and rest are numbers")  # a tensor's values may be others when it is met again
    if tau == 0:
        raise ValueError("tau is 0")
    return pack(_numbers(model, reset, delayed, record_voltages, record_resets, coefficients, tau, rest))


def _fired(outputs, has_current, record_voltages, record_resets):
    """The kernel's list with its places named."""
    # by index: for the compiler of torch 2.11 the rest of a list is a tuple, which has no pop
    after_current = 2 + bool(has_current)
    after_voltages = after_current + bool(record_voltages)
    return Fired(
        outputs[0],
        outputs[1],
        outputs[2] if has_current else None,
        outputs[after_current] if record_voltages else None,
        outputs[after_voltages] if record_resets else None,
    )


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


def _compute_type(voltage):
    return torch.float64 if voltage.dtype == torch.float64 else torch.float32


@functools.lru_cache(maxsize=512)
def _order(shape, strides):
    order = sorted(range(len(shape)), key=lambda place: -strides[place])
    dense = 1
    for place in reversed(order):
        if shape[place] != 1 and strides[place] != dense:
            return None
        dense *= shape[place]
    return tuple(order)


def memory_order(tensor: torch.Tensor) -> tuple[int, ...] | None:
    """The order of dimensions in which a tensor is contiguous.

    None if there is none, since there are gaps or elements share memory, or if a compiler is to choose layouts.
    """
    if type(tensor) is not torch.Tensor or torch.compiler.is_compiling():
        return None
    return _order(tensor.shape, tensor.stride())


def _ordered(order, inputs, voltage, current, coefficients):
    """Views in which the voltage is contiguous, and copies of what is not contiguous in its order."""
    voltage, rows = voltage.permute(order), _rows(order, inputs.ndim)
    current = None if current is None else current.permute(order).contiguous()
    values = []
    for value in coefficients:
        if isinstance(value, torch.Tensor) and value.ndim:
            whole = value.reshape(*[1] * (len(order) - value.ndim), *value.shape).permute(order)
            value = _for_kernel(whole, voltage, _compute_type(voltage))
        values.append(value)
    return inputs.permute(rows).contiguous(), voltage, current, values


def _rows(order, ndim):
    """The order of a sequence with time first, or of a step."""
    return order if ndim == len(order) else (0, *(place + 1 for place in order))


@functools.lru_cache(maxsize=512)
def _inverse(order):
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _back(fired, order):
    """Results of such views in the order of what was given."""
    back = {ndim: _inverse(_rows(order, ndim)) for ndim in {fired.spikes.ndim, len(order)}}
    return Fired(*(t if t is None else t.permute(back[t.ndim]) for t in fired))


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
        :class:`Fired`: spikes, of the shape and dtype of the inputs, and the state after the last step. All lie in
        memory as `voltage` does, time first, if that is without gaps; otherwise they are contiguous. Half types
        compute in float32; current and voltage are rounded where they are kept or compared, so that a sequence equals
        its steps one by one.

    Raises:
        ValueError: unknown model, a reset that it does not have, wrong shape or device, ``tau`` of 0.
        TypeError: wrong type or dtype.
        RuntimeError: a tensor requires a gradient; there is no backward pass.
    """
    _check_tensors(inputs, voltage, current)
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
    order = None if voltage.is_contiguous() else memory_order(voltage)
    if type(voltage) is torch.Tensor and voltage.is_cpu and native_on_cpu() and not torch.compiler.is_compiling():
        try:
            how = _packed(model, reset, delayed, record_voltages, record_resets, tuple(numbers), tau, rest)
            if order is None:
                given = inputs.contiguous(), voltage.contiguous(), None if current is None else current.contiguous()
            else:
                *given, tensors = _ordered(order, inputs, voltage, current, tensors)
            outputs = _raw_packed(*given, *tensors, how)
        except (RuntimeError, TypeError, ValueError, KeyError):
            pass  # the checks below name what was wrong; coefficients that the kernel does not read are copied
        else:
            fired = _fired(outputs, current is not None, record_voltages, record_resets)
            return fired if order is None else _back(fired, order)
    named = dict(zip(_COEFFICIENTS, coefficients, strict=True))
    _check(model, inputs, voltage, current, reset, delayed, tau, rest, named, record_resets)
    if order is not None:
        *given, values = _ordered(order, inputs, voltage, current, coefficients)
        fired = integrate_fire(
            model, *given, reset=reset, delayed=delayed, **dict(zip(_COEFFICIENTS, values, strict=True)), tau=tau,
            rest=rest, record_voltages=record_voltages, record_resets=record_resets,
        )  # fmt: skip
        return _back(fired, order)
    compute = _compute_type(voltage)
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
    compute = _compute_type(voltage)
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
