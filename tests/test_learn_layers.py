"""Trainers with every kind of layer, dtypes, reducers and kernels of users."""

import math

import pytest
import torch
from learn_cases import LONGEST, OURS, RULES, SIGNALS, layer, off_grid, on_grid, rule, spikes

from inferno_cuda import learn, neural
from inferno_cuda.observe import PassthroughReducer, StateMonitor

LIF_NUMBERS = dict(rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=15.0)


def dense(lib, size_in, size_out, seed, batch=2, delay=None):
    torch.manual_seed(seed)
    made = lib.neural.LinearDense(
        size_in,
        size_out,
        1.0,
        synapse=lib.neural.SingleExponentialCurrent.partialconstructor(40.0, 5.0),
        delay=delay,
        batch_size=batch,
        delay_init=off_grid,
    )
    made.updater = made.defaultupdater()
    return made


def lif(lib, size, batch=2):
    return lib.neural.LIF(size, 1.0, batch_size=batch, **LIF_NUMBERS)


def recurrent(lib):
    return lib.neural.RecurrentSerial(
        dense(lib, 6, 5, 1, delay=LONGEST),
        dense(lib, 5, 4, 2),
        dense(lib, 4, 5, 3),
        lif(lib, 5),
        lif(lib, 4),
        trainable_feedback=True,
    )


@pytest.mark.parametrize("name", ["STDP", "TripletSTDP", "MSTDPET", "KernelSTDP"])
def test_recurrent_layers_beside_inferno(name, repaired_inferno):
    weights = []
    for lib in (OURS, repaired_inferno):
        made, trainer = recurrent(lib), rule(lib, name)
        for (connection, neuron), cell in made.named_cells:
            trainer.register_cell(f"{connection}_{neuron}", cell)
        fired = 0
        for step in range(80):
            one, other = made(spikes(1, 2, 6, seed=step)[0])
            fired += int(one.sum()) + int(other.sum())
            trainer(SIGNALS["mixed"](2, step)) if RULES[name][2] else trainer()
            made.update()
        assert fired > 50
        weights.append([connection.weight.clone() for _, connection in made.named_connections])
    assert len(weights[0]) == 3
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("delay", [None, LONGEST])
@pytest.mark.parametrize("name", ["STDP", "TripletSTDP"])
def test_layers_that_fire_by_themselves_beside_inferno(name, delay, repaired_inferno):
    weights = []
    for lib in (OURS, repaired_inferno):
        made = lib.neural.Serial(dense(lib, 8, 5, 4, delay=delay), lif(lib, 5))
        trainer = rule(lib, name, delayed=True)
        trainer.register_cell("cell", made.cell)
        fired = 0
        for step in range(200):
            fired += int(made(spikes(1, 2, 8, seed=step)[0]).sum())
            trainer(SIGNALS["mixed"](2, step)) if RULES[name][2] else trainer()
            made.update()
        assert fired > 50
        weights.append(made.connection.weight.clone())
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)


def test_two_connections_to_the_same_neurons():
    """What both cells would record is recorded once, and each learns from its own input."""
    made = neural.Biclique([("a", dense(OURS, 6, 4, 1)), ("b", dense(OURS, 3, 4, 2))], [("n", lif(OURS, 4))])
    trainer = rule(OURS, "STDP")
    units = {name: trainer.register_cell(name, made.get_cell(name, "n")) for name in "ab"}
    assert units["a"].monitors["spike_post"] is units["b"].monitors["spike_post"]
    assert units["a"].monitors["trace_pre"] is not units["b"].monitors["trace_pre"]
    assert len(list(trainer.monitors)) == 6 and len(list(trainer.named_monitors)) == 8
    seen = {"a": [], "b": [], "n": []}
    for step in range(60):
        x = {"a": spikes(1, 2, 6, seed=step)[0], "b": spikes(1, 2, 3, seed=step + 99)[0]}
        seen["n"].append(made({name: (value,) for name, value in x.items()})["n"])
        for name, value in x.items():
            seen[name].append(value)
    trainer()
    post = torch.stack(seen["n"]).float()
    assert post.sum() > 20
    decay = torch.arange(59, -1, -1.0)
    for name in "ab":
        pre = torch.stack(seen[name]).float()
        x_pre = 0.02 * torch.einsum("t,tbi->bi", (-decay / 11.0).exp(), pre)
        x_post = 0.015 * torch.einsum("t,tbo->bo", (-decay / 8.0).exp(), post)
        update = made.get_connection(name).updater.weight
        torch.testing.assert_close(update.pos, post[-1].t() @ x_pre / 2, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(update.neg, x_post.t() @ pre[-1] / 2, rtol=1e-4, atol=1e-6)
    trainer.update()


def test_a_layer_of_a_user():
    class Chain(neural.Layer):
        def __init__(self):
            super().__init__()
            self.add_connection("first", dense(OURS, 6, 4, 1))
            self.add_neuron("out", lif(OURS, 4))
            self.add_cell("first", "out")

        def wiring(self, inputs, **kwargs):
            return {"out": inputs["first"]}

    made, trainer = Chain(), rule(OURS, "MSTDPET")
    trainer.register_cell("cell", made.get_cell("first", "out"))
    before = made.get_connection("first").weight.clone()
    for step in range(40):
        made({"first": (spikes(1, 2, 6, seed=step)[0],)})
        trainer(1.0)
        trainer.update()
    assert not torch.equal(made.get_connection("first").weight, before)


@pytest.mark.parametrize("connection", ["dense", "conv"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", [*RULES, "homeostasis"])
def test_dtypes(name, dtype, connection):
    """A layer and a trainer of a dtype give what those of float32 give, within its precision."""
    updates = []
    for to in (torch.float32, dtype):
        made = layer(OURS, connection, LONGEST, 3, on_grid).to(to)
        trainer = learn.LinearHomeostasis(0.1, 0.3, "weight") if name == "homeostasis" else rule(OURS, name)
        unit = trainer.register_cell("cell", made.cell)
        trainer.to(to)
        for step in range(5):
            post = spikes(1, 3, *made.connection.outshape, seed=step + 50)[0]
            made(spikes(1, 3, *made.connection.inshape, seed=step)[0], post=post)
        trainer(SIGNALS["mixed"](3, 0)) if name in RULES and RULES[name][2] else trainer()
        update = made.updater.delay if name.endswith("D") else made.updater.weight
        made_sides = [side for side in (update.pos, update.neg) if side is not None]
        assert made_sides and all(side.dtype == to for side in made_sides)
        assert all(monitor.reducer.data.dtype == to for monitor in unit.monitors.values())
        updates.append([side.float() for side in made_sides])
        made.update()
        assert made.connection.weight.dtype == made.connection.delay.dtype == to
    tolerance = {torch.float64: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}[dtype]
    for one, other in zip(*updates, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(one.abs().max()))


@pytest.mark.cuda
@pytest.mark.parametrize("connection", ["dense", "direct", "lateral", "conv"])
@pytest.mark.parametrize("name", [*RULES, "homeostasis"])
def test_on_a_gpu(name, connection):
    ends = []
    for device in ("cpu", "cuda"):
        made = layer(OURS, connection, LONGEST, 3, off_grid).to(device)
        trainer = learn.LinearHomeostasis(0.1, 0.3, "weight") if name == "homeostasis" else rule(OURS, name)
        trainer.register_cell("cell", made.cell)
        trainer.to(device)
        for step in range(20):
            post = spikes(1, 3, *made.connection.outshape, seed=step + 50)[0].to(device)
            made(spikes(1, 3, *made.connection.inshape, seed=step)[0].to(device), post=post)
            trainer(SIGNALS["mixed"](3, step)) if name in RULES and RULES[name][2] else trainer()
            made.update()
        ends.append([p.detach().cpu() for p in (made.connection.weight, made.connection.delay)])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_sequences_of_a_watched_layer():
    """`run` steps a layer that monitors watch: they record every step."""
    steps, ends = spikes(15, 2, 8), []
    for whole in (False, True):
        made, trainer = neural.Serial(dense(OURS, 8, 5, 4, delay=LONGEST), lif(OURS, 5)), rule(OURS, "MSTDPET")
        unit = trainer.register_cell("cell", made.cell)
        if whole:
            neural.run(made, steps)
        else:
            for x in steps:
                made(x)
        ends.append({name: monitor.peek() for name, monitor in unit.monitors.items()})
    assert ends[0]["elig_post"].any()
    assert all(torch.equal(ends[0][name], value) for name, value in ends[1].items())


def test_a_unit_moves_a_cell_with_its_monitors():
    made, trainer = layer(OURS), rule(OURS, "STDP")
    unit = trainer.register_cell("cell", made.cell)
    unit.to(torch.float64)
    assert made.connection.weight.dtype == unit.monitors["trace_pre"].reducer.data.dtype == torch.float64


def test_a_kernel_of_a_user():
    def triangle(lag, height, base):
        return height * (1 - lag.abs() / base).clamp_min(0) * torch.sign(lag + 0.5)

    made = layer(OURS)
    silent = lambda lag: torch.full_like(lag, math.nan)  # noqa: E731
    trainer = learn.KernelSTDP(triangle, silent, {"height": 2.0, "base": 4.0}, {})
    trainer.register_cell("cell", made.cell)
    made(torch.ones(1, 2, 3), post=torch.zeros(1, 4))
    made(torch.zeros(1, 2, 3), post=torch.tensor([[1, 1, 0, 0]]))
    trainer()
    expected = torch.tensor([[1.5], [1.5], [0.0], [0.0]]).expand(4, 6)
    torch.testing.assert_close(made.updater.weight.pos, expected)
    assert not made.updater.weight.neg.any()


def test_a_rule_of_a_user():
    """Hebb's: with the base class and monitors alone."""

    class Hebb(learn.IndependentCellTrainer):
        def register_cell(self, name, cell, /):
            self.add_cell(name, cell, None, ["weight"])
            for key, attr in (("pre", "prespike"), ("post", "postspike")):
                reducer = PassthroughReducer(cell.connection.dt, duration=0.0, inclusive=True)
                self.add_monitor(name, key, attr, StateMonitor.partialconstructor(reducer))
            return self.get_unit(name)

        def forward(self):
            for cell, _, monitors in self:
                post, pre = monitors["post"].peek(), monitors["pre"].peek()
                cell.updater.weight = post.flatten(1).t() @ pre.flatten(1)

    made, trainer = layer(OURS), Hebb()
    unit = trainer.register_cell("cell", made.cell)
    assert unit.state is None
    made(torch.ones(1, 2, 3), post=torch.tensor([[1, 0, 1, 0]]))
    trainer()
    assert made.updater.weight.pos.sum(1).tolist() == [6.0, 0.0, 6.0, 0.0]
    with pytest.raises(NotImplementedError):
        learn.CellTrainer()()


@pytest.mark.parametrize("name", ["STDP", "TripletSTDP", "KernelSTDP"])
def test_delays_beyond_the_longest_see_nothing(name):
    """As in the synapse, whose spikes out of range never arrive."""
    delays = torch.tensor([[0.0, 1.0, 3.0, 3.5, 50.0, 3.0]]).expand(4, 6)
    made = layer(OURS, delay=LONGEST, delay_init=lambda _: delays)
    trainer = rule(OURS, name, delayed=True)
    trainer.register_cell("cell", made.cell)
    for step in range(8):
        made(torch.full((1, 2, 3), step % 2 == 0), post=torch.full((1, 4), step % 2))
    trainer()
    change = sum(side for side in (made.updater.weight.pos, made.updater.weight.neg)).ne(0).all(0)
    assert change.tolist() == [True, True, True, False, False, True]
