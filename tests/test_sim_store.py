"""Saving and loading networks of inferno_cuda.sim."""

import pytest
import torch
from sim_cases import small, spikes

from inferno_cuda import CheckpointError, sim

pytest.importorskip("safetensors")


def after(net, duration):
    recorder = net.record_spikes()
    net.run(duration)
    return spikes(recorder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_is_resumed_bit_for_bit(tmp_path, dtype, backend):
    whole = small(dtype=dtype, trials=2)
    found = after(whole, 12.0)
    first = small(dtype=dtype, trials=2, threads=1)
    early = after(first, 5.3)
    first.save(tmp_path / "net.safetensors")
    second = small(dtype=dtype, trials=2, threads=3)
    second.load(tmp_path / "net.safetensors")
    assert second.time == pytest.approx(5.3)
    late = after(second, 6.7)
    assert len(late) > 10 and torch.equal(torch.cat([early, late]), found)
    assert torch.equal(second["exc"].V_m, whole["exc"].V_m) and torch.equal(second["inh"].counts, whole["inh"].counts)
    assert second.rates == whole.rates


def test_loading_goes_back(tmp_path):
    net = small()
    net.run(5.0)
    net.save(tmp_path / "a")
    net["exc"].V_th = -50.0
    net.run(5.0)
    net.load(tmp_path / "a")
    assert net.time == 5.0 and set(net["exc"].V_th.tolist()) == {-55.0}
    first = after(net, 10.0)
    net.load(tmp_path / "a")
    assert torch.equal(after(net, 10.0), first)


def bigger():
    net = small()
    net.population(3)
    return net


def connected():
    net = small()
    net.connect("exc", "inh", sim.FixedTotalNumber(3))
    return net


def driven():
    net = small()
    net.poisson("exc", 1.0, 1.0)
    return net


def rewired(weight):
    net = sim.Network()
    neurons = net.population(4)
    net.connect(neurons, neurons, weight=weight)
    return net


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: small(dt=0.2), "dt is 0.1 ms in the file and 0.2 ms here"),
        (lambda: small(seed=4), "seed is 3 in the file and 4 here"),
        (lambda: small(trials=2), "trials is 1 in the file and 2 here"),
        (lambda: small(dtype=torch.float32), "dtype is torch.float64 in the file"),
        (bigger, "number of populations is 2 in the file and 3 here"),
        (connected, "number of projections is 2 in the file and 3 here"),
        (driven, "number of stimuli is 2 in the file and 3 here"),
    ],
)
def test_files_of_other_networks_are_refused(tmp_path, make, text):
    source = small()
    source.run(3.0)
    source.save(tmp_path / "a")
    net = make()
    net.run(1.0)
    before = {name: tensor.clone() for name, tensor in net._run.state.tensors().items()}
    with pytest.raises(CheckpointError) as raised:
        net.load(tmp_path / "a")
    assert text in str(raised.value) and "left as it was" in str(raised.value)
    assert net.time == 1.0
    assert all(torch.equal(before[name], tensor) for name, tensor in net._run.state.tensors().items())


def test_other_weights_are_another_network(tmp_path):
    rewired(torch.ones(16)).save(tmp_path / "a")
    rewired(torch.ones(16)).load(tmp_path / "a")
    with pytest.raises(CheckpointError, match="projection 0 is"):
        rewired(torch.arange(16.0)).load(tmp_path / "a")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    net = small()
    net.run(2.0)
    net.save(tmp_path / "a")
    bytes_ = bytearray((tmp_path / "a").read_bytes())
    bytes_[-9] ^= 1
    (tmp_path / "b").write_bytes(bytes_)
    with pytest.raises(CheckpointError, match="damaged"):
        net.load(tmp_path / "b")
    from inferno_cuda import save_checkpoint

    save_checkpoint(tmp_path / "c", torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="something else"):
        net.load(tmp_path / "c")
    with pytest.raises(FileNotFoundError):
        net.load(tmp_path / "missing")
    assert net.time == 2.0
