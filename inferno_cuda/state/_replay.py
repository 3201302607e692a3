"""Steps that are run again inside of a backward pass: only from the state that they started from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from . import _check
from .module import Module

_replaying = 0


def check_may_step() -> None:
    """To be called by whatever is about to move state on.

    Raises:
        RuntimeError: a backward pass runs the step again, and would find another state than the first time; or a
            transform of torch.func would leave its wrapped tensors in the state.
    """
    if torch.compiler.is_compiling():
        return
    if torch._C._current_graph_task_id() != -1 and not _replaying:
        raise RuntimeError(
            "a step inside of a backward pass, as torch.utils.checkpoint makes them, would not start from the state "
            "that it started from before: pass context_fn=inferno_cuda.replay(module) to checkpoint"
        )
    if torch._C._functorch.maybe_current_level() is not None:
        raise RuntimeError(
            "a step under a transform of torch.func, such as vmap or grad, would leave its tensors in the state of the "
            "module: transform the ops, such as inferno_cuda.ops.neuron_run, or call backward() instead"
        )


class _Kept(NamedTuple):
    """What steps change of a module."""

    buffers: dict[str, Any]
    extras: dict[str, Any]
    held: dict[str, bool]
    flags: dict[str, Any]

    @classmethod
    def of(cls, part: Module) -> _Kept:
        own = vars(part)
        held = {name: value._held for name, value in own.items() if hasattr(value, "_held")}
        flags = {name: own[name] for name in part._step_flags if name in own}
        return cls(dict(part._buffers), dict(part._extras), held, flags)

    def copied(self, graph: bool = True) -> _Kept:
        """The same in tensors that nothing else writes to. Those that belong to a graph nothing writes to anyway.

        Without ``graph`` these are copied too, and the copies belong to none.
        """
        buffers = {name: _copied(value, graph) for name, value in self.buffers.items()}
        copies = {id(old): buffers[name] for name, old in self.buffers.items()}
        flags = {
            # what refers to a buffer refers to its copy, of which no version is known
            name: (copies.get(id(value[0])), None, *value[2:]) if isinstance(value, tuple) else value
            for name, value in self.flags.items()
        }
        return _Kept(buffers, {name: _copied(value) for name, value in self.extras.items()}, self.held, flags)

    def put_back(self, part: Module) -> None:
        own = vars(part)
        part._buffers.update(self.buffers)
        part._extras.update(self.extras)
        for name, held in self.held.items():
            own[name]._held = held
        for name in part._step_flags:
            own.pop(name, None)
        own.update(self.flags)


class State:
    """What steps change of a module and its parts, as it is at present."""

    def __init__(self, module: nn.Module) -> None:
        self._parts = [part for part in module.modules() if isinstance(part, Module)]
        self._kept = [_Kept.of(part).copied() for part in self._parts]

    @contextlib.contextmanager
    def again(self, graph: bool = True) -> Iterator[None]:
        """The state as it was; afterwards it is what it is now. Without ``graph`` it belongs to none."""
        global _replaying
        now = [_Kept.of(part) for part in self._parts]
        for part, kept in zip(self._parts, self._kept, strict=True):
            kept.copied(graph).put_back(part)
        _replaying += 1
        try:
            yield
        finally:
            _replaying -= 1
            for part, kept in zip(self._parts, now, strict=True):
                kept.put_back(part)

    def put_back(self) -> None:
        """Makes the state what it was, for good."""
        for part, kept in zip(self._parts, self._kept, strict=True):
            kept.put_back(part)


@contextlib.contextmanager
def unmoved_on_failure(module: nn.Module) -> Iterator[None]:
    """Puts back the state of a module and its parts if the block raises."""
    with torch.inference_mode(False):  # what is put back may be needed outside of inference mode
        state = State(module)
    try:
        yield
    except BaseException:
        state.put_back()
        raise


def _copied(value: Any, graph: bool = True) -> Any:
    if not isinstance(value, torch.Tensor) or isinstance(value, UninitializedTensorMixin):
        return value
    return value if graph and value.requires_grad else value.detach().clone()


def replay(module: nn.Module) -> Callable[[], tuple[AbstractContextManager, AbstractContextManager]]:
    """Lets ``torch.utils.checkpoint`` run steps of a module again from the state that they started from.

    Steps move the state of neurons and synapses on, and checkpoint runs them twice. What this returns is for its
    argument ``context_fn``: it keeps a copy of the state at the start, has it in place while the steps are run again,
    and then puts back what was there. A copy of the state is all that it costs.

    Args:
        module: all that keeps state in what is checkpointed.

    Raises:
        TypeError: if ``module`` is no module.

    Example:
        >>> import torch
        >>> from torch.utils.checkpoint import checkpoint
        >>> import inferno_cuda
        >>> from inferno_cuda.neural import LIF
        >>> from inferno_cuda.surrogate import ATan
        >>> neurons = LIF(3, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0,
        ...               surrogate=ATan(0.2))
        >>> current = torch.full((100, 1, 3), 20.0, requires_grad=True)  # nA
        >>> spikes = checkpoint(neurons.run, current, use_reentrant=False, context_fn=inferno_cuda.replay(neurons))
        >>> spikes.sum().backward()
        >>> bool((current.grad != 0).any())
        True
    """
    _check.instance("module", module, nn.Module)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return contextlib.nullcontext(), State(module).again()

    return contexts
