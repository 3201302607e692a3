"""The kernels for numpy arrays (tests/cpp/bindings.cpp), and what the tests that use them share."""

import importlib.machinery
import importlib.util
import mmap
import os
from pathlib import Path

import numpy as np
import pytest
import torch

FLOATING = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SCALARS = dict(zip([*FLOATING, torch.bool], ["f32", "f64", "f16", "bf16", "boolean"], strict=True))
MODES = ["previous", "next", "nearest", "linear", "expdecay"]
BACKENDS = ["cpu", "emulated"]
MAP_NORESERVE = 0x4000  # Linux's; mmap knows the name from Python 3.13 on


def load():
    """The module, built by CMake; without it the calling test file is skipped, or fails where it is required."""
    folder = os.environ.get("INFERNO_CORE_PY") or Path(__file__).parents[1] / "build/cmake/python"
    spec = importlib.machinery.PathFinder.find_spec("inferno_core_py", [str(folder)])
    if spec is None:
        reason = f"inferno_core_py is not in {folder} for this Python: build it with CMake, or set INFERNO_CORE_PY"
        if os.environ.get("INFERNO_REQUIRE_CORE_PY") == "1":
            raise RuntimeError(reason)
        pytest.skip(reason, allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def array(tensor):
    """The tensor's memory as a numpy array; numpy has no bfloat16, so those are their bits."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def bits(tensor):
    """Integers that are equal where the values are, with all NaNs alike and 0 apart from -0."""
    if not tensor.dtype.is_floating_point:
        return tensor
    tensor = torch.where(tensor.isnan(), torch.full_like(tensor, torch.nan), tensor)
    return tensor.contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.itemsize])


def assert_same(result, expected):
    assert result.dtype == expected.dtype and result.shape == expected.shape
    different = bits(result) != bits(expected)
    assert not different.any(), f"{different.sum()} differ, as {result[different][:3]} from {expected[different][:3]}"


def eps_of(dtype):
    return torch.finfo(dtype).eps


def uniform(generator, shape, low, high, dtype):
    return (torch.rand(shape, generator=generator, dtype=torch.float64) * (high - low) + low).to(dtype)


def with_specials(generator, tensor):
    """The tensor with one element in sixteen replaced by an infinity, a NaN or a signed zero."""
    specials = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, -0.0], dtype=tensor.dtype)
    chosen = specials[torch.randint(len(specials), tensor.shape, generator=generator)]
    return torch.where(torch.rand(tensor.shape, generator=generator) < 1 / 16, chosen, tensor)


def sparse_array(shape, strides, dtype):
    """Zeros with the given strides, in elements: address space is taken for all of them, memory for what is touched."""
    itemsize = np.dtype(dtype).itemsize
    elements = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    base = np.frombuffer(mmap.mmap(-1, elements * itemsize, flags=flags), dtype=dtype)
    return np.lib.stride_tricks.as_strided(base, shape, [stride * itemsize for stride in strides])
