"""What `check` runs: every op with random inputs, over its modes, sizes and layouts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch

from .. import ops, surrogate, testing
from . import experiments_generate, experiments_networks, experiments_plasticity, experiments_sparse

SLOTS, BATCH, INPUTS, OUTPUTS, DEPTH = 7, 5, 37, 19, 3
STEPS = 4  # of a sequence with a past
MANY = 40_003  # enough for several threads, and no multiple of a vector's width
BATCHES = (1, 5, 70)
DT = 0.7
NEURON = {"dt": DT, "refrac_t": 3 * DT, "thresh_v": -50.0, "rest_v": -65.0, "resistance": 1.2}
LINEAR = NEURON | {"decay": 0.96, "reset_v": -68.0}
QUADRATIC = NEURON | {"rate": 0.05, "crit_v": -56.0, "affinity": 0.03, "reset_v": -68.0}
EXPONENTIAL = NEURON | {"rate": 0.05, "rheobase_v": -56.0, "sharpness": 2.0, "reset_v": -68.0}
NEURONS = {
    "lif": LINEAR,
    "alif": LINEAR,
    "glif2": NEURON | {"decay": 0.96, "reset_v_mul": 0.4, "reset_v_add": 2.0},
    "qif": QUADRATIC,
    "izhikevich": QUADRATIC,
    "eif": EXPONENTIAL,
    "adex": EXPONENTIAL,
}
# constants of two adaptations for each neuron
THRESHOLDS = [[0.98, 0.9], [1.0, 0.4]]
CURRENTS = [[0.01, 0.1], [0.2, 0.1], [1.0, 0.5]]
ADAPTATIONS = {"alif": THRESHOLDS, "glif2": THRESHOLDS, "izhikevich": CURRENTS, "adex": CURRENTS}
MODES = {"previous": None, "next": None, "nearest": None, "linear": None, "expdecay": 5.0}
CHOOSING = ("previous", "next", "nearest")  # modes that compute nothing, so that bool can be looked up
EVERY = (*testing.DTYPES, torch.bool)

# An experiment draws its inputs on the CPU, runs ops on the device and yields named results.
Results = list[tuple[str, torch.Tensor]]
Experiment = Callable[[str, torch.dtype, torch.Generator], Iterator[tuple[str, torch.Tensor]]]


def _uniform(low: float, high: float, shape, dtype: torch.dtype, rng: torch.Generator) -> torch.Tensor:
    return (low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)).to(dtype)


def _neurons(model, device, dtype, rng):
    """State, three inputs and the options of a step; few samples, so that the neurons are many."""
    shape = (BATCH, MANY // BATCH)
    voltage = _uniform(-70, -45, shape, dtype, rng).to(device)
    refrac = torch.where(torch.rand(shape, generator=rng) < 0.5, 0.0, _uniform(0, 3, shape, dtype, rng)).to(device)
    inputs = _uniform(-20, 40, (3, *shape), dtype, rng).to(device)
    options = dict(NEURONS[model])
    if model in ADAPTATIONS:
        compute = torch.float64 if dtype == torch.float64 else torch.float32
        options["constants"] = torch.tensor(ADAPTATIONS[model], dtype=compute, device=device)
        options["adaptation"] = _uniform(0, 3, (shape[1], 2), dtype, rng).to(device)
        options["reduction"] = "mean"
    return voltage, refrac, inputs, options


def _neuron_step(device, dtype, rng):
    for model, lock in itertools.product(NEURONS, (True, False)):
        voltage, refrac, inputs, options = _neurons(model, device, dtype, rng)
        what = f"{model}, refrac_lock={lock}"
        results = ops.neuron_step(model, voltage, refrac, inputs[0], refrac_lock=lock, **options)
        for name, result in zip(("voltage", "refrac", "spikes", "adaptation"), results, strict=True):
            if result is not None:
                yield f"{name}, {what}", result
        for step, current in enumerate(inputs):
            spikes = ops.neuron_step_(model, voltage, refrac, current, refrac_lock=lock, **options)
            yield f"spikes in place, step {step}, {what}", spikes
        yield f"voltage in place, {what}", voltage
        yield f"refrac in place, {what}", refrac
        if model in ADAPTATIONS:
            yield f"adaptation in place, {what}", options["adaptation"]


def _neuron_run(device, dtype, rng):
    for model, lock in itertools.product(NEURONS, (True, False)):
        voltage, refrac, inputs, options = _neurons(model, device, dtype, rng)
        for spiking in (None, surrogate.ATan()):
            results = ops.neuron_run(
                model, voltage, refrac, inputs, refrac_lock=lock, surrogate=spiking, record=("voltage",), **options
            )
            for name, result in results._asdict().items():
                if result is not None:
                    yield f"{name}, {model}, refrac_lock={lock}, surrogate={spiking}", result


# decay of each recorded current, and how many currents are injected
SYNAPSES = {"delta": ((), 0), "delta_plus": ((), 2), "exponential": ((0.9,), 0), "double_exponential": ((0.9, 0.6), 0)}


def _synapse_step(device, dtype, rng):
    for model, innermost in itertools.product(SYNAPSES, (False, True)):
        decay, injections = SYNAPSES[model]
        rings = [
            testing.random_ring(
                (SLOTS, BATCH, INPUTS), kind, pointer=at, batch_innermost=innermost, device=device, generator=rng
            )
            for at, kind in enumerate([torch.bool, *[dtype] * ops.synapse.MODELS[model]])
        ]
        for kind in (torch.bool, dtype):
            inputs, _ = testing.random_ring((BATCH, INPUTS), kind, device=device, generator=rng)
            injected = [_uniform(-1, 1, (BATCH, INPUTS), dtype, rng).to(device) for _ in range(injections)]
            what = f"{model}, {kind}, batch innermost {innermost}"
            yield f"current, {what}", ops.synapse_step_(
                model, inputs, rings[0], rings[1:], gain=0.7, decay=decay, injected=injected, dtype=dtype
            )
        for k, (data, pointer) in enumerate(rings):
            yield f"ring {k}, {what}", data
            yield f"pointer {k}, {what}", pointer


def _synapse_run(device, dtype, rng):
    for model, kind in itertools.product(SYNAPSES, (torch.bool, dtype)):
        decay, injections = SYNAPSES[model]
        inputs, _ = testing.random_ring((5, BATCH, INPUTS), kind, device=device, generator=rng)
        newest = [_uniform(-1, 1, (BATCH, INPUTS), dtype, rng).to(device) for _ in range(ops.synapse.MODELS[model])]
        injected = [_uniform(-1, 1, inputs.shape, dtype, rng).to(device) for _ in range(injections)]
        leaves = [x.requires_grad_() for x in (inputs, *newest, *injected) if x.is_floating_point()]
        current, recorded = ops.synapse_run(
            model, inputs, newest, gain=0.7, decay=decay, injected=injected, dtype=dtype
        )
        yield f"current, {model}, {kind}", current.detach()
        for k, part in enumerate(recorded):
            yield f"recorded {k}, {model}, {kind}", part.detach()
        if leaves:
            cost = _uniform(-1, 1, inputs.shape, dtype, rng).to(device)
            for k, gradient in enumerate(torch.autograd.grad(current, leaves, cost)):
                yield f"gradient {k}, {model}, {kind}", gradient


# the resets of each model, and whether they can wait for the next step
RESETS = {
    "leaky": (("none", "subtract", "zero"), (True, False)),
    "synaptic": (("none", "subtract", "zero"), (True, False)),
    "perfect": (("subtract", "set"), (False,)),
    "relaxing": (("subtract", "set"), (False,)),
    "filtering": (("subtract", "set"), (False,)),
}


def _integrate_fire(device, dtype, rng):
    for model, (resets, delays) in RESETS.items():
        voltage = _uniform(-1, 2, (BATCH, MANY // BATCH), dtype, rng).to(device)
        current = torch.zeros_like(voltage) if model == "synaptic" else None
        inputs = _uniform(-1, 2, (3, *voltage.shape), dtype, rng).to(device)
        threshold = _uniform(0.5, 1.5, voltage.shape[1:], torch.float32, rng).to(device)
        for reset, delayed in itertools.product(resets, delays):
            options = {"decay": 0.9, "current_decay": 0.8, "threshold": threshold, "tau": 3.0, "rest": -0.2}
            results = ops.integrate_fire(
                model, inputs, voltage, current, reset=reset, delayed=delayed, record_voltages=True, **options
            )
            for name, result in results._asdict().items():
                if result is not None:
                    yield f"{name}, {model}, reset {reset}, delayed {delayed}", result


def _history_push(device, dtype, rng):
    for innermost in (False, True):
        data, pointer = testing.random_ring(
            (SLOTS, BATCH, INPUTS), dtype, pointer=SLOTS - 1, batch_innermost=innermost, device=device, generator=rng
        )
        observed, _ = testing.random_ring((2, BATCH, INPUTS), dtype, device=device, generator=rng)
        yield "functional", ops.history_push(data, pointer, observed[0])
        for one in observed:
            ops.history_push_(data, pointer, one)
        yield "in place", data
        yield "pointer", pointer


def _trace_push(device, dtype, rng):
    how = {"target": {"target": 1.0}, "tolerance": {"target": 0.4, "tolerance": 0.2}, "scale": {"scale": 0.3}}
    for name, kind in itertools.product(how, ("cumulative", "nearest")):
        data, pointer = testing.random_ring(
            (SLOTS, BATCH, INPUTS), dtype, pointer=SLOTS - 1, device=device, generator=rng
        )
        mask = (torch.rand((BATCH, INPUTS), generator=rng) < 0.3).to(device)
        levels = _uniform(0, 1, (BATCH, INPUTS), dtype, rng).to(device)
        given = {"decay": 0.9, "amplitude": 1.3, "kind": kind, **how[name]}
        for obs, where in ((mask, None), (levels, None), (levels, mask)):
            options = {**given, "mask": where}
            yield f"functional, {kind}, {name}", ops.trace_push(data, pointer, obs, **options)
            ops.trace_push_(data, pointer, obs, **options)
        yield f"in place, {kind}, {name}", data
        yield "pointer", pointer


def _history_gather(device, dtype, rng):
    data, pointer = testing.random_ring((SLOTS, BATCH, INPUTS), dtype, pointer=3, device=device, generator=rng)
    for time_dtype in (torch.float32, torch.float64):
        time = _uniform(-DT, DT * SLOTS, (BATCH, INPUTS, DEPTH), time_dtype, rng)
        time[..., 0] = (time[..., 0] / DT).round() * DT
        time = time.to(device)
        for mode in CHOOSING if dtype == torch.bool else MODES:
            for overbound in (None, 0.5):
                options = {"dt": DT, "mode": mode, "time_constant": MODES[mode], "overbound": overbound}
                yield f"{mode}, overbound {overbound}", ops.history_gather(data, pointer, time, **options)


def _delay(dtype, rng, shape=(OUTPUTS, INPUTS)):
    delay = _uniform(-DT, DT * SLOTS, shape, dtype, rng)
    delay[::2] = (delay[::2] / DT).round() * DT
    return delay


def _plan(delay, mode, overbound=0.0):
    limits = {"dt": DT, "slots": SLOTS, "max_delay": DT * (SLOTS - 1)}
    return ops.delay_plan(delay, mode=mode, time_constant=MODES[mode], overbound=overbound, **limits)


def _delay_plan(device, dtype, rng):
    delay = _delay(dtype, rng).to(device)
    for mode in MODES:
        for overbound in (None, 0.0):
            plan = _plan(delay, mode, overbound)
            yield f"slot, {mode}, overbound {overbound}", plan.slot
            if plan.factor is not None:
                yield f"factor, {mode}, overbound {overbound}", plan.factor


def _delayed_sum(function, inputs, synapses, **geometry):
    """The experiment of one map of inputs, of a batch item, to outputs."""

    def experiment(device, dtype, rng):
        delay = _delay(torch.float32, rng, synapses).to(device)
        weight = _uniform(-1, 1, synapses, dtype, rng).to(device)
        bias = _uniform(-1, 1, synapses[:1], dtype, rng).to(device)
        for batch, kind, innermost in itertools.product(BATCHES, (dtype, torch.bool), (False, True)):
            data, pointer = testing.random_ring(
                (SLOTS, batch, *inputs), kind, pointer=2, batch_innermost=innermost, device=device, generator=rng
            )
            for mode in MODES:
                plan = _plan(delay, mode)
                out = function(data, pointer, weight, plan, bias=bias, scale=0.7, **geometry)
                yield f"{mode}, {kind}, batch {batch}", out

    return experiment


def _delayed_run(function, inputs, synapses, **geometry):
    """The same over a sequence."""
    timing = {"dt": DT, "slots": SLOTS, "max_delay": DT * (SLOTS - 1)}

    def experiment(device, dtype, rng):
        delay = _delay(torch.float32, rng, synapses).to(device)
        weight = _uniform(-1, 1, synapses, dtype, rng).to(device)
        bias = _uniform(-1, 1, synapses[:1], dtype, rng).to(device)
        for batch, kind, innermost in itertools.product(BATCHES, (dtype, torch.bool), (False, True)):
            shape = (SLOTS - 1 + STEPS, batch, *inputs)
            series, _ = testing.random_ring(shape, kind, batch_innermost=innermost, device=device, generator=rng)
            for mode, time_constant in MODES.items():
                options = {"mode": mode, "time_constant": time_constant, "scale": 0.7, **timing, **geometry}
                out = function(series, weight, delay, bias=bias, **options)
                yield f"{mode}, {kind}, batch {batch}", out

    return experiment


def _layer_run(device, dtype, rng):
    """Neurons that feed back into themselves through delays: as a program where it runs, otherwise op by op."""
    shape, neuron = (BATCH, OUTPUTS), dict(NEURONS["lif"])
    kinds = (torch.bool, dtype)
    rings = [testing.random_ring((SLOTS, *shape), kind, pointer=3, device=device, generator=rng) for kind in kinds]
    voltage = _uniform(-70, -45, shape, dtype, rng).to(device)
    refrac = torch.zeros_like(voltage)
    weight = _uniform(-5, 5, (OUTPUTS, OUTPUTS), dtype, rng).to(device)
    plan = _plan(_delay(torch.float32, rng, weight.shape).to(device), "expdecay")
    inputs = _uniform(-20, 40, (STEPS, *shape), dtype, rng).to(device)
    spikes = torch.zeros(STEPS + 1, *shape, dtype=torch.bool, device=device)
    synapse = {"gain": 0.7, "decay": (0.9,), "dtype": dtype}
    if ops.choose("layer_run", device).backend == "native":
        program = ops.Program()
        program.synapse("exponential", program.sequence(spikes), rings[0], rings[1:], **synapse)
        back = program.delayed_sum("delayed_dense", rings[1], weight, plan, None, 1.0)
        current = program.sum(program.sequence(inputs), back)
        program.neuron("lif", voltage, refrac, current, program.sequence(spikes, 1), refrac_lock=True, **neuron)
        program.run(STEPS)
    else:
        for step, current in enumerate(inputs):
            ops.synapse_step_("exponential", spikes[step], rings[0], rings[1:], **synapse)
            current = current + ops.delayed_dense(*rings[1], weight, plan)
            spikes[step + 1] = ops.neuron_step_("lif", voltage, refrac, current, **neuron)
    yield from {"spikes": spikes, "voltage": voltage, "refrac": refrac, "ring": rings[1][0]}.items()


_delayed_dense = _delayed_sum(ops.delayed_dense, (INPUTS,), (OUTPUTS, INPUTS))
_delayed_direct = _delayed_sum(ops.delayed_direct, (INPUTS,), (INPUTS,))
_delayed_conv2d = _delayed_sum(ops.delayed_conv2d, (2, 9, 7), (3, 2, 3, 2), stride=(1, 2), padding=(2, 1))
_delayed_dense_run = _delayed_run(ops.delayed_dense_run, (INPUTS,), (OUTPUTS, INPUTS))
_delayed_direct_run = _delayed_run(ops.delayed_direct_run, (INPUTS,), (INPUTS,))
_delayed_conv2d_run = _delayed_run(ops.delayed_conv2d_run, (2, 9, 7), (3, 2, 3, 2), stride=(1, 2), padding=(2, 1))

EXPERIMENTS: dict[str, tuple[Experiment, tuple[torch.dtype, ...]]] = {
    "neuron_step": (_neuron_step, testing.DTYPES),
    "neuron_run": (_neuron_run, testing.DTYPES),
    "synapse_step": (_synapse_step, testing.DTYPES),
    "synapse_run": (_synapse_run, testing.DTYPES),
    "integrate_fire": (_integrate_fire, testing.DTYPES),
    "history_push": (_history_push, EVERY),
    "history_gather": (_history_gather, EVERY),
    "delay_plan": (_delay_plan, testing.DTYPES),
    "delayed_dense": (_delayed_dense, testing.DTYPES),
    "delayed_direct": (_delayed_direct, testing.DTYPES),
    "delayed_conv2d": (_delayed_conv2d, testing.DTYPES),
    "delayed_dense_run": (_delayed_dense_run, testing.DTYPES),
    "delayed_direct_run": (_delayed_direct_run, testing.DTYPES),
    "delayed_conv2d_run": (_delayed_conv2d_run, testing.DTYPES),
    "trace_push": (_trace_push, testing.DTYPES),
    "layer_run": (_layer_run, testing.DTYPES),
    **experiments_plasticity.EXPERIMENTS,
    **experiments_generate.EXPERIMENTS,
    **experiments_networks.EXPERIMENTS,
    **experiments_sparse.EXPERIMENTS,
}
