"""Whether anyone but its module can see a tensor.

inferno-ai replaces its state in every step, so what a program keeps of it never changes. A step may write in place
where nothing is kept, which saves copying whole histories.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

# torch 2.10 to 2.13 have both; without them every tensor counts as held
_tensor_uses = getattr(torch.Tensor, "_use_count", None)
_storage_uses = getattr(torch._C, "_storage_Use_Count", None)


def _uses(buffers: dict[str, Any], name: str) -> tuple[int, int, int, int]:
    """How often a tensor and its memory are referred to, by Python and by torch: views and graphs count too."""
    data = buffers[name]
    storage = data.untyped_storage()
    return sys.getrefcount(data), _tensor_uses(data), sys.getrefcount(storage), _storage_uses(storage._cdata)


# of a tensor that only its dict refers to: what is counted along with it differs between versions of Python
_ALONE = None if None in (_tensor_uses, _storage_uses) else _uses({"alone": torch.zeros(2)}, "alone")


def _ours(data: torch.Tensor) -> bool:
    """Whether torch alone has the memory: arrays, files and other processes have memory that cannot grow, or is shared.

    Memory of a GPU always counts as shared.
    """
    storage = data.untyped_storage()
    return storage.resizable() and not (data.is_cpu and storage.is_shared())


def _outlasts_inference(data: torch.Tensor) -> bool:
    """Whether a tensor made in inference mode is met outside of it, where most operations refuse it."""
    return data.is_inference() and not torch.is_inference_mode_enabled()


def writable(buffers: dict[str, Any], name: str) -> torch.Tensor:
    """A buffer if nothing else refers to it or its memory, otherwise a copy.

    The caller must not refer to the buffer itself meanwhile.
    """
    alone = _ALONE is not None and _uses(buffers, name) == _ALONE
    if alone and _ours(buffers[name]) and not _outlasts_inference(buffers[name]):
        return buffers[name]
    return buffers[name].clone()
