"""Layers of inferno-ai that can learn, and their inputs."""

import pytest
import torch

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")
CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}


def accelerated(module):
    report = inferno_cuda.accelerate(module)
    assert report.rows[0] in report.accelerated, report.rows[0]
    return module


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed)) < 0.4


def connection(cls="LinearDense", delay=None, batch=3):
    random = torch.Generator().manual_seed(2)
    shape = {"LinearDense": (6, 5), "LinearLateral": (5,), "LinearDirect": (5,)}[cls]
    return getattr(theirs, cls)(
        *shape,
        1.0,
        synapse=theirs.DeltaCurrent.partialconstructor(70.0),
        delay=delay,
        batch_size=batch,
        weight_init=lambda w: torch.rand(w.shape, generator=random),
        delay_init=lambda d: (torch.rand(d.shape, generator=random) * delay).round(),
    )


def layer(*arguments, **options):
    conn = connection(*arguments, **options)
    conn.updater = conn.defaultupdater()
    return theirs.Serial(conn, theirs.LIF(5, 1.0, batch_size=conn.batchsz, **CELL))
