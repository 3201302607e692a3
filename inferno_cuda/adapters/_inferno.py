"""What the adapters of inferno-ai share: how its modules keep their state."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd import forward_ad

from .. import ops

LIBRARY = "inferno"
TYPES = (torch.float32, torch.float64)


def owned(module: nn.Module, *handles: str) -> bool:
    """Whether a module's handles are its own: in what ``copy.deepcopy`` makes they are those of the original."""
    own = vars(module)
    return all(name in own and own[name]._ShapedTensor__owner() is module for name in handles)


def plain(*tensors: torch.Tensor) -> bool:
    """Whether an op takes these as they are: no transform of torch is under way, and no graph is asked for."""
    if forward_ad._current_level >= 0 or torch.compiler.is_compiling():
        return False
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return torch._C._functorch.peek_interpreter_stack() is None


def refuses(op: str, device: torch.device) -> str | None:
    """Why an op would not run on our kernels, without which nothing is gained."""
    choice = ops.choose(op, device)
    return None if choice.backend == "native" else f"no kernel runs {op}: {choice.reason}"
