"""Programs that know their package only as the argument `inferno`, as one that imports it under that name would."""

import torch

BATCH = 3
STEPS = 100
CELL = {"rest_v": -60.0, "reset_v": -65.0, "refrac_t": 3.0}
ADAPTIVE = {
    **CELL, "thresh_eq_v": -52.0, "tc_membrane": 20.0, "tc_adaptation": (50.0, 7.0), "spike_increment": (0.5, 2.0),
}  # fmt: skip


def alif(neural, shape):
    return neural.ALIF(shape, 1.0, **ADAPTIVE, batch_size=BATCH, batch_reduction=torch.mean)


def lif(neural, shape):
    return neural.LIF(shape, 1.0, **CELL, thresh_v=-52.0, time_constant=15.0, batch_size=BATCH)


def noise(*shape):
    """Input spikes, drawn anew for every run of a program that has seeded torch."""
    return torch.rand(STEPS, BATCH, *shape) < 0.2


def learning(inferno):
    """An encoder, a layer whose weights follow traces by hand, and hooks that keep the weights in shape."""
    torch.manual_seed(1)
    neural = inferno.neural
    encoder = neural.HomogeneousPoissonEncoder(STEPS, 1.0, 150.0)
    connection = neural.LinearDense(
        (4, 5), 8, 1.0, synapse=neural.DeltaCurrent.partialconstructor(40.0), batch_size=BATCH,
        weight_init=lambda w: inferno.rescale(inferno.uniform(w), 0.1, 0.5),
    )  # fmt: skip
    layer = neural.Serial(connection, alif(neural, 8))
    connection.updater = connection.defaultupdater()
    connection.updater.weight.upperbound(inferno.functional.bound_upper_multiplicative, 1.0)
    connection.updater.weight.lowerbound(inferno.functional.bound_lower_power, 0.0, power=0.5)
    hooks = [
        neural.Normalization(layer, "connection.weight", order=1, scale=6.0, dim=1),
        neural.Clamping(connection.updater, "parent.weight", min=0.05, max=0.6),
    ]
    for hook in hooks:
        hook.register()

    pre = post = None
    seen = []
    for x in encoder(torch.rand(BATCH, 4, 5)):
        spikes = layer(x)
        before = connection.like_synaptic(x.float())
        pre = inferno.exp_trace_nearest(before, pre, step_time=1.0, time_constant=20.0, amplitude=0.02, target=1.0)
        post = inferno.exp_trace_cumulative(
            spikes.float(), post, step_time=1.0, time_constant=30.0, amplitude=0.01, target=1.0
        )
        grown = torch.einsum("bo,bi->oi", spikes.float(), pre)
        shrunk = torch.einsum("bo,bi->oi", post, before)
        connection.updater.weight = (grown, shrunk)
        connection.update()
        seen.append((spikes, connection.syncurrent, layer.neuron.voltage, connection.weight.detach().clone()))
    return seen, layer


def competition(inferno):
    """Excitation and inhibition around a loop, with feedback that is trained."""
    torch.manual_seed(2)
    neural = inferno.neural
    synapse = neural.SingleExponentialCurrent.partialconstructor(60.0, 5.0)
    inhibition = neural.DeltaCurrent.partialconstructor(-80.0)
    layer = neural.RecurrentSerial(
        neural.LinearDense((5, 5), 9, 1.0, synapse=synapse, delay=4.0, batch_size=BATCH,
                           delay_init=lambda d: torch.rand_like(d) * 4, weight_init=lambda w: w * 0.5),
        neural.LinearDirect(9, 1.0, synapse=neural.DeltaCurrent.partialconstructor(200.0), batch_size=BATCH,
                            weight_init=inferno.ones),
        neural.LinearLateral(9, 1.0, synapse=inhibition, delay=2.0, batch_size=BATCH,
                             delay_init=lambda d: d + 1),
        alif(neural, 9),
        lif(neural, 9),
        trainable_feedback=True,
        feedback_in_transform=lambda s: (s.float(),),
    )  # fmt: skip
    seen = []
    for x in noise(5, 5):
        (excited, inhibited), currents = layer(x, capture_intermediate=True)
        seen.append((excited, inhibited, *(currents[name] for name in sorted(currents)), layer.feedback_cell.prespike))
    return seen, layer


def junction(inferno):
    """Two connections into two groups of neurons."""
    torch.manual_seed(3)
    neural = inferno.neural
    synapse = neural.DoubleExponentialCurrent.partialconstructor(50.0, 8.0, 2.0)
    layer = neural.Biclique(
        (("image", neural.LinearDense((3, 4), 6, 1.0, synapse=synapse, batch_size=BATCH)),
         ("sound", neural.LinearDense(7, 6, 1.0, synapse=synapse, bias=True, batch_size=BATCH), lambda x: x * 0.5)),
        (("fast", lif(neural, 6)), ("slow", alif(neural, 6), lambda x: x + 1.0)),
        combine=lambda outputs: inferno.extra.identity(outputs["image"] - 0.25 * outputs["sound"]),
    )  # fmt: skip
    seen = []
    for x, y in zip(noise(3, 4), noise(7), strict=True):
        spikes = layer({"image": (x,), "sound": (y,)})
        cells = dict(layer.named_cells)
        seen.append((spikes["fast"], spikes["slow"], *(cells[key].precurrent for key in sorted(cells))))
    return seen, layer


def vision(inferno):
    """Images that are shifted in time by the filters of a convolution."""
    torch.manual_seed(4)
    neural = inferno.neural
    connection = neural.Conv2D(
        6, 5, 2, 3, 1.0, (3, 2), stride=(2, 1), padding=1, bias=True, delay=3.0, batch_size=BATCH,
        synapse=neural.DeltaPlusCurrent.partialconstructor(150.0), weight_init=lambda w: w - 0.1,
        delay_init=lambda d: inferno.uniform(d) * 3.0,
    )  # fmt: skip
    neuron = neural.AdEx(
        connection.outshape, 1.0, **CELL, rheobase_v=-52.0, sharpness=2.0, thresh_v=-45.0, tc_membrane=15.0,
        tc_adaptation=(30.0, 5.0), voltage_coupling=(0.1, 0.0), spike_increment=(1.0, 2.0), batch_size=BATCH,
        batch_reduction=torch.mean,
    )  # fmt: skip
    layer = neural.Serial(connection, neuron, transform=lambda x: x * 0.5)
    seen = []
    for x in noise(*connection.inshape):
        spikes, current = layer(x, torch.rand(x.shape), capture_intermediate=True)
        seen.append((spikes, current, neuron.voltage, neuron.current_adaptation, connection.synspike))
    layer.apply(lambda module: module.clear() if isinstance(module, (neural.Connection, neural.Neuron)) else None)
    return [*seen, (layer(x), neuron.voltage, connection.syncurrent)], layer


def analysis(inferno):
    """Traces, smoothing and statistics of spike trains, without a network."""
    torch.manual_seed(5)
    trains = noise(4)
    traces = {"nearest": None, "cumulative": None, "scaled": None, "valued": None, "rate": None}
    level, trend, smooth, seen = trains[0].float(), torch.zeros(BATCH, 4), None, []
    decay = inferno.exp(-1.0 / 20.0)
    for x in trains:
        values = x * torch.rand(x.shape)
        plain = {"decay": decay, "amplitude": 0.5}
        traces = {
            "nearest": inferno.trace_nearest(x, traces["nearest"], **plain, target=True),
            "cumulative": inferno.trace_cumulative(x, traces["cumulative"], **plain, target=True),
            "scaled": inferno.trace_cumulative_scaled(
                values, traces["scaled"], **plain, scale=2.0, matchfn=lambda v: v > 0.3
            ),
            "valued": inferno.trace_cumulative_value(values, traces["valued"], decay=decay, scale=0.3),
            "rate": inferno.exprate_trace_cumulative(
                x, traces["rate"], step_time=1.0, rate_constant=0.1, amplitude=1.0, target=True
            ),
        }
        smooth = inferno.exponential_smoothing(values, smooth, alpha=0.3)
        level, trend = inferno.holt_linear_smoothing(values, level, trend, alpha=0.3, beta=0.2)
        seen.append((*traces.values(), smooth, level, trend))
    intervals = inferno.isi(trains, 1.0)
    first, second = (train.nonzero()[:, 0].float() for train in (trains[:, 0, 0], trains[:, 1, 0]))
    distance = torch.as_tensor(inferno.victor_purpura_pair_dist(first, second, 0.5))
    normal = inferno.normalize(inferno.normal(smooth), 2, dim=-1)
    return [*seen, (intervals, inferno.functional.nanmean(intervals, 0), distance, normal)], torch.nn.Module()


def digits(inferno):
    """inferno-ai's quickstart in small: neurons that inhibit one another learn by STDP, and are assigned to classes."""
    torch.manual_seed(6)
    neural, learn = inferno.neural, inferno.learn

    def synapse(charge):
        return {"synapse": neural.DeltaCurrent.partialconstructor(charge), "batch_size": BATCH}

    excitatory, inhibitory = alif(neural, (2, 3)), lif(neural, (2, 3))
    feedfwd = neural.Serial(
        neural.LinearDense(
            (4, 5), (2, 3), 1.0, weight_init=lambda w: inferno.rescale(inferno.uniform(w), 0.1, 0.7), **synapse(30.0)
        ),
        excitatory,
    )
    trigger = neural.Serial(neural.LinearDirect((2, 3), 1.0, weight_init=torch.ones_like, **synapse(300.0)), inhibitory)
    inhibit = neural.Serial(
        neural.LinearLateral((2, 3), 1.0, weight_init=lambda w: -5.0 * torch.ones_like(w), **synapse(10.0)), excitatory
    )
    updater = feedfwd.connection.defaultupdater()
    feedfwd.connection.updater = updater
    updater.weight.upperbound(inferno.functional.bound_upper_multiplicative, 1.0)
    clamping = neural.Clamping(updater, "parent.weight", min=0.0)
    clamping.register()
    normalization = neural.Normalization(feedfwd.connection, "weight", order=1, scale=6.0, dim=-1)
    trainer = learn.STDP(5e-2, -5e-3, 30.0, 20.0)
    trainer.register_cell("feedfwd", feedfwd.cell)
    classifier = learn.MaxRateClassifier((2, 3), 3, decay=1e-3)
    seen, counts, labels = [], [], torch.tensor([0, 2, 1])
    for step, x in enumerate(noise(4, 5)):
        spikes = feedfwd(x)
        inhibit(trigger(spikes))
        trainer()
        feedfwd.connection.update()
        counts.append(spikes.float())
        if step % 25 == 24:
            trainer.clear()
            normalization(force=True)
            classes, logits = classifier(torch.stack(counts), labels, True)
            counts.clear()
            seen.append((classes, logits, classifier.rates.clone()))
        else:
            seen.append((spikes, feedfwd.connection.weight.detach().clone()))
    every = torch.nn.ModuleList([feedfwd, trigger, inhibit, trainer, classifier])
    seen.sort(key=len)
    return seen, every


PROGRAMS = [learning, competition, junction, vision, analysis, digits]
