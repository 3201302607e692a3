"""One step of a layer in one call: a synapse, a weighted sum, and neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.autograd import forward_ad

from .backend import native_on_cpu
from .common import _increment_version
from .native import status

_MAPS = {"dense": 0, "direct": 1, "delayed_dense": 2, "delayed_direct": 3}
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


class SumNumbers(NamedTuple):
    """A weighted sum.

    Attributes:
        map: ``"dense"`` or ``"delayed_dense"`` with weights ``[O, I]``; ``"direct"`` or ``"delayed_direct"`` with
            ``[I]``.
        weight: in nA per nA, of the dtype of the state.
        bias: ``[O]``, in nA, or None.
        slot, factor: with delays, those of their plan.
        packed: with delays whether samples are blended, what a spike stands for, and the value out of range.
    """

    map: str
    weight: torch.Tensor
    bias: torch.Tensor | None
    slot: torch.Tensor | None = None
    factor: torch.Tensor | None = None
    packed: torch.Tensor | None = None


def prepare_layer_step(
    synapse: SynapseNumbers, sum: SumNumbers, neurons: NeuronNumbers
) -> Callable[[torch.Tensor], torch.Tensor | None]:
    """``synapse_step_``, ``dense_sum``, a product or a delayed sum, and ``neuron_step_``, bit for bit.

    For tensors on the CPU that need no gradient, not to be called while compiling. The kernels check all arguments
    before anything is written.

    Args:
        synapse: of :func:`ops.synapse.pack_plain`.
        sum: delayed sums are of the spikes, or of the one current that the synapse records.
        neurons: whose state is ``[B, *shape]`` with O elements a sample.

    Returns:
        What takes a step from spikes ``[B, I]``, bool or of the dtype of the weights, to those of the neurons, bool
        ``[B, *shape]``; it gives None, with nothing changed, if the kernels do not take this.
    """
    map, weight, bias, slot, factor, of_sum = sum
    rings, (voltage, refrac, adaptation, constants, reduces, packed) = synapse.rings, neurons
    taken = (
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
        _MAPS[map],
        slot,
        factor,
        of_sum,
    )
    changed = (*rings, voltage, refrac, adaptation) if reduces else (*rings, voltage, refrac)

    def step(inputs: torch.Tensor) -> torch.Tensor | None:
        if not native_on_cpu() or forward_ad._current_level >= 0:
            return None
        try:
            spikes = _raw_(inputs, *taken)
        except RuntimeError:
            return None
        _increment_version(changed)
        return spikes

    return step
