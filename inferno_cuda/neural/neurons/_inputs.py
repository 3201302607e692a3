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
    _check_dtype(inputs, state, name)
    if not _broadcasts(inputs.shape, state.shape):
        raise ValueError(
            f"'{name}' has the shape {tuple(inputs.shape)}, it must broadcast to the shape {tuple(state.shape)}"
        )
    return inputs.to(state.dtype).expand(state.shape).contiguous()


def like_states(inputs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """Expands and casts inputs of every step, dimension 0, to the shape and dtype of ``state``.

    Raises:
        TypeError: if it is no tensor, or the values would not fit the dtype of ``state``.
        ValueError: if the inputs of a step do not broadcast to the shape of ``state``.
    """
    if not isinstance(inputs, torch.Tensor):
        raise TypeError(f"'inputs' is a {type(inputs).__name__}, it must be a Tensor")
    _check_dtype(inputs, state, "inputs")
    if not inputs.ndim or not _broadcasts(inputs.shape[1:], state.shape):
        raise ValueError(
            f"'inputs' has the shape {tuple(inputs.shape)}, it must have one dimension of steps, and each of them "
            f"broadcast to the shape {tuple(state.shape)}"
        )
    steps, *sizes = inputs.shape
    ones = [1] * (state.ndim - len(sizes))
    return inputs.to(state.dtype).reshape(steps, *ones, *sizes).expand(steps, *state.shape)


def _check_dtype(inputs: torch.Tensor, state: torch.Tensor, name: str) -> None:
    if torch.promote_types(inputs.dtype, state.dtype) != state.dtype:
        raise TypeError(f"'{name}' has the dtype {inputs.dtype}, it must be one that converts to {state.dtype}")


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    extra = len(to) - len(shape)
    return extra >= 0 and all(have in (1, want) for have, want in zip(shape, to[extra:], strict=True))
