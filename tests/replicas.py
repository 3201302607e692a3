"""A model that is trained by data-parallel replicas, and one of two processes that do; used by test_distributed.py."""

import json
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import inferno_cuda.neural as neural

STEPS = 8


class Model(torch.nn.Module):
    """A layer inside of a module that knows nothing of it. The currents have a gradient, the neurons get none."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        synapse = neural.SingleExponentialCurrent.partialconstructor(60.0, 5.0)
        connection = neural.LinearDense(6, 4, 1.0, synapse=synapse, delay=3.0, batch_size=2)
        neurons = neural.ALIF(
            4, 1.0, rest_v=-60.0, reset_v=-65.0, refrac_t=2.0, thresh_eq_v=-55.0, tc_membrane=20.0, tc_adaptation=30.0,
            spike_increment=0.5, batch_size=2,
        )  # fmt: skip
        self.layer = neural.Serial(connection, neurons, transform=lambda x: x.detach())
        connection.weight_.requires_grad_()

    def forward(self, x):
        spikes, current = self.layer(x, capture_intermediate=True)
        return spikes, current.square().mean()

    def state(self):
        return {
            "voltage": self.layer.neuron.voltage.tolist(),
            "adaptation": self.layer.neuron.threshold_adaptation.tolist(),
            "history": self.layer.synapse.current_.value.tolist(),
        }


def inputs(rank):
    return torch.rand(STEPS, 2, 6, generator=torch.Generator().manual_seed(rank)) < 0.3


def train(rank, mixed):
    model = Model(seed=rank)
    replica = DistributedDataParallel(model)
    if mixed:
        # what torch would do by itself
        replica.parameters_to_ignore.clear()
    fired = []
    for x in inputs(rank):
        spikes, loss = replica(x)
        loss.backward()
        fired.append(spikes.tolist())
    weight = model.layer.connection.weight_
    return {"fired": fired, "weight": weight.tolist(), "grad": weight.grad.tolist(), **model.state()}


def main(rank, rendezvous):
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    print(json.dumps({"apart": train(rank, mixed=False), "mixed": train(rank, mixed=True)}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
