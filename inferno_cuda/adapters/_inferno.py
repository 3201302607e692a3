"""What the adapters of inferno-ai share: how its modules keep their state."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd import forward_ad

from .. import ops
from ._swap import is_accelerated

LIBRARY = "inferno"
TYPES = (torch.float32, torch.float64)


def owned(module: nn.Module, *handles: str) -> bool:
    """Whether a module's handles are its own: in what ``copy.deepcopy`` makes they are those of the original."""
    own = vars(module)
    return all(name in own and own[name]._ShapedTensor__owner() is module for name in handles)


def plain(*tensors: torch.Tensor) -> bool:
    """Whether an op takes these as they are: no transform or trace of torch is under way, and no graph is asked for."""
    if forward_ad._current_level >= 0 or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return torch._C._functorch.peek_interpreter_stack() is None


def refuses(op: str, device: torch.device) -> str | None:
    """Why an op would not run on our kernels, without which nothing is gained."""
    choice = ops.choose(op, device)
    return None if choice.backend == "native" else f"no kernel runs {op}: {choice.reason}"


def ring_of(module: nn.Module, name: str) -> torch.Tensor | None:
    """The history behind a handle, ``(slots, B, *shape)``, if it is one that our ops read."""
    own, data = vars(module), module._buffers.get(f"_{name}_data")
    if type(data) is not torch.Tensor or not owned(module, name):
        return None
    # the number of slots that the library counts with
    return data if data.ndim and own[f"_{name}_constraints"].get(0) == len(data) else None


def pointer_of(module: nn.Module, name: str, data: torch.Tensor) -> torch.Tensor:
    """The slot that is written next.

    inferno-ai keeps it as a number, our ops take a tensor, which they advance. On accelerated modules the tensor is
    kept, and taken again where it still stands for that number.
    """
    place = module._extras[f"_{name}_pointer"] % len(data)
    kept = vars(module).setdefault("_fused_pointers", {}) if is_accelerated(module) else {}
    known, pointer = kept.get(name, (None, None))
    if known != place or pointer.device != data.device:
        pointer = torch.tensor(place, device=data.device)
        kept[name] = place, pointer
    return pointer


def advanced(module: nn.Module, name: str, data: torch.Tensor) -> None:
    """Follows an op that wrote a step into the history ``data`` and advanced its pointer."""
    place = (module._extras[f"_{name}_pointer"] + 1) % len(data)
    module._buffers[f"_{name}_data"] = data
    module._extras[f"_{name}_pointer"] = place
    kept = vars(module)["_fused_pointers"]
    kept[name] = place, kept[name][1]
