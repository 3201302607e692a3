"""Sides of synapses, rings and delays that the tests of learning rules' ops run over."""

from dataclasses import dataclass, field

import torch

from inferno_cuda import ops

DT, TAU = 0.5, 5.0


@dataclass
class Case:
    """A map: shapes of an output's values and of an input's, that of the weights, and the slots of the ring."""

    op: str
    post: tuple
    pre: tuple
    weight: tuple
    slots: int = 6
    geometry: dict = field(default_factory=dict)

    def __str__(self):
        return "-".join([self.op, *("x".join(map(str, shape)) for shape in (self.post, self.pre)), f"N{self.slots}"])


def dense(batch, inputs, outputs, slots=6):
    return Case("dense", (batch, outputs), (batch, inputs), (outputs, inputs), slots)


def direct(batch, count, slots=6):
    return Case("direct", (batch, count), (batch, count), (count,), slots)


def conv(batch, channels, image, filters, kernel, slots=4, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    axes = zip(image, kernel, stride, padding, dilation, strict=True)
    places = [(size + 2 * pad - spread * (taps - 1) - 1) // step + 1 for size, taps, step, pad, spread in axes]
    geometry = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return Case(
        "conv2d", (batch, filters, *places), (batch, channels, *image), (filters, channels, *kernel), slots, geometry
    )


CASES = [
    dense(1, 1, 1, 1),
    dense(3, 13, 7),
    dense(16, 33, 40, 21),
    dense(70, 5, 3, 300),
    dense(2, 300, 5, 3),
    direct(1, 1, 1),
    direct(9, 33),
    conv(1, 1, (1, 1), 1, (1, 1), 1),
    conv(2, 2, (5, 4), 3, (3, 2)),
    conv(2, 2, (6, 5), 2, (3, 3), stride=(2, 1), padding=(1, 2), dilation=(2, 1)),
    conv(1, 3, (4, 4), 2, (2, 2), padding=(3, 3)),
]
EMPTY = [dense(0, 3, 2), dense(2, 0, 3), dense(2, 3, 0), direct(0, 3), direct(2, 0), conv(0, 1, (3, 3), 2, (2, 2))]


@dataclass
class Sides:
    """Arguments of an op; rows, columns and samples without anything are among them."""

    case: Case
    post: torch.Tensor
    ring: torch.Tensor
    pointer: torch.Tensor
    delay: torch.Tensor

    def plan(self, mode="previous", overbound=0.0):
        slots = self.case.slots
        timing = {"dt": DT, "slots": slots, "max_delay": DT * (slots - 1)}
        return ops.delay_plan(self.delay, mode=mode, time_constant=TAU, overbound=overbound, **timing)

    def delayed(self, plan, op="correlate", **options):
        call = getattr(ops, f"{op}_{self.case.op}")
        return call(self.post, self.ring, self.pointer, plan, **self.case.geometry, **options)

    def undelayed(self, op="correlate", **options):
        return getattr(ops, f"{op}_{self.case.op}")(self.post, self.ring[0], **self.case.geometry, **options)


def _side(shape, kind, dtype, rng):
    values = torch.rand(shape, generator=rng, dtype=torch.float64)
    some = torch.rand(shape, generator=rng) < 0.3
    if kind == "spikes":
        return some
    values = (values * 2 - 1).to(dtype)
    return torch.where(some, values, 0.0) if kind == "sparse" else values


def sides(case, post, pre, dtype=torch.float32, seed=0, device="cpu"):
    """post, pre: "spikes", "trace" or "sparse", which is mostly 0."""
    rng = torch.Generator().manual_seed(seed)
    value, ring = _side(case.post, post, dtype, rng), _side((case.slots, *case.pre), pre, dtype, rng)
    delay = torch.rand(case.weight, generator=rng, dtype=torch.float64) * (case.slots + 1) - 1
    delay = torch.where(torch.rand(case.weight, generator=rng) < 0.4, delay.round(), delay).to(dtype) * DT
    pointer = torch.tensor(seed + 2, device=device) % case.slots
    return Sides(case, value.to(device), ring.to(device), pointer, delay.to(device))
