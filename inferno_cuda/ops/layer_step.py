"""One step of a layer without delays in one call: a synapse, a weighted sum, and neurons."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.autograd import forward_ad

from .backend import native_on_cpu
from .common import _increment_version
from .native import status

_MAPS = ("dense", "direct")
_ABSENT = (None,) * 6

if status.loaded:
    _raw_ = torch.ops.inferno_cuda.layer_step_.default

    @torch.library.register_fake("inferno_cuda::layer_step_")
    def _(inputs, spikes, spike_pointer, current, current_pointer, second, second_pointer, weight, bias, voltage, *_):
        return torch.empty_like(voltage, dtype=torch.bool)


class SynapseNumbers(NamedTuple):
    """A step of a synapse: its rings, each with its pointer, first that of spikes; and the numbers, packed."""

    rings: tuple[torch.Tensor, ...]
    packed: torch.Tensor


class NeuronNumbers(NamedTuple):
    """A step of neurons: their state, and the numbers, packed; `reduces`: whether it changes the adaptation."""

    voltage: torch.Tensor
    refrac: torch.Tensor
    adaptation: torch.Tensor | None
    constants: torch.Tensor | None
    reduces: bool
    packed: torch.Tensor


def layer_step_plain(
    inputs: torch.Tensor,
    synapse: SynapseNumbers,
    map: str,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    neurons: NeuronNumbers,
) -> torch.Tensor | None:
    """``synapse_step_``, ``torch.nn.functional.linear`` or a product, and ``neuron_step_``, bit for bit.

    For tensors on the CPU that need no gradient. The kernels check all arguments before anything is written.

    Args:
        inputs: spikes, ``[B, I]``, bool or of the dtype of the weights.
        synapse: of :func:`ops.synapse.pack_plain`.
        map: ``"dense"`` with weights ``[O, I]``, or ``"direct"`` with ``[I]``.
        weight: in nA per nA, of the dtype of the state.
        bias: ``[O]``, in nA, or None.
        neurons: whose state is ``[B, *shape]`` with O elements a sample.

    Returns:
        The spikes of the neurons, bool ``[B, *shape]``; None, with nothing changed, if the kernels do not take this.
    """
    if not native_on_cpu() or forward_ad._current_level >= 0 or torch.compiler.is_compiling():
        return None
    rings, (voltage, refrac, adaptation, constants, reduces, packed) = synapse.rings, neurons
    try:
        spikes = _raw_(
            inputs,
            *rings,
            *_ABSENT[len(rings) :],
            weight,
            bias,
            voltage,
            refrac,
            adaptation,
            constants,
            synapse.packed,
            packed,
            _MAPS.index(map),
        )
    except RuntimeError:
        return None
    _increment_version((*rings, voltage, refrac, adaptation) if reduces else (*rings, voltage, refrac))
    return spikes
