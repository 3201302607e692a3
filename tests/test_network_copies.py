"""Layers are modules: copies, files, casts, modes, and what explain and state_dict make of shared parts."""

import copy
import io
import pickle

import pytest
import torch

from inferno_cuda import explain
from inferno_cuda.neural import LIF, Biclique, DeltaCurrent, LinearDense, RecurrentSerial, Serial

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}


def dense(seed, delay=3.0):
    gen = torch.Generator().manual_seed(seed)
    conn = LinearDense(
        4, 4, 1.0, synapse=DeltaCurrent.partialconstructor(60.0), delay=delay, batch_size=2,
        weight_init=lambda w: torch.rand(w.shape, generator=gen) - 0.1,
        delay_init=lambda d: (torch.rand(d.shape, generator=gen) * 3).round(),
    )  # fmt: skip
    conn.updater = conn.defaultupdater()
    return conn


def lif():
    return LIF(4, 1.0, batch_size=2, **CELL)


LAYERS = {
    "serial": lambda: Serial(dense(0), lif()),
    "biclique": lambda: Biclique([("a", dense(0)), ("b", dense(1, None))], [("m", lif()), ("k", lif())]),
    "recurrent": lambda: RecurrentSerial(dense(0), dense(1), dense(2), lif(), lif(), trainable_feedback=True),
}
kinds = pytest.mark.parametrize("kind", LAYERS)


def step(layer, x):
    out = layer({"a": (x,), "b": (x,)}) if isinstance(layer, Biclique) else layer(x)
    return tuple(out.values()) if isinstance(out, dict) else out if isinstance(out, tuple) else (out,)


def inputs(steps, seed=0):
    return torch.rand(steps, 2, 4, generator=torch.Generator().manual_seed(seed)) < 0.4


def run(layer, xs):
    return torch.stack([torch.cat(step(layer, x)) for x in xs])


def saved(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda m: pickle.loads(pickle.dumps(m)), "save": saved}


@kinds
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_goes_on_by_itself(kind, how):
    layer = LAYERS[kind]()
    run(layer, inputs(6))
    names = (list(layer.connections.items()), layer.cells)
    other = COPIES[how](layer)
    assert len(names[0]) == len(list(other.connections.items()))
    state = layer.state_dict()
    expected = run(other, inputs(20, 1))
    assert expected.any()
    assert all(torch.equal(v, layer.state_dict()[k]) for k, v in state.items() if isinstance(v, torch.Tensor))
    assert torch.equal(run(layer, inputs(20, 1)), expected)
    cells = dict(layer.named_cells)
    for (connection, neuron), cell in other.named_cells:
        assert cell.connection is other.get_connection(connection) and cell.neuron is other.get_neuron(neuron)
        assert cell is not cells[connection, neuron] and cell.updater.parent is cell.connection
        assert cell.realign_attribute("postspike") == f"neurons_.{neuron}.spike"
        assert cell._living_basis() is other


def test_a_copy_of_a_cell_alone_is_in_no_layer():
    layer = LAYERS["serial"]()
    for make in COPIES.values():
        cell = make(layer.cell)
        assert cell.connection is not layer.connection and torch.equal(cell.connection.weight, layer.connection.weight)
        with pytest.raises(RuntimeError, match="does not exist any more"):
            cell.realign_attribute("postspike")


@kinds
def test_state_dict_round_trip(kind):
    layer, other = LAYERS[kind](), LAYERS[kind]()
    run(layer, inputs(7))
    state = layer.state_dict()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    expected = run(layer, inputs(20, 1))
    other.load_state_dict(state)
    assert torch.equal(run(other, inputs(20, 1)), expected)
    assert list(other.state_dict()) == list(state)
    layer.load_state_dict(state, assign=True)
    assert torch.equal(run(layer, inputs(20, 1)), expected)
    other.load_state_dict(state)
    assert torch.equal(run(other, inputs(20, 1)), expected)


def test_feedback_is_saved_and_restored_as_it_was():
    fresh, layer = LAYERS["recurrent"](), LAYERS["recurrent"]()
    before = fresh.state_dict()
    assert "feedback_spikes" not in before
    run(layer, inputs(7))
    used = layer.state_dict()
    spikes = used["feedback_spikes"].clone()
    run(layer, inputs(3, 1))
    assert torch.equal(used["feedback_spikes"], spikes)
    layer.load_state_dict(before)
    assert layer.feedback_spikes is None
    fresh.load_state_dict(used)
    assert torch.equal(fresh.feedback_spikes, spikes)
    fresh.load_state_dict({}, strict=False)
    assert torch.equal(fresh.feedback_spikes, spikes)
    outer, other = torch.nn.Sequential(fresh), torch.nn.Sequential(LAYERS["recurrent"]())
    other.load_state_dict(outer.state_dict())
    assert torch.equal(other[0].feedback_spikes, spikes)
    with pytest.raises(RuntimeError, match="feedback_spikes"):
        LAYERS["recurrent"]().load_state_dict({**used, "feedback_spikes": torch.zeros(5, 4, dtype=torch.bool)})


@kinds
def test_shared_parts_are_saved_once(kind):
    layer = torch.nn.Sequential(LAYERS[kind]())
    state = layer.state_dict(prefix="net.")
    assert list(state) == ["net." + key for key in layer.state_dict()]
    repeated = 0
    for (connection, neuron), _ in layer[0].named_cells:
        for part, own in ((f"{connection}.{neuron}.connection_.", f"connections_.{connection}."),
                          (f"{connection}.{neuron}.neuron_.", f"neurons_.{neuron}.")):  # fmt: skip
            for key, value in state.items():
                if key.startswith(f"net.0.cells_.{part}"):
                    assert state[key.replace(f"cells_.{part}", own)] is value
                    repeated += 1
    assert repeated > 10


@kinds
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_casts(kind, dtype):
    layer = LAYERS[kind]()
    run(layer, inputs(4))
    assert layer.to(dtype) is layer
    assert run(layer, inputs(10)).any()
    for _, cell in layer.named_cells:
        assert cell.postvoltage.dtype == cell.precurrent.dtype == cell.connection.weight.dtype == dtype
    assert all(parameter.dtype == dtype for parameter in layer.parameters())
    assert not hasattr(layer, "feedback_spikes") or layer.feedback_spikes.dtype == torch.bool


@kinds
def test_device(kind, device):
    layer, other = LAYERS[kind](), LAYERS[kind]()
    run(layer, inputs(4))
    run(other, inputs(4))
    layer.to(device)
    expected = run(other, inputs(20, 1))
    assert torch.equal(run(layer, inputs(20, 1).to(device)).cpu(), expected)


@kinds
def test_modes_reach_every_part(kind):
    layer = LAYERS[kind]()
    for mode in (False, True):
        layer.train(mode)
        assert all(module.training == mode for module in layer.modules())
    layer.requires_grad_(False)
    for parameters in (list(layer.parameters()), dict(layer.named_parameters())):
        assert len(parameters) == sum(1 + (c.delay is not None) for _, c in layer.named_connections)


@kinds
def test_inference_mode_leaves_ordinary_state(kind):
    layer = LAYERS[kind]()
    state = LAYERS[kind]()
    run(state, inputs(2))
    with torch.inference_mode():
        layer.load_state_dict(state.state_dict())
        run(layer, inputs(4))
    assert not any(buffer.is_inference() for buffer in layer.buffers())
    assert run(layer, inputs(20, 1)).any()


@kinds
def test_explain_lists_every_op_once(kind):
    layer = LAYERS[kind]()
    rows = [(row.module, row.op) for row in explain(layer)]
    assert len(set(rows)) == len(rows)
    assert {module for module, op in rows if op == "neuron_step"} == {f"neurons_.{name}" for name in layer.neurons_}
    assert {module for module, op in rows if op == "delayed_dense"} == {
        f"connections_.{name}" for name, conn in layer.named_connections if conn.delayedby
    }


@kinds
def test_gradients_pass_through_a_step(kind):
    layer = LAYERS[kind]()
    for _, connection in layer.named_connections:
        connection.weight.requires_grad_()
    for x in inputs(4):
        step(layer, x)
    layer.get_neuron(next(iter(layer.neurons_))).voltage.sum().backward()
    name = next(iter(layer.connections_))
    assert layer.get_connection(name).weight.grad.abs().sum() > 0


@pytest.mark.cuda
@kinds
def test_a_captured_step_replays_the_loop(kind):
    layer, other = LAYERS[kind]().cuda(), LAYERS[kind]().cuda()
    xs = inputs(20).cuda()
    static = xs[0].clone()
    for target in (layer, other):
        run(target, xs[:3])
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        out = torch.cat(step(layer, static))
    for x in xs:
        static.copy_(x)
        graph.replay()
        assert torch.equal(out, torch.cat(step(other, x)))


@pytest.mark.cuda
def test_the_first_recurrent_step_cannot_be_captured():
    layer, x = LAYERS["recurrent"]().cuda(), inputs(1)[0].cuda()
    with pytest.raises(RuntimeError, match="feedback_spikes"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        layer(x)
