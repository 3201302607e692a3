"""Steps and lookups of every synapse, with 20 ms of history."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from .case import DT, MAX_DELAY, Case, Output, Subject, seeded, spikes_into, times

EXPONENTIAL = {"spike_charge": 1.0, "time_constant": 5.0}
MODELS = {
    "delta": ("DeltaCurrent", {"spike_charge": 1.0}),
    "delta-plus": ("DeltaPlusCurrent", {"spike_charge": 1.0}),
    "exp": ("SingleExponentialCurrent", EXPONENTIAL),
    "double-exp": ("DoubleExponentialCurrent", {"spike_charge": 1.0, "tc_decay": 10.0, "tc_rise": 2.0}),
}
# bytes of a step for each synapse: spikes read and written, currents of histories read and written
MOVED = {"delta": 2, "delta-plus": 6, "exp": 10, "double-exp": 18}
STEPS = {"small": (1, 1000), "medium": (64, 784), "large": (1024, 784)}
LOOKUPS = {"small": (1, 1000, 1), "large": (64, 784, 10)}


def _synapse(library: ModuleType, model: str, batch: int, count: int, device: str):
    name, options = MODELS[model]
    synapse = getattr(library, name)(count, DT, delay=MAX_DELAY, batch_size=batch, **options).to(device)
    return synapse, spikes_into(synapse, (batch, count), device)


def step(model: str, batch: int, count: int) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        synapse, spikes = _synapse(library, model, batch, count, device)

        def outputs():
            yield Output("current of a step", synapse(spikes))
            yield Output("recorded current", synapse.current)
            yield Output("recorded spikes", synapse.spike)

        return Subject(outputs, lambda: synapse(spikes))

    return build


def lookup(model: str, method: str, batch: int, count: int, depth: int) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        synapse, _ = _synapse(library, model, batch, count, device)
        selector = times((batch, count, depth), seeded(), on_grid=False).to(device)
        look_up = getattr(synapse, method)

        def outputs():
            yield Output(f"results of {method}", look_up(selector))

        return Subject(outputs, lambda: look_up(selector))

    return build


def _cases():
    for model, (name, _) in MODELS.items():
        for size, (batch, count) in STEPS.items():
            what = f"{name}, {batch:,} x {count:,}"
            yield Case(f"{model}-step-{size}", what, step(model, batch, count), moved=MOVED[model] * batch * count)
        for method in ("current_at", "spike_at"):
            for size, (batch, count, depth) in LOOKUPS.items():
                what = f"{name}.{method}, {batch * count * depth:,}"
                yield Case(
                    f"{model}-{method.replace('_', '-')}-{size}", what, lookup(model, method, batch, count, depth)
                )


SYNAPSES = tuple(_cases())
