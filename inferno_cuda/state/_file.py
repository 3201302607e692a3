"""Checkpoint files: safetensors with a checksum, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

KIND = "inferno_cuda checkpoint"


class CheckpointError(RuntimeError):
    """A file is no checkpoint, is damaged, or does not fit the model."""


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            "checkpoints need the package 'safetensors': pip install safetensors"
        ) from error
    return safetensors


def write(path: str | os.PathLike, tensors: Mapping[str, torch.Tensor], info: Any) -> None:
    """Writes tensors by name, and what JSON can hold. A file that is there is replaced once the new one is complete.

    Raises:
        ImportError: without safetensors.
        TypeError: if safetensors has no name for the dtype of a tensor.
        OSError: if the file cannot be written.
    """
    library = _safetensors()
    text = json.dumps(info, allow_nan=False, separators=(",", ":"))
    _check_dtypes(tensors, library)
    storages: set[int] = set()
    ready = {name: _ready(tensor, storages) for name, tensor in tensors.items()}
    metadata = {"format": "pt", "kind": KIND, "content": text, "checksum": _checksum(ready, text)}
    path = Path(path)
    # of this call alone: threads and processes may write to the same path
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        partial.touch(exist_ok=False)
    except OSError as error:
        # of the file that was asked for
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        # that of any other file that the user makes, not that which the library gives its own
        mode = partial.stat().st_mode
        try:
            library.torch.save_file(ready, partial, metadata=metadata)
        except library.SafetensorError as error:
            raise OSError(f"'{path}' cannot be written: {error}") from error
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        partial.chmod(mode)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _check_dtypes(tensors: Mapping[str, torch.Tensor], library: Any) -> None:
    for dtype, name in {tensor.dtype: name for name, tensor in tensors.items()}.items():
        try:
            library.torch.save({name: torch.empty(0, dtype=dtype)})
        except (KeyError, ValueError, TypeError, library.SafetensorError) as error:
            raise TypeError(f"'{name}' is of {dtype}, which safetensors cannot hold") from error


def read(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], Any]:
    """What :func:`write` wrote; tensors on the CPU. Nothing in the file is executed.

    Raises:
        ImportError: without safetensors.
        OSError: if the file cannot be read.
        CheckpointError: if it is no checkpoint, or a damaged one.
    """
    library = _safetensors()
    with open(path, "rb"):
        # of a file that is missing or unreadable, the system's own error says it best
        pass
    try:
        with library.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("kind") != KIND:
                raise CheckpointError(f"'{path}' is a safetensors file, but not one that save_checkpoint wrote")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (library.SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(f"'{path}' is no safetensors file, or a damaged one: {error}") from error
    text = metadata.get("content", "")
    if metadata.get("checksum") != _checksum(tensors, text):
        raise CheckpointError(f"'{path}' is damaged: its checksum does not agree with what it holds")
    try:
        return tensors, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' is no checkpoint: the list of its content is not JSON ({error})") from error


def _ready(tensor: torch.Tensor, storages: set[int]) -> torch.Tensor:
    """The values on the CPU, in a storage that is not yet one of ``storages``."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    storage = tensor.untyped_storage()
    if storage.nbytes() != tensor.numel() * tensor.element_size() or storage.data_ptr() in storages:
        tensor = tensor.clone()
    storages.add(tensor.untyped_storage().data_ptr())
    return tensor


def _checksum(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    total = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total = zlib.crc32(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), total)
    return f"{total:08x}"
