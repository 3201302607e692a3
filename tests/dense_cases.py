"""Dense connections, delays and spikes that tests run over."""

import torch
from connection_cases import DELTA, EXPONENTIAL
from states import seeded

from inferno_cuda.neural import LinearDense

SYNAPSES = {"delta": DELTA, "exponential": EXPONENTIAL}


def dense(inputs=5, outputs=4, step_time=1.0, *, synapse=EXPONENTIAL, seed=0, **options):
    torch.manual_seed(seed)
    return LinearDense(inputs, outputs, step_time, synapse=synapse, **options)



def delays(conn, low=0.0, high=None, seed=0, ongrid=False):
    high = conn.delayedby if high is None else high
    values = low + (high - low) * torch.rand(conn.weight.shape, generator=seeded(seed))
    return (values / conn.dt).round() * conn.dt if ongrid else values


def naive(conn):
    """The sum as it is defined, from the (B, I, O) currents."""
    out = torch.einsum("bio,oi->bo", conn.synapse.current_at(conn.selector), conn.weight_)
    return (out if conn.bias is None else out + conn.bias).view(conn.batched_outshape)
