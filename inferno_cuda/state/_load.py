"""Loading a state that has another batch size than the model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import nn

from . import _check
from ._transaction import unchanged_on_failure

BatchSize = int | Literal["state", "model"]


def load_state(model: nn.Module, state: Mapping[str, Any], *, batchsz: BatchSize = "state") -> None:
    """Loads a ``state_dict()``, of this package or of inferno-ai, whatever its batch size is.

    Parameters, adaptations and all that has no batch dimension are taken over. What belongs to single samples
    (voltages, refractory periods, histories, feedback) is taken over with the batch size of the state, or begins at
    rest with another one: there is no right way to make the 64th sample out of 32.

    Args:
        model: a model of this package, or one that has such models in it.
        state: a ``state_dict()`` of a model of the same structure.
        batchsz: ``"state"``: the model takes on the batch size of the state and continues where that was saved.
            ``"model"``: the model keeps its batch size and starts at rest. A number: it takes on that batch size, and
            starts at rest.

    Raises:
        TypeError: if ``model`` is no module, ``state`` no dictionary or ``batchsz`` none of those, or the model has
            neurons or synapses of inferno-ai, whose batch size cannot be set: make a copy with
            :func:`~inferno_cuda.from_inferno`.
        ValueError: if ``batchsz`` is out of range, or the state has different batch sizes for one module.
        RuntimeError: if the state does not fit otherwise, as ``load_state_dict`` raises it.

    Whatever is raised, the model is as it was.
    """
    _check.instance("model", model, nn.Module)
    _check.instance("state", state, Mapping)
    if isinstance(batchsz, str):
        _check.one_of("batchsz", batchsz, ("state", "model"))
    else:
        batchsz = _check.size("batchsz", batchsz)
    _refuse_inferno(model)
    sizes = _sizes(model, state) if batchsz == "state" else {}
    with unchanged_on_failure(model):
        if batchsz == "state":
            for module, size in sizes.items():
                module.batchsz = size
            model.load_state_dict(state)
        else:
            _load_at_rest(model, state, batchsz)


def _refuse_inferno(model: nn.Module) -> None:
    for path, module in model.named_modules():
        packages = {cls.__module__.partition(".")[0] for cls in type(module).__mro__}
        if "inferno" in packages and hasattr(module, "batchsz"):
            raise TypeError(
                f"'{path or 'model'}' is a module of inferno-ai, whose batch size a state cannot set; load into a "
                "model of this package, such as from_inferno(model) makes"
            )


def _batched(model: nn.Module) -> Iterator[tuple[str, nn.Module, dict[str, int]]]:
    """Prefixes of keys and modules with buffers that have a batch dimension, and those; shared modules repeatedly."""
    for path, module in model.named_modules(remove_duplicate=False):
        if hasattr(module, "_batched_buffers"):
            yield f"{path}." if path else "", module, module._batched_buffers()


def _sizes(model: nn.Module, state: Mapping[str, Any]) -> dict[nn.Module, int]:
    """The batch sizes that a state has for the modules whose batch size can be set."""
    sizes: dict[nn.Module, int] = {}
    for prefix, module, buffers in _batched(model):
        if not hasattr(module, "batchsz"):
            continue
        for name, dim in buffers.items():
            saved = state.get(prefix + name)
            if not isinstance(saved, torch.Tensor) or saved.ndim <= dim:
                # load_state_dict says what is wrong with it
                continue
            size = sizes.setdefault(module, saved.shape[dim])
            if size != saved.shape[dim]:
                raise ValueError(f"'state' has '{prefix + name}' for {saved.shape[dim]} samples, and others for {size}")
    return sizes


def _load_at_rest(model: nn.Module, state: Mapping[str, Any], batchsz: BatchSize) -> None:
    batched = list(_batched(model))
    left_out = {prefix + name for prefix, _, buffers in batched for name in buffers}
    kept = OrderedDict((key, value) for key, value in state.items() if key not in left_out)
    kept._metadata = getattr(state, "_metadata", None)
    problems = model.load_state_dict(kept, strict=False)
    missing = [key for key in problems.missing_keys if key not in left_out]
    if missing or problems.unexpected_keys:
        raise RuntimeError(
            f"'state' does not fit the model: missing keys {missing}, unexpected keys {problems.unexpected_keys}"
        )
    for module in {module: None for _, module, _ in batched if hasattr(module, "batchsz")}:
        if batchsz != "model":
            module.batchsz = batchsz
        module.clear()
