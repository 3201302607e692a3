"""Observables and pools: where monitors look, which are shared, how long they live."""

import copy
import gc
import pickle
import weakref

import pytest
import torch

from inferno_cuda.neural import LIF, Biclique, Cell, DeltaCurrent, LinearDense, Serial
from inferno_cuda.observe import MonitorPool, Observable
from inferno_cuda.state import Module


class Recorder(Module):
    """A monitor: after each call of a module, keeps one of its attributes."""

    def __init__(self, attr, module):
        Module.__init__(self)
        self.attr, self.seen = attr, []
        self._observed = weakref.ref(module)
        me = weakref.ref(self)
        self.handle = module.register_forward_hook(lambda m, *_: me().record(m))
        weakref.finalize(self, self.handle.remove)

    def record(self, module):
        for name in self.attr.split("."):
            module = getattr(module, name)
        self.seen.append(module)


def dense():
    conn = LinearDense(3, 3, 1.0, synapse=DeltaCurrent.partialconstructor(1000.0), weight_init=torch.ones_like)
    conn.updater = conn.defaultupdater()
    return conn


def lif():
    return LIF(3, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0)


def serial():
    return Serial(dense(), lif())


def biclique():
    return Biclique([("a", dense()), ("b", dense())], [("n", lif())])


PATHS = {
    "prespike": "connections_.serial.synspike",
    "precurrent": "connections_.serial.syncurrent",
    "postspike": "neurons_.serial.spike",
    "postvoltage": "neurons_.serial.voltage",
    "synapse.spike": "connections_.serial.synapse.spike",
    "connection.weight": "connections_.serial.weight",
    "neuron_.refrac": "neurons_.serial.refrac",
    "updater.weight": "connections_.serial.updater.weight",
    "training": "cells_.serial.serial.training",
}


@pytest.mark.parametrize("attr", PATHS)
def test_a_monitor_sees_what_the_cell_has_after_each_step_of_the_layer(attr):
    layer = serial()
    monitor = layer.cell.add_monitor("m", attr, Recorder, None)
    assert monitor.attr == PATHS[attr] and monitor._observed() is layer
    for x in (torch.ones(1, 3), torch.zeros(1, 3)):
        layer(x)
        here = layer.cell
        for name in attr.split("."):
            here = getattr(here, name)
        seen = monitor.seen[-1]
        assert torch.equal(seen, here) if isinstance(here, torch.Tensor) else seen is here
    assert len(monitor.seen) == 2


def test_monitors_are_attributes_that_cannot_be_set_and_are_not_kept_alive():
    layer = serial()
    cell = layer.cell
    assert dict(cell.monitors) == {} and not hasattr(cell.monitors, "m")
    monitor = cell.add_monitor("m", "postspike", Recorder, None)
    assert cell.monitors.m is monitor is cell.monitors["m"] and "m" in cell.monitors and "m" in dir(cell.monitors)
    assert len(cell.monitors) == 1 and "Recorder" in repr(cell.monitors) and not list(cell.children())[2:]
    with pytest.raises(AttributeError, match="read-only"):
        cell.monitors.m = monitor
    with pytest.raises(KeyError, match="x"):
        cell.monitors["x"]
    with pytest.raises(AttributeError, match="'x'"):
        cell.monitors.x  # noqa: B018
    del monitor
    gc.collect()
    assert not cell.monitors and "m" not in cell.monitors and not layer._forward_hooks
    with pytest.raises(AttributeError, match="'m'"):
        cell.monitors.m  # noqa: B018


@pytest.mark.parametrize("attr, kind", [("a b", ValueError), (3, TypeError), ("nothing.there", RuntimeError)])
def test_bad_attributes_make_no_monitor(attr, kind):
    cell = serial().cell
    with pytest.raises(kind, match="attr|layer|nothing|does not"):
        cell.add_monitor("m", attr, Recorder, None)
    assert not cell.monitors


def test_a_cell_without_its_layer_cannot_be_watched():
    cell = serial().cell
    gc.collect()
    with pytest.raises(RuntimeError, match="Cell is a part of does not exist any more"):
        cell.add_monitor("m", "postspike", Recorder, None)


def watched(*layers):
    pool = MonitorPool()
    for i, layer in enumerate(layers):
        for (connection, neuron), cell in layer.named_cells:
            pool.add_observed(f"{connection}_{neuron}_{i}", cell)
    return pool


def test_cells_of_one_layer_share_what_records_the_same():
    layer = biclique()
    pool = watched(layer)
    post = pool.add_monitor("a_n_0", "post", "postspike", Recorder, rate=1.0)
    assert pool.add_monitor("b_n_0", "post", "neuron.spike", Recorder, rate=1.0) is post
    assert layer.cells.b.n.monitors.post is post and post._tags == {"rate": 1.0, "_attr": "neurons_.n.spike"}
    assert pool.get_monitor("b_n_0", "post") is post and [m for m in pool.monitors] == [post]
    assert [key for key, _ in pool.named_monitors] == [("a_n_0", "post"), ("b_n_0", "post")]
    assert list(pool.named_monitors_of("b_n_0")) == [("post", post)] and not list(pool.named_monitors_of("x"))
    layer({"a": (torch.ones(1, 3),)})
    assert len(post.seen) == 1 and post.seen[0].all()


@pytest.mark.parametrize("name, attr, tags", [("post", "postspike", {"rate": 2.0}), ("post", "postspike", {}),
                                              ("post", "postvoltage", {"rate": 1.0}),
                                              ("other", "postspike", {"rate": 1.0})])  # fmt: skip
def test_what_differs_is_not_shared(name, attr, tags):
    layer = biclique()
    pool = watched(layer)
    post = pool.add_monitor("a_n_0", "post", "postspike", Recorder, rate=1.0)
    assert pool.add_monitor("b_n_0", name, attr, Recorder, **tags) is not post


def test_d28_layers_of_the_same_structure_do_not_share():
    first, second = serial(), serial()
    pool = watched(first, second)
    one = pool.add_monitor("serial_serial_0", "post", "postspike", Recorder, rate=1.0)
    two = pool.add_monitor("serial_serial_1", "post", "postspike", Recorder, rate=1.0)
    assert one is not two and one._tags == two._tags and len(list(pool.monitors)) == 2
    first(torch.ones(1, 3))
    second(torch.zeros(1, 3))
    assert one.seen[0].all() and len(two.seen) == 1 and not two.seen[0].any()


def test_a_monitor_that_moved_to_another_layer_is_not_shared():
    layer, other = biclique(), biclique()
    pool = watched(layer)
    post = pool.add_monitor("a_n_0", "post", "postspike", Recorder)
    post._observed = weakref.ref(other)
    assert pool.add_monitor("b_n_0", "post", "postspike", Recorder) is not post


def test_unique_monitors_are_not_shared_and_replace():
    layer = biclique()
    pool = watched(layer)
    first = pool.add_monitor("a_n_0", "post", "postspike", Recorder)
    assert pool.add_monitor("a_n_0", "post", "prespike", Recorder, tag=1) is first
    alone = pool.add_monitor("a_n_0", "post", "postspike", Recorder, True)
    assert alone is not first and pool.get_monitor("a_n_0", "post") is alone and not hasattr(alone, "_tags")
    assert pool.add_monitor("b_n_0", "post", "postspike", Recorder) is not alone


def test_names_in_a_pool():
    layer = serial()
    pool = MonitorPool()
    assert pool.add_observed("a", layer.cell) is layer.cell is pool.get_observed("a")
    with pytest.raises(RuntimeError, match="'a'"):
        pool.add_observed("a", layer.cell)
    with pytest.raises(TypeError, match="value"):
        pool.add_observed("b", layer)
    with pytest.raises(KeyError, match="'b'"):
        pool.get_observed("b")
    with pytest.raises(AttributeError, match="'b'"):
        pool.add_monitor("b", "m", "postspike", Recorder)
    monitor = pool.add_monitor("a", "m", "postspike", Recorder)
    assert "monitors_.a.m._extra_state" in pool.state_dict() and pool.monitors_["a"]["m"] is monitor
    for observed, name in (("b", "m"), ("a", "x")):
        assert pool.get_monitor(observed, name) is None
        with pytest.raises(AttributeError, match=f"'{observed if observed == 'b' else name}'"):
            pool.del_monitor(observed, name)
    pool.del_monitor("a", "m")
    assert pool.get_monitor("a", "m") is None and not len(pool.monitors_)
    pool.add_monitor("a", "m", "postspike", Recorder)
    pool.del_observed("a")
    pool.del_observed("a")
    assert not len(pool.monitors_) and not list(pool.pool)


def test_a_name_of_a_lost_cell_can_be_used_again():
    layer, pool = serial(), MonitorPool()
    pool.add_observed("a", layer.cell)
    old = pool.add_monitor("a", "m", "postspike", Recorder)
    del layer
    gc.collect()
    assert not list(pool.pool)
    layer = serial()
    pool.add_observed("a", layer.cell)
    new = pool.add_monitor("a", "m", "postspike", Recorder)
    assert new is not old and new._observed() is layer


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies_start_unobserved(duplicate):
    layer = biclique()
    pool = watched(layer)
    other = duplicate(layer)
    pool.add_monitor("a_n_0", "post", "postspike", Recorder)
    assert not other.cells.a.n.monitors and layer.cells.a.n.monitors.post
    mine = other.cells.a.n.add_monitor("post", "postspike", Recorder, pool.pool)
    assert mine._observed() is other and mine is not layer.cells.a.n.monitors.post


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_pool_copied_with_its_layer_watches_the_copy(duplicate, order):
    layer = biclique()
    things = [watched(layer), layer]
    copies = duplicate([things[i] for i in order])
    pool, other = (copies[order.index(i)] for i in (0, 1))
    gc.collect()
    assert [observable for observable, _ in pool.pool] == [other.cells.a.n, other.cells.b.n]
    assert other is not layer and pool.add_monitor("a_n_0", "m", "postspike", Recorder)._observed() is other


def test_any_module_can_have_observables():
    class Part(Observable):
        def local_remap(self, attr):
            return (attr,), {"last": True}

    class Whole(Module):
        def find(self, *path, first, last):
            assert first and last
            return ".".join(path)

        def forward(self):
            self.found = True

    whole = Whole()
    part = Part(whole, "find", ("deep", "down"), {"first": True})
    assert part.realign_attribute("x.y") == "deep.down.x.y"
    with pytest.raises(TypeError, match="basis"):
        Part(3, "find", None, None)
    with pytest.raises(NotImplementedError, match="Observable"):
        Observable(whole, "find", None, None).realign_attribute("x")


def test_same_pooling_as_inferno_within_a_layer():
    theirs = pytest.importorskip("inferno.neural")
    observe = pytest.importorskip("inferno.observe")

    def build(neural):
        def conn():
            return neural.LinearDense(3, 3, 1.0, synapse=neural.DeltaCurrent.partialconstructor(1.0))

        cell = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
        return neural.Biclique([("a", conn()), ("b", conn())], [("n", neural.LIF(3, 1.0, **cell))])

    import inferno_cuda.neural as ours

    reducer = observe.StateMonitor.partialconstructor(observe.PassthroughReducer(1.0))
    found = []
    for neural, pool, constructor in ((ours, MonitorPool(), Recorder), (theirs, observe.MonitorPool(), reducer)):
        layer = build(neural)
        pool.add_observed("a", layer.cells.a.n)
        pool.add_observed("b", layer.cells.b.n)
        made = [pool.add_monitor(o, n, attr, constructor, **tags) for o, n, attr, tags in (
            ("a", "x", "postspike", {"t": 1}), ("b", "x", "neuron.spike", {"t": 1}), ("b", "y", "postspike", {"t": 1}),
            ("a", "z", "prespike", {}), ("b", "z", "prespike", {}), ("a", "v", "postvoltage", {"t": 1}),
            ("b", "v", "postvoltage", {"t": 2}), ("a", "x", "prespike", {"t": 5}))]  # fmt: skip
        found.append(([[a is b for a in made] for b in made], [m._tags for m in made],
                      [key for key, _ in pool.named_monitors], len(list(pool.monitors))))  # fmt: skip
    assert found[0] == found[1]


def test_cells_are_observables():
    assert issubclass(Cell, Observable)
