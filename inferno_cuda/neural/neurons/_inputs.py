"""What a neuron accepts as input."""

from __future__ import annotations

import torch


def like_state(inputs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """Expands and casts ``inputs`` to the shape and dtype of ``state``.

    Raises:
        TypeError: if the values would not fit the dtype of ``state``.
        ValueError: if ``inputs`` does not broadcast to the shape of ``state``.
    """
    if torch.promote_types(inputs.dtype, state.dtype) != state.dtype:
        raise TypeError(f"'inputs' has the dtype {inputs.dtype}, it must be one that converts to {state.dtype}")
    extra = state.ndim - inputs.ndim
    if extra < 0 or any(have not in (1, want) for have, want in zip(inputs.shape, state.shape[extra:], strict=True)):
        raise ValueError(
            f"'inputs' has the shape {tuple(inputs.shape)}, it must broadcast to the shape {tuple(state.shape)}"
        )
    return inputs.to(state.dtype).expand(state.shape)
