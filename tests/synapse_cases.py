"""The four kinds of synapses that tests run over."""

from hypothesis import HealthCheck, settings

from inferno_cuda.neural import (
    DeltaCurrent,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    SingleExponentialCurrent,
)

PROPERTY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

KINDS = ("delta", "delta plus", "exponential", "double exponential")


def synapse(kind, shape=3, step_time=1.0, **options):
    if kind in ("delta", "delta plus"):
        cls = DeltaCurrent if kind == "delta" else DeltaPlusCurrent
        return cls(shape, step_time, **{"spike_charge": 2.0, **options})
    if "interp_mode" in options:
        options["spike_interp_mode"] = options.pop("interp_mode")
    if kind == "double exponential":
        return DoubleExponentialCurrent(
            shape, step_time, **{"spike_charge": 2.0, "tc_decay": 4.0, "tc_rise": 1.5, **options}
        )
    return SingleExponentialCurrent(shape, step_time, **{"spike_charge": 2.0, "time_constant": 4.0, **options})
