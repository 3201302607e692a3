"""Checkpoint files: what they hold, that a resumed run is the run, and that saving is all or nothing."""

import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from checkpoint_cases import CASES, ENCODERS, inputs, run, serial
from checkpoint_models import another, checkpoint, model
from states import assert_same_state, seeded, states

import inferno_cuda as inferno
from inferno_cuda import CheckpointError, load_checkpoint, save_checkpoint

safetensors = pytest.importorskip("safetensors")
load_file = pytest.importorskip("safetensors.torch").load_file
PROGRAM = """
import pickle, sys, torch
sys.path.insert(0, sys.argv[1])
from checkpoint_cases import CASES, inputs, run
import inferno_cuda as inferno
resumed = {}
for name, build in CASES.items():
    module = build(inferno, seed=7)
    inferno.load_checkpoint(f"{sys.argv[2]}/{name}", module)
    resumed[name] = run(module, list(inputs(module, 20))[10:])
torch.save(resumed, f"{sys.argv[2]}/resumed")
"""


def test_every_class_resumes_in_another_process(tmp_path):
    wanted = {}
    for name, build in CASES.items():
        module = build(inferno)
        steps = list(inputs(module, 20))
        run(module, steps[:10])
        save_checkpoint(tmp_path / name, module)
        wanted[name] = run(module, steps[10:])
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": str(here.parent)}
    subprocess.run([sys.executable, "-c", PROGRAM, str(here), str(tmp_path)], check=True, env=env, timeout=120)
    resumed = torch.load(tmp_path / "resumed", weights_only=True)
    assert list(resumed) == list(wanted)
    for name, outs in wanted.items():
        assert all(torch.equal(a, b) for mine, other in zip(resumed[name], outs, strict=True)
                   for a, b in zip(mine, other, strict=True)), name  # fmt: skip


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("own", [True, False])
def test_encoders_resume(name, own, tmp_path):
    given = {} if own else {"generators": {"torch": torch.default_generator}}
    encoder = getattr(inferno.neural, name)(30, 1.0, 100.0, generator=seeded() if own else None)
    rates = torch.rand(4, generator=seeded(1))
    encoder(rates)
    save_checkpoint(tmp_path / "c", encoder, **given)
    drawn = encoder(rates)
    other = getattr(inferno.neural, name)(30, 1.0, 100.0, generator=seeded(8) if own else None)
    load_checkpoint(tmp_path / "c", other, **given)
    assert torch.equal(other(rates), drawn) and drawn.any()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint, and what the model held."""
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    return path, checkpoint(path)


def test_extra_values_and_the_optimizer_come_back(tmp_path):
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(torch.ones(3)).sum().backward()
    optimizer.step()
    extra = {"optimizer": optimizer.state_dict(), "step": 3, "note": "é\n", "nothing": None, "flag": True,
             "numbers": [1.5, -0.0, float("inf"), float("nan"), 2**70],
             "nested": ({"a": (1, [2])}, {3: torch.arange(3)})}  # fmt: skip
    save_checkpoint(tmp_path / "c", net, extra)
    back = load_checkpoint(tmp_path / "c", torch.nn.Linear(3, 2))
    assert back.keys() == extra.keys() and back["nested"][1][3].tolist() == [0, 1, 2]
    assert repr({k: back[k] for k in ("step", "note", "nothing", "flag", "numbers")}) == repr(
        {k: extra[k] for k in ("step", "note", "nothing", "flag", "numbers")}
    )
    assert back["nested"][0] == extra["nested"][0] and type(back["nested"]) is tuple
    again = torch.optim.Adam(net.parameters(), lr=0.5)
    again.load_state_dict(back["optimizer"])
    assert again.param_groups[0]["lr"] == 0.1 and again.param_groups[0]["betas"] == (0.9, 0.999)
    assert torch.equal(again.state[net.weight]["exp_avg"], optimizer.state[net.weight]["exp_avg"])


def test_the_file_is_safetensors_under_the_keys_of_the_state_dict(saved):
    path, (state, _, _) = saved
    tensors = load_file(path)
    weight = "layer.connections_.feedfwd.weight_"
    assert torch.equal(tensors[weight], state[weight])
    # what has several names is there once
    assert not [key for key in tensors if key.startswith(("layer.cells_", "tied"))]
    assert load_checkpoint(path, model()) == {"step": 7}


def test_a_resumed_model_is_the_saved_one(saved):
    other = another()
    path, (state, stream, _) = saved
    load_checkpoint(path, other)
    assert_same_state(states(other), state)
    assert torch.equal(other["encoder"].generator.get_state(), stream)


def test_pending_updates_are_saved(tmp_path):
    start, other = serial(inferno), serial(inferno, seed=3)
    for value in (0.5, 0.25):
        start.updater.weight = (torch.full((4, 6), value), torch.full((1, 6), value / 4))
    start.updater.bias = torch.ones(4)
    save_checkpoint(tmp_path / "pending", start)
    other.updater.delay = torch.ones(4, 6)
    load_checkpoint(tmp_path / "pending", other)
    assert other.updater.delay.pos is None and len(other.updater.weight._pos) == 2
    for layer in (start, other):
        layer.update()
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), other.parameters(), strict=True))
    save_checkpoint(tmp_path / "none", start)
    other.updater.weight = torch.ones(4, 6)
    load_checkpoint(tmp_path / "none", other)
    assert other.updater.weight.pos is None


def test_devices_need_not_agree(device, tmp_path):
    start, other = model(), another().to(device)
    run(start["layer"], inputs(start["layer"], 7))
    save_checkpoint(tmp_path / "c", start)
    load_checkpoint(tmp_path / "c", other)
    save_checkpoint(tmp_path / "back", other)
    back = another()
    load_checkpoint(tmp_path / "back", back)
    assert_same_state(states(back), states(start))
    assert {b.device.type for b in other["layer"].buffers()} == {device}


def test_saving_is_all_or_nothing(saved, tmp_path, monkeypatch):
    path = tmp_path / "kept"
    net = model()
    save_checkpoint(path, net)
    data = path.read_bytes()
    for bad in ({"x": object()}, {"x": {1.5: 1}}, {"x": [torch.zeros(1, dtype=torch.complex128)]}, {"x": {1, 2}}):
        with pytest.raises(TypeError):
            save_checkpoint(path, net, bad)
    monkeypatch.setattr(os, "replace", lambda *args: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        save_checkpoint(path, net, {"more": 1})
    assert path.read_bytes() == data and os.listdir(tmp_path) == ["kept"]
    with pytest.raises(FileNotFoundError):
        save_checkpoint(tmp_path / "no" / "where", net)


def test_files_have_the_permissions_of_other_files(saved, tmp_path):
    (tmp_path / "plain").touch()
    assert saved[0].stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_tensors_without_values_are_refused(tmp_path):
    with pytest.raises(ValueError, match="weight"):
        save_checkpoint(tmp_path / "c", torch.nn.Linear(2, 2, device="meta"))
    lazy = torch.nn.LazyLinear(2)
    with pytest.raises(ValueError, match="weight"):
        save_checkpoint(tmp_path / "c", lazy)
    save_checkpoint(tmp_path / "c", torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="uninitialized"):
        load_checkpoint(tmp_path / "c", lazy)


def test_shared_generators(tmp_path):
    def two(first, second):
        encoders = [inferno.neural.PoissonIntervalEncoder(5, 1.0, 100.0, generator=g) for g in (first, second)]
        return torch.nn.ModuleList(encoders)

    one = seeded(3)
    save_checkpoint(tmp_path / "shared", two(one, one))
    mine = seeded(9)
    load_checkpoint(tmp_path / "shared", two(mine, mine))
    assert torch.equal(mine.get_state(), one.get_state())
    save_checkpoint(tmp_path / "apart", two(seeded(1), seeded(2)))
    stream = mine.get_state()
    with pytest.raises(CheckpointError, match="several places"):
        load_checkpoint(tmp_path / "apart", two(mine, mine))
    assert torch.equal(mine.get_state(), stream)
    with pytest.raises(CheckpointError, match="generators"):
        load_checkpoint(tmp_path / "apart", two(mine, None))


def test_without_safetensors_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    for call in (lambda: save_checkpoint(tmp_path / "c", model()), lambda: load_checkpoint(tmp_path / "c", model())):
        with pytest.raises(ImportError, match="pip install"):
            call()
    assert not os.listdir(tmp_path)


def test_views_and_odd_tensors(tmp_path):
    class Odd(torch.nn.Module):
        def __init__(self, fill):
            super().__init__()
            whole = torch.full((3, 4), fill)
            self.register_buffer("whole", whole)
            self.register_buffer("row", whole[1])
            self.register_buffer("turned", whole.t())
            self.register_buffer("flat", whole.view(-1))
            self.register_buffer("none", torch.zeros(0, 2))
            self.register_buffer("scalar", torch.tensor(fill, dtype=torch.float16))
            self.register_buffer("wide", torch.full((2,), fill, dtype=torch.float64))
            self.register_buffer("brain", torch.full((2,), fill, dtype=torch.bfloat16))
            self.register_buffer("flags", torch.tensor([True, False]))

    save_checkpoint(tmp_path / "c", Odd(2.0))
    net = Odd(1.0)
    load_checkpoint(tmp_path / "c", net)
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), Odd(2.0).buffers(), strict=True))


def test_writers_in_one_process_do_not_meet(tmp_path):
    nets = [torch.nn.Linear(200, 200) for _ in range(4)]

    def write(net):
        for _ in range(10):
            save_checkpoint(tmp_path / "c", net)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, nets))
    assert os.listdir(tmp_path) == ["c"]
    read = torch.nn.Linear(200, 200)
    load_checkpoint(tmp_path / "c", read)
    assert any(torch.equal(read.weight, net.weight) and torch.equal(read.bias, net.bias) for net in nets)


def test_a_full_disk_is_an_os_error(tmp_path):
    net = torch.nn.Linear(100, 100)
    save_checkpoint(tmp_path / "c", net, {"first": True})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            save_checkpoint(tmp_path / "c", net)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == ["c"] and load_checkpoint(tmp_path / "c", net) == {"first": True}


@pytest.mark.parametrize("name", [1, None, ("a", 1), b"a"])
def test_names_are_strings(name, tmp_path):
    net = torch.nn.Linear(1, 1)
    for argument, value in (("extra", 1), ("generators", seeded())):
        with pytest.raises(TypeError, match=f"'{argument}' .*{type(name).__name__}.* string"):
            save_checkpoint(tmp_path / "c", net, **{argument: {name: value}})
    assert not os.listdir(tmp_path)
    save_checkpoint(tmp_path / "c", net)
    with pytest.raises(TypeError, match="'generators'"):
        load_checkpoint(tmp_path / "c", net, generators={name: seeded()})


@pytest.mark.parametrize("make", [
    lambda: torch.eye(3).to_sparse(),
    lambda: torch.zeros(2, device="meta"),
    lambda: torch.nn.UninitializedParameter(),
    lambda: torch.zeros(2, dtype=torch.complex128),
])  # fmt: skip
def test_tensors_that_files_cannot_hold(make, tmp_path):
    with pytest.raises(TypeError, match="odd|complex128"):
        save_checkpoint(tmp_path / "c", torch.nn.Linear(1, 1), {"odd": [make()]})
    assert not os.listdir(tmp_path)


def test_conjugate_and_negative_views(tmp_path):
    values = torch.tensor([1 + 2j, 3 - 4j])
    save_checkpoint(tmp_path / "c", torch.nn.Linear(1, 1), {"conj": values.conj(), "neg": values.conj().imag})
    back = load_checkpoint(tmp_path / "c", torch.nn.Linear(1, 1))
    net = torch.nn.Module()
    net.register_buffer("plain", values)
    net.register_buffer("conj", values.conj())
    save_checkpoint(tmp_path / "net", net)
    assert load_file(tmp_path / "net")["conj"].tolist() == [1 - 2j, 3 + 4j]
    assert back["conj"].tolist() == [1 - 2j, 3 + 4j] and back["neg"].tolist() == [-2, 4]


def test_the_mode_is_saved_by_module(tmp_path):
    def pair():
        parts = {"layer": serial(inferno), "lif": CASES["ALIF"](inferno), "drop": torch.nn.Dropout()}
        return torch.nn.ModuleDict(parts)

    start, fresh = pair(), pair()
    start["layer"].eval()
    start["drop"].eval()
    modes = {path: module.training for path, module in start.named_modules()}
    steps = list(inputs(start["layer"], 20))
    run(start["layer"], steps[:10])
    save_checkpoint(tmp_path / "c", start)
    load_checkpoint(tmp_path / "c", fresh)
    assert {path: module.training for path, module in fresh.named_modules()} == modes
    run(start["layer"], steps[10:])
    run(fresh["layer"], steps[10:])
    assert_same_state(states(fresh), states(start))
    fresh.train()
    fresh["more"] = torch.nn.Linear(1, 1)
    with pytest.raises(CheckpointError, match="more"):
        load_checkpoint(tmp_path / "c", fresh)
    assert all(module.training for module in fresh.modules())


@pytest.mark.parametrize("call", [save_checkpoint, load_checkpoint])
def test_what_is_no_module_is_refused(call, tmp_path):
    with pytest.raises(TypeError, match="'model' must be an instance of Module, but is of type str"):
        call(tmp_path / "file", "model")
    assert not list(tmp_path.iterdir())
