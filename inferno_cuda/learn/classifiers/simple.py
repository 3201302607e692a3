"""Classification by which neurons fire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ...state import Module
from ...state._check import instance, nonnegative, same_shape, size
from ...state._check import shape as sizes


class MaxRateClassifier(Module):
    r"""Assigns neurons to the class for which they fire most, and classifies by who fires (Diehl & Cook 2015).

    From the rates :math:`r_{nk}` of neuron :math:`n` for class :math:`k`, the proportions are :math:`p_{nk} = r_{nk} /
    \sum_k |r_{nk}|`, and a neuron belongs to the class of its largest proportion, the first of several. With the number
    :math:`m_k` of neurons of a class, the logit of a class for inputs :math:`x` is

    .. math::

        y_k = \frac{1}{m_k} \sum_{n \in k} p_{nk} \, x_n

    and 0 for classes without neurons. The state_dict has the rates, parameter ``rates_``, ``(*shape, K)``; the rest is
    computed from them.

    Args:
        shape: shape of a group of neurons.
        num_classes: number of classes K.
        decay: of the rates with every sample of their class in :meth:`update`; a sample scales them by
            ``exp(-decay)``.

    Raises:
        ValueError: if a size is not a positive integer, or ``decay`` is negative.
    """

    def __init__(self, shape: Sequence[int] | int, num_classes: int, *, decay: float = 0.0) -> None:
        shape = sizes("shape", shape)
        num_classes = size("num_classes", num_classes)
        decay = nonnegative("decay", decay)
        Module.__init__(self)
        self.register_parameter("rates_", nn.Parameter(torch.zeros(*shape, num_classes), False))
        self.register_buffer("assignments_", torch.zeros(shape, dtype=torch.int64), persistent=False)
        self.register_buffer("occurrences_", torch.zeros(num_classes, dtype=torch.int64), persistent=False)
        self.register_buffer("proportions_", torch.zeros(*shape, num_classes), persistent=False)
        self.decay = decay

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._assign()

    def _assign(self) -> None:
        rates = self.rates_.detach()
        self.proportions_ = F.normalize(rates, p=1, dim=-1)
        self.assignments_ = self.proportions_.argmax(-1)
        self.occurrences_ = F.one_hot(self.assignments_.flatten(), self.nclass).sum(0)

    @property
    def assignments(self) -> Tensor:
        """The class of every neuron, ``(*shape,)``, int64."""
        return self.assignments_

    @property
    def occurrences(self) -> Tensor:
        """The number of neurons of every class, ``(K,)``, int64."""
        return self.occurrences_

    @property
    def proportions(self) -> Tensor:
        """The share of every class in the rate of a neuron, ``(*shape, K)``."""
        return self.proportions_

    @property
    def rates(self) -> Tensor:
        """The rate of every neuron for every class, ``(*shape, K)``. Setting copies values, and assigns neurons anew.

        Reading gives no copy, and neurons are not assigned anew by a change of it in place: set it.

        Raises:
            TypeError: if the new value is no tensor.
            ValueError: if it has another shape.
        """
        return self.rates_.detach()

    @rates.setter
    def rates(self, value: Tensor) -> None:
        same_shape("rates", instance("rates", value, Tensor), self.rates_.shape, "the present rates")
        with torch.no_grad():
            self.rates_.copy_(value)
        self._assign()

    @property
    def ndim(self) -> int:
        """Number of dimensions of a group of neurons."""
        return self.assignments_.ndim

    @property
    def nclass(self) -> int:
        """Number of classes."""
        return self.rates_.shape[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a group of neurons."""
        return tuple(self.assignments_.shape)

    def _checked_inputs(self, inputs: Tensor) -> Tensor:
        same_shape("inputs", instance("inputs", inputs, Tensor), (*inputs.shape[:1], *self.shape), "(B, *shape)")
        return inputs.to(self.rates_.dtype).flatten(1)

    def regress(self, inputs: Tensor, proportional: bool = True) -> Tensor:
        """Logits of classes.

        Args:
            inputs: rates or numbers of spikes, ``(B, *shape)``.
            proportional: whether neurons count by their proportion for their class, rather than all alike.

        Returns:
            ``(B, K)``.

        Raises:
            ValueError: if ``inputs`` has another shape.
        """
        inputs = self._checked_inputs(inputs)
        belongs = F.one_hot(self.assignments_.flatten(), self.nclass).to(inputs.dtype)
        if proportional:
            belongs = belongs * self.proportions_.flatten(0, -2)
        return (inputs @ belongs / self.occurrences_).nan_to_num(nan=0, posinf=0)

    def classify(self, inputs: Tensor, proportional: bool = True) -> Tensor:
        """The class of the largest logit, ``(B,)``; the first of several. Arguments are those of :meth:`regress`."""
        return self.regress(inputs, proportional).argmax(1)

    @torch.no_grad()
    def update(self, inputs: Tensor, labels: Tensor) -> None:
        """Lets the rates decay by the samples of each class, adds the mean input of each class, assigns neurons anew.

        Args:
            inputs: rates or numbers of spikes, ``(B, *shape)``.
            labels: the class of every sample, ``(B,)``, integers in ``[0, K)``.

        Raises:
            ValueError: if a shape or a label does not fit.
            TypeError: if the labels are no integers.
        """
        inputs = self._checked_inputs(inputs)
        same_shape("labels", instance("labels", labels, Tensor), inputs.shape[:1], "the first dimension of 'inputs'")
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TypeError(f"'labels' has the dtype {labels.dtype}, it must be one of integers")
        labels = labels.to(inputs.device, torch.int64)
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < self.nclass:
            raise ValueError(f"'labels' has an entry outside [0, {self.nclass})")
        # a product and no scattered sum: its order is the same on every run
        belongs = F.one_hot(labels, self.nclass).to(inputs.dtype)
        counts = belongs.sum(0)
        means = (inputs.t() @ belongs / counts).nan_to_num(nan=0, posinf=0)
        self.rates = torch.exp(-self.decay * counts) * self.rates_ + means.view(self.rates_.shape)

    def forward(
        self, inputs: Tensor, labels: Tensor | None, logits: bool | None = False, proportional: bool = True
    ) -> Tensor | tuple[Tensor, Tensor] | None:
        """Classifies, and then learns from the labels, if there are some.

        Args:
            inputs: rates or numbers of spikes, ``(B, *shape)``; or ``(T, B, *shape)``, of which the mean over time is
                taken.
            labels: the class of every sample, ``(B,)``; or None.
            logits: whether to return logits too; None to return nothing.
            proportional: whether neurons count by their proportion for their class, rather than all alike.

        Returns:
            classes, ``(B,)``; with ``logits``, a pair of these and of logits, ``(B, K)``; or None.

        Raises:
            ValueError, TypeError: as :meth:`regress` and :meth:`update`.
        """
        if inputs.ndim == self.ndim + 2:
            inputs = inputs.to(self.rates_.dtype).mean(0)
        result = None
        if logits is not None:
            made = self.regress(inputs, proportional)
            result = (made.argmax(1), made) if logits else made.argmax(1)
        if labels is not None:
            self.update(inputs, labels)
        return result
