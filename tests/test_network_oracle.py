"""Layers step by step against inferno-ai 0.0.5: the same spikes, cells, keys and errors, checkpoints both ways."""

import io

import pytest
import torch

import inferno_cuda.neural as ours

theirs = pytest.importorskip("inferno.neural")

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
STEPS = 110
SYNAPSES = {"delta": ("DeltaCurrent", (70.0,)), "exponential": ("SingleExponentialCurrent", (120.0, 5.0))}


def dense(neural, ins, outs, synapse="delta", delay=None, batch=2, updater=True, shift=0.2, seed=0):
    name, args = SYNAPSES[synapse]
    gen = torch.Generator().manual_seed(seed)
    conn = neural.LinearDense(
        ins, outs, 1.0, synapse=getattr(neural, name).partialconstructor(*args), delay=delay, batch_size=batch,
        weight_init=lambda w: torch.rand(w.shape, generator=gen) - shift,
        delay_init=lambda d: (torch.rand(d.shape, generator=gen) * delay).round(),
    )  # fmt: skip
    if updater:
        conn.updater = conn.defaultupdater()
    return conn


def lif(neural, size, batch=2):
    return neural.LIF(size, 1.0, batch_size=batch, **CELL)


def serial(neural, synapse="delta", delay=3.0, transform=None, **options):
    return neural.Serial(dense(neural, 6, 5, synapse, delay), lif(neural, 5), transform, **options)


def biclique(neural, combine="sum", transforms=False, synapse="delta"):
    def double(x):
        return x * 2

    given = [("a", dense(neural, 6, 5, synapse, 3.0)), ("b", dense(neural, 4, 5, synapse, seed=1))]
    groups = [("m", lif(neural, 5)), ("k", lif(neural, 5))]
    if transforms:
        given[1], groups[0] = (*given[1], double), (*groups[0], lambda x: x + 1)
    return neural.Biclique(given, groups, combine)


def recurrent(neural, synapse="delta", **options):
    return neural.RecurrentSerial(
        dense(neural, 6, 5, synapse, 3.0), dense(neural, 5, 4, synapse, seed=1, shift=-0.5),
        dense(neural, 4, 5, synapse, 2.0, seed=2, shift=0.6), lif(neural, 5), lif(neural, 4), **options,
    )  # fmt: skip


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed)) < 0.3


def same(a, b):
    """Equal for bool, close otherwise, up to the axis that inferno-ai puts in front of combined outputs (D-21)."""
    b = b.squeeze(0) if b.ndim == a.ndim + 1 else b
    assert a.dtype == b.dtype and a.shape == b.shape
    torch.testing.assert_close(a, b)


def same_cells(a, b):
    cells = dict(b.named_cells)
    assert [key for key, _ in a.named_cells] == list(cells)
    for key, cell in a.named_cells:
        for name in ("precurrent", "prespike", "postvoltage", "postspike"):
            same(getattr(cell, name), getattr(cells[key], name))
        assert cell.synapse is cell.connection.synapse and cell.updater is cell.connection.updater


@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("transform", [None, lambda x, gain=1.0, **_: x * gain])
def test_serial(synapse, delay, transform):
    a, b = (serial(n, synapse, delay, transform) for n in (ours, theirs))
    fired = 0
    for t, x in enumerate(spikes(STEPS, 2, 6)):
        options = {"gain": 1.5} if t % 3 else {}
        sa, ca = a(x, capture_intermediate=True, **options)
        sb, cb = b(x, capture_intermediate=True, **options)
        assert torch.equal(sa, sb)
        same(ca, cb)
        if t % 10 == 9:
            same_cells(a, b)
        fired += int(sa.sum())
    assert fired > 50
    assert a.connection is a.connections.serial and a.neuron is a.neurons.serial and a.cell is a.cells.serial.serial
    assert a.synapse is a.connection.synapse and a.updater is a.connection.updater


@pytest.mark.parametrize("combine", ["sum", "mean", "prod", "min", "max", "function"])
@pytest.mark.parametrize("transforms", [False, True])
def test_d21_biclique_combines_to_batched_outputs(combine, transforms):
    how = combine if combine != "function" else lambda d, sign=1.0: sign * (d["a"] + d["b"])
    a, b = (biclique(n, how, transforms) for n in (ours, theirs))
    fired = 0
    for t, (x, y) in enumerate(zip(spikes(STEPS, 2, 6), spikes(STEPS, 2, 4, seed=1), strict=True)):
        options = {"sign": 0.9} if combine == "function" else {}
        sa, ca = a({"b": (y,), "a": (x,)}, capture_intermediate=True, **options)
        sb, cb = b({"b": (y,), "a": (x,)}, capture_intermediate=True, **options)
        assert list(sa) == list(sb) == ["m", "k"] and list(ca) == list(cb) == ["b", "a"]
        for name, out in sa.items():
            assert out.shape == a.get_neuron(name).batchedshape == a.get_neuron(name).voltage.shape
            assert torch.equal(out, sb[name].view_as(out))
            fired += int(out.sum())
        for name, out in ca.items():
            same(out, cb[name])
        if t % 10 == 9:
            same_cells(a, b)
    assert fired > 50


@pytest.mark.parametrize("combine", ["sum", "mean", "prod", "min", "max"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_combined_values_are_those_of_inferno(combine, dtype):
    outputs = {name: torch.randn(3, 5, generator=torch.Generator().manual_seed(i)).to(dtype)
               for i, name in enumerate("abc")}  # fmt: skip
    a, b = (
        n.Biclique([(name, dense(n, 2, 5)) for name in outputs], [("m", lif(n, 5))], combine) for n in (ours, theirs)
    )
    wired = a.wiring(outputs)["m"]
    assert wired.shape == (3, 5)
    same(wired, b.wiring(outputs)["m"])
    part = {"b": outputs["b"]}
    assert torch.equal(a.wiring(part)["m"], outputs["b"])


TRANSFORMS = {
    "none": {},
    "all": {
        "feedfwd_out_transform": lambda x: x * 1.1,
        "lateral_out_transform": lambda x: x + 1.0,
        "feedback_out_transform": lambda x: x - 0.5,
        "lateral_in_transform": lambda s: (s.float() * 1.5,),
        "feedback_in_transform": lambda s: (~s,),
    },
}


@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("transforms", TRANSFORMS)
@pytest.mark.parametrize("trainable", [False, True])
def test_recurrent(synapse, transforms, trainable):
    names = {"lateral_connection_name": "across", "feedback_neuron_name": "back"}
    a, b = (recurrent(n, synapse, trainable_feedback=trainable, **TRANSFORMS[transforms], **names)
            for n in (ours, theirs))  # fmt: skip
    assert a.feedback_spikes is None and b.feedback_spikes is None
    forward = backward = 0
    for t, x in enumerate(spikes(STEPS, 2, 6)):
        (fa, ra), ca = a(x, capture_intermediate=True)
        (fb, rb), cb = b(x, capture_intermediate=True)
        assert torch.equal(fa, fb) and torch.equal(ra, rb) and torch.equal(a.feedback_spikes, ra)
        assert list(ca) == list(cb) == ["feedfwd", "feedback", "across"]
        for name, out in ca.items():
            same(out, cb[name])
        if t % 10 == 9:
            same_cells(a, b)
        forward, backward = forward + int(fa.sum()), backward + int(ra.sum())
    assert forward > 20 and backward > 20
    assert a.feedback_neuron is a.neurons.back and a.lateral_connection is a.connections.across
    for part in ("feedfwd", "lateral", "feedback"):
        connection = getattr(a, f"{part}_connection")
        assert getattr(a, f"{part}_synapse") is connection.synapse
        assert getattr(a, f"{part}_updater") is connection.updater
        cell = getattr(a, f"{part}_cell")
        assert cell is None if part != "feedfwd" and not trainable else cell.connection is connection


def test_feedback_takes_one_step():
    def weights(value):
        return {"synapse": ours.DeltaCurrent.partialconstructor(1.0), "weight_init": lambda w: w.fill_(value)}

    cell = {**CELL, "refrac_t": 0.0, "time_constant": 1.0}
    layer = ours.RecurrentSerial(
        *(ours.LinearDense(1, 1, 1.0, **weights(w)) for w in (100.0, 100.0, -1000.0)),
        ours.LIF(1, 1.0, **cell), ours.LIF(1, 1.0, **cell),
    )  # fmt: skip
    outs = [layer(torch.ones(1, 1)) for _ in range(3)]
    assert [bool(f) for f, _ in outs] == [True, False, False] and [bool(r) for _, r in outs] == [True, False, False]


def through_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def drive(layer, x, y):
    return layer({"a": (x,), "b": (y,)})["m"] if "m" in layer.neurons_ else layer(x)


LAYERS = {"serial": serial, "biclique": lambda n: biclique(n, lambda d: d["a"] + d["b"]),
          "recurrent": lambda n: recurrent(n, trainable_feedback=True)}  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("cut", [1, 7])
def test_checkpoints_are_exchanged_in_the_middle(kind, first, cut):
    build = LAYERS[kind]
    start, resumed = (build(n) for n in ((ours, theirs) if first == "ours" else (theirs, ours)))
    inputs = list(zip(spikes(60, 2, 6), spikes(60, 2, 4, seed=1), strict=True))
    assert list(start.state_dict()) == list(resumed.state_dict())
    for pair in inputs[:cut]:
        drive(start, *pair)
    state = through_file(start.state_dict())
    if first == "ours" and kind == "recurrent":
        # inferno-ai knows the key only after a step
        drive(resumed, *inputs[0])
    assert first == "theirs" or list(state) == list(resumed.state_dict())
    resumed.load_state_dict(state)
    assert list(state) == list(resumed.state_dict())
    fired = 0
    for pair in inputs[cut:]:
        outs = [out if isinstance(out, tuple) else (out,) for out in (drive(start, *pair), drive(resumed, *pair))]
        assert all(torch.equal(a, b) for a, b in zip(*outs, strict=True))
        fired += int(outs[0][0].sum())
    assert fired > 10


def error(function):
    with pytest.raises(Exception) as info:
        function()
    return info.type


def own(neural):
    class Own(neural.Layer):
        def wiring(self, inputs, **kwargs):
            return {"n": sum(inputs.values())}

    layer = Own()
    layer.add_connection("c", dense(neural, 6, 5))
    layer.add_neuron("n", lif(neural, 5))
    layer.add_neuron("wide", lif(neural, 7))
    layer.add_cell("c", "n")
    return layer


BAD = {
    "abstract": lambda n: n.Layer(),
    "duplicate connection": lambda n: own(n).add_connection("c", dense(n, 6, 5)),
    "duplicate neuron": lambda n: own(n).add_neuron("n", lif(n, 5)),
    "name with a space": lambda n: own(n).add_connection("a b", dense(n, 6, 5)),
    "dotted name": lambda n: own(n).add_neuron("a.b", lif(n, 5)),
    "no string": lambda n: own(n).add_neuron(3, lif(n, 5)),
    "reserved name": lambda n: own(n).add_connection("keys", dense(n, 6, 5)),
    "no module": lambda n: own(n).add_neuron("x", 3),
    "unknown connection": lambda n: own(n).get_connection("x"),
    "unknown neuron": lambda n: own(n).get_neuron("x"),
    "unknown cell": lambda n: own(n).get_cell("c", "wide"),
    "unknown cell's connection": lambda n: own(n).get_cell("x", "n"),
    "cell of unknown connection": lambda n: own(n).add_cell("x", "n"),
    "cell of unknown neuron": lambda n: own(n).add_cell("c", "x"),
    "cell of other shape": lambda n: own(n).add_cell("c", "wide"),
    "delete unknown connection": lambda n: own(n).del_connection("x"),
    "delete unknown neuron": lambda n: own(n).del_neuron("x"),
    "delete unknown cell": lambda n: own(n).del_cell("x", "n"),
    "attribute connection": lambda n: own(n).connections.x,
    "attribute neuron": lambda n: own(n).neurons.x,
    "attribute cell": lambda n: own(n).cells.c.x,
    "unknown input": lambda n: own(n)({"x": (torch.ones(2, 6),)}),
    "target": lambda n: own(n)._realign_attribute("c", "n", "x", "y"),
    "call of a cell": lambda n: own(n).cells.c.n(),
    "set a part": lambda n: setattr(own(n).cells.c.n, "neuron", None),
    "cell path": lambda n: own(n).cells.c.n.local_remap("nothing.at.all"),
    "serial shapes": lambda n: n.Serial(dense(n, 6, 5), lif(n, 4)),
    "serial name": lambda n: n.Serial(dense(n, 6, 5), lif(n, 5), None, "a b"),
    **{f"serial {name}": lambda n, name=name: getattr(serial(n), name)("x", "y")
       for name in ("add_cell", "add_connection", "add_neuron", "del_cell", "del_connection", "del_neuron")},
    "recurrent add": lambda n: recurrent(n).add_cell("lateral", "feedback"),
    "recurrent names": lambda n: recurrent(n, lateral_connection_name="feedfwd"),
    "recurrent in-transform": lambda n: recurrent(n, feedback_in_transform=lambda s: s)(torch.ones(2, 6)),
    "biclique add": lambda n: biclique(n).add_cell("a", "m"),
    "biclique without connections": lambda n: n.Biclique([], [("n", lif(n, 5))]),
    "biclique without neurons": lambda n: n.Biclique([("c", dense(n, 6, 5))], []),
    "biclique arity": lambda n: n.Biclique([("c",)], [("n", lif(n, 5))]),
    "biclique element": lambda n: n.Biclique([3], [("n", lif(n, 5))]),
    "biclique combine": lambda n: biclique(n, "median"),
    "biclique names": lambda n: n.Biclique([("c", dense(n, 6, 5))] * 2, [("n", lif(n, 5))]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_errors_are_of_the_same_class(case):
    assert error(lambda: BAD[case](ours)) is error(lambda: BAD[case](theirs))


PATHS = ["connection", "connection_", "connection.weight", "neuron_.voltage", "neuron", "synapse.spike", "synapse",
         "updater.weight.pos", "precurrent", "prespike", "postvoltage", "postspike", "training",
         "monitors"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_on_a_cell_lead_to_the_same_place_in_the_layer(path):
    layers = [own(n) for n in (ours, theirs)]
    a, b = (layer.cells.c.n for layer in layers)
    assert a.local_remap(path) == b.local_remap(path)
    assert a.realign_attribute(path) == b.realign_attribute(path)
