"""What makes a group of neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ._transfer import Unfit, transfer

if TYPE_CHECKING:
    from ._copier import Copier

# Numbers that a constructor takes. The real ones are attributes, which may have become anything else since.
_CELL = {"rest_v": -60.0, "refrac_t": 0.0, "resistance": 1.0}
_RESET = {**_CELL, "reset_v": -60.0}
_QUADRATIC = {**_RESET, "thresh_v": -40.0, "crit_v": -50.0, "affinity": 1.0}
_EXPONENTIAL = {**_RESET, "thresh_v": -40.0, "rheobase_v": -50.0, "sharpness": 1.0}
_HYPERPARAMETERS = {
    "LIF": {**_RESET, "thresh_v": -40.0, "time_constant": 1.0},
    "GLIF1": {**_RESET, "thresh_v": -40.0, "time_constant": 1.0},
    "ALIF": {**_RESET, "thresh_eq_v": -40.0, "tc_membrane": 1.0},
    "GLIF2": {**_CELL, "thresh_eq_v": -40.0, "tc_membrane": 1.0, "reset_v_add": 0.0, "reset_v_mul": 0.0},
    "QIF": {**_QUADRATIC, "time_constant": 1.0},
    "Izhikevich": {**_QUADRATIC, "tc_membrane": 1.0},
    "EIF": {**_EXPONENTIAL, "time_constant": 1.0},
    "AdEx": {**_EXPONENTIAL, "tc_membrane": 1.0},
    "ExactNeuron": {"rest_v": -60.0, "thresh_v": -40.0},
}
# arguments for the constants of adaptation, which are buffers afterwards
_ADAPTATION = {
    "ALIF": ("tc_adaptation", "spike_increment"),
    "GLIF2": ("rc_adaptation", "spike_increment"),
    "Izhikevich": ("tc_adaptation", "voltage_coupling", "spike_increment"),
    "AdEx": ("tc_adaptation", "voltage_coupling", "spike_increment"),
}
NEURONS = tuple(_HYPERPARAMETERS)


def make_neuron(copier: Copier, name: str, source: nn.Module) -> nn.Module:
    if getattr(source, "_surrogate", None) is not None:
        raise Unfit("has a surrogate gradient, which its counterpart does not have: set 'surrogate' to None")
    options = dict(_HYPERPARAMETERS[name])
    if name in _ADAPTATION:
        kinds = source._buffers[_ADAPTATION[name][0]].shape[0]
        options.update({argument: [1.0] * kinds for argument in _ADAPTATION[name]})
        reduction = copier.source.batch_reduction(source)
        options["batch_reduction"] = copier.value(reduction)
    new = copier.target.cls(name)(source.shape, source.dt, **options, batch_size=source.batchsz)
    for attribute in _HYPERPARAMETERS[name]:
        setattr(new, attribute, copier.value(getattr(source, attribute)))
    transfer(source, new, copier.value)
    state = [key for key in new._buffers if key.endswith("_adaptation_") or key in ("_voltage__data", "_refrac__data")]
    if len({new._buffers[key].dtype for key in state}) > 1:
        raise Unfit(f"its state is of different dtypes: { {key: new._buffers[key].dtype for key in state} }")
    return new
