"""Checks that several ops share."""

from __future__ import annotations

import functools
import itertools

import torch
from torch.autograd import forward_ad

FLOATING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_increment_version = torch._C._increment_version  # torch.autograd.graph.increment_version without its own checks


def shape_text(shape) -> str:
    return str(tuple(shape))


def has_tangent(*tensors: torch.Tensor | None) -> bool:
    """Whether forward-mode differentiation, which our ops do not have, is under way on these tensors."""
    if forward_ad._current_level < 0:
        return False
    return any(t is not None and forward_ad.unpack_dual(t).tangent is not None for t in tensors)


def needs_graph(*tensors: torch.Tensor | None) -> bool:
    """Whether autograd is to record an op on these tensors.

    Forward mode counts as well: the autograd Functions then say that they do not support it.
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        return True
    return has_tangent(*tensors)


def written(*tensors: torch.Tensor) -> None:
    """Tells autograd that an op wrote to these, so that a graph which saved one of them says so instead of using it."""
    if not torch.compiler.is_compiling():
        _increment_version(tensors)


def pack(numbers) -> torch.Tensor:
    """Numbers in the one float64 tensor that a kernel takes them in, on the CPU; to be kept and used again.

    Raises:
        TypeError: a mode is active that makes tensors without values, which nobody may keep.
    """
    with torch.inference_mode(False):
        packed = torch.tensor(numbers, dtype=torch.float64, device="cpu")
    if type(packed) is not torch.Tensor or torch._C._functorch.is_functorch_wrapped_tensor(packed):
        raise TypeError("tensors have no values here")
    return packed


def widened(*tensors: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    """Where autocast is on, floating tensors in the widest dtype among them: no state is narrowed by its inputs.

    Autocast gives half types for what it computes in them, such as linear layers. It does not touch what our ops do.
    """
    floating = [t for t in tensors if t is not None and t.is_floating_point()]
    kind = floating[0].device.type if floating else "meta"
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return tensors
    dtype = functools.reduce(torch.promote_types, (t.dtype for t in floating))
    return tuple(t.to(dtype) if t is not None and t.is_floating_point() else t for t in tensors)


def check_floating(name: str, tensor: torch.Tensor) -> None:
    if tensor.dtype not in FLOATING:
        raise TypeError(f"{name} was {tensor.dtype}; it must be floating point (float32, float64, float16, bfloat16)")


def check_same(name: str, tensor: torch.Tensor, like_name: str, like: torch.Tensor) -> None:
    """dtype and device of `tensor` are those of `like`."""
    if tensor.dtype != like.dtype:
        raise TypeError(f"{name} was {tensor.dtype}; it must be {like.dtype} like {like_name}")
    if tensor.device != like.device:
        raise ValueError(f"{name} was on {tensor.device}; it must be on {like.device} like {like_name}")


def check_pointer(pointer: torch.Tensor, data: torch.Tensor) -> None:
    if pointer.dtype != torch.int64 or pointer.ndim != 0:
        raise ValueError(
            f"pointer was {pointer.dtype} of shape {shape_text(pointer.shape)}; it must be an int64 tensor of shape ()"
        )
    if pointer.device != data.device:
        raise ValueError(f"pointer was on {pointer.device}; it must be on {data.device} like data")


def check_writable(name: str, tensor: torch.Tensor) -> None:
    """No two elements share memory."""
    if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
        raise ValueError(f"{name} was expanded: its elements share memory; it must have memory of its own, see clone()")


def forbid_gradients(op: str, instead: str, **tensors: torch.Tensor | None) -> None:
    for name, tensor in tensors.items():
        if tensor is not None and (tensor.requires_grad or has_tangent(tensor)):
            raise RuntimeError(f"{op}: {name} requires a gradient, which this op would drop; {instead}")


def _places(tensor: torch.Tensor) -> tuple[int, int]:
    """First element in its storage, and the one after the last."""
    first, steps = tensor.storage_offset(), zip(tensor.shape, tensor.stride(), strict=True)
    return first, first + 1 + sum((size - 1) * stride for size, stride in steps)


def _elements(tensor: torch.Tensor) -> torch.Tensor:
    """The places in its storage of all elements."""
    first, after = _places(tensor)
    places = torch.arange(after, device=tensor.device)
    return places.as_strided(tensor.shape, tensor.stride(), first).flatten()


def overlap(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors of one dtype share elements."""
    if not a.numel() or not b.numel() or a.untyped_storage()._cdata != b.untyped_storage()._cdata:
        return False
    (a_first, a_after), (b_first, b_after) = _places(a), _places(b)
    if a_first >= b_after or b_first >= a_after:
        return False
    # views of one memory may lie between each other
    if a.is_contiguous() and b.is_contiguous():
        return True
    return bool(torch.isin(_elements(a), _elements(b)).any())


def check_apart(names: str, a: torch.Tensor, b: torch.Tensor) -> None:
    """An op may write to one of these tensors without changing the other. A compiler keeps to that by itself."""
    if not torch.compiler.is_compiling() and overlap(a, b):
        raise RuntimeError(f"{names}: overlap in memory")


def same_view(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether elements of the same index are the same memory."""
    return a is b or (has_memory(a) and has_memory(b) and a.is_set_to(b))


def has_memory(tensor: torch.Tensor) -> bool:
    """Whether it can be said where a tensor lies: not by a compiler, nor of wrapped tensors or those without values."""
    if torch.compiler.is_compiling() or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        return False
    return tensor.device.type != "meta" and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def _stretch(tensor: torch.Tensor) -> tuple[int, int]:
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def check_written_apart(changed: dict[str, torch.Tensor], read: dict[str, torch.Tensor]) -> None:
    """What is written overlaps nothing else in memory, taking each tensor as one stretch.

    Raises:
        RuntimeError: two tensors overlap, of which at least one is written.
    """
    named = {name: t for name, t in (changed | read).items() if has_memory(t) and t.numel()}
    stretches = {name: _stretch(tensor) for name, tensor in named.items()}
    for name, other in itertools.combinations(stretches, 2):
        (low, high), (other_low, other_high) = stretches[name], stretches[other]
        if name in changed and low < other_high and other_low < high:
            raise RuntimeError(f"{name}: overlaps another tensor in memory, {other}; pass a clone")


def forbid_second_derivatives(op: str) -> None:
    """To be called by a backward pass in kernels.

    Raises:
        RuntimeError: a graph of the gradients was asked for, which kernels do not record.
    """
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError(
            f"{op}: the kernels have no second derivatives (create_graph=True); the backend 'torch' has them"
        )


def sum_rows(values: torch.Tensor) -> torch.Tensor:
    """The sum over dimension 0: rows of the upper half are added to those of the lower, until one is left."""
    if not len(values):
        return values.new_zeros(values.shape[1:])
    while len(values) > 1:
        half = (len(values) + 1) // 2
        upper = values[half:]
        values = torch.cat([values[: len(upper)] + upper, values[len(upper) : half]])
    return values[0]
