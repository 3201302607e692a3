"""State of neurons, synapses and connections: who owns it, how long it lives, and what leaves it alone."""

import copy

import pytest
import torch

from inferno_cuda.neural import ALIF, LIF, AdEx, DeltaCurrent, LinearDense, SingleExponentialCurrent

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
MEMBRANE = {"rest_v": -60.0, "reset_v": -65.0, "refrac_t": 1.0, "tc_membrane": 20.0}
EXPONENTIAL = SingleExponentialCurrent.partialconstructor(2.0, 4.0)


class Plain(SingleExponentialCurrent):
    def current_at(self, selector):
        return super().current_at(selector)


def lif(step_time=1.0, **changes):
    return LIF(3, step_time, **{**CELL, **changes})


def dense(synapse=EXPONENTIAL, delay=3.0, **options):
    torch.manual_seed(0)
    conn = LinearDense(3, 2, 1.0, synapse=synapse, delay=delay, **options)
    if delay:
        conn.delay = torch.tensor([[0.0, 1.0, 2.0], [0.5, 1.5, 3.0]])
    return conn


def test_steps_in_inference_mode_between_training_steps():
    conn, x = dense(), torch.ones(1, 3)
    conn.weight_.requires_grad_(True)
    loss = conn(x).sum()
    with torch.inference_mode():
        conn(x)
    conn(x)
    loss.backward()
    assert conn.weight_.grad is not None and conn.synapse.current_.pointer == 3
    conn.clear()


@pytest.mark.parametrize("how", ["read", "graph", "clear", "assign"])
def test_neurons_outlive_inference_mode(how):
    neuron, x = lif(), torch.full((1, 3), 5.0)
    if how in ("graph", "clear"):
        neuron(x.clone().requires_grad_())
    kept = neuron.voltage
    with torch.inference_mode():
        if how == "clear":
            neuron.clear()
        if how == "assign":
            neuron.voltage = neuron.refrac = torch.zeros(1, 3)
        else:
            neuron(x)
    assert not neuron.voltage_.value.is_inference() and not neuron.refrac_.value.is_inference()
    neuron(x)
    neuron.clear()
    neuron(x.clone().requires_grad_())
    neuron.voltage.sum().backward()
    assert kept is not neuron.voltage


def test_parameters_set_in_inference_mode():
    conn = dense()
    with torch.inference_mode():
        conn.weight = torch.ones(2, 3)
    conn.weight_.requires_grad_(True)
    conn(torch.ones(1, 3)).sum().backward()
    assert not conn.weight_.is_inference()


@pytest.mark.parametrize("make", [lif, lambda: SingleExponentialCurrent(3, 1.0, spike_charge=2.0, time_constant=4.0)])
def test_state_dicts_are_snapshots(make):
    module, other = make(), make()
    inputs = torch.rand(9, 1, 3) * 30
    for x in inputs[:4]:
        module(x)
    saved = module.state_dict()
    expected = [module(x).clone() for x in inputs[4:]]
    other.load_state_dict(saved)
    assert all(torch.equal(other(x), y) for x, y in zip(inputs[4:], expected, strict=True))
    module.load_state_dict(saved, assign=True)
    for _ in range(2):
        module(inputs[0])
    module.load_state_dict(saved)
    assert all(torch.equal(module(x), y) for x, y in zip(inputs[4:], expected, strict=True))


def test_tensors_given_to_handles_are_not_written_to():
    neuron, given = lif(), torch.full((1, 3), -55.0)
    neuron.voltage_.value = given
    neuron(torch.full((1, 3), 5.0))
    neuron.clear()
    assert torch.equal(given, torch.full((1, 3), -55.0))


@pytest.mark.parametrize("name", ["voltage", "refrac"])
def test_assigned_state_keeps_shape_and_dtype(name):
    neuron = lif(batch_size=2)
    for value in (1, 2.5, True, torch.tensor(3), torch.ones(3, dtype=torch.bool), torch.ones(2, 1).half()):
        setattr(neuron, name, value)
        state = getattr(neuron, name)
        assert state.shape == (2, 3) and state.dtype == torch.float32 and state.is_contiguous()
        assert torch.equal(state, torch.as_tensor(value, dtype=torch.float32).expand(2, 3))
        neuron(torch.ones(2, 3))
    before = getattr(neuron, name).clone()
    for value, error in [
        (torch.ones(4), ValueError),
        (torch.ones(2, 2, 3), ValueError),
        (torch.ones(2, 3, device="meta"), ValueError),
        (torch.ones(3, dtype=torch.float64), TypeError),
        ([1.0], TypeError),
        (None, TypeError),
    ]:
        with pytest.raises(error, match=name):
            setattr(neuron, name, value)
        assert torch.equal(getattr(neuron, name), before)


def test_gradients_pass_an_assigned_voltage():
    neuron, start = lif(), torch.tensor(-55.0, requires_grad=True)
    neuron.voltage = start
    neuron(torch.zeros(1, 3))
    neuron.voltage.sum().backward()
    assert start.grad > 0


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("synapse", [EXPONENTIAL, Plain.partialconstructor(2.0, 4.0)], ids=["fused", "plain"])
@pytest.mark.parametrize("own", [False, True], ids=["step", "own graph"])
def test_weights_set_before_backward_are_noticed(delay, synapse, own):
    """A graph that saved the old weights must not go on with the new ones."""
    conn, x = dense(synapse, delay, bias=True), torch.ones(1, 3, requires_grad=True)
    conn.weight_.requires_grad_(own)
    loss = (conn.weight**2).sum() if own else conn(x).sum()
    new, held, address = torch.zeros(2, 3), conn.weight, conn.weight.data_ptr()
    conn.weight = new
    new.fill_(9.0)
    assert conn.weight is held and not held.any() and held.data_ptr() == address
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("synapse", [EXPONENTIAL, Plain.partialconstructor(2.0, 4.0)], ids=["fused", "plain"])
@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("name", ["weight_", "bias_", "synapse_"])
def test_mixed_dtypes_are_found_before_the_synapse_advances(synapse, delay, name):
    conn = dense(synapse, delay, bias=True)
    part = getattr(conn, name)
    part.data = part.data.double() if name != "synapse_" else None
    if name == "synapse_":
        conn.synapse.double()
    with pytest.raises(TypeError, match="weight.*bias.*currents"):
        conn(torch.ones(1, 3))
    assert conn.synapse.current_.pointer == 0 and not conn.synapse.spike_.value.any()


@pytest.mark.parametrize("synapse", [EXPONENTIAL, Plain.partialconstructor(2.0, 4.0)], ids=["fused", "plain"])
def test_nan_delays_are_found_before_the_synapse_advances(synapse):
    conn = dense(synapse)
    conn.delay.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="delay"):
        conn(torch.ones(1, 3))
    assert conn.synapse.current_.pointer == 0


def test_numbers_are_inputs():
    a, b = lif(batch_size=2), lif(batch_size=2)
    for x in (30, 12.5, True, 400):
        assert torch.equal(a(x), b(torch.full((2, 3), float(x))))
    for bad in ([1.0], None, "1", 1j):
        with pytest.raises(TypeError, match="inputs"):
            a(bad)
    assert torch.equal(a.voltage, b.voltage)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_times_must_be_finite(value):
    synapse, neuron, conn = DeltaCurrent(3, 1.0, spike_charge=1.0, delay=2.0), lif(), dense()
    synapse(torch.ones(1, 3))
    before = synapse.state_dict()
    for module, name in [(synapse, "dt"), (synapse, "delay"), (neuron, "dt"), (conn, "dt")]:
        with pytest.raises(ValueError, match=name):
            setattr(module, name, value)
    assert (synapse.dt, synapse.delay, neuron.dt) == (1.0, 2.0, 1.0)
    assert torch.equal(synapse.state_dict()["_spike__data"], before["_spike__data"]) and synapse.spike_.pointer == 1
    for make in (
        lambda: lif(value),
        lambda: DeltaCurrent(3, value, spike_charge=1.0),
        lambda: DeltaCurrent(3, 1.0, spike_charge=1.0, delay=value),
        lambda: dense(delay=value),
    ):
        with pytest.raises(ValueError):
            make()


def test_updater_must_be_a_module():
    conn = dense()
    for bad in (1, "updater", LIF):
        with pytest.raises(TypeError, match="updater"):
            conn.updater = bad
    conn.updater = conn.defaultupdater()
    conn.updater = None
    assert not conn.updatable


@pytest.mark.parametrize("refrac_t, dt", [(0.1, 0.1), (0.7, 0.1), (3.3, 1.0), (1e-4, 1.0), (3.7, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_spike_is_right_after_a_change_of_dtype(refrac_t, dt, dtype):
    neuron = lif(dt, refrac_t=refrac_t).to(dtype)
    fired = neuron(torch.tensor([[0.0, 6e4, 0.0]], dtype=dtype))
    assert fired.any() and torch.equal(neuron.spike, fired)
    if dtype == torch.float32:
        neuron.double()
        assert torch.equal(neuron.spike, fired)
        assert not neuron(torch.zeros(1, 3)).any() and not neuron.spike.any()


@pytest.mark.parametrize("delay", [None, 3.0])
def test_modules_are_copied_in_the_middle_of_a_graph(delay):
    conn, neuron, x = dense(delay=delay), lif(), torch.ones(1, 3, requires_grad=True)
    for _ in range(3):
        conn(x)
        neuron(20 * x)
    voltage = neuron.voltage
    twins = copy.deepcopy((conn, neuron))
    assert not any(b.requires_grad for twin in twins for b in twin.buffers())
    assert torch.equal(twins[1].voltage, voltage) and voltage.requires_grad
    assert torch.equal(twins[0](x.detach()), conn(x).detach())
    voltage.sum().backward()
    assert x.grad.abs().min() > 0


def adapting(kind):
    if kind == "threshold":
        names = {"thresh_eq_v": -50.0}
        return ALIF(3, 1.0, **MEMBRANE, **names, tc_adaptation=20.0, spike_increment=1.0), "threshold_adaptation"
    names = {"rheobase_v": -52.0, "sharpness": 2.0, "thresh_v": -45.0, "voltage_coupling": 0.1}
    return AdEx(3, 1.0, **MEMBRANE, **names, tc_adaptation=20.0, spike_increment=1.0), "current_adaptation"


@pytest.mark.parametrize("kind", ["threshold", "current"])
@pytest.mark.parametrize("between", ["nothing", "clear", "clear all", "batch size", "step without adapting"])
def test_adaptations_that_were_read_keep_their_values(backend, kind, between):
    neuron, name = adapting(kind)
    x = torch.full((1, 3), 1e3)
    neuron(x)
    kept = getattr(neuron, name)
    copy_of_kept = kept.clone()
    if "clear" in between:
        neuron.clear(keep_adaptations=between == "clear")
    elif between == "batch size":
        neuron.batchsz = 2
    elif between == "step without adapting":
        neuron(x, adapt=False)
    for _ in range(5):
        neuron(torch.full(neuron.batchedshape, 1e3))
    assert kept.any() and torch.equal(kept, copy_of_kept)
    assert not torch.equal(getattr(neuron, name), kept)
