"""One of two processes that train a network in runs; used by test_citizen_distributed.py."""

import json
import sys

import torch
import torch.distributed as dist
from citizen_cases import lif, loss_of, network, spikes
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import inferno_cuda

UPDATES = 2


class Runner(torch.nn.Module):
    """A forward that is a whole sequence."""

    def __init__(self):
        super().__init__()
        # no adaptations, which DistributedDataParallel shares: see test_distributed.py
        self.module = network(second=lif)

    def forward(self, x):
        return inferno_cuda.run(self.module, x)


def batches(rank):
    return [spikes(seed=10 * update + rank) for update in range(UPDATES)]


def prepare(kind):
    model = Runner()
    if kind == "ddp":
        return model, DistributedDataParallel(model)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    if kind == "fsdp of parts":
        for part in model.module:
            fully_shard(part, mesh=mesh)
    return model, fully_shard(model, mesh=mesh)


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def detach(model):
    for part in model.modules():
        if isinstance(part, inferno_cuda.Module):
            part.detach_()


def train(model, wrapped, given, step=lambda loss: loss.backward()):
    """Gradients, parameters and state after some updates; the state goes on from one to the next."""
    optimizer = torch.optim.SGD([p for p in wrapped.parameters() if p.requires_grad], lr=1e-4)
    grads = []
    for x in given:
        optimizer.zero_grad()
        step(loss_of(wrapped(x)))
        grads.append([whole(p.grad).tolist() for p in wrapped.parameters() if p.requires_grad])
        optimizer.step()
        detach(model)
    return {
        "grads": grads,
        "parameters": [whole(p).detach().tolist() for p in wrapped.parameters()],
        "state": {name: b.tolist() for name, b in model.named_buffers()},
    }


def main(rank, rendezvous):
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    found = {kind: train(*prepare(kind), batches(rank)) for kind in ("ddp", "fsdp", "fsdp of parts")}
    print(json.dumps(found), flush=True)
    dist.barrier()  # neither leaves while the other may still need it
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
