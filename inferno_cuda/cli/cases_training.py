"""Training passes: a linear layer and LIF neurons, LIF neurons alone, layers of neurons, and one whose delays learn.

The membranes are the same for all: ``v = v / 2 + x``, a spike from 1 on, then 0, with the derivative of the arctangent
in place of the spike's. In our LIF that is a rest and a reset of 0 mV, a decay of 1/2, a resistance of 2 MOhm and no
refractory period. snnTorch resets within the step to agree (``reset_delay=False``); as it comes, it resets in the next
one, which is timed too but computes something else.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

import torch
from torch import nn

from .. import ops, surrogate
from .case import Output
from .case_recurrent import RECURRENT
from .cases_layers import LAYERS
from .training_case import DOUBLE, OURS, Contender, Pass, TrainingCase, backward, normal

DECAY, SHARPNESS = 0.5, 2.0
LINEAR, ALONE, LARGE = (500, 10, 512), (32, 64, 4096), (32, 64, 65536)  # time steps, samples, neurons
DELAYED = {"steps": 250, "batch": 64, "inputs": 256, "outputs": 256, "longest": 64}  # the longest delay in time steps
COMPARED = 4  # of those samples: in float64, the convolution of others takes minutes
LIF = {"refrac_t": 0.0, "thresh_v": 1.0, "rest_v": 0.0, "reset_v": 0.0, "decay": DECAY, "resistance": 1 / (1 - DECAY)}

Neurons = Callable[[torch.Tensor], torch.Tensor]


def _ours() -> Neurons:
    spike = surrogate.ATan(SHARPNESS)

    def neurons(currents: torch.Tensor) -> torch.Tensor:
        rest = currents.new_zeros(currents.shape[1:])
        return ops.neuron_run("lif", rest, rest, currents, surrogate=spike, dt=1.0, **LIF).spikes

    return neurons


def _snntorch(**options) -> Neurons:
    library = importlib.import_module("snntorch")
    gradient = importlib.import_module("snntorch.surrogate").atan(alpha=SHARPNESS)
    cell = library.Leaky(DECAY, spike_grad=gradient, reset_mechanism="zero", **options)

    def neurons(currents: torch.Tensor) -> torch.Tensor:
        cell.to(currents.device, currents.dtype)
        voltage, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            spike, voltage = cell(current, voltage)
            spikes.append(spike)
        return torch.stack(spikes)

    return neurons


def _spikingjelly() -> Neurons:
    """It takes its fastest kernels by itself."""
    library = importlib.import_module("spikingjelly.activation_based")
    node = importlib.import_module(f"{library.__name__}.neuron").LIFNode(
        tau=1 / (1 - DECAY),
        decay_input=False,
        surrogate_function=importlib.import_module(f"{library.__name__}.surrogate").ATan(alpha=SHARPNESS),
        step_mode="m",
    )

    def neurons(currents: torch.Tensor) -> torch.Tensor:
        node.reset()
        return node(currents)

    return neurons


def _step(current: torch.Tensor, voltage: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    voltage = DECAY * voltage + current
    spike = surrogate.ATan(SHARPNESS)(voltage - 1.0)
    return spike, (1.0 - spike) * voltage


def _loop(compiled: bool) -> Neurons:
    step = torch.compile(_step, dynamic=False) if compiled else _step

    def neurons(currents: torch.Tensor) -> torch.Tensor:
        voltage, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            spike, voltage = step(current, voltage)
            spikes.append(spike)
        return torch.stack(spikes)

    return neurons


def _alone(make: Callable[[], Neurons], dtype: torch.dtype, device: str) -> Pass:
    shape = LARGE if dtype == torch.float16 else ALONE
    neurons, currents = make(), normal(shape, dtype, device).requires_grad_()
    arriving = normal(shape, dtype, device, 2)
    return lambda: backward(neurons(currents), arriving, {"inputs": currents})


def _behind_linear(make: Callable[[], Neurons], dtype: torch.dtype, device: str) -> Pass:
    neurons, inputs, arriving = make(), normal(LINEAR, dtype, device), normal(LINEAR, dtype, device, 2)
    width = LINEAR[-1]
    layer = nn.Linear(width, width).to(device, dtype)
    with torch.no_grad():
        layer.weight.copy_(normal((width, width), dtype, device, 3) / width**0.5)
        layer.bias.zero_()
    parameters = dict(layer.named_parameters())
    return lambda: backward(neurons(layer(inputs)), arriving, parameters)


def _identity() -> Neurons:
    return lambda currents: currents


def _contenders(build: Callable[[Callable[[], Neurons], torch.dtype, str], Pass], *others: Contender):
    def contender(name: str, make: Callable[[], Neurons], **options) -> Contender:
        return Contender(name, functools.partial(build, make), **options)

    return (
        contender(OURS, _ours),
        *others,
        contender("SpikingJelly", _spikingjelly, package="spikingjelly"),
        contender("snnTorch", functools.partial(_snntorch, reset_delay=False), package="snntorch"),
        contender("snnTorch, reset a step later", _snntorch, package="snntorch", compared=False),
        contender("torch loop", functools.partial(_loop, False)),
        contender("torch loop, compiled", functools.partial(_loop, True), compiles=True),
    )


def _delays(dtype: torch.dtype, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The series with zeros in the past, weights, delays in steps and off the grid, and what arrives from behind."""
    steps, batch, inputs, outputs, longest = DELAYED.values()
    if dtype == DOUBLE:
        batch = min(batch, COMPARED)
    series = normal((longest + steps, batch, inputs), dtype, device)
    series[:longest] = 0
    weight = normal((outputs, inputs), dtype, device, 2) / inputs**0.5
    delay = torch.sigmoid(normal((outputs, inputs), dtype, device, 3)) * longest
    return series, weight.requires_grad_(), delay.requires_grad_(), normal((steps, batch, outputs), dtype, device, 4)


def _our_delays(dtype: torch.dtype, device: str) -> Pass:
    series, weight, delay, arriving = _delays(dtype, device)
    longest = DELAYED["longest"]
    timing = {"dt": 1.0, "slots": longest + 1, "max_delay": float(longest), "mode": "linear", "overbound": None}

    def call() -> list[Output]:
        outputs = ops.delayed_dense_run(series, weight, delay, **timing)
        return backward(outputs, arriving, {"weights": weight, "delays": delay})

    return call


def _dcls(dtype: torch.dtype, device: str) -> Pass:
    """A convolution over time whose kernel has, for each synapse, one weight between two of its places."""
    series, weight, delay, arriving = _delays(dtype, device)
    size = DELAYED["longest"] + 1
    construct = importlib.import_module("DCLS.construct.modules").Dcls1d
    layer = construct(
        DELAYED["inputs"], DELAYED["outputs"], 1, dilated_kernel_size=size, bias=False, version="v0"
    ).to(device, dtype)
    with torch.no_grad():
        layer.weight.copy_(weight.unsqueeze(2))
        # places count from the middle of the kernel, whose end is the present
        layer.P.copy_((size - 1 - size // 2 - delay).view_as(layer.P))
    over_time, arriving = series.permute(1, 2, 0).contiguous(), arriving.permute(1, 2, 0).contiguous()

    def call() -> list[Output]:
        outputs, of_weights, of_places = backward(layer(over_time), arriving, {"weights": layer.weight, "P": layer.P})
        return [
            Output("outputs", outputs.value.permute(2, 0, 1)),
            Output("gradient of weights", of_weights.value.squeeze(2)),
            Output("gradient of delays", -of_places.value.view_as(delay)),
        ]

    return call


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in sizes)


_LAYER = "linear alone"
_SAME = "The membrane of all is v / 2 + x, reset to 0 within the step of a spike; gradients by the arctangent."
TRAINING = (
    TrainingCase(
        "linear-lif",
        f"Linear({LINEAR[2]}, {LINEAR[2]}) + LIF, batch {LINEAR[1]}, T = {LINEAR[0]}",
        f"Gradients of weights and biases. The linear layer takes the whole sequence at once for all. {_SAME}",
        _contenders(_behind_linear, Contender(_LAYER, functools.partial(_behind_linear, _identity), compared=False)),
        beside=_LAYER,
        memory=True,
    ),
    TrainingCase("lif", f"LIF, {_shape(ALONE)}", f"Gradients of the inputs. {_SAME}", _contenders(_alone), memory=True),
    TrainingCase(
        "lif-half",
        f"LIF, {_shape(LARGE)}, float16",
        f"Gradients of the inputs; compared at {_shape(ALONE)}. {_SAME}",
        _contenders(_alone),
        timed=torch.float16,
        device="cuda",
    ),
    TrainingCase(
        "delays",
        f"delayed layer {DELAYED['inputs']} to {DELAYED['outputs']}, delays to {DELAYED['longest']} steps, "
        f"batch {DELAYED['batch']}, T = {DELAYED['steps']}",
        "Gradients of weights and delays, linear between steps.",
        (Contender(OURS, _our_delays), Contender("DCLS", _dcls, package="DCLS")),
        memory=True,
    ),
    *LAYERS,
    RECURRENT,
)
