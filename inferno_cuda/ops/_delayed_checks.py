"""Checks that the delayed sums of steps and of sequences share."""

from __future__ import annotations

import torch

from ..reference import Geometry
from .common import check_same, shape_text
from .delay_plan import DelayPlan


def check_samples(name: str, samples: torch.Tensor, weight: torch.Tensor) -> None:
    """Bool, or of weight's dtype, and on its device."""
    if samples.dtype != torch.bool:
        check_same(name, samples, "weight", weight)
    elif samples.device != weight.device:
        raise ValueError(f"{name} was on {samples.device}; it must be on {weight.device} like weight")


def check_plan(plan: DelayPlan, weight: torch.Tensor, slots: int) -> None:
    if plan.slot.dtype not in (torch.uint8, torch.int32):
        raise TypeError(f"plan.slot was {plan.slot.dtype}; it must be uint8 or int32, as delay_plan makes it")
    if plan.factor is not None and (plan.factor.shape != weight.shape or plan.factor.device != weight.device):
        raise ValueError("plan.factor does not fit plan.slot; make plans with delay_plan")
    if plan.slot.shape != weight.shape or plan.slots != slots or plan.slot.device != weight.device:
        raise ValueError(
            f"plan was made for delays of shape {shape_text(plan.slot.shape)} on {plan.slot.device} and {plan.slots} "
            f"slots; it must fit weight {shape_text(weight.shape)} on {weight.device} and {slots} slots"
        )


def check_bias(bias: torch.Tensor | None, weight: torch.Tensor) -> None:
    if bias is not None:
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"bias had shape {shape_text(bias.shape)}; it must be ({weight.shape[0]},)")
        check_same("bias", bias, "weight", weight)


def check_convolution(image, weight: torch.Tensor, stride, padding, dilation) -> Geometry:
    """The geometry of a convolution whose kernel fits into the padded image."""
    stride, padding, dilation = (tuple(map(int, pair)) for pair in (stride, padding, dilation))
    for name, pair, least in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if len(pair) != 2 or min(pair) < least:
            raise ValueError(f"{name} was {pair}; it must be a pair of integers of at least {least}")
    kernel = weight.shape[2:]
    for size, taps, pad, spread in zip(image, kernel, padding, dilation, strict=True):
        if taps < 1 or spread * (taps - 1) + 1 > size + 2 * pad:
            raise ValueError(
                f"weight had kernels of {shape_text(kernel)} taps, dilated by {dilation}; they must have at least one "
                f"and fit into the image of {shape_text(image)}, padded by {padding}"
            )
    return Geometry(tuple(image), stride, padding, dilation)
