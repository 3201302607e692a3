"""Which synapses there are, from what people have: index arrays, sparse matrices, masks."""

from __future__ import annotations

from typing import Any

import torch

from ... import ops

Listed = tuple[ops.Connectivity, torch.Tensor | None]
_COMPRESSED = (torch.sparse_csr, torch.sparse_csc)


def listed(connectivity: Any, inputs: int, outputs: int) -> Listed:
    """The synapses that an argument describes, and their values in the order of the list where it has any.

    Args:
        connectivity: an :class:`inferno_cuda.ops.Connectivity`; a pair ``(source, target)`` of index arrays; or a
            matrix ``(O, I)``: a sparse or dense tensor, or a sparse matrix of SciPy.
        inputs: number of inputs, I.
        outputs: number of outputs, O.

    Raises:
        ValueError: if a shape or an index does not fit.
        TypeError: if it is none of these, or has indices that are no integers.
    """
    if isinstance(connectivity, ops.Connectivity):
        if (connectivity.inputs, connectivity.outputs) != (inputs, outputs):
            raise ValueError(
                f"'connectivity' is from {connectivity.inputs} inputs to {connectivity.outputs} outputs, it must be "
                f"from {inputs} to {outputs}"
            )
        return connectivity, None
    source, target, values = _entries(connectivity, inputs, outputs)
    made = ops.connectivity(source, target, inputs=inputs, outputs=outputs)
    return made, None if values is None else values[made.order]


def _entries(connectivity: Any, inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Inputs, outputs and values, if there are any, of synapses in the order in which they were given."""
    if isinstance(connectivity, tuple | list) and len(connectivity) == 2:
        return *(_indices(name, x) for name, x in zip(("source", "target"), connectivity, strict=True)), None
    is_scipy = hasattr(connectivity, "tocoo") and hasattr(connectivity, "nnz")
    if not is_scipy and not isinstance(connectivity, torch.Tensor):
        raise TypeError(
            f"'connectivity' is {type(connectivity).__name__}, it must be a pair (source, target) of index arrays, or "
            "a matrix (outputs, inputs): a tensor, sparse or dense, or a sparse matrix of SciPy"
        )
    shape = tuple(connectivity.shape)
    if shape != (outputs, inputs):
        raise ValueError(f"'connectivity' has the shape {shape}, it must be (outputs, inputs), ({outputs}, {inputs})")
    if is_scipy:
        matrix = connectivity.tocoo()
        return _indices("source", matrix.col), _indices("target", matrix.row), _weights(torch.as_tensor(matrix.data))
    return _of_tensor(connectivity.detach())


def _of_tensor(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    if matrix.layout == torch.sparse_coo:
        # as they are: duplicates are synapses of their own
        (target, source), values = matrix._indices(), matrix._values()
    elif matrix.layout in _COMPRESSED:
        by_row = matrix.layout == torch.sparse_csr
        start, inner = (
            (matrix.crow_indices(), matrix.col_indices()) if by_row else (matrix.ccol_indices(), matrix.row_indices())
        )
        outer = rows_of(start)
        (target, source), values = (outer, inner) if by_row else (inner, outer), matrix.values()
    elif matrix.layout == torch.strided:
        target, source = matrix.nonzero(as_tuple=True)
        values = matrix[target, source]
    else:
        raise TypeError(f"'connectivity' has the layout {matrix.layout}, it must be COO, CSR, CSC or dense")
    return source, target, _weights(values)


def rows_of(start: torch.Tensor) -> torch.Tensor:
    """The row of each entry of a compressed matrix, whose rows begin at ``start``."""
    return torch.repeat_interleave(torch.arange(len(start) - 1, device=start.device), start.diff())


def _indices(name: str, values: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"'{name}' is {type(values).__name__}, it must be an array of integers") from error


def _weights(values: torch.Tensor) -> torch.Tensor | None:
    """Values that can be weights; others, such as those of masks, only say where synapses are."""
    return values if values.is_floating_point() else None


def compressed(start: Any, source: Any, inputs: int, outputs: int) -> ops.Connectivity:
    """The synapses of compressed rows: those of output o come from ``source[start[o] : start[o + 1]]``.

    Raises:
        ValueError: if ``start`` is not ascending from 0 to the number of synapses, or a shape or an index does not fit.
        TypeError: if indices are no integers.
    """
    start, source = _indices("start", start), _indices("source", source)
    if start.shape != (outputs + 1,):
        raise ValueError(f"'start' has the shape {tuple(start.shape)}, it must be (outputs + 1,), ({outputs + 1},)")
    if start.dtype.is_floating_point or start.dtype == torch.bool:
        raise TypeError(f"'start' has the dtype {start.dtype}, it must be integers")
    whole = source.ndim == 1 and int(start[0]) == 0 and int(start[-1]) == len(source)
    if not whole or bool((start.diff() < 0).any()):
        raise ValueError("'start' must ascend from 0 to the number of entries of 'source'")
    return ops.connectivity(source, rows_of(start.long()), inputs=inputs, outputs=outputs)
