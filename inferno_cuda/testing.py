"""Helpers for testing code that builds on inferno_cuda: backends, devices, dtypes, random state, comparisons."""

from __future__ import annotations

import torch

from .ops import native_status

#: The floating dtypes that all ops take.
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def backends() -> list[str]:
    """Names of the backends that can run here, for :func:`inferno_cuda.backend`."""
    return ["torch", "native"] if native_status.loaded else ["torch"]


def devices() -> list[str]:
    """Device types to test on: the CPU, and CUDA where there is a GPU."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def assert_identical(actual: torch.Tensor, expected: torch.Tensor, what: str = "tensors") -> None:
    """Same shape, dtype and values, bit for bit but for the sign of zero; NaN equals NaN."""
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, expected {expected.dtype}"
    actual, expected = actual.detach().cpu(), expected.detach().cpu()
    differs = ~((actual == expected) | ((actual != actual) & (expected != expected)))
    count = int(differs.sum())
    if count:
        where = tuple(differs.nonzero()[0].tolist())
        raise AssertionError(
            f"{what}: {count} of {differs.numel()} elements differ, first at {where}: "
            f"{actual[where].item()!r}, expected {expected[where].item()!r}"
        )


def random_ring(
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    *,
    pointer: int = 0,
    batch_innermost: bool = False,
    device: str = "cpu",
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A ring ``[N, B, *rest]`` of random samples and its pointer, drawn on the CPU whatever the device."""
    values = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
    data = (values > 0.6) if dtype == torch.bool else values.to(dtype)
    if batch_innermost and len(shape) > 2:
        data = data.movedim(1, -1).contiguous().movedim(-1, 1)
    return data.to(device), torch.tensor(pointer, device=device)
