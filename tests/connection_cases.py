"""The connections that tests run over, with synapses that fuse, do not fuse, and have a part that is subtracted."""

import torch
from states import seeded

from inferno_cuda.neural import Conv2D, DeltaCurrent, LinearDense, LinearDirect, LinearLateral, SingleExponentialCurrent
from inferno_cuda.neural.synapses import DelayedCurrent

DELTA = DeltaCurrent.partialconstructor(2.0)
EXPONENTIAL = SingleExponentialCurrent.partialconstructor(2.0, 4.0)


class Plain(SingleExponentialCurrent):
    """Like a synapse that knows nothing of fused connections."""

    def current_at(self, selector):
        return super().current_at(selector)


class Difference(SingleExponentialCurrent):
    """The current less three times the recorded spikes."""

    def forward(self, *inputs, **kwargs):
        return super().forward(*inputs, **kwargs) - 3.0 * self.spike

    def delayed_current(self):
        minus = DelayedCurrent(self.spike_, "previous", None, 0.0, 0.0, 3.0)
        how = super().delayed_current()
        return DelayedCurrent(how.record, how.mode, how.time_constant, how.tolerance, 0.0, 1.0, minus)

    def current_at(self, selector):
        return super().current_at(selector) - 3.0 * self.spike_at(selector)


CONNECTIONS = {
    "dense": lambda **kw: LinearDense(6, (2, 2), 1.0, **kw),
    "direct": lambda **kw: LinearDirect((2, 3), 1.0, **kw),
    "lateral": lambda **kw: LinearLateral((2, 3), 1.0, **kw),
    "conv": lambda **kw: Conv2D(5, 4, 2, 3, 1.0, (3, 2), **kw),
    "conv strided": lambda **kw: Conv2D(6, 5, 1, 2, 1.0, 2, stride=(2, 1), padding=(1, 2), dilation=(1, 2), **kw),
}
OPS = {"dense": "delayed_dense", "direct": "delayed_direct", "lateral": "delayed_dense", "conv": "delayed_conv2d",
       "conv strided": "delayed_conv2d"}  # fmt: skip
NEW = [name for name in CONNECTIONS if name != "dense"]


def make(name, *, synapse=EXPONENTIAL, seed=0, delay=4.0, high=4.6, dtype=torch.float32, **options):
    """A connection whose delays reach `high` ms."""
    torch.manual_seed(seed)
    spread = None if delay is None else lambda d: high * torch.rand(d.shape, generator=seeded(seed))
    options = {"bias": True, "batch_size": 2, "weight_init": lambda w: w - 0.3, **options}
    return CONNECTIONS[name](synapse=synapse, delay=delay, delay_init=spread, **options).to(dtype)


def spikes(conn, steps=10, seed=0):
    return torch.rand(steps, *conn.batched_inshape, generator=seeded(seed)) < 0.3
