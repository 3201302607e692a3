"""Checks that the ops of learning rules share."""

from __future__ import annotations

import torch

from ..reference import Delays, Geometry
from ._delayed_checks import check_convolution, check_plan
from .common import check_floating, check_pointer, shape_text, widened
from .delay_plan import DelayPlan


def check_times(
    pre: torch.Tensor,
    pointer: torch.Tensor | None,
    plan: DelayPlan | None,
    dims: int,
    names: str,
    called: str = "pre",
) -> None:
    """Whether `pre` is one observation, or with a plan a ring of them with its pointer."""
    if (pointer is None) != (plan is None):
        missing, given = ("pointer", "plan") if pointer is None else ("plan", "pointer")
        raise ValueError(f"{missing} was None with a {given}; delays need both, and a ring as {called}")
    wanted = f"({names})" if plan is None else f"(slots, {names}) with a plan"
    if pre.ndim != dims + (plan is not None):
        raise ValueError(f"{called} had shape {shape_text(pre.shape)}; it must be {wanted}")


def check_sides(post: torch.Tensor, pre: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.dtype]:
    """Both sides, widened under autocast, and the dtype of what they give.

    Raises:
        TypeError: one is neither bool nor floating, or they have different floating dtypes.
        ValueError: they are on different devices.
    """
    post, pre = widened(post, pre)
    for name, side in (("post", post), ("pre", pre)):
        if side.dtype != torch.bool:
            check_floating(name, side)
    floating = [side.dtype for side in (post, pre) if side.dtype != torch.bool]
    if len(set(floating)) > 1:
        raise TypeError(f"pre was {pre.dtype}; it must be {post.dtype} like post, or bool")
    if pre.device != post.device:
        raise ValueError(f"pre was on {pre.device}; it must be on {post.device} like post")
    return post, pre, floating[0] if floating else torch.get_default_dtype()


def delays_of(
    pre: torch.Tensor, pointer: torch.Tensor | None, plan: DelayPlan | None, shape: tuple[int, ...], dtype: torch.dtype
) -> Delays | None:
    """Where the samples of a ring are found, with factors in the type that `dtype` is computed in; None without a plan.

    Raises:
        ValueError, TypeError: the plan or the pointer does not fit.
    """
    if plan is None:
        return None
    if not 1 <= pre.shape[0] < 2**31:
        raise ValueError(f"pre had {pre.shape[0]} slots; it must have at least one")
    check_pointer(pointer, pre)
    if plan.slot.shape != shape or plan.slot.device != pre.device or plan.slots != pre.shape[0]:
        raise ValueError(
            f"plan was made for delays of shape {shape_text(plan.slot.shape)} on {plan.slot.device} and {plan.slots} "
            f"slots; it must fit weights {shape_text(shape)} on {pre.device} and {pre.shape[0]} slots"
        )
    check_plan(plan, plan.slot, pre.shape[0])
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    factor = None if plan.factor is None else plan.factor.to(compute)
    return Delays(pointer, plan.slot, factor, plan.linear, plan.overbound)


def convolution_of(
    post: torch.Tensor, pre: torch.Tensor, kernel, stride, padding, dilation, called: str
) -> tuple[tuple[int, ...], Geometry, tuple[int, ...]]:
    """Shape of the weights, geometry, and its numbers for the kernels, of post ``[B, F, Ho, Wo]``.

    Raises:
        ValueError: the kernel does not fit into the image, or post does not fit what comes of it.
    """
    kernel = tuple(map(int, kernel))
    if len(kernel) != 2:
        raise ValueError(f"kernel was {kernel}; it must be a pair of integers")
    filters = post.shape[1] if post.ndim == 4 else 0
    shape = (filters, pre.shape[-3], *kernel)
    geometry = check_convolution(pre.shape[-2:], torch.empty(shape, device="meta"), stride, padding, dilation)
    wanted = (pre.shape[-4], filters, *geometry.places(kernel))
    if post.ndim != 4 or post.shape != wanted:
        raise ValueError(
            f"{called} had shape {shape_text(post.shape)}; it must be ({wanted[0]}, filters, {wanted[2]}, {wanted[3]}) "
            "to fit the inputs and the geometry"
        )
    return shape, geometry, (*kernel, *geometry.stride, *geometry.padding, *geometry.dilation)
