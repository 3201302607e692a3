"""Who may overwrite the state of neurons, and when."""

from __future__ import annotations

from typing import Any

import torch

from ...state import ShapedTensor
from ._inputs import like_state


def records(inputs: torch.Tensor, parameters: dict[str, float], *state: torch.Tensor) -> bool:
    """Whether autograd is to record a step on this state, or recorded what led to it."""
    for tensor in state:
        if tensor.requires_grad:
            return True
    if not torch.is_grad_enabled():
        return False
    if inputs.requires_grad:
        return True
    for parameter in parameters.values():
        if parameter.__class__ is not float and isinstance(parameter, torch.Tensor) and parameter.requires_grad:
            return True
    return False


def _capturing(tensor: torch.Tensor) -> bool:
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


class StateMixin:
    """Decides whether a step may overwrite the state or has to leave it and rebind the attributes.

    A step works in place, except where somebody could notice: an autograd graph needs the old values, or a property
    handed the tensor out. Once a step was captured in a CUDA graph all writes are in place, where the replays read and
    write; what autograd needs is refused then.
    """

    _step_flags = ("_state_read", "_adaptation_read")
    _state_read = False
    _adaptation_read = False
    _state_captured = False

    def _expose(self, handle: ShapedTensor) -> torch.Tensor:
        self.__dict__["_state_read"] = True
        return handle.value

    def _captured(self, state: torch.Tensor) -> bool:
        if _capturing(state):
            self.__dict__["_state_captured"] = True
        return self._state_captured

    def _set(self, handle: ShapedTensor, value: torch.Tensor | float, name: str) -> None:
        state = handle.value
        value = like_state(value, state, name)
        if value.device != state.device:
            raise ValueError(f"'{name}' is on the device {value.device}, it must be on {state.device}")
        if self._captured(state):
            overwrite(state, value)
        else:
            handle.value = value

    def _must_rebind(self, state: torch.Tensor, graph: bool, read: bool) -> bool:
        """Whether the old state has to stay as it is.

        Args:
            state: a tensor of the state.
            graph: whether autograd records the new state, or recorded the old one.
            read: whether a property handed the state out.

        Raises:
            RuntimeError: ``graph``, although a CUDA graph is being captured or was.
        """
        capturing = _capturing(state)
        if graph:
            if capturing or self._state_captured:
                raise RuntimeError(
                    "a step that is recorded by autograd leaves the old state alone, but a captured CUDA graph writes "
                    "it in place: capture and run such steps under torch.no_grad(), or train a copy"
                )
            return True
        if capturing:
            self.__dict__["_state_captured"] = True
        return read and not self._state_captured

    def _rebind(self, voltage: torch.Tensor, refrac: torch.Tensor) -> None:
        self.voltage_._assign(voltage)
        self.refrac_._assign(refrac)
        self.__dict__["_state_read"] = False

    def _replace_state(self, voltage: torch.Tensor, refrac: torch.Tensor) -> None:
        """Makes tensors that are nobody else's the state."""
        if self._state_captured:
            overwrite(self.voltage_.value, voltage)
            overwrite(self.refrac_.value, refrac)
        else:
            self._rebind(voltage, refrac)

    def _reset_state(self, voltage: float | torch.Tensor, refrac: float) -> None:
        """Fills the state. Gradients do not pass."""
        old = self.voltage_.value, self.refrac_.value
        if self._must_rebind(old[0], any(tensor.requires_grad for tensor in old), self._state_read):
            self._rebind(torch.empty_like(old[0]), torch.empty_like(old[1]))
            old = self.voltage_.value, self.refrac_.value
        overwrite(old[0], voltage)
        overwrite(old[1], refrac)

    def __getstate__(self) -> dict[str, Any]:
        # nobody has read the state of a copy, and no CUDA graph writes it
        flags = ("_state_read", "_adaptation_read", "_state_captured")
        return {name: value for name, value in super().__getstate__().items() if name not in flags}


def overwrite(state: torch.Tensor, value: torch.Tensor | float) -> None:
    with torch.no_grad():
        if isinstance(value, torch.Tensor):
            state.copy_(value)
        else:
            state.fill_(value)
