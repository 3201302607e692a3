"""What runs record: names, every so many steps, some neurons, tensors and files to write to."""

import numpy as np
import pytest
import torch
from run_cases import NEURONS, B, Leaky, Own, biclique, currents, recurrent, serial, spikes

import inferno_cuda
from inferno_cuda.neural import LIF
from inferno_cuda.testing import assert_identical

STEPS = 13


def by_hand(layer, inputs):
    """Traces of a serial layer, single step by single step."""
    seen = {"voltage": [], "refrac": [], "spike": [], "current": [], "synapse.pos_current": []}
    layer.neuron.register_forward_pre_hook(lambda m, a: seen["current"].append(a[0].clone()))
    for x in inputs:
        seen["spike"].append(layer(x) != 0)
        for name in ("voltage", "refrac"):
            seen[name].append(getattr(layer.neuron, name).clone())
        seen["synapse.pos_current"].append(layer.synapse.pos_current)
    return {name: torch.stack(values) for name, values in seen.items()}


@pytest.mark.parametrize("chunk", [None, 1, 5, 20])
@pytest.mark.parametrize("every", [1, 3, 50])
def test_recordings_are_those_of_single_steps(backend, chunk, every):
    inputs, names = spikes(STEPS, 6), ("voltage", "refrac", "spike", "current")
    wanted = by_hand(serial("LIF"), inputs)
    _, found = serial("LIF").run(inputs, record=names, every=every, chunk=chunk)
    assert list(found) == list(names)
    for name in names:
        assert_identical(found[name], wanted[name][::every])
    named = [f"serial.{name}" for name in ("voltage", "synapse.pos_current")]
    _, found = serial("LIF").run(inputs, record=named, every=every, chunk=chunk)
    assert_identical(found["serial.voltage"], wanted["voltage"][::every])
    assert_identical(found["serial.synapse.pos_current"], wanted["synapse.pos_current"][::every])


def test_recordings_of_neurons_alone(backend):
    for name, make in NEURONS.items():
        neurons, each = make((2, 3)), make((2, 3))
        inputs = currents(STEPS, 2, 3)
        out, found = neurons.run(inputs, record=("voltage", "refrac", "spike", "current"), every=2)
        seen = []
        for x in inputs:
            fired = each(x)
            seen.append((each.voltage.clone(), each.refrac.clone(), fired, x))
        for trace, wanted in zip(found.values(), zip(*seen, strict=True), strict=True):
            assert_identical(trace, torch.stack(wanted)[::2])
        assert out.shape == inputs.shape, name


def test_names_lead_through_layers_and_stacks(backend):
    stack = torch.nn.Sequential(serial("LIF"), serial("ALIF", inputs=5, outputs=4))
    inputs = spikes(STEPS, 6)
    _, found = inferno_cuda.run(stack, inputs, record=("0.voltage", "1.serial.voltage", "0.connection.current"))
    each = torch.nn.Sequential(serial("LIF"), serial("ALIF", inputs=5, outputs=4))
    voltages = [[], []]
    for x in inputs:
        each(x)
        for layer, kept in zip(each, voltages, strict=True):
            kept.append(layer.neuron.voltage.clone())
    assert_identical(found["0.voltage"], torch.stack(voltages[0]))
    assert_identical(found["1.serial.voltage"], torch.stack(voltages[1]))
    assert found["0.connection.current"].shape == (STEPS, B, 5)


@pytest.mark.parametrize("make", [recurrent, Own, biclique], ids=["recurrent", "own wiring", "biclique"])
def test_recordings_in_other_layers(backend, make):
    inputs = {name: (spikes(STEPS, 6),) for name in ("a", "b") if name in make().connections_} or spikes(STEPS, 6)
    (group, *_), (connection, *_) = make().neurons_, make().connections_
    each, seen = make(), []
    for t in range(STEPS):
        each({name: (x[t],) for name, (x,) in inputs.items()} if isinstance(inputs, dict) else inputs[t])
        seen.append(each.neurons_[group].voltage.clone())
    _, found = make().run(inputs, record=(f"{group}.voltage", f"{connection}.current"))
    assert_identical(found[f"{group}.voltage"], torch.stack(seen))
    assert found[f"{connection}.current"].shape == (STEPS, B, 5)


def test_attributes_of_any_module():
    out, found = inferno_cuda.run(Leaky(), currents(STEPS, 6), record="level", every=2)
    assert_identical(found["level"], out[0][::2])


SELECTIONS = {
    "slice": (slice(1, 6, 2), [1, 3, 5]),
    "list": ([5, 0, -1], [5, 0, 5]),
    "tensor": (torch.tensor([2]), [2]),
    "mask": (torch.tensor([[True, False, False], [True, True, False]]), [0, 3, 4]),
    "none of them": (torch.zeros(2, 3, dtype=torch.bool), []),
}


@pytest.mark.parametrize("neurons, index", SELECTIONS.values(), ids=SELECTIONS)
def test_some_neurons(backend, neurons, index):
    make, inputs = NEURONS["LIF"], currents(STEPS, 2, 3)
    _, whole = make((2, 3)).run(inputs, record="voltage")
    _, found = make((2, 3)).run(inputs, record="voltage", neurons=neurons, chunk=4)
    assert_identical(found["voltage"], whole["voltage"].flatten(2)[..., index])
    _, found = make((2, 3)).run(inputs, record=("voltage", "refrac"), neurons={"voltage": neurons})
    assert found["voltage"].shape[2:] == (len(index),) and found["refrac"].shape[2:] == (2, 3)


@pytest.mark.parametrize("chunk", [None, 4])
def test_into_tensors_and_files(backend, tmp_path, chunk):
    inputs, names = currents(STEPS, 5), ("voltage", "spike")
    _, wanted = NEURONS["LIF"]().run(inputs, record=names, every=2, neurons=[0, 3])
    file = np.lib.format.open_memmap(tmp_path / "v.npy", mode="w+", dtype="float32", shape=(7, B, 2))
    out = {"voltage": file, "spike": torch.zeros(7, B, 2, dtype=torch.bool)}
    _, found = NEURONS["LIF"]().run(inputs, record=names, every=2, neurons=[0, 3], out=out, chunk=chunk)
    assert found["voltage"] is file and found["spike"] is out["spike"]
    assert_identical(torch.from_numpy(np.load(tmp_path / "v.npy")), wanted["voltage"])
    assert_identical(out["spike"], wanted["spike"])
    wide = torch.zeros(STEPS, B, 5, dtype=torch.float64)
    NEURONS["LIF"]().run(inputs.requires_grad_(), record="voltage", out=wide, chunk=chunk)
    _, wanted = NEURONS["LIF"]().run(inputs.detach(), record="voltage")
    assert_identical(wide.float(), wanted["voltage"])


@pytest.mark.cuda
def test_from_the_device_to_the_host():
    out = torch.zeros(STEPS, B, 5)
    neurons = NEURONS["LIF"]().cuda()
    neurons.run(currents(STEPS, 5).cuda(), record="voltage", out=out, chunk=4)
    _, wanted = NEURONS["LIF"]().run(currents(STEPS, 5), record="voltage")
    assert_identical(out, wanted["voltage"])


def test_recordings_carry_gradients(backend):
    inputs = currents(STEPS, 5).requires_grad_()
    _, found = NEURONS["LIF"]().run(inputs, record="voltage", every=3, neurons=[1], chunk=4)
    found["voltage"].sum().backward()
    assert inputs.grad[..., 1].any() and not inputs.grad[..., 0].any()


read_only = np.zeros((STEPS, B, 5), dtype="float32")
read_only.flags.writeable = False
shared = torch.zeros(STEPS, B, 5)
BAD = [
    ({"record": "volts"}, ValueError, "'record' has 'volts', which LIF does not have"),
    ({"record": ("voltage", 3)}, TypeError, "'record' has a int"),
    ({"record": ("voltage", "voltage")}, ValueError, "something twice"),
    ({"record": "voltage", "every": 0}, ValueError, "'every' of 0"),
    ({"record": "voltage", "neurons": torch.ones(4, dtype=torch.bool)}, ValueError, r"a mask of shape \(4,\)"),
    ({"record": "voltage", "neurons": [5]}, ValueError, "out of range, there are 5"),
    ({"record": "voltage", "neurons": [[1]]}, ValueError, "one dimension"),
    ({"record": "voltage", "neurons": [0.5]}, TypeError, "must be integers"),
    ({"record": "voltage", "neurons": "first"}, TypeError, "'first', it must be a slice"),
    ({"record": "voltage", "neurons": {"refrac": [1]}}, ValueError, "'neurons' has 'refrac', which is not in 'record'"),
    ({"record": "voltage", "out": torch.zeros(STEPS, 5)}, ValueError, r"shape \(13, 5\), it must be \(13, 2, 5\)"),
    ({"record": "voltage", "out": torch.zeros(STEPS, B, 5, dtype=torch.int64)}, TypeError, "does not hold"),
    ({"record": "voltage", "out": torch.zeros(STEPS, B, 5, requires_grad=True)}, ValueError, "requires a gradient"),
    ({"record": "current", "out": torch.zeros(STEPS, B, 5, dtype=torch.int8)}, TypeError, "int8, which does not hold"),
    ({"record": "voltage", "out": torch.zeros(1).expand(STEPS, B, 5)}, ValueError, "elements that share memory"),
    ({"record": "spike", "out": torch.zeros(99).as_strided((STEPS, B, 5), (2, 5, 1))}, ValueError, "share memory"),
    ({"record": ("voltage", "refrac"), "out": {"voltage": shared, "refrac": shared}}, ValueError, "where voltage is"),
    ({"record": "voltage", "out": [1.0]}, TypeError, "a list, it must be a tensor or a numpy array"),
    ({"record": "voltage", "out": read_only}, ValueError, "read-only"),
    ({"record": ("voltage", "refrac"), "out": torch.zeros(STEPS, B, 5)}, TypeError, "must be a dictionary"),
    ({"record": "voltage", "out": {"volts": torch.zeros(1)}}, ValueError, "'out' has 'volts'"),
    ({"out": torch.zeros(1)}, TypeError, "must be a dictionary where not one name"),
]


@pytest.mark.parametrize("options, error, match", BAD, ids=[match for *_, match in BAD])
def test_bad_arguments_leave_the_state(options, error, match):
    neurons = NEURONS["LIF"]()
    before = neurons.voltage.clone()
    with pytest.raises(error, match=match):
        neurons.run(currents(STEPS, 5), **options)
    assert torch.equal(neurons.voltage, before)


def test_the_error_names_the_neurons_of_a_layer():
    with pytest.raises(ValueError, match="its neurons are: x, y"):
        biclique().run({"a": (spikes(2, 6),)}, record="voltage")


def storages(*values):
    return [x.untyped_storage().data_ptr() for x in values]


ALIASED = {
    "neurons": (NEURONS["LIF"], lambda: currents(STEPS, 5), ("voltage", "refrac", "spike", "current")),
    "connection": (lambda: serial("LIF").connection, lambda: spikes(STEPS, 6), ("current",)),
    "serial": (lambda: serial("LIF"), lambda: spikes(STEPS, 6), ("connection.current", "current", "spike", "voltage")),
    "recurrent": (recurrent, lambda: spikes(STEPS, 6), ("feedfwd.spike", "feedback.spike")),
}


@pytest.mark.parametrize("chunk", [None, 5])
@pytest.mark.parametrize("name", ALIASED)
def test_recordings_share_no_memory(backend, name, chunk):
    make, inputs_of, names = ALIASED[name]
    module, inputs = make().eval(), inputs_of()
    with torch.no_grad():
        out, recording = module.run(inputs, record=names, chunk=chunk)
    outs = out if isinstance(out, tuple) else (out,)
    others = storages(inputs, *outs, *(x for x in (*module.buffers(), *module.parameters()) if x.numel()))
    mine = storages(*recording.values())
    assert len(set(mine)) == len(mine) and not set(mine) & set(others)


class Volts(LIF):
    @property
    def voltage(self):
        return self.voltage_.value * 1e-3


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_a_property_of_a_subclass_is_recorded(backend, train):
    neurons = (
        cls(5, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0, batch_size=B)
        for cls in (Volts, Volts, LIF)
    )
    once, each, plain = (group.train(train) for group in neurons)
    inputs, seen = currents(STEPS, 5), []
    _, recording = once.run(inputs, record=("voltage", "refrac"))
    for x in inputs:
        each(x)
        seen.append(each.voltage)
    assert_identical(recording["voltage"], torch.stack(seen))
    assert_identical(recording["refrac"], plain.run(inputs, record="refrac")[1]["refrac"])


def test_targets_with_gaps_and_turned_targets(backend):
    whole, inputs = torch.zeros(B, STEPS, 5, 2), currents(STEPS, 5)
    out = {name: part.transpose(0, 1) for name, part in zip(("voltage", "spike"), whole.unbind(-1), strict=True)}
    NEURONS["LIF"]().run(inputs, record=tuple(out), out=out)
    _, wanted = NEURONS["LIF"]().run(inputs, record=tuple(out))
    assert_identical(out["voltage"], wanted["voltage"])
    assert_identical(out["spike"], wanted["spike"].float())


@pytest.mark.parametrize("name", ["voltage", "spike", "current"])
def test_into_a_tensor_in_compiled_code(native, name):
    once, each, inputs = NEURONS["LIF"](), NEURONS["LIF"](), currents(STEPS, 5)
    out = torch.zeros(STEPS, B, 5)

    def run(x, out):
        return once.run(x, record=name, out=out)[0]

    with torch.no_grad():
        torch.compile(run, fullgraph=True, backend="aot_eager")(inputs, out)
        _, wanted = each.run(inputs, record=name)
    assert_identical(out, wanted[name].float())


@pytest.mark.parametrize("none", [[], (), np.array([]), torch.zeros(0, dtype=torch.int64)], ids=str)
def test_no_neurons(none):
    _, recording = NEURONS["LIF"]().run(currents(STEPS, 5), record="voltage", neurons=none)
    assert recording["voltage"].shape == (STEPS, B, 0)
