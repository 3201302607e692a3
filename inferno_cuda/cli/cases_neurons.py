"""Steps of every neuron model, at three sizes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch

from .case import DT, Case, Output, Subject, seeded

CELL = {"rest_v": -65.0, "refrac_t": 2.0}
LINEAR = CELL | {"reset_v": -68.0, "thresh_v": -50.0, "time_constant": 20.0}
THRESHOLD = CELL | {"thresh_eq_v": -50.0, "tc_membrane": 20.0, "spike_increment": 1.0}
QUADRATIC = CELL | {"crit_v": -55.0, "affinity": 0.04, "reset_v": -68.0, "thresh_v": -45.0}
EXPONENTIAL = CELL | {"rheobase_v": -52.0, "sharpness": 2.0, "reset_v": -68.0, "thresh_v": -45.0}
CURRENT = {"tc_membrane": 20.0, "tc_adaptation": 100.0, "voltage_coupling": 0.2, "spike_increment": 1.0}
MODELS = {
    "LIF": LINEAR,
    "ALIF": THRESHOLD | {"reset_v": -68.0, "tc_adaptation": 100.0},
    "GLIF1": LINEAR,
    "GLIF2": THRESHOLD | {"reset_v_add": 3.0, "reset_v_mul": 0.4, "rc_adaptation": 0.01},
    "QIF": QUADRATIC | {"time_constant": 20.0},
    "Izhikevich": QUADRATIC | CURRENT,
    "EIF": EXPONENTIAL | {"time_constant": 20.0},
    "AdEx": EXPONENTIAL | CURRENT,
}
SIZES = {"1e3": (1, 1000), "1e5": (100, 1000), "1e7": (100, 100_000)}
STEPS = 4  # compared


def neurons(model: str, batch: int, count: int) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        # Strong and of both signs, so that among the first steps are spikes, silence and refractory neurons.
        currents = (500 * torch.rand(batch, count, generator=seeded()) - 100).to(device)
        cells = getattr(library, model)(count, DT, batch_size=batch, **MODELS[model]).to(device)

        def outputs():
            for step in range(STEPS):
                yield Output(f"spikes of step {step}", cells(currents))
            yield Output("voltage", cells.voltage)

        return Subject(outputs, lambda: cells(currents))

    return build


def case(model: str, size: str) -> Case:
    batch, count = SIZES[size]
    # voltage, refractory time and input are read, the first two and the spikes (one byte each) written; adaptations
    # are shared by the samples, and read and written
    moved = 21 * batch * count + (8 * count if "spike_increment" in MODELS[model] else 0)
    what = f"{model}, {batch * count:,} neurons"
    return Case(f"{model.lower()}-{size}", what, neurons(model, batch, count), moved=moved)


NEURONS = tuple(case(model, size) for model in MODELS for size in SIZES)
