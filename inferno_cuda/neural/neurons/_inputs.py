"""What a neuron accepts as input, and as state."""

from __future__ import annotations

import torch


def like_state(inputs: torch.Tensor | float, state: torch.Tensor, name: str = "inputs") -> torch.Tensor:
    """Expands and casts ``inputs`` to the shape and dtype of ``state``; contiguous unless it fits as it is.

    Raises:
        TypeError: if it is neither a tensor nor a number, or the values would not fit the dtype of ``state``.
        ValueError: if ``inputs`` does not broadcast to the shape of ``state``.
    """
    if isinstance(inputs, int | float):
        return torch.full(state.shape, inputs, dtype=state.dtype, device=state.device)
    if not isinstance(inputs, torch.Tensor):
        raise TypeError(f"'{name}' is a {type(inputs).__name__}, it must be a Tensor or a number")
    if torch.promote_types(inputs.dtype, state.dtype) != state.dtype:
        raise TypeError(f"'{name}' has the dtype {inputs.dtype}, it must be one that converts to {state.dtype}")
    extra = state.ndim - inputs.ndim
    if extra < 0 or any(have not in (1, want) for have, want in zip(inputs.shape, state.shape[extra:], strict=True)):
        raise ValueError(
            f"'{name}' has the shape {tuple(inputs.shape)}, it must broadcast to the shape {tuple(state.shape)}"
        )
    return inputs.to(state.dtype).expand(state.shape).contiguous()
