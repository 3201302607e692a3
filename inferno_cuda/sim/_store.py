"""Files of the state of a network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from .. import ops
from ..state._file import CheckpointError, read, write
from ..state._plain import PlainError, decode, encode

if TYPE_CHECKING:
    from .network import Network

KIND, VERSION = "sim.Network", 2


def _structure(network: Network) -> dict[str, str]:
    """What two networks must have in common to share a state, by names for people."""
    found = {
        "dt": f"{network.dt!r} ms",
        "seed": str(network.seed),
        "trials": str(network.trials),
        "dtype": str(network.dtype),
        "weight_bits": str(network.weight_bits),
        "number of populations": str(len(network.populations)),
        "number of projections": str(len(network.projections)),
        "number of stimuli": str(len(network.stimuli)),
    }
    for i, population in enumerate(network.populations):
        drive = "" if population._generators is None else f", {population._generators!r}"
        found[f"population {i}"] = f"{population!r}{drive}"
    for i, projection in enumerate(network.projections):
        found[f"projection {i}"] = projection._identity()
    for i, stimulus in enumerate(network.stimuli):
        found[f"stimulus {i}"] = stimulus._identity()
    return found


def save(network: Network, path: str | os.PathLike) -> None:
    """See :meth:`Network.save`."""
    runner, tensors = network._run, {}
    parameters = {p.name: encode(dict(p._parameters), p.name, tensors) for p in network.populations}
    content = {
        "network": KIND,
        "version": VERSION,
        "structure": _structure(network),
        "synapses": [runner.rows.count, runner.rows.quantum, runner.rows.weight_bits],
        "counted_from": runner.counted_from,
        "parameters": parameters,
    }
    state = {f"state.{name}": tensor for name, tensor in runner.state.tensors().items()}
    write(path, {**tensors, **state, "counts": runner.counts}, content)


def load(network: Network, path: str | os.PathLike) -> None:
    """See :meth:`Network.load`."""
    tensors, content = read(path)
    try:
        if not isinstance(content, dict) or content.get("network") != KIND:
            raise ValueError("it holds the state of something else than a network of inferno_cuda.sim")
        if content["version"] != VERSION:
            raise ValueError(f"it is of version {content['version']}, this package reads version {VERSION}")
        _compare(content["structure"], _structure(network))
        network._run.build(False)
        rows = network._run.rows
        if content["synapses"] != [rows.count, rows.quantum, rows.weight_bits]:
            raise ValueError(f"it has {content['synapses'][0]:,} synapses, the network has {rows.count:,}, or others")
        _take(network, tensors, content)
    except (PlainError, ValueError, TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise CheckpointError(f"'{path}' does not fit the network, which is left as it was: {reason}") from error


def _compare(saved: dict[str, str], present: dict[str, str]) -> None:
    for name in present | saved:
        if saved.get(name) != present.get(name):
            raise ValueError(
                f"{name} is {saved.get(name, 'missing')} in the file and {present.get(name, 'missing')} here"
            )


def _take(network: Network, tensors: dict[str, torch.Tensor], content: dict[str, Any]) -> None:
    """Checks everything, and then writes."""
    runner = network._run
    beside = {name: tensor.clone() for name, tensor in tensors.items() if name.startswith("@")}
    parameters = {p.name: decode(content["parameters"][p.name], p.name, beside) for p in network.populations}
    for population in network.populations:
        if parameters[population.name].keys() != population._parameters.keys():
            raise ValueError(f"the parameters of {population.name} are others")
        runner.check_parameters(population, parameters[population.name])
    saved = {
        name.removeprefix("state."): tensor.clone().to(network.device if tensor.ndim else "cpu")
        for name, tensor in tensors.items()
        if name.startswith("state.")
    }
    for name, present in runner.state.tensors().items():
        found, free = saved[name], name == "flight"
        if found.dtype != present.dtype or (found.shape != present.shape and not free):
            raise ValueError(
                f"'{name}' is {found.dtype} {tuple(found.shape)}, it must be {present.dtype} {tuple(present.shape)}"
            )
    if tensors["counts"].shape != runner.counts.shape or tensors["counts"].dtype != torch.int64:
        raise ValueError(f"'counts' has the shape {tuple(tensors['counts'].shape)}")
    state, counted_from = ops.SimulationState.from_tensors(saved), int(content["counted_from"])
    for population in network.populations:
        population.__dict__["_parameters"] = parameters[population.name]
    runner.resume(state, tensors["counts"].clone().to(network.device), counted_from)
