"""Whole sequences in DistributedDataParallel and in fully_shard, on two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from citizen_replicas import Runner, batches, detach, loss_of

pytestmark = pytest.mark.skipif(not (dist.is_available() and dist.is_gloo_available()), reason="torch without gloo")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What two processes printed, by rank."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent), "GLOO_SOCKET_IFNAME": "lo"}
    rendezvous = f"file://{tmp_path_factory.mktemp('gloo') / 'rendezvous'}"
    processes = [
        subprocess.Popen(
            [sys.executable, str(HERE / "citizen_replicas.py"), str(rank), rendezvous],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=240) for process in processes]
    codes = [process.returncode for process in processes]
    assert codes == [0, 0], [(codes, out.decode()[-200:], err.decode()[-2000:]) for out, err in outputs]
    return [json.loads(out.decode().splitlines()[-1]) for out, _ in outputs]


@pytest.fixture(scope="module")
def expected():
    """Two models side by side, whose gradients are averaged by hand."""
    models = [Runner(), Runner()]
    optimizers = [torch.optim.SGD([p for p in m.parameters() if p.requires_grad], lr=1e-4) for m in models]
    grads = []
    for step in zip(*map(batches, (0, 1)), strict=True):
        for model, optimizer, x in zip(models, optimizers, step, strict=True):
            optimizer.zero_grad()
            loss_of(model(x)).backward()
        pairs = list(zip(*(filter(lambda p: p.requires_grad, m.parameters()) for m in models), strict=True))
        means = [(a.grad + b.grad) / 2 for a, b in pairs]
        for (a, b), mean in zip(pairs, means, strict=True):
            a.grad, b.grad = mean, mean.clone()
        grads.append(means)
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.step()
            detach(model)
    return models, grads


@pytest.mark.parametrize("kind", ["ddp", "fsdp", "fsdp of parts"])
def test_gradients_are_averaged_and_state_stays_apart(seen, expected, kind):
    models, grads = expected
    for model, printed in zip(models, (s[kind] for s in seen), strict=True):
        for update, wanted in zip(printed["grads"], grads, strict=True):
            assert all(gradient.any() for gradient in wanted)
            for found, gradient in zip(update, wanted, strict=True):
                torch.testing.assert_close(torch.tensor(found), gradient, rtol=1e-4, atol=1e-4)
        for found, parameter in zip(printed["parameters"], model.parameters(), strict=True):
            torch.testing.assert_close(torch.tensor(found), parameter.detach(), rtol=1e-5, atol=1e-6)
        for name, value in model.named_buffers():
            if name in printed["state"]:
                torch.testing.assert_close(torch.tensor(printed["state"][name], dtype=value.dtype), value,
                                           rtol=1e-4, atol=1e-3)  # fmt: skip
    first, second = (s[kind]["state"] for s in seen)
    assert first.keys() == second.keys() and any("voltage" in name for name in first)
    assert first != second
    assert seen[0][kind]["parameters"] == seen[1][kind]["parameters"]
