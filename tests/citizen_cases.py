"""Networks that are trained in the tests of what PyTorch offers around modules, small and all of one kind."""

import math

import torch
from torch import nn

import inferno_cuda
from inferno_cuda.neural import ALIF, LIF, DeltaCurrent, LinearDense, Serial, SingleExponentialCurrent
from inferno_cuda.surrogate import ATan

SURROGATE = ATan(0.2)
STEPS, BATCH, INPUTS, OUTPUTS = 4, 2, 6, 5
SURROGATE = ATan(0.2)
LINEAR = DeltaCurrent.partialconstructor(1.0, interp_mode="linear")
PREVIOUS = DeltaCurrent.partialconstructor(1.0)
EXPONENTIAL = SingleExponentialCurrent.partialconstructor(15.0, 5.0)
CELL = {"dt": 1.0, "refrac_t": 2.0, "thresh_v": -50.0, "rest_v": -65.0, "resistance": 1.0, "decay": math.exp(-1 / 20),
        "reset_v": -65.0}  # fmt: skip


def lif(size=OUTPUTS, surrogate=SURROGATE, batch=BATCH, **options):
    given = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
    return LIF(size, 1.0, batch_size=batch, surrogate=surrogate, **(given | options))


def alif(size=OUTPUTS, surrogate=SURROGATE, batch=BATCH):
    return ALIF(size, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_eq_v=-50.0, refrac_t=2.0, tc_membrane=20.0,
                tc_adaptation=(30.0,), spike_increment=0.5, batch_size=batch, surrogate=surrogate)  # fmt: skip


def dense(inputs=INPUTS, outputs=OUTPUTS, synapse=LINEAR, delay=3.0, batch=BATCH, seed=0, scale=150.0):
    """A connection whose weights, biases and, with a synapse that has gradients for them, delays learn."""
    generator = torch.Generator().manual_seed(seed)
    connection = LinearDense(
        inputs, outputs, 1.0, synapse=synapse, bias=True, delay=delay, batch_size=batch,
        weight_init=lambda w: scale * torch.rand(w.shape, generator=generator),
        bias_init=lambda b: torch.rand(b.shape, generator=generator),
        delay_init=None if delay is None else lambda d: 2.9 * torch.rand(d.shape, generator=generator),
    )  # fmt: skip
    connection.weight_.requires_grad_()
    connection.bias_.requires_grad_()
    if delay is not None and synapse is not PREVIOUS:
        connection.delay_.requires_grad_()
    return connection


def network(delay=3.0, batch=BATCH, second=alif):
    """Two layers, so that gradients pass spikes, delays and a reset."""
    return nn.Sequential(
        Serial(dense(batch=batch, delay=delay), lif(batch=batch)),
        Serial(dense(OUTPUTS, 3, EXPONENTIAL, delay, batch, seed=1), second(3, batch=batch)),
    )


def spikes(steps=STEPS, batch=BATCH, inputs=INPUTS, seed=3):
    return (torch.rand(steps, batch, inputs, generator=torch.Generator().manual_seed(seed)) < 0.5).float()


def currents(steps=STEPS, *shape, seed=3):
    return 600.0 * torch.rand(steps, *(shape or (BATCH, OUTPUTS)), generator=torch.Generator().manual_seed(seed))


def clear(module):
    for part in module.modules():
        if isinstance(part, Serial | LIF | ALIF | LinearDense):
            part.clear(**({"keep_adaptations": False} if isinstance(part, ALIF) else {}))


def loss_of(out):
    """Of which all gradients differ."""
    return (out * torch.linspace(1, 2, out.numel(), dtype=out.dtype).view_as(out)).sum() + 0.1 * out.sum().square()


def train_step(module, x, function=None):
    """The loss of a run, and the gradients of the input and all parameters; the state is what it was before."""
    clear(module)
    module.zero_grad(set_to_none=True)
    x = x.detach().clone().requires_grad_()
    loss = (function or (lambda m, x: loss_of(inferno_cuda.run(m, x))))(module, x)
    loss.backward()
    found = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    return {"loss": loss.detach(), "input": x.grad, **found}


def assert_close(found, wanted, **tolerances):
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert value is not None and wanted[name] is not None, name
        torch.testing.assert_close(value, wanted[name], **tolerances, msg=lambda text, name=name: f"{name}: {text}")


def assert_all_learn(found):
    for name, gradient in found.items():
        assert gradient is not None and gradient.isfinite().all() and gradient.any(), name
