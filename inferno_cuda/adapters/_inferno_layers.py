"""Layers of inferno-ai: one step of their connections and neurons, without the detour over dictionaries.

A layer has no arithmetic of its own but the sum of its wiring, so its results are those of its parts, bit for bit.
The parts are called as modules: their hooks fire as before, and they run on our ops if they are accelerated themselves.
"""

from __future__ import annotations

import torch
from torch import nn

from ._adapter import Adapter
from ._inferno import LIBRARY
from ._inferno_programs import step


def _parts(layer: nn.Module) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    # plain dictionaries: a ModuleDict takes several times longer to look a name up
    modules = layer._modules
    return modules["connections_"]._modules, modules["neurons_"]._modules


class _SerialStep:
    """Step of one connection and one group of neurons."""

    def forward(self, *inputs, connection_kwargs=None, neuron_kwargs=None, capture_intermediate=False, **kwargs):
        if kwargs:
            # the library binds these to arguments of its own functions as well
            return super().forward(
                *inputs,
                connection_kwargs=connection_kwargs,
                neuron_kwargs=neuron_kwargs,
                capture_intermediate=capture_intermediate,
                **kwargs,
            )
        connections, neurons = _parts(self)
        current = step(connections[self._Serial__connection_name], *inputs, **connection_kwargs or {})
        wired = self._transform(current)
        spikes = step(neurons[self._Serial__neuron_name], wired, **neuron_kwargs or {})
        return (spikes, current) if capture_intermediate else spikes


class _RecurrentSerialStep:
    """Step of neurons, of those that they drive, and of what comes back."""

    def forward(
        self,
        *inputs,
        lateral_connection_args=None,
        feedback_connection_args=None,
        feedfwd_connection_kwargs=None,
        lateral_connection_kwargs=None,
        feedback_connection_kwargs=None,
        feedfwd_neuron_kwargs=None,
        feedback_neuron_kwargs=None,
        capture_intermediate=False,
        **kwargs,
    ):
        if kwargs:
            # of no use to the library, which yet refuses some
            return super().forward(
                *inputs,
                lateral_connection_args=lateral_connection_args,
                feedback_connection_args=feedback_connection_args,
                feedfwd_connection_kwargs=feedfwd_connection_kwargs,
                lateral_connection_kwargs=lateral_connection_kwargs,
                feedback_connection_kwargs=feedback_connection_kwargs,
                feedfwd_neuron_kwargs=feedfwd_neuron_kwargs,
                feedback_neuron_kwargs=feedback_neuron_kwargs,
                capture_intermediate=capture_intermediate,
                **kwargs,
            )
        connections, neurons = _parts(self)
        names = (
            self._RecurrentSerial__feedfwd_connection_name,
            self._RecurrentSerial__feedback_connection_name,
            self._RecurrentSerial__lateral_connection_name,
        )
        feedfwd_neuron = neurons[self._RecurrentSerial__feedfwd_neuron_name]
        feedback_neuron = neurons[self._RecurrentSerial__feedback_neuron_name]
        buffers = self._buffers

        if buffers["feedback_spikes"] is None:
            buffers["feedback_spikes"] = torch.zeros_like(feedback_neuron.spike)
        returned = self._feedback_in_transform(buffers["feedback_spikes"]) + tuple(feedback_connection_args or ())
        feedfwd = step(connections[names[0]], *inputs, **feedfwd_connection_kwargs or {})
        feedback = step(connections[names[1]], *returned, **feedback_connection_kwargs or {})
        total = self._feedfwd_out_transform(feedfwd) + self._feedback_out_transform(feedback)
        first = step(feedfwd_neuron, total, **feedfwd_neuron_kwargs or {})

        # what the neurons say, which a hook does not change, and not what they returned
        sent = self._lateral_in_transform(feedfwd_neuron.spike) + tuple(lateral_connection_args or ())
        lateral = step(connections[names[2]], *sent, **lateral_connection_kwargs or {})
        second = step(feedback_neuron, self._lateral_out_transform(lateral), **feedback_neuron_kwargs or {})
        buffers["feedback_spikes"] = feedback_neuron.spike

        if not capture_intermediate:
            return first, second
        return (first, second), dict(zip(names, (feedfwd, feedback, lateral), strict=True))


def adapters() -> tuple[Adapter, ...]:
    """The adapters of inferno-ai's layers."""
    from inferno import neural

    steps = {
        neural.Serial: (_SerialStep, ("_transform", *_names("Serial", "connection", "neuron"))),
        neural.RecurrentSerial: (
            _RecurrentSerialStep,
            _names(
                *("RecurrentSerial", "feedfwd_connection", "feedback_connection", "lateral_connection"),
                *("feedfwd_neuron", "feedback_neuron"),
            ),
        ),
    }
    relies = ("wiring", "get_neuron", "__getattr__", "__setattr__")
    return tuple(
        Adapter(LIBRARY, base, overrides, lambda _: "its parts, called directly", lambda _: None, relies, private)
        for base, (overrides, private) in steps.items()
    )


def _names(layer: str, *parts: str) -> tuple[str, ...]:
    """Attributes in which a layer has its parts, and their names."""
    return "connections_", "neurons_", *(f"_{layer}__{part}_name" for part in parts)
