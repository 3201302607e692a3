"""A checkpoint with any fault gives an error that names it, and leaves the model as it was, bit for bit."""

import io
import json
import os
import pickle
import struct

import pytest
import torch
from checkpoint_cases import connection, inputs, neuron, run, serial
from checkpoint_models import another, assert_unchanged, checkpoint, snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from states import assert_same_state, states

import inferno_cuda as inferno
from inferno_cuda import CheckpointError, load_checkpoint, save_checkpoint
from inferno_cuda.state import _file

save_file = pytest.importorskip("safetensors.torch").save_file


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint, and what the model held."""
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    return path, checkpoint(path)


@pytest.fixture
def other():
    return another()


def refused(path, net, *words, **options):
    before = snapshot(net)
    with pytest.raises(CheckpointError) as info:
        load_checkpoint(path, net, **options)
    assert str(path) in str(info.value)
    for word in words:
        assert word in str(info.value)
    assert_unchanged(net, before)


def test_bytes_that_are_no_checkpoint(saved, other, tmp_path):
    data = saved[0].read_bytes()
    target = tmp_path / "damaged"
    pickled = io.BytesIO()
    torch.save(other.state_dict(), pickled)
    files = {
        "empty": b"",
        "short": data[:5],
        "truncated header": data[: len(data) // 20],
        "truncated": data[:-1],
        "too long": data + b"\0",
        "huge header": struct.pack("<Q", 2**63) + data[8:],
        "large header": struct.pack("<Q", 99_000_000) + data[8:],
        "header beyond the file": struct.pack("<Q", len(data)) + data[8:],
        "torch.save": pickled.getvalue(),
        "image": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "text": b"not a checkpoint at all\n" * 10,
    }
    for content in files.values():
        target.write_bytes(content)
        refused(target, other)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.environ["INFERNO_BOMB"],))


def test_pickles_are_not_executed(other, tmp_path, monkeypatch):
    crater = tmp_path / "crater"
    monkeypatch.setenv("INFERNO_BOMB", str(crater))
    target = tmp_path / "bomb"
    for dump in (lambda f: pickle.dump(Bomb(), f), lambda f: torch.save(Bomb(), f)):
        with open(target, "wb") as file:
            dump(file)
        refused(target, other)
        assert not crater.exists()


def test_files_of_others(other, tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "plain")
    refused(tmp_path / "plain", other, "not one that save_checkpoint wrote")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere", other)
    with pytest.raises(IsADirectoryError):
        load_checkpoint(tmp_path, other)


def rewrite(source, target, change):
    """A file whose checksum is right, after ``change(tensors, content)``, which may return text for the content."""
    tensors, content = _file.read(source)
    tensors = {k: v.clone() for k, v in tensors.items()}
    text = change(tensors, content)
    text = text if isinstance(text, str) else json.dumps(content)
    metadata = {"kind": _file.KIND, "content": text, "checksum": _file._checksum(tensors, text)}
    save_file({k: v.clone() for k, v in tensors.items()}, target, metadata)


WEIGHT = "layer.connections_.feedfwd.weight_"
EXTRA = "layer.connections_.feedfwd.synapse_._extra_state"
RING = "layer.connections_.feedfwd.synapse_._current__data"


def values(content):
    return dict(map(tuple, content["values"][EXTRA]["dict"]))


def set_value(content, name, value):
    held = {**values(content), name: value}
    content["values"][EXTRA] = {"dict": [list(pair) for pair in held.items()]}


def drop(mapping, key):
    del mapping[key]


HOSTILE = {
    "missing tensor": (lambda t, c: drop(t, WEIGHT), "weight_"),
    "another tensor": (lambda t, c: t.update({"layer.more": torch.ones(1)}), "layer.more"),
    "wrong shape": (lambda t, c: t.update({WEIGHT: torch.ones(3, 2)}), "size mismatch"),
    "wrong batch size": (lambda t, c: t.update({RING: t[RING][:, :1].contiguous()}), "size mismatch"),
    "wrong dtype": (lambda t, c: t.update({WEIGHT: t[WEIGHT].double()}), "float64"),
    "tensor for an extra state": (lambda t, c: (drop(c["values"], EXTRA), t.update({EXTRA: torch.ones(1)})), EXTRA),
    "value for a tensor": (lambda t, c: (drop(t, WEIGHT), c["values"].update({WEIGHT: 3})), "weight_"),
    "missing extra state": (lambda t, c: drop(c["values"], EXTRA), EXTRA),
    "no dictionary as extra state": (lambda t, c: c["values"].update({EXTRA: [1]}), "list"),
    "unknown extra": (lambda t, c: set_value(c, "evil", 1), "evil"),
    "missing extra": (lambda t, c: c["values"].update({EXTRA: {"dict": []}}), "has the entries []"),
    "string as pointer": (lambda t, c: set_value(c, "_current__pointer", "1"), "str"),
    "bool as pointer": (lambda t, c: set_value(c, "_current__pointer", True), "bool"),
    "float as pointer": (lambda t, c: set_value(c, "_current__pointer", 1.0), "float"),
    "tensor as pointer": (
        lambda t, c: (t.update({"@x": torch.tensor(1)}), set_value(c, "_current__pointer", {"tensor": "@x"})),
        "Tensor",
    ),
    "pointer beyond the ring": (lambda t, c: set_value(c, "_current__pointer", 10**6), "slots"),
    "pointer beyond an int64": (lambda t, c: set_value(c, "_current__pointer", 2**80), "slots"),
    "unknown kind": (lambda t, c: set_value(c, "_current__pointer", {"object": "os.system"}), "no plain value"),
    "list of a tuple": (lambda t, c: set_value(c, "_current__pointer", {"tuple": 3}), "no plain value"),
    "tensor that is not there": (lambda t, c: set_value(c, "_current__pointer", {"tensor": "@99"}), "no plain value"),
    "twice the same entry": (lambda t, c: c["values"][EXTRA]["dict"].append(["_current__pointer", 0]), "dictionary"),
    "list as a key": (lambda t, c: c["values"][EXTRA]["dict"].append([[], 0]), "key of type list"),
    "deep nesting": (lambda t, c: c["extra"].update(deep=json.loads("[" * 400 + "]" * 400)), "deep"),
    "nesting beyond the stack": (lambda t, c: "[" * 200_000 + "]" * 200_000, "JSON"),
    "a number without end": (lambda t, c: "9" * 10_000, "JSON"),
    "no JSON": (lambda t, c: "{", "JSON"),
    "another JSON": (lambda t, c: "[]", "does not say"),
    "later version": (lambda t, c: c.update(version=2), "version 2"),
    "missing part": (lambda t, c: drop(c, "shared"), "does not say"),
    "part of another type": (lambda t, c: c.update(extra=[]), "does not say"),
    "number as a mode": (lambda t, c: c["training"].update(encoder=1), "does not say"),
    "missing modes": (lambda t, c: drop(c, "training"), "does not say"),
    "shares what is not there": (lambda t, c: c["shared"].update({"tied.bias": "norm.nothing"}), "tied.bias"),
    "shares a number": (lambda t, c: c["shared"].update({"tied.bias": 3}), "tied.bias"),
    "shares under a name that is taken": (lambda t, c: c["shared"].update({WEIGHT: RING}), WEIGHT),
    "no generator": (lambda t, c: c.update(generators={}), "generators []"),
    "a generator too many": (lambda t, c: c["generators"].update(x=c["generators"]["encoder"]), "'x'"),
    "generator that was not given": (lambda t, c: c["given"].update(x=c["generators"]["encoder"]), "'x'"),
    "number as a generator": (lambda t, c: c["generators"].update(encoder=1), "no tensor"),
    "short generator": (lambda t, c: t.update({c["generators"]["encoder"]["tensor"]: torch.ones(3).byte()}), "RNG"),
    "generator of rubbish": (
        lambda t, c: t[c["generators"]["encoder"]["tensor"]].fill_(255), "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_content(kind, saved, other, tmp_path):
    change, word = HOSTILE[kind]
    rewrite(saved[0], tmp_path / "hostile", change)
    refused(tmp_path / "hostile", other, word)


def test_what_only_loading_can_find_is_undone(tmp_path):
    net = torch.nn.ModuleDict({"first": neuron(inferno, "LIF"), "conv": connection(inferno, "Conv2D")})
    run(net["conv"], inputs(net["conv"], 3))
    save_checkpoint(tmp_path / "good", net)
    key = "conv.synapse_._current__data"
    rewrite(tmp_path / "good", tmp_path / "bad", lambda t, c: t[key].copy_(torch.rand(t[key].shape)))
    net["first"](torch.full((2, 4), 30.0))
    before, objects = states(net), [id(b) for b in net.buffers()]
    with pytest.raises(CheckpointError, match="disagree about pixels"):
        load_checkpoint(tmp_path / "bad", net)
    assert_same_state(states(net), before)
    assert [id(b) for b in net.buffers()] == objects


def test_pending_updates_of_another_shape(tmp_path):
    start, other = serial(inferno), serial(inferno, seed=3)
    start.updater.weight = torch.ones(4, 6)
    save_checkpoint(tmp_path / "good", start)
    key = "connections_.serial.updater_.updates_.weight._pos.0"
    other.updater.weight = pending = torch.zeros(4, 6)
    before = states(other)
    for change in (lambda t, c: t.update({key: torch.ones(4, 7)}), lambda t, c: t.update({key: torch.ones(2, 4, 6)}),
                   lambda t, c: t.update({key.replace("weight", "nothing"): torch.ones(4, 6)})):  # fmt: skip
        rewrite(tmp_path / "good", tmp_path / "bad", change)
        with pytest.raises(CheckpointError, match="weight._pos.0|nothing"):
            load_checkpoint(tmp_path / "bad", other)
        assert_same_state(states(other), before)
        assert len(other.updater.weight._pos) == 1 and torch.equal(other.updater.weight.pos, pending)


def test_a_module_that_fails_after_others_were_loaded(tmp_path):
    class Picky(inferno.Module):
        def __init__(self):
            super().__init__()
            self.register_extra("mood", "fine")
            self.log = [1]

        def set_extra_state(self, state):
            self.log.append(2)
            raise OverflowError("not today")

    net = torch.nn.Sequential(neuron(inferno, "ALIF"), Picky())
    save_checkpoint(tmp_path / "c", net)
    net[0](torch.full((2, 4), 40.0))
    before = states(net)
    with pytest.raises(OverflowError):
        load_checkpoint(tmp_path / "c", net)
    assert_same_state(states(net), before)
    assert net[1].log == [1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), header=st.booleans(), xor=st.integers(1, 255))
def test_a_damaged_byte(where, header, xor, saved, other, tmp_path):
    path, good = saved
    data = bytearray(path.read_bytes())
    end = 8 + struct.unpack("<Q", data[:8])[0]
    at = int(where * end) if header else end + int(where * (len(data) - end))
    data[at] ^= xor
    target = tmp_path / "damaged"
    target.write_bytes(data)
    before = snapshot(other)
    try:
        load_checkpoint(target, other)
    except CheckpointError as error:
        assert str(target) in str(error)
        assert_unchanged(other, before)
    else:
        # a byte without a meaning, such as the padding of the header
        assert header
        assert_same_state(states(other), good[0])




def test_extras_of_records_are_checked(tmp_path):
    def build():
        net = inferno.Module()
        options = {"persist_constraints": True, "persist_temporal": True}
        inferno.RecordTensor.create(net, "r", 1.0, 3.0, torch.zeros(2), {0: 2}, **options)
        return net

    net = build()
    for i in range(5):
        net.r.push(torch.full((2,), float(i)))
    save_checkpoint(tmp_path / "good", net)
    other = build()
    load_checkpoint(tmp_path / "good", other)
    assert other.r.pointer == net.r.pointer and torch.equal(other.r.value, net.r.value)
    for name, value in (("_r_dt", -1.0), ("_r_dt", 0.0), ("_r_duration", {"float": "nan"}), ("_r_pointer", 3)):
        def change(tensors, content, name=name, value=value):
            pairs = {**dict(map(tuple, content["values"]["_extra_state"]["dict"])), name: value}
            content["values"]["_extra_state"]["dict"] = [list(pair) for pair in pairs.items()]

        rewrite(tmp_path / "good", tmp_path / "bad", change)
        before = states(other)
        with pytest.raises(CheckpointError, match=name.removeprefix("_r_")):
            load_checkpoint(tmp_path / "bad", other)
        assert_same_state(states(other), before)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    missing = tmp_path / "missing" / "model.safetensors"
    with pytest.raises(FileNotFoundError) as caught:
        save_checkpoint(missing, serial(inferno))
    assert caught.value.filename == str(missing)
