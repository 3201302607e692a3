"""What simulate asks of its arguments before it changes anything."""

from __future__ import annotations

import torch

from .common import shape_text
from .rows_builder import MAX_DELAY
from .spiking import Population
from .stimuli import NoiseCurrent, PoissonDrive, RandomSpikes


def check_populations(populations, rows, state) -> None:
    at = 0
    for k, p in enumerate(populations):
        if not isinstance(p, Population):
            raise TypeError(f"populations[{k}] was {type(p).__name__}; it must be a Population")
        if p.first != at:
            raise ValueError(f"populations[{k}] began at neuron {p.first}; it must begin at {at}, where the last ended")
        at = p.last
        _check_ports(k, p, rows.ports)
        if p.numbers.dtype != state.values.dtype or p.numbers.device != state.values.device:
            like = f"{state.values.dtype} on {state.values.device}"
            raise ValueError(f"populations[{k}] was {p.numbers.dtype} on {p.numbers.device}; the state is {like}")
        if len(p.variables) > len(state.values):
            raise ValueError(f"state.values had {len(state.values)} rows; populations[{k}] has {len(p.variables)}")
        kinds = (RandomSpikes,) if p.model == "generator" else (PoissonDrive, NoiseCurrent)
        for stimulus in p.stimuli:
            if not isinstance(stimulus, kinds):
                allowed = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(f"populations[{k}]: a stimulus was {type(stimulus).__name__}; it must be {allowed}")
            if isinstance(stimulus, PoissonDrive) and stimulus.port >= p.ports:
                raise ValueError(f"populations[{k}]: port of a PoissonDrive was {stimulus.port}; there is only port 0")
    if at != rows.neurons:
        raise ValueError(f"populations had {at} neurons; rows have {rows.neurons}")


def _check_ports(k: int, p: Population, ports: torch.Tensor) -> None:
    ports = ports[p.first : p.last]
    if p.model != "generator" and not bool((ports == p.ports).all()):
        raise ValueError(f"populations[{k}] has {p.ports} ports; rows were made for {int(ports[ports != p.ports][0])}")


def check_state(state, neurons: int) -> None:
    values, refrac, flight = state.values, state.refrac, state.flight
    if values.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"state.values was {values.dtype}; it must be torch.float32 or torch.float64")
    if values.ndim != 3 or values.shape[2] != neurons or not values.is_contiguous():
        text = f"({len(values)}, trials, {neurons})" if values.ndim else f"(variables, trials, {neurons})"
        raise ValueError(f"state.values had shape {shape_text(values.shape)}; it must be {text}, contiguous")
    if refrac.dtype != torch.int16 or refrac.shape != values.shape[1:] or not refrac.is_contiguous():
        text = f"{refrac.dtype} of shape {shape_text(refrac.shape)}"
        raise ValueError(f"state.refrac was {text}; it must be int16 of shape {shape_text(values.shape[1:])}")
    if flight.dtype != torch.int64 or flight.ndim != 2 or flight.shape[1] != 3:
        text = f"{flight.dtype} of shape {shape_text(flight.shape)}"
        raise ValueError(f"state.flight was {text}; it must be int64 of shape (spikes, 3)")
    if refrac.device != values.device or flight.device != values.device:
        raise ValueError("state: values, refrac and flight must be on one device")
    _check_spikes("state.flight", flight, neurons, values.shape[1])
    if len(flight) and int(flight[:, 0].max()) >= state.step:
        raise ValueError(f"state.flight had a spike of step {int(flight[:, 0].max())}; the next step is {state.step}")
    if len(flight) and int(flight[:, 0].min()) < state.step - MAX_DELAY:
        first = int(flight[:, 0].min())
        raise ValueError(f"state.flight had a spike of step {first}; before step {state.step}, all of it has arrived")


def _check_spikes(name: str, spikes: torch.Tensor, neurons: int, trials: int) -> None:
    if not len(spikes):
        return
    for column, what, size in ((1, "neurons", neurons), (2, "trials", trials)):
        low, high = int(spikes[:, column].min()), int(spikes[:, column].max())
        if low < 0 or high >= size:
            raise ValueError(f"{name} had {what} {low} to {high}; they must be 0 to {size - 1}")


def given_spikes(given, populations, state, steps: int, neurons: int) -> torch.Tensor:
    """Given spikes by absolute step, each of one trial, sorted."""
    trials = state.values.shape[1]
    like = {"dtype": torch.int64, "device": state.values.device}
    if given is None:
        return torch.zeros(0, 3, **like)
    if given.is_floating_point() or given.ndim != 2 or given.shape[1] != 3:
        text = f"{given.dtype} of shape {shape_text(given.shape)}"
        raise ValueError(f"given was {text}; it must be int of shape (spikes, 3): step, neuron, trial or -1")
    given = given.to(**like)
    every = given[given[:, 2] == -1]
    copies = [torch.cat([every[:, :2], torch.full_like(every[:, :1], trial)], 1) for trial in range(trials)]
    given = torch.cat([given[given[:, 2] != -1], *copies])
    _check_spikes("given", given, neurons, trials)
    if len(given) and not (int(given[:, 0].min()) >= 0 and int(given[:, 0].max()) < steps):
        low, high = int(given[:, 0].min()), int(given[:, 0].max())
        raise ValueError(f"given had steps {low} to {high}; they must be 0 to {steps - 1}")
    silent = torch.ones(neurons, dtype=torch.bool, device=given.device)
    for p in populations:
        if p.model == "generator":
            silent[p.first : p.last] = False
    if bool(silent[given[:, 1]].any()):
        neuron = int(given[:, 1][silent[given[:, 1]]][0])
        raise ValueError(f"given had neuron {neuron}, which is no generator")
    given = given + torch.tensor([state.step, 0, 0], device=given.device)
    order = torch.argsort((given[:, 0] * trials + given[:, 2]) * neurons + given[:, 1], stable=True)
    return given[order]


def check_repeats(populations, given: torch.Tensor, rows) -> None:
    """Refuses generators that may fire more often in a step than the sums of the rows have room for."""
    if rows.count == 0:
        return
    room = torch.ones(rows.neurons, dtype=torch.int64) if rows.repeats is None else rows.repeats.long()
    for k, p in enumerate(populations):
        tables = [s.table for s in p.stimuli if isinstance(s, RandomSpikes)]
        most = sum(int((table < 2**32).sum()) for table in tables)
        if p.size and most > int(room[p.first : p.last].min()):
            text = f"rows have room for {int(room[p.first : p.last].min())}"
            raise ValueError(f"populations[{k}] may fire {most} times in a step; {text}: make them with repeats={most}")
        room[p.first : p.last] -= most
    if not len(given):
        return
    different, times = torch.unique_consecutive(given.cpu(), dim=0, return_counts=True)
    over = times > room[different[:, 1]]
    if bool(over.any()):
        neuron, most = int(different[over][0, 1]), int(times[over][0])
        text = f"rows have room for {int(room[neuron])}: make them with more repeats"
        raise ValueError(f"given had {most} spikes of neuron {neuron} in a step; {text}")


def check_probe(probe, state, neurons: int) -> None:
    if probe is None:
        return
    chosen, every, variable = probe
    if chosen.dtype != torch.int64 or chosen.ndim != 1:
        text = f"{chosen.dtype} of shape {shape_text(chosen.shape)}"
        raise ValueError(f"probe.neurons was {text}; it must be int64 with one dimension")
    if len(chosen) and not (int(chosen.min()) >= 0 and int(chosen.max()) < neurons):
        low, high = int(chosen.min()), int(chosen.max())
        raise ValueError(f"probe.neurons was {low} to {high}; it must be 0 to {neurons - 1}")
    if every < 1:
        raise ValueError(f"probe.every was {every}; it must be at least 1 step")
    if isinstance(variable, torch.Tensor):
        if variable.dtype != torch.int64 or variable.shape not in ((), chosen.shape):
            text = f"{variable.dtype} of shape {shape_text(variable.shape)}"
            raise ValueError(f"probe.variable was {text}; it must be a number, or int64 like probe.neurons")
        low, high = (int(variable.min()), int(variable.max())) if variable.numel() else (0, 0)
    else:
        low = high = variable
    if not 0 <= low <= high < len(state.values):
        text = low if low == high else f"{low} to {high}"
        raise ValueError(f"probe.variable was {text}; the state has rows 0 to {len(state.values) - 1}")


def check_outputs(record, counts, state, neurons: int) -> None:
    if isinstance(record, torch.Tensor) and (record.dtype != torch.bool or record.shape != (neurons,)):
        text = f"{record.dtype} of shape {shape_text(record.shape)}"
        raise ValueError(f"record was {text}; it must be None, True, False or bool of shape ({neurons},)")
    shape = tuple(state.values.shape[1:])
    if counts is not None and (counts.dtype != torch.int64 or counts.shape != shape or not counts.is_contiguous()):
        text = f"{counts.dtype} of shape {shape_text(counts.shape)}"
        raise ValueError(f"counts was {text}; it must be int64 of shape {shape}, contiguous")
    if counts is not None and counts.device != state.values.device:
        raise ValueError(f"counts was on {counts.device}; the state is on {state.values.device}")
