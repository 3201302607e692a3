"""The steps of a layer in one call: a program of what its parts do in a step, run for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.autograd import forward_ad

from ._delayed_checks import check_bias, check_plan
from ._neuron_checks import REDUCTIONS
from .backend import choose
from .common import has_memory, written
from .delay_plan import DelayPlan
from .native import status
from .synapse import _TYPES, Ring

# In the order of the kernels.
_INSTRUCTIONS = ("synapse", "neuron", "linear", "combine", "delayed_dense", "delayed_direct")
_COMBINATIONS = ("sum", "difference", "product", "blend")

if status.loaded:
    from .neuron import KERNELS as _NEURONS
    from .synapse import _CODES as _SYNAPSES

    _raw = torch.ops.inferno_cuda.layer_run.default

    @torch.library.register_fake("inferno_cuda::layer_run")
    def _(written, read, code, numbers, steps, backwards=False):
        return None


class Operand(NamedTuple):
    """What an instruction reads or writes: the same tensor in every step, or one step of a sequence after the other.

    Attributes:
        tensor: ``[B, n]``, or a sequence of them.
        first: the step of the sequence that comes first; -1 for what is no sequence.
    """

    tensor: torch.Tensor
    first: int = -1

    @property
    def shape(self) -> torch.Size:
        """Shape of a step, ``[B, n]``."""
        return self.tensor.shape if self.first < 0 else self.tensor.shape[1:]


class Program:
    """Instructions that are run in their order, in every step: the ops of the same names, with state in place.

    Values are ``[B, n]``: other shapes are to be viewed like that. Each method adds an instruction and returns what it
    gives. Nothing is computed, and no state changed, before :meth:`run`.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> program = ops.Program()
        >>> weight, currents = torch.eye(2), torch.tensor([[[1.0, 0.0]], [[2.0, 1.0]]])  # 2 steps, 1 sample, 2 inputs
        >>> doubled = program.sum(program.linear(program.sequence(currents), weight), program.sequence(currents))
        >>> program.run(2)
        >>> doubled.tensor  # of the last step
        tensor([[4., 2.]])
    """

    def __init__(self) -> None:
        self._written: dict[int, torch.Tensor] = {}
        self._read: dict[int, torch.Tensor] = {}
        self._code: list[int | torch.Tensor | None] = []  # a tensor stands for its number
        self._numbers: list[float] = []

    def _add(self, instruction: str, *code: int | torch.Tensor | None) -> None:
        self._code += (_INSTRUCTIONS.index(instruction), *code)

    def _reads(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        if tensor is not None:
            self._read[id(tensor)] = tensor
        return tensor

    def _writes(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        if tensor is not None:
            self._written[id(tensor)] = tensor
        return tensor

    def _made(self, shape: Sequence[int], like: torch.Tensor, dtype: torch.dtype) -> Operand:
        """A value that an instruction makes anew in every step."""
        return Operand(torch.empty(tuple(shape), dtype=dtype, device=like.device))

    @staticmethod
    def sequence(tensor: torch.Tensor, first: int = 0) -> Operand:
        """One step of ``[T, B, n]`` after the other, from the step ``first`` on."""
        return Operand(tensor, first)

    def synapse(
        self,
        model: str,
        inputs: Operand,
        spikes: Ring,
        currents: Sequence[Ring],
        *,
        gain: float,
        decay: Sequence[float],
        dtype: torch.dtype,
    ) -> Operand:
        """The present currents, nA; see :func:`synapse_step_`."""
        out = self._made(inputs.shape, inputs.tensor, dtype)
        rings = [tensor for ring in (spikes, *currents) for tensor in ring]
        self._add("synapse", _SYNAPSES[model], _TYPES[dtype], self._reads(inputs.tensor), inputs.first)
        self._code += [self._writes(tensor) for tensor in (*rings, *[None] * (6 - len(rings)), out.tensor)]
        self._numbers += [gain + 0.0, *(d + 0.0 for d in decay), *[0.0] * (2 - len(decay))]
        return out

    def neuron(
        self,
        model: str,
        voltage: torch.Tensor,
        refrac: torch.Tensor,
        inputs: Operand,
        spikes: Operand,
        *,
        refrac_lock: bool,
        adaptation: torch.Tensor | None = None,
        constants: torch.Tensor | None = None,
        reduction: str | None = None,
        **parameters: float,
    ) -> Operand:
        """The spikes, written to where ``spikes`` is; see :func:`neuron_step_`."""
        number, names = _NEURONS[model]
        self._add("neuron", number, REDUCTIONS.index(reduction), int(refrac_lock))
        adapted = self._reads(adaptation) if reduction is None else self._writes(adaptation)
        self._code += [self._writes(voltage), self._writes(refrac), adapted, self._reads(constants)]
        self._code += [self._reads(inputs.tensor), inputs.first, self._writes(spikes.tensor), spikes.first, len(names)]
        values = (parameters[name] for name in ("dt", "refrac_t", *names))
        self._numbers += [value + 0.0 for value in values]
        return spikes

    def linear(self, inputs: Operand, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Operand:
        """``torch.nn.functional.linear``."""
        out = self._made((inputs.shape[0], weight.shape[0]), weight, weight.dtype)
        self._add("linear", self._reads(inputs.tensor), inputs.first, self._reads(weight), self._reads(bias))
        self._code.append(self._writes(out.tensor))
        return out

    def sum(self, left: Operand, right: Operand, out: Operand | None = None) -> Operand:
        """``left + right``, written to where ``out`` is, or to a new tensor; the others like that."""
        return self._combine("sum", left, right, out=out)

    def difference(self, left: Operand, right: Operand, out: Operand | None = None) -> Operand:
        """``left - right``."""
        return self._combine("difference", left, right, out=out)

    def product(self, inputs: Operand, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Operand:
        """``inputs * weight + bias`` with ``weight`` and ``bias`` ``[n]``; half types are rounded once."""
        return self._combine("product", inputs, Operand(weight), bias=bias)

    def blend(
        self, left: Operand, of_left: Operand, right: Operand, of_right: Operand, out: Operand | None = None
    ) -> Operand:
        """``left * of_left + right * of_right``, all ``[B, n]``; half types are rounded once."""
        return self._combine("blend", left, right, of_left, of_right, out=out)

    def _combine(
        self,
        how: str,
        left: Operand,
        right: Operand,
        *shares: Operand,
        bias: torch.Tensor | None = None,
        out: Operand | None = None,
    ) -> Operand:
        out = self._made(left.shape, left.tensor, left.tensor.dtype) if out is None else out
        self._add("combine", _COMBINATIONS.index(how))
        for read in (left, right, *shares):
            self._code += [self._reads(read.tensor), read.first]
        self._code += [self._reads(bias), self._writes(out.tensor), out.first]
        return out

    def delayed_sum(
        self, op: str, ring: Ring, weight: torch.Tensor, plan: DelayPlan, bias: torch.Tensor | None, scale: float
    ) -> Operand:
        """The sum over a ring ``[N, B, I]`` and its pointer; ``op`` is ``"delayed_dense"`` or ``"delayed_direct"``."""
        (data, pointer), factor = ring, plan.factor
        check_plan(plan, weight, data.shape[0])
        check_bias(bias, weight)
        compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
        if factor is not None and factor.dtype != compute:
            factor = factor.to(compute)
        out = self._made((data.shape[1], weight.shape[0]), weight, weight.dtype)
        self._add(op, *(self._reads(tensor) for tensor in (data, pointer, weight, bias, plan.slot, factor)))
        self._code += [self._writes(out.tensor), int(plan.linear)]
        self._numbers += [float(scale), plan.overbound]
        return out

    def runs(self) -> bool:
        """Whether there are kernels for these tensors, and nothing in the way of them: no gradient, no compiler."""
        tensors = (*self._written.values(), *self._read.values())
        if torch.compiler.is_compiling() or forward_ad._current_level >= 0:
            return False
        if not tensors or not all(map(has_memory, tensors)):
            return False
        graph = torch.is_grad_enabled()
        if any(t.requires_grad for t in (tensors if graph else self._written.values())):
            return False
        device = tensors[0].device
        if torch.is_autocast_enabled(device.type):
            return False  # linear layers of single steps would compute in half types
        return all(t.device == device for t in tensors) and choose("layer_run", device).backend == "native"

    def run(self, steps: int, backwards: bool = False) -> None:
        """Runs as many steps. State is that of so many single steps then, values are those of the last one.

        Args:
            steps: how many.
            backwards: whether sequences are gone through from the step before ``first + steps`` down to ``first``.

        Raises:
            RuntimeError: there is no kernel for a tensor, or tensors do not fit each other; nothing has changed then.
        """
        changed = self._written
        tensors = [*changed.values(), *(t for key, t in self._read.items() if key not in changed)]
        numbers = {id(tensor): number for number, tensor in enumerate(tensors)}
        code = [part if isinstance(part, int) else numbers.get(id(part), -1) for part in self._code]
        with torch.no_grad():
            _raw(tensors[: len(changed)], tensors[len(changed) :], code, self._numbers, steps, backwards)
        if steps:
            written(*changed.values())
