"""The windows that a kernel sees as it moves over an image, and back to pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F

from ...state import _check

Pair = tuple[int, int]


def pair(name: str, value: Any, least: int) -> Pair:
    """Two integers of at least ``least``, vertical and horizontal, from a pair or from one for both.

    Raises:
        ValueError: if an entry is no integer or too small, or there are not two.
    """
    values = tuple(value) if isinstance(value, list | tuple | torch.Size) else (value, value)
    if len(values) != 2:
        raise ValueError(f"'{name}' has {len(values)} entries, it must be an integer or a pair of integers")
    return tuple(_check.at_least(name, _check.integer(name, entry), least, cast=int) for entry in values)


@dataclass(frozen=True)
class Windows:
    """Where a kernel lies. Vertical sizes come first; ``outsize`` counts its places."""

    image: tuple[int, int, int]
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @property
    def outsize(self) -> Pair:
        """Number of places; below 1 where the kernel does not fit."""
        axes = zip(self.image[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in axes)

    def taps(self) -> Iterator[Pair]:
        """The places in the kernel, in the order of the unfolded dimension."""
        return product(*map(range, self.kernel))

    def _padded(self, images: torch.Tensor, trailing: int = 0) -> torch.Tensor:
        (top, left) = self.padding
        return F.pad(images, (0, 0) * trailing + (left, left, top, top)) if top or left else images

    def unfold(self, images: torch.Tensor) -> torch.Tensor:
        """``(..., C, H, W)`` to ``(..., C * kH * kW, L)``, of any dtype; 0 or False outside the image."""
        windows = self._padded(images)
        for axis in range(2):
            span = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            windows = windows.unfold(images.ndim - 2 + axis, span, self.stride[axis])
        windows = windows[..., :: self.dilation[0], :: self.dilation[1]]  # (..., C, Ho, Wo, kH, kW)
        return windows.movedim((-2, -1), (-4, -3)).flatten(-2).flatten(-4, -2)

    def seen(self, images: torch.Tensor, tap: Pair) -> torch.Tensor:
        """What a tap sees at each place: ``(B, C, H, W, D)`` to ``(B, C, Ho, Wo, D)``."""
        padded = self._padded(images, trailing=1)
        for axis in range(2):
            size, taps, dilation = padded.shape[2 + axis], self.kernel[axis], self.dilation[axis]
            end = size - (taps - 1 - tap[axis]) * dilation
            at = [slice(None)] * 5
            at[2 + axis] = slice(tap[axis] * dilation, end, self.stride[axis])
            padded = padded[tuple(at)]
        return padded

    def average(self, unfolded: torch.Tensor) -> torch.Tensor:
        """``(B, C * kH * kW, L)`` to ``(B, C, H, W)``: the mean of what the windows that see a pixel say; 0 if none."""
        dtype = unfolded.dtype
        # folding is for float32 and float64
        wide = unfolded if dtype in (torch.float32, torch.float64) else unfolded.to(
            torch.float32 if dtype.is_floating_point else torch.float64
        )  # fmt: skip
        geometry = dict(kernel_size=self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation)
        total = F.fold(wide, self.image[1:], **geometry)
        count = F.fold(torch.ones_like(wide[:1]), self.image[1:], **geometry)
        return (total / count.clamp_(min=1)).to(dtype)

    def fold(self, unfolded: torch.Tensor) -> torch.Tensor | None:
        """``(..., C * kH * kW, L)`` to the images ``(..., C, H, W)`` that unfold to it; None if there are none.

        Pixels that no window sees become 0.
        """
        channels, height, width = self.image
        number = torch.arange(1, height * width + 1, device=unfolded.device).view(1, height, width)
        number = self._channel().unfold(number).flatten()  # of the pixel, or 0
        values = unfolded.unflatten(-2, (channels, -1)).flatten(-2)
        pixels = unfolded.new_zeros((*values.shape[:-1], height * width + 1))
        pixels.scatter_(-1, number.expand(values.shape), values)
        images = pixels[..., 1:].unflatten(-1, (height, width))
        again = self.unfold(images)
        same = (again == unfolded) | ((again != again) & (unfolded != unfolded))
        return images if bool(same.all()) else None

    def _channel(self) -> Windows:
        return Windows((1, *self.image[1:]), self.kernel, self.stride, self.padding, self.dilation)
