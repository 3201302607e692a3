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


def history(s):
    return "_pos_current__data" if "_pos_current__data" in s._buffers else "_spike__data"


def as_array(s):
    name = history(s)
    array = s._buffers[name].numpy().copy()
    s._buffers[name] = torch.from_numpy(array)
    return lambda: torch.from_numpy(array).clone()


@pytest.mark.parametrize("name", SYNAPSES)
def test_a_history_in_the_memory_of_an_array_is_not_written_to(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    seen = as_array(fast)
    before = seen()
    for x in spikes(12, 2, 5).float():
        assert torch.equal(plain(x), fast(x))
    assert torch.equal(seen(), before)
    assert_state(plain, fast)


@pytest.mark.parametrize("name", SYNAPSES)
def test_a_history_in_shared_memory_is_not_written_to(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    fast.share_memory()
    places = {name: data.data_ptr() for name, data in fast._buffers.items() if name.endswith("__data")}
    for x in spikes(12, 2, 5).float():
        assert torch.equal(plain(x), fast(x))
    assert all(fast._buffers[name].data_ptr() != place for name, place in places.items())
    assert not any(fast._buffers[name].is_shared() for name in places)
    assert_state(plain, fast)


@pytest.mark.parametrize("name", SYNAPSES)
def test_a_history_made_in_inference_mode_is_an_ordinary_one_afterwards(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    # what is held is copied, here to a tensor of inference mode
    held = list(fast.buffers())
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            for x in spikes(3, 2, 5).float():
                assert torch.equal(plain(x), fast(x))
        held.clear()
    assert not any(data.is_inference() for key, data in fast._buffers.items() if key.endswith("__data"))
    for s in (plain, fast):
        s.dt = 0.5
        s.load_state_dict(s.state_dict())
    for x in spikes(5, 2, 5).float():
        assert torch.equal(plain(x), fast(x))
    assert_state(plain, fast)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["LIF", "ALIF", "DeltaCurrent", "DoubleExponentialCurrent"])
def test_a_trace_has_no_ops_of_ours(name):
    make = neuron if name in NEURONS else synapse
    plain, fast = pair(lambda: make(theirs, name))
    inputs = spikes(9, 2, 5).float() * 600
    traced = [torch.jit.trace(made, inputs[0], check_trace=False) for made in (plain, fast)]
    kinds = [[node.kind() for node in each.inlined_graph.nodes()] for each in traced]
    assert kinds[0] == kinds[1]
    for x in inputs:
        assert torch.equal(traced[0](x), traced[1](x))
