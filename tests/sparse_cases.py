"""Sums over listed synapses that the tests run over."""

from dataclasses import dataclass

import torch

import inferno_cuda
from inferno_cuda import ops

MODES = ("previous", "next", "nearest", "linear", "expdecay")
DT, TAU = 0.5, 5.0
NAMES = ("data", "weight", "bias", "delay")


@dataclass
class Case:
    """Sizes; synapses are drawn with repetition, so that some outputs have none, and some pairs several."""

    batch: int
    inputs: int
    outputs: int
    synapses: int
    slots: int = 6
    steps: int = 4

    def __str__(self):
        return f"B{self.batch}-{self.inputs}to{self.outputs}-S{self.synapses}-N{self.slots}-T{self.steps}"


CASES = [
    Case(1, 1, 1, 1, 1, 1),
    Case(1, 13, 7, 40),
    Case(2, 13, 21, 90),
    Case(8, 9, 40, 150, 5, 17),
    Case(19, 6, 9, 30, 300, 3),
    Case(70, 5, 33, 60, 4, 2),
    Case(1, 30, 5, 150, 3, 130),
    Case(3, 4, 6, 0),
]
SMALL = [Case(2, 3, 4, 7, 4, 3), Case(1, 2, 2, 5, 3, 2)]


@dataclass
class Problem:
    """Arguments of the ops; `series` for sequences, of which a ring holds the end."""

    case: Case
    series: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    delay: torch.Tensor
    links: ops.Connectivity

    def timing(self, mode="previous", overbound=0.0):
        slots = self.case.slots
        longest = DT * (slots - 1)
        return {"dt": DT, "slots": slots, "max_delay": longest, "mode": mode, "time_constant": TAU} | {
            "overbound": overbound
        }

    def run(self, scale=1.0, bias=True, **timing):
        bias = self.bias if bias else None
        options = self.timing(**timing) | {"bias": bias, "scale": scale}
        return ops.delayed_sparse_run(self.series, self.weight, self.delay, self.links, **options)

    def ring(self, step):
        """The history after a step, batch innermost, and its pointer."""
        slots, pointer = self.case.slots, self.case.slots // 2
        order = (pointer + torch.arange(slots, device=self.series.device)) % slots
        window = self.series[step : step + slots]
        data = torch.zeros_like(window).transpose(1, 2).contiguous().transpose(1, 2).index_copy(0, order, window)
        return data, torch.tensor(pointer, device=self.series.device)

    def step(self, step, scale=1.0, **timing):
        plan = ops.delay_plan(self.delay, **self.timing(**timing))
        return ops.delayed_sparse(*self.ring(step), self.weight, plan, self.links, bias=self.bias, scale=scale)

    def leaves(self):
        """What gradients are taken of."""
        return [x for x in (self.series, self.weight, self.bias, self.delay) if x.is_floating_point()]

    def grads(self, made, cotangent):
        """Gradients of ``made()`` with respect to the leaves that the mode can differentiate."""
        leaves = self.leaves()
        for leaf in leaves:
            leaf.requires_grad_()
        grads = torch.autograd.grad(made(), leaves, cotangent, materialize_grads=True)
        for leaf in leaves:
            leaf.requires_grad_(False)
        return grads


def problem(case, dtype=torch.float32, *, history=None, device="cpu", seed=0, outside=True):
    g = torch.Generator().manual_seed(seed)
    links = ops.connectivity(
        torch.randint(case.inputs, (case.synapses,), generator=g),
        torch.randint(case.outputs, (case.synapses,), generator=g),
        inputs=case.inputs,
        outputs=case.outputs,
    ).to(device)

    def drawn(*shape, low=-0.5, high=0.5):
        return (torch.rand(shape, generator=g, dtype=torch.float64) * (high - low) + low).to(dtype).to(device)

    series = drawn(case.slots - 1 + case.steps, case.batch, case.inputs, low=-1.0, high=1.0)
    series = series > 0.4 if history is torch.bool else series
    end = DT * (case.slots - 1)
    reach = (-DT, end + DT) if outside else (0.0, end)
    delay = drawn(case.synapses, low=reach[0], high=reach[1])
    return Problem(case, series, drawn(case.synapses), drawn(case.outputs), delay, links)


def dense_of(values, links):
    """Values of synapses, of which no two join the same input and output, as a matrix [O, I]."""
    matrix = values.new_zeros(links.outputs, links.inputs)
    matrix[links.target.long(), links.source.long()] = values
    return matrix


def both(run):
    """What the reference and what the kernels give."""
    results = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            results.append(run())
    return results
