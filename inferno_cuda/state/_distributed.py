"""Replicas of a model keep the state of their own simulation when DistributedDataParallel keeps the rest in step."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.nn.parallel import DistributedDataParallel


def run_time_buffers(model: nn.Module) -> Iterator[str]:
    """Names in ``model.named_buffers()`` of the state of a simulation, under every name that a shared module has.

    A module takes part if it has a method ``_run_time_buffers()``, which gives the names of its own such buffers,
    whether there is something in them yet or not.
    """
    for path, module in model.named_modules(remove_duplicate=False):
        own = getattr(module, "_run_time_buffers", None)
        if callable(own):
            yield from (f"{path}.{name}" if path else name for name in own())


def _keep_apart(parent: nn.Module, name: str, child: nn.Module | None) -> None:
    # torch broadcasts the buffers of the first replica before each forward: here, voltages over voltages that belong to
    # other samples. It reads what it is to leave out from this attribute, at each broadcast.
    if name == "module" and isinstance(parent, DistributedDataParallel) and child is not None:
        parent.parameters_to_ignore.update(run_time_buffers(child))


# the one place where every model that is wrapped comes by, whatever its class
register_module_module_registration_hook(_keep_apart)
