"""Checkpoints of whole simulations, in files that hold numbers and nothing that is executed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from .state import _check
from .state._file import CheckpointError, read, write
from .state._load import BatchSize, load_state
from .state._plain import PlainError, decode, dense, encode
from .state._transaction import unchanged_on_failure

__all__ = ["CheckpointError", "load_checkpoint", "load_state", "save_checkpoint"]

VERSION = 1
_KINDS = ("values", "shared", "training", "generators", "given", "extra")
_CONTENT = {"version": int, **dict.fromkeys(_KINDS, dict)}


def save_checkpoint(
    path: str | os.PathLike,
    model: nn.Module,
    extra: Mapping[str, Any] | None = None,
    *,
    generators: Mapping[str, torch.Generator] | None = None,
) -> None:
    """Writes the state of a model, from which :func:`load_checkpoint` resumes bit for bit.

    In the file are the ``state_dict()`` of the model, of this package, of inferno-ai or of any other kind, the updates
    that are pending in its updaters, the modes of its modules (training or evaluation), and the states of the random
    generators of its encoders. Attributes that were set after construction are not in it: set them again. It is a
    safetensors file, whose tensors have the names of the ``state_dict()``. An existing file is replaced in one step,
    once the new one is complete.

    snnTorch and SpikingJelly keep the voltages of their neurons outside of the ``state_dict()``: save their models
    between sequences. A warning says where there are some.

    Args:
        path: the file to write.
        model: what to save.
        extra: what else to keep, by name: numbers, strings, None, tensors, and lists, tuples and dictionaries of such.
            The ``state_dict()`` of an optimizer is made of that.
        generators: further random generators whose states are to be kept, by name, such as torch's own
            (``{"torch": torch.default_generator}``), from which encoders without a generator draw.

    Raises:
        ImportError: without the package safetensors.
        TypeError: if ``model`` is no module, a value is of a type that files cannot hold, or a name of ``extra`` or
            ``generators`` no string.
        ValueError: if a tensor of the model is not dense, or has no values (meta device, lazy modules).
        OSError: if the file cannot be written; a file that was there is as before.
    """
    _check.instance("model", model, nn.Module)
    extra, generators = _named("extra", extra), _named("generators", generators)
    _warn_of_state_outside(model)
    state, shared, values = _split({**model.state_dict(), **dict(_unsaved(model))})
    beside: dict[str, torch.Tensor] = {}
    try:
        content = {
            "version": VERSION,
            "values": {key: encode(value, key, beside) for key, value in values.items()},
            "shared": shared,
            "training": {path: module.training for path, module in model.named_modules(remove_duplicate=False)},
            "generators": _generator_states(_generators(model), beside),
            "given": _generator_states(generators, beside),
            "extra": {name: encode(value, f"extra[{name!r}]", beside) for name, value in extra.items()},
        }
    except PlainError as error:
        raise TypeError(str(error)) from None
    taken = [key for key in state if key.startswith("@")]
    if taken:
        raise ValueError(f"'{taken[0]}' of the state_dict begins with '@', which the file uses itself")
    write(path, {**state, **beside}, content)


def load_checkpoint(
    path: str | os.PathLike,
    model: nn.Module,
    *,
    generators: Mapping[str, torch.Generator] | None = None,
    batchsz: BatchSize | None = None,
) -> dict[str, Any]:
    """Brings a model to the state that :func:`save_checkpoint` wrote, or leaves it, bit for bit, as it was.

    The file must fit the model: the same keys, shapes, dtypes, extras and generators. Nothing in it is executed. The
    modules take on the saved modes too: call ``eval()`` or ``train()`` after loading, not before.

    Args:
        path: the file to read.
        model: a model of the structure of the saved one, of this package or of inferno-ai.
        generators: the generators that were given to :func:`save_checkpoint`, under the same names; they are set to
            their saved states.
        batchsz: None: the batch sizes must agree. Otherwise how to load a state of another batch size, see
            :func:`load_state`.

    Returns:
        what was saved as ``extra``; its tensors are on the CPU.

    Raises:
        ImportError: without the package safetensors.
        TypeError: if ``model`` is no module, or a name in ``generators`` no string.
        OSError: if the file cannot be read.
        CheckpointError: if the file is no checkpoint, is damaged, or does not fit; it names the file and the fault. The
            model and all generators are as before then.
    """
    _check.instance("model", model, nn.Module)
    generators = _named("generators", generators)
    tensors, content = read(path)
    try:
        _check_content(content)
        state, extra, saved = _assemble(tensors, content)
        _check_fit(model, state)
        present = {"generators": _generators(model), "given": generators}
        streams = [stream for kind in present for stream in _matched(kind, present[kind], saved[kind])]
        with unchanged_on_failure(model):
            for module in model.modules():
                if hasattr(module, "_unsaved"):
                    module.clear()
            model.load_state_dict(state) if batchsz is None else load_state(model, state, batchsz=batchsz)
            for module_path, module in model.named_modules(remove_duplicate=False):
                # the other library may have further modules inside of its own
                module.training = content["training"].get(module_path, module.training)
    except (PlainError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        # KeyError alone prints its message in quotes
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise CheckpointError(f"'{path}' does not fit the model, which is left as it was: {reason}") from error
    for generator, stream in streams:
        generator.set_state(stream)
    return extra


def _named(argument: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """``values`` as a dictionary. JSON would turn names of other types into strings."""
    values = dict(values or {})
    for name in values:
        if not isinstance(name, str):
            raise TypeError(f"'{argument}' has the name {name!r} of type {type(name).__name__}, it must be a string")
    return values


def _warn_of_state_outside(model: nn.Module) -> None:
    for path, module in model.named_modules():
        packages = {cls.__module__.partition(".")[0] for cls in type(module).__mro__}
        if "snntorch" in packages:
            held = [value for name, value in module._buffers.items() if name in module._non_persistent_buffers_set]
        elif "spikingjelly" in packages:
            held = getattr(module, "_memories", {}).values()
        else:
            continue
        if any(isinstance(value, torch.Tensor) and bool(value.any()) for value in held):
            warnings.warn(
                f"'{path or 'model'}' keeps its voltages outside of the state_dict, so the file has not got them: save "
                "between sequences, after a reset",
                stacklevel=3,
            )


def _unsaved(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """What modules need to resume and their ``state_dict()`` leaves out, under the keys that they load it from."""
    for path, module in model.named_modules(remove_duplicate=False):
        if hasattr(module, "_unsaved"):
            yield from ((f"{path}.{key}" if path else key, value) for key, value in module._unsaved().items())


def _split(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, str], dict[str, Any]]:
    """Tensors, other names of tensors that have several, and values that are no tensors."""
    tensors: dict[str, torch.Tensor] = {}
    shared: dict[str, str] = {}
    values: dict[str, Any] = {}
    first: dict[tuple, str] = {}
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            values[key] = value
            continue
        if not dense(value):
            raise ValueError(f"'{key}' of the state_dict is no dense tensor with values")
        same = first.setdefault(_place(value), key) if value.numel() else key
        if same == key:
            tensors[key] = value
        else:
            shared[key] = same
    return tensors, shared, values


def _place(tensor: torch.Tensor) -> tuple:
    """Where the elements of a tensor lie: the same for two that are one."""
    views = tensor.is_conj(), tensor.is_neg()
    return tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride(), *views


def _generators(model: nn.Module) -> dict[str, torch.Generator]:
    """The random generators of encoders, and of what else has an attribute ``generator``, by path."""
    found = {}
    for path, module in model.named_modules():
        if "generator" in vars(module) or isinstance(getattr(type(module), "generator", None), property):
            generator = module.generator
            if isinstance(generator, torch.Generator):
                found[path] = generator
    return found


def _generator_states(generators: Mapping[str, torch.Generator], beside: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: encode(generator.get_state(), name, beside) for name, generator in generators.items()}


def _matched(
    kind: str, present: Mapping[str, torch.Generator], saved: Mapping[str, Any]
) -> Iterator[tuple[torch.Generator, torch.Tensor]]:
    """Generators and the states that they are to take; what cannot be taken is found here."""
    if set(present) != set(saved):
        where = "the model" if kind == "generators" else "'generators'"
        raise ValueError(
            f"the file has states of the generators {sorted(saved)} of {where}, there are {sorted(present)}"
        )
    states: dict[int, torch.Tensor] = {}
    for name, generator in present.items():
        stream = saved[name]
        if not isinstance(stream, torch.Tensor):
            raise TypeError(f"the state of the generator '{name}' is no tensor")
        torch.Generator(generator.device).set_state(stream)
        if not torch.equal(states.setdefault(id(generator), stream), stream):
            raise ValueError(f"the generator '{name}' is used at several places, for which there are different states")
        yield generator, stream


def _check_content(content: Any) -> None:
    if type(content) is not dict or {key: type(value) for key, value in content.items()} != _CONTENT:
        raise ValueError("the file does not say what it holds")
    if content["version"] != VERSION:
        raise ValueError(f"the file is of version {content['version']}, this package reads version {VERSION}")
    if not all(type(mode) is bool for mode in content["training"].values()):
        raise ValueError("the file does not say which modules were training")


def _assemble(
    tensors: dict[str, torch.Tensor], content: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]:
    """The state_dict, the extra values, and the states of the generators."""
    # the library may hand out views of the file, which others can write to
    beside = {name: tensor.clone() for name, tensor in tensors.items() if name.startswith("@")}

    def decoded(kind: str) -> dict[str, Any]:
        return {name: decode(value, f"{kind}[{name!r}]", beside) for name, value in content[kind].items()}

    state = {name: tensor for name, tensor in tensors.items() if name not in beside}
    for key, same in content["shared"].items():
        if key in state or type(same) is not str or same not in state:
            raise ValueError(f"'{key}' shares a tensor that is not in the file")
        state[key] = tensors[same]
    for key, value in decoded("values").items():
        if key in state:
            raise ValueError(f"'{key}' is in the file twice")
        state[key] = value
    return state, decoded("extra"), {kind: decoded(kind) for kind in ("generators", "given")}


def _check_fit(model: nn.Module, state: Mapping[str, Any]) -> None:
    """What ``load_state_dict`` would take and convert, or would find only after it has begun to write."""
    for key, present in model.state_dict(keep_vars=True).items():
        if key not in state:
            continue
        saved = state[key]
        if isinstance(present, torch.Tensor):
            if not isinstance(saved, torch.Tensor) or saved.dtype != present.dtype:
                kind = getattr(saved, "dtype", type(saved).__name__)
                raise TypeError(f"'{key}' is {kind} in the file and {present.dtype} in the model")
        else:
            _check_value(key, saved, present)
            module = model.get_submodule(key.rpartition(".")[0])
            if hasattr(module, "_extras"):
                rings = {name: state.get(f"{key.removesuffix('_extra_state')}{name}") for name in module._buffers}
                _check_extras(key, saved, present, module, rings)


def _check_value(key: str, saved: Any, present: Any) -> None:
    kinds = [dict if isinstance(value, dict) else type(value) for value in (saved, present)]
    if kinds[0] is not kinds[1]:
        raise TypeError(f"'{key}' is a {kinds[0].__name__} in the file and a {kinds[1].__name__} in the model")


def _check_extras(
    key: str, saved: Mapping[str, Any], present: Mapping[str, Any], module: nn.Module, rings: Mapping[str, Any]
) -> None:
    if saved.keys() != present.keys():
        raise KeyError(f"'{key}' has the entries {sorted(map(str, saved))} in the file, {sorted(present)} in the model")
    for name, value in saved.items():
        _check_value(f"{key}[{name!r}]", value, present[name])
        data = f"{name.removesuffix('_pointer')}_data" if name.endswith("_pointer") else None
        ring = module._buffers.get(data)
        if ring is not None and not ring.numel() and isinstance(rings[data], torch.Tensor):
            # a history without storage takes that of the file
            ring = rings[data]
        if ring is not None and ring.ndim and not -len(ring) <= value < max(len(ring), 1):
            raise ValueError(f"'{key}[{name!r}]' is {value}, it must be one of the {len(ring)} slots of the history")
