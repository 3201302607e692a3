"""DistributedDataParallel leaves the run-time state of replicas alone, and keeps everything else in step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from replicas import Model, inputs
from torch.nn.parallel import DistributedDataParallel

import inferno_cuda
import inferno_cuda.neural as neural
from inferno_cuda.extra import ExactNeuron
from inferno_cuda.state._distributed import run_time_buffers

pytestmark = pytest.mark.skipif(not (dist.is_available() and dist.is_gloo_available()), reason="torch without gloo")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What two processes printed, by rank."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent), "GLOO_SOCKET_IFNAME": "lo"}
    rendezvous = f"file://{tmp_path_factory.mktemp('gloo') / 'rendezvous'}"
    processes = [
        subprocess.Popen(
            [sys.executable, str(HERE / "replicas.py"), str(rank), rendezvous],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=120) for process in processes]
    assert all(process.returncode == 0 for process in processes), [err.decode()[-2000:] for _, err in outputs]
    return [json.loads(out.decode().splitlines()[-1]) for out, _ in outputs]


def expected():
    """What each replica computes if state is its own, and parameters and adaptations are those of the first."""
    models = [Model(seed=0), Model(seed=0)]
    fired = [[], []]
    for step in zip(inputs(0), inputs(1), strict=True):
        first, second = (model.layer.neuron for model in models)
        second.threshold_adaptation = first.threshold_adaptation
        for rank, (model, x) in enumerate(zip(models, step, strict=True)):
            spikes, loss = model(x)
            (loss / 2).backward()
            fired[rank].append(spikes.tolist())
    weights = [model.layer.connection.weight_ for model in models]
    grad = weights[0].grad + weights[1].grad
    return [{"fired": f, "weight": weights[0].tolist(), "grad": grad, **m.state()}
            for f, m in zip(fired, models, strict=True)]  # fmt: skip


def test_replicas_keep_their_own_state_and_share_the_rest(seen):
    for printed, wanted in zip(seen, expected(), strict=True):
        grad = torch.tensor(printed["apart"].pop("grad"))
        torch.testing.assert_close(grad, wanted.pop("grad"))
        assert grad.abs().sum() > 0
        assert printed["apart"] == wanted


def test_without_the_exclusion_state_is_mixed(seen):
    first, second = (printed["mixed"] for printed in seen)
    wanted = expected()
    assert first["voltage"] == wanted[0]["voltage"] and second["weight"] == wanted[1]["weight"]
    assert second["voltage"] != wanted[1]["voltage"] and second["fired"] != wanted[1]["fired"]


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'alone'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_what_is_left_out_of_the_broadcast(group):
    model = Model(0)
    model.other = torch.nn.BatchNorm1d(3)
    replica = DistributedDataParallel(model)
    sent = {name for name, _ in model.named_buffers()} - replica.parameters_to_ignore
    adaptive = {f"layer.neurons_.serial.{name}" for name in
                ("threshold_adaptation_", "tc_adaptation", "adapt_increment")}  # fmt: skip
    assert sent == adaptive | {f"other.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    replica._assign_modules_buffers()
    assert set(replica.named_module_buffers) == sent
    assert replica.parameters_to_ignore.isdisjoint(name for name, _ in model.named_parameters())
    assert "layer.cells_.serial.serial.neuron_._voltage__data" in replica.parameters_to_ignore


def test_a_list_of_the_user_is_kept(group):
    model = Model(0)
    model.mine = torch.nn.Linear(2, 2)
    model._ddp_params_and_buffers_to_ignore = ["mine.bias"]
    replica = DistributedDataParallel(model)
    assert {"mine.bias", "layer.neurons_.serial._voltage__data"} <= replica.parameters_to_ignore
    assert model._ddp_params_and_buffers_to_ignore == ["mine.bias"]


def test_a_layer_as_the_root_and_spikes_that_are_not_there_yet(group):
    def connection(ins, outs):
        return neural.LinearDense(ins, outs, 1.0, synapse=neural.DeltaCurrent.partialconstructor(1.0))

    exact = [ExactNeuron(n, 1.0, rest_v=-60.0, thresh_v=-50.0) for n in (3, 2)]
    layer = neural.RecurrentSerial(connection(4, 3), connection(3, 2), connection(2, 3), *exact)
    layer.connections.feedfwd.weight_.requires_grad_()
    assert layer.feedback_spikes is None
    replica = DistributedDataParallel(layer)
    assert {"feedback_spikes", "neurons_.feedback._spike__data"} <= replica.parameters_to_ignore
    assert replica.parameters_to_ignore == set(run_time_buffers(layer))
    replica(torch.ones(1, 4))
    replica._assign_modules_buffers()
    assert not [name for name in replica.named_module_buffers if "spike" in name]


def test_modules_of_other_libraries_take_part(group):
    theirs = pytest.importorskip("inferno.neural")
    neuron = theirs.LIF(3, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=1.0, time_constant=20.0)
    inferno_cuda.accelerate(neuron, strict=True)
    replica = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(3, 3), neuron))
    assert replica.parameters_to_ignore == {"1._voltage__data", "1._refrac__data"}


def test_other_parents_are_left_alone():
    parent = torch.nn.Module()
    parent.module = Model(0)
    assert not hasattr(parent, "parameters_to_ignore")
