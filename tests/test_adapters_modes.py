"""Accelerated modules under torch's modes: inference, no gradients, threads, devices."""

import threading

import pytest
import torch
from adapter_cases import CONNECTIONS, NEURONS, SYNAPSES, assert_state, connection, currents, neuron, pair, synapse
from states import spikes

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")

CLOSE = {"rtol": 1e-5, "atol": 5e-3}
MODES = (torch.inference_mode, torch.enable_grad, torch.inference_mode, torch.no_grad)


def through_modes(plain, fast, inputs):
    for number, x in enumerate(inputs):
        with MODES[number // 3 % 4]():
            a, b = plain(x), fast(x)
        with torch.no_grad():
            torch.testing.assert_close(b, a)
    assert_state(plain, fast, **CLOSE)


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_in_and_out_of_inference_mode(name):
    through_modes(*pair(lambda: neuron(theirs, name)), currents(24, 2, 5))


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("delay", [0.0, 4.0])
def test_synapses_in_and_out_of_inference_mode(name, delay):
    through_modes(*pair(lambda: synapse(theirs, name, delay=delay)), spikes(24, 2, 5).float())


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("delays", [None, "off the grid"])
def test_connections_in_and_out_of_inference_mode(name, delays):
    plain, fast = pair(lambda: connection(theirs, name, "DoubleExponentialCurrent", delays))
    through_modes(plain, fast, spikes(24, *plain.batched_inshape).float())
    with torch.inference_mode():
        a, b = plain.syncurrent, fast.syncurrent
    assert torch.equal(a, b) and torch.equal(plain.synspike, fast.synspike)


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("delays", [None, "off the grid"])
def test_autocast_is_the_library_s(name, delays):
    plain, fast = pair(lambda: connection(theirs, name, "SingleExponentialCurrent", delays))
    for x in spikes(5, *plain.batched_inshape).float():
        with torch.autocast("cpu", torch.bfloat16):
            expected, got = plain(x), fast(x)
        assert got.dtype == expected.dtype and torch.equal(got, expected)
    assert_state(plain, fast)


def test_models_in_threads():
    pairs = [pair(lambda: connection(theirs, "LinearDense", delays="off the grid")) for _ in range(4)]
    inputs = spikes(30, *pairs[0][0].batched_inshape).float()

    def run(fast):
        for x in inputs:
            fast(x)

    threads = [threading.Thread(target=run, args=(fast,)) for _, fast in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for plain, fast in pairs:
        run(plain)
        assert_state(plain, fast)


@pytest.mark.cuda
@pytest.mark.parametrize("delays", [None, "off the grid"])
def test_on_a_gpu(delays):
    torch.manual_seed(0)
    plain, fast = (torch.nn.Sequential(connection(theirs, "LinearDense", "DoubleExponentialCurrent", delays),
                                       neuron(theirs, "ALIF", 4)).cuda() for _ in range(2))  # fmt: skip
    report = inferno_cuda.accelerate(fast, strict=True, verify=list(spikes(9, 2, 3, 2).float().cuda()))
    assert report.verification.output_difference == 0.0 and report.verification.spike_mismatches == 0
    for number, x in enumerate(spikes(60, 2, 3, 2).float().cuda()):
        if number == 30 and delays:
            for made in (plain, fast):
                made[0].delay = made[0].delay * 0.7
        assert torch.equal(plain(x * 20), fast(x * 20))
    assert_state(plain, fast, **CLOSE)
