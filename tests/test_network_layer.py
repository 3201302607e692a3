"""Layers: members, what a step hands to whom, clearing, bad input."""

import warnings

import pytest
import torch

from inferno_cuda.neural import LIF, Biclique, Cell, DeltaCurrent, Layer, LinearDense, RecurrentSerial, Serial


def dense(ins=3, outs=2, kind=LinearDense, **options):
    torch.manual_seed(0)
    conn = kind(ins, outs, 1.0, synapse=DeltaCurrent.partialconstructor(1000.0), **options)
    conn.updater = conn.defaultupdater()
    return conn


def lif(size=2, kind=LIF, **options):
    cell = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
    return kind(size, 1.0, **{**cell, **options})


class Noted:
    """Keeps what it was last called with."""

    def forward(self, *args, **kwargs):
        self.called = (args, kwargs)
        return super().forward(args[0], **kwargs)


class NotedDense(Noted, LinearDense):
    pass


class NotedLIF(Noted, LIF):
    pass


class Sum(Layer):
    def wiring(self, inputs, **kwargs):
        self.wired = kwargs
        return dict.fromkeys(self.neurons_, sum(inputs.values()))


def own():
    layer = Sum()
    layer.add_connection("a", dense())
    layer.add_connection("b", dense(4, kind=NotedDense))
    layer.add_neuron("m", lif())
    layer.add_neuron("k", lif(kind=NotedLIF))
    layer.add_cell("a", "m")
    layer.add_cell("b", "m")
    layer.add_cell("b", "k")
    return layer


def keys(layer):
    return [key for key, _ in layer.named_cells]


ALL = [("a", "m"), ("b", "m"), ("b", "k")]


def test_members_by_name():
    layer = own()
    assert keys(layer) == ALL and [n for n, _ in layer.named_connections] == ["a", "b"]
    assert [n for n, _ in layer.named_neurons] == ["m", "k"]
    assert dict(layer.named_synapses) == {"a": layer.connections.a.synapse, "b": layer.connections.b.synapse}
    assert layer.connections.a is layer.get_connection("a") and layer.neurons.k is layer.get_neuron("k")
    cell = layer.cells.b.m
    assert isinstance(cell, Cell) and cell is layer.get_cell("b", "m") is layer.add_cell("b", "m")
    assert cell.connection is layer.connections.b and cell.neuron is layer.neurons.m
    assert list(layer.connections.keys()) == ["a", "b"] and "a" in dir(layer.cells) and "b" in repr(layer.connections)


def test_proxies_cannot_be_written():
    layer = own()
    for proxy in (layer.connections, layer.neurons, layer.cells, layer.cells.a):
        with pytest.raises(AttributeError, match="'m' cannot be set"):
            proxy.m = lif()
    with pytest.raises(AttributeError, match="'x' is not a registered connection, there are: a, b"):
        layer.connections.x  # noqa: B018


def test_removal_takes_the_cells_along():
    layer = own()
    layer.del_cell("b", "k")
    layer.del_cell("b", "k")
    assert keys(layer) == ALL[:2]
    layer.del_neuron("m")
    assert keys(layer) == [] and not len(layer.cells_) and [n for n, _ in layer.named_neurons] == ["k"]
    layer.add_cell("a", "k")
    layer.del_connection("a")
    assert keys(layer) == [] and [n for n, _ in layer.named_connections] == ["b"]
    assert not [name for name in layer.state_dict() if name.startswith(("cells_", "connections_.a", "neurons_.m"))]
    for delete, name, kind in ((layer.del_connection, "a", AttributeError), (layer.del_neuron, "m", ValueError)):
        with pytest.raises(kind, match=f"'{name}'"):
            delete(name)
    layer.add_connection("a", dense())
    assert layer.connections.a is layer.get_connection("a")


@pytest.mark.parametrize("make", [lambda layer: layer.add_connection("x", lif()),
                                  lambda layer: layer.add_connection("x", torch.nn.Linear(3, 2)),
                                  lambda layer: layer.add_neuron("x", torch.nn.Identity()),
                                  lambda layer: Serial(lif(), dense()),
                                  lambda layer: Cell(layer, lif(), lif(), ("a", "m")),
                                  lambda layer: Cell(None, dense(), lif(), ("a", "m"))])  # fmt: skip
def test_parts_of_the_wrong_kind_are_refused(make):
    layer = own()
    before = list(layer.state_dict())
    with pytest.raises(TypeError, match="'(connection|neuron|basis)'"):
        make(layer)
    assert list(layer.state_dict()) == before


def test_a_step_hands_arguments_on():
    layer = own()
    x, y = torch.ones(1, 3), torch.ones(1, 4)
    spikes, currents = layer(
        {"b": (y,), "a": [x]}, {"b": {"note": 1}}, {"k": {"refrac_lock": False}}, True, gain=2.0
    )  # fmt: skip
    assert list(spikes) == ["m", "k"] and list(currents) == ["b", "a"]
    args, kwargs = layer.connections.b.called
    assert args == (y,) and kwargs == {"note": 1} and layer.wired == {"gain": 2.0}
    args, kwargs = layer.neurons.k.called
    assert torch.equal(args[0], currents["a"] + currents["b"]) and kwargs == {"refrac_lock": False}
    assert list(layer({"a": (x,)})) == ["m", "k"]


@pytest.mark.parametrize(
    "call, kind, words",
    [(lambda f, x: f({"a": (x,), "z": (x,)}), KeyError, "'inputs' has the name 'z'"),
     (lambda f, x: f({"a": (x,)}, {"z": {}}), KeyError, "'connection_kwargs' has the name 'z'"),
     (lambda f, x: f({"a": (x,)}, None, {"z": {}}), KeyError, "'neuron_kwargs' has the name 'z'"),
     (lambda f, x: f({"a": x}), TypeError, "'inputs' of 'a' is a Tensor")],
)  # fmt: skip
def test_bad_inputs_change_nothing(call, kind, words):
    layer = own()
    layer({"a": (torch.ones(1, 3),)})
    before = {k: v.clone() for k, v in layer.state_dict().items() if isinstance(v, torch.Tensor)}
    with pytest.raises(kind, match=words):
        call(layer, torch.zeros(1, 3))
    assert all(torch.equal(v, layer.state_dict()[k]) for k, v in before.items())


def test_wiring_to_unknown_neurons_runs_none():
    layer = own()
    layer.wiring = lambda inputs: {"m": inputs["a"], "z": inputs["a"]}
    before = layer.neurons.m.voltage.clone()
    with pytest.raises(KeyError, match="'wiring' has the name 'z'"):
        layer({"a": (torch.ones(1, 3),)})
    assert torch.equal(layer.neurons.m.voltage, before)


def test_update_reaches_every_connection():
    layer = own()
    before = [conn.weight.clone() for _, conn in layer.named_connections]
    for _, conn in layer.named_connections:
        conn.updater.weight = torch.ones_like(conn.weight)
    layer.update(clear=False)
    layer.update()
    layer.update()
    for (_, conn), weight in zip(layer.named_connections, before, strict=True):
        torch.testing.assert_close(conn.weight, weight + 2, rtol=0, atol=1e-6)


def recurrent(**options):
    return RecurrentSerial(dense(3, 2), dense(2, 2, NotedDense), dense(2, 2, NotedDense), lif(), lif(), **options)


def test_d31_clear_puts_everything_to_rest(backend):
    layer = own()
    fresh = {k: v.clone() for k, v in layer.state_dict().items() if k.endswith("data")}
    inputs = {"a": (torch.ones(1, 3),), "b": (torch.ones(1, 4),)}
    assert any(out.any() for out in layer(inputs).values())
    layer.connections.a.updater.weight = torch.ones(2, 3)
    layer.clear(submodules=False)
    assert layer.neurons.m.spike.any() and layer.connections.a.updater.weight.pos is not None
    layer.clear(keep_adaptations=False)
    state = layer.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in fresh.items())
    assert layer.connections.a.updater.weight.pos is None


def test_d31_recurrent_clear(backend):
    layer = recurrent()
    layer(torch.ones(1, 3))
    assert layer.feedback_spikes.any()
    layer.clear(clear_feedback=False)
    assert layer.feedback_spikes.any() and not layer.feedfwd_neuron.spike.any()
    layer(torch.ones(1, 3))
    layer.clear(submodules=False)
    assert layer.feedback_spikes is None and layer.feedfwd_neuron.spike.any()
    layer.clear()
    first = layer(torch.ones(1, 3))
    again = recurrent()(torch.ones(1, 3))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True)) and first[1].any()


def test_serial_hands_arguments_on():
    def transform(x, **kwargs):
        calls.append(kwargs)
        return x * 2

    calls = []
    layer = Serial(dense(kind=NotedDense), lif(kind=NotedLIF), transform, "in", "out")
    spikes, current = layer(torch.ones(1, 3), connection_kwargs={"a": 1}, neuron_kwargs={"refrac_lock": False},
                            capture_intermediate=True, gain=3)  # fmt: skip
    assert calls == [{"gain": 3}] and layer.connection.called[1] == {"a": 1}
    (given,), kwargs = layer.neuron.called
    assert torch.equal(given, current * 2) and kwargs == {"refrac_lock": False} and spikes.shape == (1, 2)
    assert layer.cell is layer.cells.__getattr__("in").out


def test_a_subclass_may_rewire_serial():
    class Halved(Serial):
        def wiring(self, inputs, **kwargs):
            return {name: x / 2 for name, x in super().wiring(inputs, **kwargs).items()}

    layer = Halved(dense(), lif(kind=NotedLIF))
    _, current = layer(torch.ones(1, 3), capture_intermediate=True)
    assert torch.equal(layer.neuron.called[0][0], current / 2)


def test_recurrent_hands_arguments_on():
    layer = recurrent(feedback_in_transform=lambda s: (s.float() + 1, s))
    extra = torch.zeros(1, 2)
    layer(
        torch.ones(1, 3), lateral_connection_args=(extra,), feedback_connection_args=[extra],
        lateral_connection_kwargs={"b": 1}, feedback_connection_kwargs={"c": 1}, feedfwd_neuron_kwargs={"d": 1},
        feedback_neuron_kwargs={"e": 1}, feedfwd_connection_kwargs={"a": 1}, other=1,
    )  # fmt: skip
    args, kwargs = layer.lateral_connection.called
    assert kwargs == {"b": 1} and len(args) == 2 and args[0].dtype == torch.bool and args[1] is extra
    args, kwargs = layer.feedback_connection.called
    assert kwargs == {"c": 1} and torch.equal(args[0], torch.ones(1, 2)) and args[2] is extra


def test_an_in_transform_that_returns_no_tuple_changes_nothing():
    layer = recurrent(feedback_in_transform=lambda s: s)
    with pytest.raises(TypeError, match="'feedback_in_transform' returned a Tensor"):
        layer(torch.ones(1, 3))
    assert not layer.feedfwd_synapse.spike.any()


def test_what_a_recurrent_step_returns_is_the_callers():
    layer = recurrent()
    _, feedback = layer(torch.ones(1, 3))
    kept = layer.feedback_spikes
    assert feedback.any()
    feedback.zero_()
    assert layer.feedback_spikes.any()
    layer(torch.zeros(1, 3))
    assert kept.any() and not layer.feedback_spikes.any()


def test_feedback_is_forgotten_when_the_batch_size_changes(backend):
    layer = recurrent()
    layer(torch.ones(1, 3))
    for module in (*layer.connections_.values(), *layer.neurons_.values()):
        module.batchsz = 3
    _, feedback = layer(torch.ones(3, 3))
    assert torch.equal(layer.feedback_connection.called[0][0], torch.zeros(3, 2, dtype=torch.bool))
    assert feedback.shape == layer.feedback_spikes.shape == (3, 2)


def test_biclique_calls_functions_for_each_group_of_neurons():
    def noting(name):
        def transform(x):
            calls.append(name)
            return x

        return transform

    def combine(inputs, **kwargs):
        calls.append((*inputs, kwargs))
        return sum(inputs.values())

    calls = []
    layer = Biclique(iter([("a", dense(), noting("a")), ("b", dense())]),
                     iter([("m", lif(), noting("m")), ("k", lif(), None)]), combine)  # fmt: skip
    layer({"a": (torch.ones(1, 3),), "b": (torch.ones(1, 3),)}, z=1)
    once = ["a", ("a", "b", {"z": 1})]
    assert calls == [*once, "m", *once]


def test_biclique_transforms_in_place_do_not_reach_other_neurons():
    layer = Biclique([("a", dense()), ("b", dense())], [("m", lif(), lambda x: x.mul_(0)), ("k", lif(kind=NotedLIF))])
    x = torch.ones(1, 3)
    _, currents = layer({"a": (x,), "b": (x,)}, capture_intermediate=True)
    assert torch.equal(layer.neurons.k.called[0][0], currents["a"] + currents["b"])


def doubled(x):
    return x.mul_(2)


def doubled_sum(inputs):
    for value in inputs.values():
        value.mul_(2)
    return sum(inputs.values())


@pytest.mark.parametrize("fed", ["a", "ab"])
@pytest.mark.parametrize("how", ["output", "input", "combine"])
def test_biclique_functions_in_place_neither_compound_nor_show(how, fed):
    connections = [(name, dense(), *[doubled] * (how == "output" and name == "a")) for name in "ab"]
    neurons = [(name, lif(kind=NotedLIF), *[doubled] * (how == "input")) for name in "mk"]
    layer = Biclique(connections, neurons, doubled_sum if how == "combine" else "sum")
    plain = Biclique([(name, dense()) for name in "ab"], [("m", lif())])
    inputs = {name: (torch.ones(1, 3),) for name in fed}
    _, currents = layer(inputs, capture_intermediate=True)
    _, expected = plain(inputs, capture_intermediate=True)
    assert all(torch.equal(currents[name], expected[name]) for name in fed)
    factors = {"a": 2, "b": 1 if how == "output" else 2}
    for neuron in layer.neurons_.values():
        assert torch.equal(neuron.called[0][0], sum(factors[name] * expected[name] for name in fed))


@pytest.mark.parametrize("combine, kind", [("median", ValueError), (3, TypeError), (None, TypeError)])
def test_biclique_refuses_other_ways_to_combine(combine, kind):
    with pytest.raises(kind, match="combine"):
        Biclique([("a", dense())], [("m", lif())], combine)
    assert Biclique([("a", dense())], [("m", lif())], "SUM").wiring({"a": torch.ones(1, 2)})["m"].shape == (1, 2)


def test_biclique_without_inputs():
    layer = Biclique([("a", dense())], [("m", lif())])
    with pytest.raises(ValueError, match="'inputs' is empty"):
        layer({})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_sums_are_rounded_once(dtype):
    layer = Biclique([(name, dense()) for name in "abc"], [("m", lif())])
    outs = {"a": torch.tensor([[1.0, 256.0]], dtype=dtype), "b": torch.tensor([[0.001, 0.5]], dtype=dtype)}
    outs["c"] = outs["b"]
    expected = (outs["a"].float() + outs["b"].float() + outs["c"].float()).to(dtype)
    assert torch.equal(layer.wiring(outs)["m"], expected) and layer.wiring(outs)["m"].dtype == dtype


def test_a_captured_loop_stays_in_one_buffer():
    # what a capture in a CUDA graph sets, since its replays read and write the same memory
    layer, other = recurrent(), recurrent()
    layer(torch.ones(1, 3))
    other(torch.ones(1, 3))
    layer._feedback_captured, held = True, layer.feedback_spikes
    for x in (torch.zeros(1, 3), torch.ones(1, 3), torch.ones(1, 3)):
        assert all(torch.equal(a, b) for a, b in zip(layer(x), other(x), strict=True))
        assert layer.feedback_spikes is held and torch.equal(held, other.feedback_spikes)
    layer(torch.ones(1, 3))
    layer.clear()
    assert layer.feedback_spikes is held and not held.any()


def test_steps_of_different_lengths_are_warned_of():
    def layer(dt):
        connection = LinearDense(2, 3, dt, synapse=DeltaCurrent.partialconstructor(1.0))
        neurons = LIF(3, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)
        return Serial(connection, neurons)

    with pytest.warns(UserWarning, match="step of connection 'serial' is 0.5 ms, one of neurons 'serial' 1 ms"):
        layer(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(1.0)
