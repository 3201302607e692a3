"""One step of synapses: currents and spikes are computed and recorded at once."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence

import torch
from torch.autograd import forward_ad

from .. import reference
from .backend import active_mode, native_on_cpu, runs_native
from .common import (
    FLOATING,
    _increment_version,
    check_pointer,
    check_same,
    check_writable,
    check_written_apart,
    forbid_gradients,
    has_memory,
    pack,
    shape_text,
    written,
)
from .native import status

# the models, and how many currents each records
MODELS = {"delta": 0, "delta_plus": 1, "exponential": 1, "double_exponential": 2}
_DECAYS = {"delta": 0, "delta_plus": 0, "exponential": 1, "double_exponential": 2}
_TYPES = {dtype: code for code, dtype in enumerate(FLOATING)}
_INJECTS = ("delta_plus",)
_MOST_INJECTED = 8  # that a kernel takes
_CODES: dict[str, int] = {}  # number of each model among the kernels

_ABSENT = (None,) * 6  # the rings, with their pointers, of a model that records none

Ring = tuple[torch.Tensor, torch.Tensor]


def _codes(listed: list[str]) -> dict[str, int]:
    """Number of each model among the kernels, from their list of "name: currents decays injects".

    Raises:
        ImportError: the kernels have other models than those above.
    """
    compiled = {line.split(":")[0]: tuple(map(int, line.split(":")[1].split())) for line in listed}
    if compiled != {model: (MODELS[model], _DECAYS[model], int(model in _INJECTS)) for model in MODELS}:
        raise ImportError("the compiled synapse models are other ones than those of this package: rebuild it")
    return {model: code for code, model in enumerate(compiled)}


if status.loaded:
    _raw_ = torch.ops.inferno_cuda.synapse_step_.default
    _raw_packed_ = torch.ops.inferno_cuda.synapse_step_packed_.default
    _listed = importlib.import_module("inferno_cuda._C").synapse_models.splitlines()
    _CODES.update(_codes(_listed))

    @torch.library.register_fake("inferno_cuda::synapse_step_")
    def _(model, kind, inputs, *rest):
        return torch.empty(inputs.shape, dtype=FLOATING[kind], device=inputs.device)


def _check_ring(name: str, ring: Ring, shape: torch.Size, dtype: torch.dtype, like: torch.Tensor) -> None:
    data, pointer = ring
    if data.ndim != len(shape) + 1 or data.shape[1:] != shape or data.shape[0] < 1:
        wanted = f"(N, {', '.join(map(str, shape))})"
        raise ValueError(f"{name} had shape {shape_text(data.shape)}; it must be {wanted} with at least one slot")
    if data.dtype != dtype:
        raise TypeError(f"{name} was {data.dtype}; it must be {dtype}")
    if data.device != like.device:
        raise ValueError(f"{name} was on {data.device}; it must be on {like.device} like inputs")
    check_pointer(pointer, data)
    check_writable(name, data)


def _check(model, inputs, spikes, currents, decay, injected, dtype):
    if model not in MODELS:
        raise ValueError(f"model was {model!r}; it must be one of {', '.join(map(repr, MODELS))}")
    if dtype not in _TYPES:
        raise TypeError(f"the currents were {dtype}; they must be floating point (float32, float64, float16, bfloat16)")
    if len(currents) != MODELS[model]:
        raise ValueError(f"currents had {len(currents)} rings; model {model!r} records {MODELS[model]}")
    if len(decay) != _DECAYS[model]:
        raise ValueError(f"decay had {len(decay)} numbers; model {model!r} takes {_DECAYS[model]}")
    if inputs.ndim < 1:
        raise ValueError("inputs had shape (); it must be (B, *shape)")
    if inputs.dtype not in (torch.bool, dtype):
        raise TypeError(f"inputs was {inputs.dtype}; it must be torch.bool, or {dtype} like the currents")
    _check_ring("spikes", spikes, inputs.shape, torch.bool, inputs)
    for k, ring in enumerate(currents):
        _check_ring(f"currents[{k}]", ring, inputs.shape, dtype, inputs)
    pointers = [pointer for _, pointer in (spikes, *currents)]
    places = {pointer.data_ptr() if has_memory(pointer) else id(pointer) for pointer in pointers}
    if len(places) != len(pointers):
        raise ValueError("a pointer was given twice; each ring must have its own")
    if injected and model not in _INJECTS:
        raise ValueError(f"injected had {len(injected)} tensors; model {model!r} takes none")
    for k, current in enumerate(injected):
        if current.shape != inputs.shape:
            raise ValueError(
                f"injected[{k}] had shape {shape_text(current.shape)}; it must be {shape_text(inputs.shape)}"
            )
        check_same(f"injected[{k}]", current, "currents", currents[0][0])


def _check_written_apart(inputs, spikes, currents, injected):
    """What is written lies apart from all else, as the kernels check it."""
    rings = {"spikes": spikes} | {f"currents[{k}]": ring for k, ring in enumerate(currents)}
    changed = {name: data for name, (data, _) in rings.items()}
    changed |= {f"the pointer of {name}": pointer for name, (_, pointer) in rings.items()}
    check_written_apart(changed, {"inputs": inputs, **{f"injected[{k}]": x for k, x in enumerate(injected)}})


def _native_problem(spikes, currents, injected):
    """Why the kernel does not take these tensors; empty if it does."""
    if len(injected) > _MOST_INJECTED:
        return f"its kernel takes {_MOST_INJECTED} injected currents, there were {len(injected)}"
    if not all(_merges(ring, 1) for ring, _ in (spikes, *currents)):
        return "its kernel takes rings whose dimensions behind the batch lie evenly in memory, see contiguous()"
    return ""


def _merges(data: torch.Tensor, first: int) -> bool:
    """Whether a kernel can take the dimensions behind the batch as one."""
    places = [d for d in range(first + 1, data.ndim) if data.shape[d] != 1]
    return all(data.stride(d) == data.stride(e) * data.shape[e] for d, e in zip(places, places[1:], strict=False))


def _merging(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if _merges(tensor, 0) else tensor.contiguous()


def _run(model, inputs, spikes, currents, gain, decay, injected, dtype):
    (data, pointer), count = spikes, len(currents)
    first, first_pointer = currents[0] if count else (None, None)
    second, second_pointer = currents[1] if count > 1 else (None, None)
    return _raw_(
        _CODES[model],
        _TYPES[dtype],
        inputs,
        injected,
        data,
        pointer,
        first,
        first_pointer,
        second,
        second_pointer,
        gain,
        decay[0] if decay else 0.0,
        decay[1] if len(decay) > 1 else 0.0,
    )


def _written(spikes: Ring, currents: Sequence[Ring]) -> None:
    tensors = spikes
    for ring in currents:
        tensors += ring
    written(*tensors)


@functools.lru_cache(maxsize=512)
def _packed(model, dtype, gain, decay):
    """The numbers of a step in the one tensor that the kernel takes them in; the same ones are met again.

    Raises:
        ValueError, TypeError: there is no such model, these are not its decays, or they are no plain numbers.
    """
    if dtype not in _TYPES or len(decay) != _DECAYS.get(model):
        raise ValueError("these are not the numbers of a model")
    if not all(isinstance(number, int | float) for number in (gain, *decay)):
        raise TypeError("not all of these are numbers")
    # without negative zeros, which are the same key as zeros
    numbers = [_CODES[model], _TYPES[dtype], gain + 0.0, *(d + 0.0 for d in decay), *[0.0] * (2 - len(decay))]
    return pack(numbers)


def pack_plain(model, dtype, gain, decay):
    """The numbers of a step as kernels on the CPU take them; None if no kernel does. `decay` is a tuple."""
    try:
        return _packed(model, dtype, gain, decay)
    except (RuntimeError, TypeError, ValueError):
        return None


def step_plain(model, inputs, spikes, currents, gain, decay, injected, dtype):
    """:func:`synapse_step_` of tensors on the CPU that need no gradient; None if the kernel does not take them.

    `spikes`, every one of `currents`, and `decay` are tuples.
    The kernel checks its arguments before it writes: repeating that here would cost host time.
    """
    rings = spikes
    for ring in currents:
        rings += ring
    try:
        how = _packed(model, dtype, gain, decay)
        out = _raw_packed_(inputs, injected, *rings, *_ABSENT[len(rings) :], how)
    except (RuntimeError, TypeError, ValueError):
        return None
    _increment_version(rings)
    return out


def synapse_step_(
    model: str,
    inputs: torch.Tensor,
    spikes: Ring,
    currents: Sequence[Ring] = (),
    *,
    gain: float,
    decay: Sequence[float] = (),
    injected: Sequence[torch.Tensor] = (),
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """One step of synapses, in place: writes slot `pointer` of every ring and advances every pointer.

    With the drive ``gain * inputs``: ``"delta"`` records no current and gives the gain where an input is not zero;
    ``"delta_plus"`` records the drive plus `injected`, added in order; ``"exponential"`` records
    ``newest * decay + drive``; ``"double_exponential"`` records two such currents and gives their difference.

    Args:
        model: one of the names above.
        inputs: number of spikes, ``[B, *shape]``, bool or of the currents' dtype; where it is not zero, NaN included,
            a spike is recorded.
        spikes: ring of spikes, bool ``[N, B, *shape]`` of any strides, and its pointer, int64 of shape ``()``.
        currents: rings of currents, nA, and their pointers: as many as the model records.
        gain: current of one spike, nA.
        decay: what is left of each recorded current after a step; for the two exponential models.
        injected: currents, nA, of the shape of `inputs`; for ``"delta_plus"``. More than 8 are added in torch.
        dtype: of the currents of a model that records none; default: torch's default.

    Returns:
        The present currents, nA, ``[B, *shape]``, contiguous.

    Raises:
        ValueError: unknown model, wrong shape, device or number of rings; a pointer given twice.
        TypeError: wrong dtype.
        RuntimeError: a tensor requires a gradient, which this form would drop; or tensors overlap in memory; or the
            backend is ``"native"`` and the kernel does not take the tensors: there are more than 8 injected currents,
            or a ring's dimensions behind the batch do not merge into one.
    """
    data, gain, decay = spikes[0], gain + 0.0, tuple(d + 0.0 for d in decay)
    dtype = currents[0][0].dtype if currents else dtype or torch.get_default_dtype()
    taken = (inputs, *injected) if torch.is_grad_enabled() else ()
    if forward_ad._current_level >= 0 or any(t.requires_grad for t in (*taken, *(ring for ring, _ in currents))):
        named = {f"currents[{k}]": ring for k, (ring, _) in enumerate(currents)}
        named |= {f"injected[{k}]": current for k, current in enumerate(injected)}
        forbid_gradients("synapse_step_", "compute the currents in torch instead", inputs=inputs, **named)
    if type(data) is torch.Tensor and data.is_cpu and native_on_cpu() and not torch.compiler.is_compiling():
        out = step_plain(model, inputs, tuple(spikes), currents, gain, decay, injected, dtype)
        if out is not None:
            return out
    # the checks name what was wrong; what the kernel does not read as it is is copied
    _check(model, inputs, spikes, currents, decay, injected, dtype)
    native = runs_native(data, "synapse_step")
    problem = _native_problem(spikes, currents, injected) if native else ""
    if problem and active_mode() == "native":
        raise RuntimeError(f"synapse_step: backend is set to 'native', but {problem}")
    if native and not problem:
        inputs, injected = _merging(inputs), [_merging(current) for current in injected]
        out = _run(model, inputs, spikes, currents, gain, decay, injected, dtype)
        _written(spikes, currents)
        return out
    _check_written_apart(inputs, spikes, currents, injected)
    out = reference.synapse_step_(
        model, inputs, spikes, currents, gain=gain, decay=decay, injected=injected, dtype=dtype
    )
    return out.contiguous()
