"""Sums, corrections and updates that look at few spikes alone: the same bits as if they looked at all."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from inferno_cuda import neural, ops, reference
from inferno_cuda.neural.network import serial
from inferno_cuda.ops.linear import dense_sum
from inferno_cuda.testing import assert_identical

CELLS = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}


def random(seed=1):
    return torch.Generator().manual_seed(seed)


def sparse(batch, inputs, count, dtype=torch.float32):
    """[batch, inputs], of which so many of each sample are not 0."""
    values = torch.zeros(batch, inputs, dtype=dtype)
    for sample in values:
        sample[torch.randperm(inputs, generator=random())[:count]] = torch.randn(count, generator=random(), dtype=dtype)
    return values


def ascending(inputs, weight, bias=None):
    out = torch.zeros(len(inputs), len(weight), dtype=weight.dtype)
    for i in range(weight.shape[1]):
        some = inputs[:, i] != 0
        out[some] = out[some] + inputs[some, i, None] * weight[:, i]
    return out if bias is None else out + bias


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("batch", "inputs", "outputs"), [(1, 16, 1), (3, 100, 7), (20, 784, 100), (0, 40, 5), (2, 33, 0)]
)
def test_few_inputs_are_added_in_ascending_order(native, dtype, batch, inputs, outputs):
    weight = torch.randn(outputs, inputs, generator=random(), dtype=dtype)
    bias = torch.randn(outputs, generator=random(), dtype=dtype)
    values = sparse(batch, inputs, inputs // 16, dtype)
    assert_identical(dense_sum(values, weight), ascending(values, weight))
    assert_identical(dense_sum(values, weight, bias), ascending(values, weight, bias))


def test_samples_with_many_inputs_leave_those_with_few_alone(native):
    weight, few, many = (
        torch.randn(9, 64, generator=random()),
        sparse(2, 64, 4),
        torch.randn(2, 64, generator=random(2)),
    )
    mixed = torch.stack([few[0], many[0], few[1], many[1]])
    found = dense_sum(mixed, weight)
    assert_identical(found[::2], ascending(few, weight))
    torch.testing.assert_close(found[1::2], F.linear(many, weight))


def test_what_meets_no_input_is_not_looked_at(native):
    weight, values = torch.ones(2, 32), torch.zeros(1, 32)
    values[0, 3], weight[:, 5] = 2.0, math.inf
    assert dense_sum(values, weight).tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize("count", [2, 30])
def test_gradients_are_those_of_a_linear_layer(native, count):
    tensors = sparse(3, 32, count, torch.float64), *(torch.randn(*s, dtype=torch.float64) for s in ((5, 32), (5,)))
    ours, theirs = ([t.clone().requires_grad_() for t in tensors] for _ in range(2))
    made = dense_sum(*ours)
    assert_identical(made.detach(), dense_sum(*tensors))
    made.cos().sum().backward()
    F.linear(*theirs).cos().sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_number_of_threads_changes_no_bit(native):
    weight, values, before = torch.randn(3000, 1600), sparse(64, 1600, 100), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(dense_sum(values, weight))
    finally:
        torch.set_num_threads(before)
    assert_identical(found[1], found[0])
    assert_identical(found[2], found[0])


def delayed(batch, rate, inputs=150, outputs=30, slots=6, dtype=torch.float32, innermost=True):
    ring = torch.rand(slots, inputs, batch, generator=random()) < rate
    ring = ring.movedim(2, 1) if innermost else ring.movedim(2, 1).contiguous()
    delay = torch.randint(0, slots + 1, (outputs, inputs), generator=random()).float()  # the longest is out of range
    plan = ops.delay_plan(delay, dt=1.0, slots=slots, max_delay=slots - 1.0)
    weight = torch.randn(outputs, inputs, generator=random()).to(dtype)
    return ring, torch.tensor(4), weight, plan


def summed(ring, pointer, weight, plan, bias, scale):
    options = {"linear": False, "scale": scale, "overbound": 0.0}
    return reference.delayed_dense(ring, pointer, weight, bias, plan.slot, None, **options)


@pytest.mark.parametrize("batch", [2, 3, 16, 20, 32, 33, 70])
@pytest.mark.parametrize("rate", [0.0, 0.03, 0.3])
@pytest.mark.parametrize("innermost", [True, False], ids=["batch innermost", "inputs innermost"])
def test_delayed_sums_of_few_and_of_many_spikes(native, batch, rate, innermost):
    arguments = delayed(batch, rate, innermost=innermost)
    ring, pointer, weight, plan = arguments
    bias = torch.randn(len(weight), generator=random())
    expected = summed(ring, pointer, weight, plan, bias, 0.7)
    assert_identical(ops.delayed_dense(*arguments, bias=bias, scale=0.7), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_delayed_sums_of_few_spikes_in_other_types(native, dtype):
    ring, pointer, weight, plan = delayed(5, 0.02, dtype=dtype)
    expected = summed(ring, pointer, weight, plan, None, 1.5)
    assert_identical(ops.delayed_dense(ring, pointer, weight, plan, scale=1.5), expected)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_weights_that_are_not_finite_meet_what_is_silent_too(native, value):
    ring, pointer, weight, plan = delayed(4, 0.02)
    weight[3, 140] = value
    expected = summed(ring, pointer, weight, plan, None, 1.0)
    assert_identical(ops.delayed_dense(ring, pointer, weight, plan), expected)
    assert not expected[:, 3].isfinite().all()


@pytest.mark.parametrize("batch", [1, 7, 16, 32, 40])
@pytest.mark.parametrize("innermost", [True, False])
def test_values_are_correlated_with_spikes_of_batches_of_any_size(native, batch, innermost):
    ring, pointer, weight, plan = delayed(batch, 0.1, innermost=innermost)
    post = torch.randn(batch, len(weight), generator=random())
    post[0, 0] = math.nan
    found = ops.correlate_dense(post, ring, pointer, plan, scale=0.5)
    assert_identical(found, torch.stack([_correlation(post, ring, pointer, plan, o) for o in range(len(weight))]) * 0.5)


def _correlation(post, ring, pointer, plan, output):
    slots, inputs = len(ring), torch.arange(ring.shape[2])
    age, total = plan.slot[output].long(), torch.zeros(ring.shape[2])
    spikes = ring[(pointer - 1 - age) % slots, :, inputs] & (age < slots)[:, None]
    for sample in range(ring.shape[1]):
        total = torch.where(spikes[:, sample], total + post[sample, output], total)
    return total


def test_a_clamped_parameter_counts_its_version(native):
    module = torch.nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[-1.0, 0.5, math.nan], [2.0, math.inf, -math.inf]]))
    hook = neural.Clamping(module, "weight", min=0.0, max=1.0, as_prehook=True)
    hook.register()
    version = module.weight._version
    with torch.no_grad():
        module(torch.ones(1, 3))
    assert module.weight._version > version
    assert_identical(module.weight.detach(), torch.tensor([[0.0, 0.5, math.nan], [1.0, 1.0, 0.0]]))


def test_an_updater_without_updates_writes_nothing(native):
    layer = delayed_layer("delta")
    connection = layer.connection
    connection.updater = connection.defaultupdater()
    connection.updater.weight = torch.ones_like(connection.weight)
    versions = connection.weight._version, connection.delay_._version
    connection.update()
    assert connection.weight._version > versions[0] and connection.delay_._version == versions[1]


SYNAPSES = {
    "delta": neural.DeltaCurrent.partialconstructor(60.0),
    "delta plus": neural.DeltaPlusCurrent.partialconstructor(60.0),
    "exponential": neural.SingleExponentialCurrent.partialconstructor(60.0, 5.0),
    "double exponential": neural.DoubleExponentialCurrent.partialconstructor(60.0, 5.0, 2.0),
    "linear": neural.DeltaCurrent.partialconstructor(60.0, interp_mode="linear"),
}


def delayed_layer(synapse, kind="dense", bias=True):
    generator = random()
    given = {
        "synapse": SYNAPSES[synapse],
        "delay": 4.0,
        "batch_size": 3,
        "bias": bias,
        "weight_init": lambda like: (300.0 if like.ndim == 1 else 2.0) * torch.rand(like.shape, generator=generator),
        "bias_init": lambda like: torch.rand(like.shape, generator=generator),
        "delay_init": lambda like: 5.0 * torch.rand(like.shape, generator=generator),
    }
    make = {
        "dense": lambda: neural.LinearDense((4, 40), 160, 1.0, **given),
        "lateral": lambda: neural.LinearLateral((160,), 1.0, **given),
        "direct": lambda: neural.LinearDirect((160,), 1.0, **given),
    }
    connection = make[kind]()
    return neural.Serial(connection, neural.LIF(connection.outshape, 1.0, batch_size=3, **CELLS))


def steps_of(layer, count=14):
    generator, shape = random(3), layer.connection.inshape
    return [torch.rand(3, *shape, generator=generator) < 0.1 for _ in range(count)]


def noted(monkeypatch):
    made, function = [], serial.step_at_once

    def step(*arguments):
        made.append(function(*arguments))
        return made[-1]

    monkeypatch.setattr(serial, "step_at_once", step)
    return made


def assert_steps_alike(ours, parts, steps):
    handle = parts.connection.register_forward_hook(lambda *_: None)  # so that these are calls
    fired = 0
    for spikes in steps:
        found = ours(spikes)
        assert torch.equal(found, parts(spikes))
        fired += int(found.sum())
    handle.remove()
    assert fired
    theirs = parts.state_dict()
    for name, value in ours.state_dict().items():
        assert not isinstance(value, torch.Tensor) or torch.equal(value, theirs[name])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dense", "lateral", "direct"])
@pytest.mark.parametrize("synapse", SYNAPSES)
def test_a_layer_with_delays_steps_at_once_bit_for_bit(native, monkeypatch, kind, synapse):
    ours, parts = delayed_layer(synapse, kind), delayed_layer(synapse, kind)
    made = noted(monkeypatch)
    assert_steps_alike(ours, parts, steps_of(ours))
    assert (made[-2] is not None) == (synapse != "double exponential")  # of which two records are summed


def set_delays(layer):
    layer.connection.delay = 4.0 - layer.connection.delay.clamp(max=4.0)


def write_delays(layer):
    layer.connection.delay.data.fill_(2.0)


def move_delays(layer):
    layer.connection.delay_.add_(1.0)


def grow(layer):
    layer.connection.synapse.delay = 7.0


def load(layer):
    state = {name: copy.deepcopy(value) for name, value in delayed_layer("delta").state_dict().items()}
    state["connections_.serial.weight_"] *= 0.5
    layer.load_state_dict(state)


def charge(layer):
    layer.connection.synapse.spike_charge = 90.0


def replace_neurons(layer):
    layer.neuron.thresh_v = -55.0
    layer.neuron.voltage = torch.full_like(layer.neuron.voltage, -60.0)


def clear(layer):
    layer.clear()


CHANGES = [set_delays, write_delays, move_delays, grow, load, charge, replace_neurons, clear]


@torch.no_grad()
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_step_at_once_sees_what_changed_before_it(native, monkeypatch, change):
    ours, parts = delayed_layer("delta"), delayed_layer("delta")
    steps = steps_of(ours)
    assert_steps_alike(ours, parts, steps[:7])
    change(ours)
    change(parts)
    assert_steps_alike(ours, parts, steps[7:])


@torch.no_grad()
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: copy.deepcopy(layer).double()], ids=["copy", "double"])
def test_copies_of_a_layer_with_delays_go_on_alone(native, copied):
    ours = delayed_layer("delta")
    steps = steps_of(ours)
    for spikes in steps[:7]:
        ours(spikes)
    assert_steps_alike(copied(ours), copied(ours), steps[7:])


def learn_delays(layer):
    layer.connection.delay_.requires_grad_()


def learn_weights(layer):
    layer.connection.weight_.requires_grad_()


@pytest.mark.parametrize(("synapse", "change"), [("linear", learn_delays), ("delta", learn_weights)])
def test_what_learns_gets_calls(native, monkeypatch, synapse, change):
    layer = delayed_layer(synapse)
    spikes = steps_of(layer, 3)
    layer(spikes[2])
    made = noted(monkeypatch)
    layer(spikes[0])
    change(layer)
    layer(spikes[1])
    assert made[0] is not None and made[1] is None
