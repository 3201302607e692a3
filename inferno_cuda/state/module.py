"""Module: ``nn.Module`` with plain Python values ("extras") in its state_dict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from ._handle import Handle, normal

# attributes that are made again where they are missing, and that no copy has
STAMP, AT_ONCE = "_stamped", "_at_once"


class Module(nn.Module):
    """``nn.Module`` with extras: plain Python values that are attributes and take part in the state_dict.

    Extras are kept in ``_extras``, by name. A tensor there is a counter: an integer that has to live on the
    device of the data it counts. Outside it looks like an int, and it is only ever written in place.
    """

    # names of plain attributes that steps change, besides buffers and extras
    _step_flags: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.__dict__["_extras"] = OrderedDict()

    def register_extra(self, name: str, value: Any) -> None:
        """Add an extra, or overwrite one.

        Raises:
            TypeError: ``name`` is not a string, or ``value`` is a tensor or a module.
            KeyError: ``name`` is empty, contains a dot, or is an attribute that is not an extra.
        """
        self._check_extra_name(name)
        _refuse_tensors(name, value)
        self._extras[name] = value

    def get_extra(self, target: str) -> Any:
        """The extra at a dotted path such as ``"layer.synapse.count"``.

        Raises:
            AttributeError: there is no such module or attribute, or it is not an extra.
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not isinstance(module, Module):
            raise AttributeError(f"'{path}' in 'target' is a {type(module).__name__}, it must be an inferno Module")
        if name not in module._extras:
            reason = "is not an extra" if name and hasattr(module, name) else "does not exist"
            raise AttributeError(f"attribute '{name}' of {type(module).__name__} {reason}")
        return getattr(module, name)

    def get_extra_state(self) -> OrderedDict[str, Any]:
        """The extras by name, as a new dictionary of plain values."""
        return OrderedDict((k, _plain(v)) for k, v in self._extras.items())

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over extras by name; those that ``state`` does not name stay as they are.

        Raises:
            TypeError: a value is a tensor or a module and the extra is not a counter.
        """
        state = {name: self._checked_extra(name, value) for name, value in state.items()}
        for handle in self._handles():
            handle._check_extras(state)
        for name, value in state.items():
            self._write_extra(name, value)
        for handle in self._handles():
            handle._loaded()

    def _handles(self) -> list[Handle]:
        return [value for value in self.__dict__.values() if isinstance(value, Handle)]

    def _state_buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Buffers that belong to handles, and may be written in place at any time."""
        for handle in self._handles():
            held = self._buffers.get(handle._data_name)
            if held is not None and not isinstance(held, nn.Parameter | UninitializedTensorMixin):
                yield handle._data_name, held

    def _run_time_buffers(self) -> Iterator[str]:
        """Names of the buffers with the state of a simulation, of which each replica of a model has its own."""
        return (handle._data_name for handle in self._handles() if handle._data_name in self._buffers)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not keep_vars:
            # later steps must not show in what was saved
            for name, _ in self._state_buffers():
                if prefix + name in destination:
                    destination[prefix + name] = destination[prefix + name].clone()

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        self._leave_graphs(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        for name, held in self._state_buffers():
            if held is state_dict.get(prefix + name):
                # assign=True: later steps must not write to what was loaded
                self._buffers[name] = normal(held.detach().clone())

    def _leave_graphs(self, state_dict: Mapping[str, Any], prefix: str) -> None:
        """Puts copies in place of buffers that belong to an autograd graph, for those that are about to be loaded.

        Written in place, they would stay a part of the graph: a later backward would reach into the time before.
        """
        promised, held = self._promised(), {n: b for n, b in self._buffers.items() if b is not None}
        self._cut(n for n, b in held.items() if prefix + n in state_dict and (n in promised or b.grad_fn is not None))

    def _promised(self) -> dict[str, Handle]:
        """Handles of which a graph holds the data, by the names of these."""
        return {handle._data_name: handle for handle in self._handles() if getattr(handle, "_held", False)}

    def _cut(self, names: Iterable[str]) -> None:
        """Puts copies in place of buffers: a graph may need the old ones, which steps are about to overwrite."""
        promised = self._promised()
        for name in names:
            held = self._buffers[name]
            if held is None or isinstance(held, UninitializedTensorMixin):
                continue
            self._buffers[name] = normal(held.detach().clone())
            if name in promised:
                promised[name]._held = False

    def detach_(self) -> Module:
        """Cuts the state of this module and of all its parts from the autograd graphs that led to it.

        Values stay as they are, and so do parameters. To be called between the chunks of a sequence that is learned in
        parts (truncated backpropagation through time); where the next batch starts anew, ``clear()`` does it too.

        Returns:
            the module itself.
        """
        for module in self.modules():
            if isinstance(module, Module):
                module._detach_state()
        return self

    def _detach_state(self) -> None:
        recorded = {name for name, held in self._buffers.items() if held is not None and held.requires_grad}
        if recorded or self._promised():
            # a graph may need the state beside it as well
            self._cut(recorded | {name for name, _ in self._state_buffers()})

    def _check_extra_name(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"'name' of an extra must be a string, but is of type {type(name).__name__}")
        if "." in name:
            raise KeyError(f"'name' of an extra ('{name}') must not contain '.'")
        if name == "":
            raise KeyError("'name' of an extra must not be the empty string")
        if name not in self._extras and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def _register_counter(self, name: str, value: torch.Tensor) -> None:
        """Add an extra that is held as the int64 tensor ``value`` of shape ``()``, or replace one."""
        self._check_extra_name(name)
        self._extras[name] = value

    def _checked_extra(self, name: str, value: Any) -> Any:
        if not isinstance(self._extras.get(name), torch.Tensor):
            _refuse_tensors(name, value)
            return value
        value = int(value)
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"'{name}' of {value} must fit an int64")
        return value

    def _stamp(self) -> object:
        """An object that stands for the attributes as they are: setting or deleting one makes another of it.

        What steps write in place, and what is put into the registries past this module, is not seen.
        """
        own = self.__dict__
        if own.get(STAMP) is None:
            own[STAMP] = object()
        return own[STAMP]

    def _write_extra(self, name: str, value: Any) -> None:
        self.__dict__.pop(STAMP, None)
        held, value = self._extras.get(name), self._checked_extra(name, value)
        if isinstance(held, torch.Tensor):
            held.fill_(value)
        else:
            self._extras[name] = value

    def _apply(self, fn: Any, recurse: bool = True) -> Module:
        super()._apply(fn, recurse)
        for name, held in list(self._state_buffers()):
            self._buffers[name] = normal(held)
        for name, held in self._extras.items():
            if isinstance(held, torch.Tensor):
                # only the device follows: a cast would break the counter, and to_empty would lose its value
                device = fn(held).device
                if device != held.device:
                    self._extras[name] = normal(
                        torch.zeros_like(held, device=device) if held.is_meta else held.to(device)
                    )
        return self

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        modules = own.get("_modules")
        if modules is not None and name in modules:
            return modules[name]  # as nn.Module does, but steps ask for these again and again
        extras = own.get("_extras")
        if extras is not None and name in extras:
            return _plain(extras[name])
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__.pop(STAMP, None)
        cls = type(self)
        for base in cls.__mro__:
            if name in base.__dict__:
                descriptor = base.__dict__[name]
                if hasattr(type(descriptor), "__set__"):
                    # nn.Module would put a Parameter or a Module into its registries, past the property
                    descriptor.__set__(self, value)
                    return
                break
        extras = self.__dict__.get("_extras")
        if extras is not None and name in extras:
            self._write_extra(name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.__dict__.pop(STAMP, None)
        extras = self.__dict__.get("_extras")
        if extras is not None and name in extras:
            del extras[name]
            return
        held = self.__dict__.get(name)
        super().__delattr__(name)
        if isinstance(held, Handle) and not any(v is held for v in self.__dict__.values()):
            held._release(self)

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("_extras", ())})

    def __getstate__(self) -> dict[str, Any]:
        # a copy or file of the state leaves behind the autograd graph that it is part of
        inside = {name: held.detach() for name, held in self._state_buffers() if held.requires_grad}
        state = {name: value for name, value in self.__dict__.items() if name not in (STAMP, AT_ONCE)}
        return {**state, "_buffers": type(self._buffers)(self._buffers, **inside)} if inside else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_extras", OrderedDict())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value


def _refuse_tensors(name: str, value: Any) -> None:
    if isinstance(value, torch.Tensor | nn.Module):
        raise TypeError(f"cannot assign '{type(value).__name__}' object to '{name}'")
