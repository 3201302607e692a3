"""Who is connected to whom: rules, and synapses that are given one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch

from ..state import _check

__all__ = [
    "AllToAll",
    "Explicit",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedTotalNumber",
    "OneToOne",
    "PairwiseBernoulli",
    "Rule",
]


@dataclass(frozen=True)
class Rule:
    """Base of all rules: which synapses there are between two populations.

    An autapse is a synapse of a neuron onto itself; the word has a meaning only where source and target are the same
    neurons. Multapses are several synapses with the same source and target.
    """

    kind: ClassVar[str] = ""

    def _parameters(self) -> dict[str, Any]:
        """Those of ``ops.connect`` that belong to this rule."""
        skipped = ("autapses", "multapses")
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in skipped}

    def _autapses(self) -> bool:
        return getattr(self, "autapses", True)

    def _multapses(self) -> bool:
        return getattr(self, "multapses", True)


@dataclass(frozen=True)
class OneToOne(Rule):
    """Neuron ``k`` of the source to neuron ``k`` of the target; both have the same number of neurons."""

    kind: ClassVar[str] = "one_to_one"


@dataclass(frozen=True)
class AllToAll(Rule):
    """Every neuron of the source to every neuron of the target.

    Args:
        autapses: whether a neuron is connected to itself.
    """

    autapses: bool = True
    kind: ClassVar[str] = "all_to_all"


@dataclass(frozen=True)
class PairwiseBernoulli(Rule):
    """Every pair of source and target is connected with the same probability, independently.

    Args:
        p: that probability, between 0 and 1.
        autapses: whether a neuron may be connected to itself.

    Raises:
        ValueError: if ``p`` is no probability.
    """

    p: float
    autapses: bool = True
    kind: ClassVar[str] = "pairwise_bernoulli"

    def __post_init__(self) -> None:
        p = _check.span("p", self.p)
        object.__setattr__(self, "p", _check.at_most("p", p, 1.0))


@dataclass(frozen=True)
class FixedInDegree(Rule):
    """Every target gets the same number of synapses, from sources that are drawn uniformly.

    Args:
        indegree: synapses of a target.
        autapses: whether a neuron may be connected to itself.
        multapses: whether a source may be drawn several times for a target.

    Raises:
        ValueError: if ``indegree`` is negative or no whole number.
    """

    indegree: int
    autapses: bool = True
    multapses: bool = True
    kind: ClassVar[str] = "fixed_indegree"

    def __post_init__(self) -> None:
        _set_count(self, "indegree")


@dataclass(frozen=True)
class FixedOutDegree(Rule):
    """Every source has the same number of synapses, onto targets that are drawn uniformly.

    Args:
        outdegree: synapses of a source.
        autapses: whether a neuron may be connected to itself.
        multapses: whether a target may be drawn several times for a source.

    Raises:
        ValueError: if ``outdegree`` is negative or no whole number.
    """

    outdegree: int
    autapses: bool = True
    multapses: bool = True
    kind: ClassVar[str] = "fixed_outdegree"

    def __post_init__(self) -> None:
        _set_count(self, "outdegree")


@dataclass(frozen=True)
class FixedTotalNumber(Rule):
    """So many synapses in all, each with a source and a target that are drawn uniformly.

    Args:
        number: synapses in all.
        autapses: whether a neuron may be connected to itself.
        multapses: whether a pair may be drawn several times.

    Raises:
        ValueError: if ``number`` is negative or no whole number.
    """

    number: int
    autapses: bool = True
    multapses: bool = True
    kind: ClassVar[str] = "fixed_total_number"

    def __post_init__(self) -> None:
        _set_count(self, "number")


def _set_count(rule: Rule, name: str) -> None:
    value = _check.integer(name, getattr(rule, name))
    object.__setattr__(rule, name, _check.nonnegative(name, value, int))


@dataclass(frozen=True, eq=False)
class Explicit(Rule):
    """Synapses that are given one by one.

    Args:
        sources: source of each synapse, counted within the source population from 0; tensor, array or list of integers.
        targets: target of each synapse, counted within the target population; as many.

    Raises:
        TypeError: if they are no integers.
        ValueError: if they are not one-dimensional or not equally many.
    """

    sources: torch.Tensor
    targets: torch.Tensor
    kind: ClassVar[str] = "explicit"

    def __post_init__(self) -> None:
        for name in ("sources", "targets"):
            object.__setattr__(self, name, _indices(name, getattr(self, name)))
        if len(self.sources) != len(self.targets):
            raise ValueError(
                f"'targets' has {len(self.targets)} entries, it must have {len(self.sources)}, like 'sources'"
            )

    def __repr__(self) -> str:
        return f"Explicit({len(self.sources):,} synapses)"


def _indices(name: str, given: Any) -> torch.Tensor:
    """int64 on the CPU; a copy, since rows are made from it later."""
    tensor = given if isinstance(given, torch.Tensor) else torch.from_numpy(np.array(given, ndmin=1))
    if not tensor.numel():
        return torch.zeros(0, dtype=torch.int64)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"'{name}' is of {tensor.dtype}, it must hold integers")
    if tensor.ndim != 1:
        raise ValueError(f"'{name}' is of shape {tuple(tensor.shape)}, it must have one dimension")
    return tensor.detach().to("cpu", torch.int64, copy=True)


BY_NAME = {rule.kind: rule for rule in Rule.__subclasses__() if rule is not Explicit}
_NEST_NAMES = {"allow_autapses": "autapses", "allow_multapses": "multapses", "N": "number"}


def as_rule(given: Any, shape: tuple[int, int]) -> tuple[Rule, torch.Tensor | None]:
    """A rule from what users write, and weights where they come along: those of sparse matrices.

    Taken are rules, names of rules without parameters, dictionaries as NEST has them, pairs of arrays, sparse matrices
    of scipy and of torch. The rows of a matrix are the targets, its columns the sources, as of weights everywhere else;
    ``shape``, (sources, targets), is that of its transpose.
    """
    if isinstance(given, Rule):
        return given, None
    if isinstance(given, str):
        return _named(given, {}), None
    if isinstance(given, Mapping):
        options = {_NEST_NAMES.get(key, key): value for key, value in given.items() if key != "rule"}
        return _named(given.get("rule"), options), None
    if isinstance(given, tuple) and len(given) == 2:
        return Explicit(*given), None
    if isinstance(given, torch.Tensor) and given.layout != torch.strided:
        _check_matrix(given, shape)
        matrix = given.detach().cpu().to_sparse_coo().coalesce()
        return Explicit(*matrix.indices().flip(0)), matrix.values()
    if hasattr(given, "tocoo") and hasattr(given, "shape"):
        _check_matrix(given, shape)
        matrix = given.tocoo()
        return Explicit(matrix.col, matrix.row), torch.from_numpy(np.array(matrix.data))
    raise TypeError(
        f"'rule' is a {type(given).__name__}, it must be a rule such as sim.FixedInDegree(100), a pair of arrays "
        "(sources, targets), or a sparse matrix of scipy or torch (targets x sources)"
    )


def _check_matrix(matrix: Any, shape: tuple[int, int]) -> None:
    wanted, found = shape[::-1], tuple(matrix.shape)
    if found != wanted:
        turned = " Its transpose has that shape: rows are targets, not sources." if found == shape else ""
        raise ValueError(f"'rule' is a matrix of shape {found}, it must be {wanted}, targets x sources.{turned}")


def _named(name: Any, options: Mapping[str, Any]) -> Rule:
    if name not in BY_NAME:
        raise ValueError(f"there is no rule {name!r}; there are {', '.join(sorted(BY_NAME))}")
    try:
        return BY_NAME[name](**options)
    except TypeError:
        known = [field.name for field in fields(BY_NAME[name])]
        raise TypeError(
            f"the rule '{name}' takes {', '.join(known) or 'no parameters'}, not {', '.join(options) or 'none'}: "
            f"write sim.{BY_NAME[name].__name__}({', '.join(known)})"
        ) from None
