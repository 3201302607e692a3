"""Sequences, weights and delays that the tests of delayed sums over sequences run over."""

from dataclasses import dataclass, field

import torch

from inferno_cuda import ops

MODES = ("previous", "next", "nearest", "linear", "expdecay")
DT, TAU = 0.5, 5.0


@dataclass
class Case:
    """A map of inputs to outputs: the shape of an observation [B, ...], that of the weights, slots and steps."""

    op: str
    inputs: tuple
    weight: tuple
    slots: int = 6
    steps: int = 9
    geometry: dict = field(default_factory=dict)

    def __str__(self):
        shapes = "x".join(map(str, self.inputs)) + "-" + "x".join(map(str, self.weight))
        geometry = "".join(f"-{name[0]}{pair}" for name, pair in self.geometry.items())
        return f"{self.op}-N{self.slots}-T{self.steps}-{shapes}{geometry}"


def conv(inputs, weight, slots=6, steps=9, **geometry):
    pairs = {name: pair if isinstance(pair, tuple) else (pair, pair) for name, pair in geometry.items()}
    return Case("conv2d", inputs, weight, slots, steps, pairs)


CASES = [
    Case("dense", (1, 1), (1, 1), 1, 1),
    Case("dense", (3, 13), (7, 13)),
    Case("dense", (1, 70), (5, 70), 21, 130),
    Case("dense", (8, 9), (4, 9), 5, 17),
    Case("dense", (19, 6), (3, 6), 300, 3),
    Case("dense", (2, 3), (300, 3), 4, 5),
    Case("direct", (1, 1), (1,), 1, 2),
    Case("direct", (9, 33), (33,), 7, 40),
    conv((1, 1, 1, 1), (1, 1, 1, 1), 1),
    conv((3, 2, 7, 6), (4, 2, 3, 2)),
    conv((2, 2, 9, 8), (2, 2, 3, 3), stride=2, padding=1),
    conv((5, 2, 9, 8), (3, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(2, 3)),
    conv((4, 1, 6, 9), (2, 1, 2, 4), stride=(1, 3), padding=(3, 0), dilation=(1, 2)),
    conv((2, 3, 5, 5), (2, 3, 3, 3), padding=4),
]
SMALL = [
    Case("dense", (2, 4), (3, 4), 4, 5),
    Case("direct", (2, 3), (3,), 4, 5),
    conv((2, 2, 4, 3), (2, 2, 2, 2), 4, 5, padding=1),
]


@dataclass
class Problem:
    """Arguments of an op: of a sequence as they are, of a step by :meth:`step`."""

    case: Case
    series: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    delay: torch.Tensor

    @property
    def timing(self):
        slots = self.case.slots
        return {"dt": DT, "slots": slots, "max_delay": DT * (slots - 1), "time_constant": TAU}

    def run(self, **options):
        op = getattr(ops, f"delayed_{self.case.op}_run")
        options = self.timing | self.case.geometry | {"bias": self.bias} | options
        return op(self.series, self.weight, self.delay, **options)

    def step(self, t, *, scale=1.0, **options):
        """The op of one step, on a ring as it is after step t."""
        slots = self.case.slots
        order = (torch.arange(slots) - t) % slots
        ring, pointer = self.series[t : t + slots][order], torch.tensor(t % slots, device=self.series.device)
        plan = ops.delay_plan(self.delay, **self.timing | options)
        op = getattr(ops, f"delayed_{self.case.op}")
        return op(ring, pointer, self.weight, plan, bias=self.bias, scale=scale, **self.case.geometry)

    def tensors(self):
        return [t for t in (self.series, self.weight, self.bias, self.delay) if t.is_floating_point()]

    def grads(self, cotangent, **options):
        """Gradients of all floating point tensors, for this gradient of the outputs."""
        leaves = [t.requires_grad_() for t in self.tensors()]
        return torch.autograd.grad(self.run(**options), leaves, cotangent.to(self.weight), materialize_grads=True)


def problem(case, dtype=torch.float32, *, history=None, device="cpu", seed=0, grid=False, outside=True):
    """Random; some of the delays lie on the grid, all with `grid`, and some beyond both ends unless not `outside`."""
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(shape, generator=g, dtype=torch.float64)

    series = uniform(case.slots - 1 + case.steps, *case.inputs) * 2 - 1
    series = series > 0.4 if history == torch.bool else series.to(dtype)
    delay = uniform(*case.weight) * (case.slots + (1 if outside else -1)) - (1 if outside else 0)
    delay = torch.where(uniform(*case.weight) < (1.0 if grid else 0.3), delay.round(), delay) * DT
    weight, bias = uniform(*case.weight) - 0.4, uniform(case.weight[0])
    return Problem(case, series.to(device), *(t.to(dtype).to(device) for t in (weight, bias, delay)))
