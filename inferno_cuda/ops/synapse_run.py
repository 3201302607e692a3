"""Synapses over a whole sequence: all steps in one pass, and their adjoint in another."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .. import reference
from .backend import active_mode, runs_native
from .common import needs_graph, shape_text, widened
from .native import status
from .synapse import _DECAYS, _INJECTS, _MOST_INJECTED, _TYPES, MODELS

if status.loaded:
    from .synapse import _CODES

    _raw = torch.ops.inferno_cuda.synapse_run.default
    _raw_backward = torch.ops.inferno_cuda.synapse_run_backward.default

    @torch.library.register_fake("inferno_cuda::synapse_run")
    def _(model, kind, inputs, injected, newest, gain, decay, second_decay):
        dtype = list(_TYPES)[kind]
        count = 1 if len(newest) < 2 else 3
        return [torch.empty(inputs.shape, dtype=dtype, device=inputs.device) for _ in range(count)]

    @torch.library.register_fake("inferno_cuda::synapse_run_backward")
    def _(model, grad_current, grad_first, grad_second, gain, decay, second_decay):
        like = next(grad for grad in (grad_current, grad_first, grad_second) if grad is not None)
        recorded = list(MODELS.values())[model]
        shapes = [like.shape, *[like.shape[1:]] * recorded]
        return [torch.empty(shape, dtype=like.dtype, device=like.device) for shape in shapes]


def _check(model, inputs, newest, decay, injected, dtype):
    if model not in MODELS:
        raise ValueError(f"model was {model!r}; it must be one of {', '.join(map(repr, MODELS))}")
    if dtype not in _TYPES:
        raise TypeError(f"the currents were {dtype}; they must be floating point (float32, float64, float16, bfloat16)")
    if len(newest) != MODELS[model]:
        raise ValueError(f"newest had {len(newest)} currents; model {model!r} records {MODELS[model]}")
    if len(decay) != _DECAYS[model]:
        raise ValueError(f"decay had {len(decay)} numbers; model {model!r} takes {_DECAYS[model]}")
    if inputs.ndim < 2:
        raise ValueError(f"inputs had shape {shape_text(inputs.shape)}; it must be (T, B, *shape)")
    if inputs.dtype not in (torch.bool, dtype):
        raise TypeError(f"inputs was {inputs.dtype}; it must be torch.bool, or {dtype} like the currents")
    if injected and model not in _INJECTS:
        raise ValueError(f"injected had {len(injected)} tensors; model {model!r} takes none")
    wanted = [(f"newest[{k}]", x, inputs.shape[1:]) for k, x in enumerate(newest)]
    wanted += [(f"injected[{k}]", x, inputs.shape) for k, x in enumerate(injected)]
    for name, tensor, shape in wanted:
        if tensor.shape != shape:
            raise ValueError(f"{name} had shape {shape_text(tensor.shape)}; it must be {shape_text(shape)}")
        if tensor.dtype != dtype:
            raise TypeError(f"{name} was {tensor.dtype}; it must be {dtype}")
        if tensor.device != inputs.device:
            raise ValueError(f"{name} was on {tensor.device}; it must be on {inputs.device} like inputs")


def _steps_in_one_piece(inputs: torch.Tensor) -> torch.Tensor:
    """The steps themselves may lie anywhere: those of an expanded input are one."""
    if inputs.shape[0] and inputs[0].is_contiguous():
        return inputs
    return inputs.contiguous()


def _run(model, gain, decay, dtype, native, inputs, newest, injected):
    """All different tensors that the op returns: the present currents, and if the model has two parts, these."""
    if not native:
        current, recorded = reference.synapse_run(
            model, inputs, newest, gain=gain, decay=decay, injected=injected, dtype=dtype
        )
        return (current, *recorded) if len(recorded) > 1 else (current,)
    numbers = (*decay, 0.0, 0.0)
    return tuple(
        _raw(
            _CODES[model],
            _TYPES[dtype],
            _steps_in_one_piece(inputs),
            [x.contiguous() for x in injected],
            [x.contiguous() for x in newest],
            gain,
            numbers[0],
            numbers[1],
        )
    )


class _SynapseRun(torch.autograd.Function):
    """A linear filter, so its backward pass needs nothing of the forward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(model, gain, decay, dtype, native, inputs, *tensors):
        count = MODELS[model]
        return _run(model, gain, decay, dtype, native, inputs, tensors[:count], tensors[count:])

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.set_materialize_grads(False)
        ctx.model, ctx.gain, ctx.decay, ctx.dtype, ctx.native, taken = inputs[:6]
        ctx.shape, ctx.device = taken.shape, taken.device

    @staticmethod
    def backward(ctx, *grads):
        if all(grad is None for grad in grads):
            return (None,) * len(ctx.needs_input_grad)
        count = MODELS[ctx.model]
        grads = (*grads, *[None] * (1 + count - len(grads)))
        # a graph of the gradients themselves is that of the reference
        if ctx.native and not torch.is_grad_enabled():
            drive, inputs, newest = _backward_native(ctx.model, ctx.gain, ctx.decay, grads, count)
        else:
            drive, inputs, newest = reference.synapse_run_backward(
                ctx.model, grads, gain=ctx.gain, decay=ctx.decay, shape=ctx.shape, dtype=ctx.dtype, device=ctx.device
            )
        found = (inputs, *newest, *[drive] * (len(ctx.needs_input_grad) - 6 - count))
        wanted = ctx.needs_input_grad[5:]
        return (None,) * 5 + tuple(x if needs else None for x, needs in zip(found, wanted, strict=True))


def _backward_native(model, gain, decay, grads, count):
    grads = [None if grad is None else grad.contiguous() for grad in grads]
    numbers = (*decay, 0.0, 0.0)
    parts = (None, None) if count < 2 else grads[1:]
    inputs, *newest = _raw_backward(_CODES[model], grads[0], *parts, gain, numbers[0], numbers[1])
    return grads[0], inputs, newest  # injected currents are of models in which each step stands alone


def synapse_run(
    model: str,
    inputs: torch.Tensor,
    newest: Sequence[torch.Tensor],
    *,
    gain: float,
    decay: Sequence[float] = (),
    injected: Sequence[torch.Tensor] = (),
    dtype: torch.dtype | None = None,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """T steps of synapses, as T calls of :func:`synapse_step_` bit for bit; leaves its arguments alone.

    Args:
        model: ``"delta"``, ``"delta_plus"``, ``"exponential"`` or ``"double_exponential"``.
        inputs: number of spikes, ``[T, B, *shape]``, bool or of the currents' dtype. A tensor expanded along time is
            not copied.
        newest: the currents recorded last, nA, ``[B, *shape]`` each: as many as the model records.
        gain: current of one spike, nA.
        decay: what is left of each recorded current after a step; for the two exponential models.
        injected: currents, nA, of the shape of `inputs`; for ``"delta_plus"``. More than 8 are added in torch.
        dtype: of the currents of a model that records none; default: torch's default.

    Returns:
        The currents after each step, nA, ``[T, B, *shape]``, and the currents that each step records, as many as the
        model has, each of that shape; where there is one, it is the same tensor. Differentiable in `inputs`, `newest`
        and `injected`. The gradient of ``"delta"`` is ``gain`` times that of the currents, whatever the input was.

    Raises:
        ValueError: unknown model, wrong shape, device, or number of currents or decays.
        TypeError: wrong dtype.
        RuntimeError: the backend is ``"native"`` and there are more than 8 injected currents.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> spikes = torch.tensor([[[True]], [[False]], [[False]]])  # 3 steps of one synapse
        >>> current, _ = ops.synapse_run("exponential", spikes, [torch.zeros(1, 1)], gain=8.0, decay=[0.5])
        >>> current.flatten()
        tensor([8., 4., 2.])
    """
    inputs, *others = widened(inputs, *newest, *injected)
    newest, injected = tuple(others[: len(newest)]), tuple(others[len(newest) :])
    gain, decay = gain + 0.0, tuple(d + 0.0 for d in decay)
    dtype = newest[0].dtype if newest else dtype or torch.get_default_dtype()
    _check(model, inputs, newest, decay, injected, dtype)
    native = runs_native(inputs, "synapse_run")
    if native and len(injected) > _MOST_INJECTED:
        if active_mode() == "native":
            raise RuntimeError(
                f"synapse_run: backend is set to 'native', but its kernel takes {_MOST_INJECTED} injected currents, "
                f"there were {len(injected)}"
            )
        native = False
    if needs_graph(inputs, *newest, *injected):
        made = _SynapseRun.apply(model, gain, decay, dtype, native, inputs, *newest, *injected)
    else:
        made = _run(model, gain, decay, dtype, native, inputs, newest, injected)
    return made[0], made[-len(newest) :] if newest else ()
