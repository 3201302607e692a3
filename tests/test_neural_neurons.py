"""Every neuron class: construction, state, adaptation; and 200 steps side by side with inferno-ai."""

import copy
import io
import pickle

import pytest
import torch

import inferno_cuda.neural as ours
from inferno_cuda import backend as use_backend
from inferno_cuda import explain
from inferno_cuda.testing import assert_identical

LINEAR = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
THRESHOLD = {"rest_v": -60.0, "thresh_eq_v": -50.0, "refrac_t": 3.0, "tc_membrane": 20.0, "spike_increment": (1.0, 0.5)}
QUADRATIC = {"rest_v": -60.0, "crit_v": -52.0, "affinity": 0.04, "reset_v": -65.0, "thresh_v": -40.0, "refrac_t": 3.0}
EXPONENTIAL = {"rest_v": -60.0, "rheobase_v": -50.0, "sharpness": 2.0, "reset_v": -65.0, "thresh_v": -40.0}
EXPONENTIAL["refrac_t"] = 3.0
CURRENT = {
    "tc_membrane": 20.0,
    "tc_adaptation": (100.0, 30.0),
    "voltage_coupling": (0.2, 0.1),
    "spike_increment": (1.0, 0.5),
}
NEURONS = {
    "LIF": LINEAR,
    "ALIF": THRESHOLD | {"reset_v": -65.0, "tc_adaptation": (30.0, 100.0)},
    "GLIF1": LINEAR,
    "GLIF2": THRESHOLD | {"reset_v_add": 3.0, "reset_v_mul": 0.4, "rc_adaptation": (0.02, 0.1)},
    "QIF": QUADRATIC | {"time_constant": 20.0},
    "Izhikevich": QUADRATIC | CURRENT,
    "EIF": EXPONENTIAL | {"time_constant": 20.0},
    "AdEx": EXPONENTIAL | CURRENT,
}
ADAPTIVE = {
    "ALIF": "threshold_adaptation",
    "GLIF2": "threshold_adaptation",
    "Izhikevich": "current_adaptation",
    "AdEx": "current_adaptation",
}
EVERY = list(NEURONS)


def make(name, shape=(4, 5), dt=1.0, library=ours, **changes):
    return getattr(library, name)(shape, dt, **(NEURONS[name] | changes))


def currents(steps, *shape, seed=0, dtype=torch.float32, low=-10.0, high=50.0):
    drawn = torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed))
    return (low + (high - low) * drawn).to(dtype)


# -- side by side with inferno-ai -------------------------------------------------------------------------------------


@pytest.fixture
def theirs():
    return pytest.importorskip("inferno.neural")


def assert_state_close(a, b, name, tolerance):
    torch.testing.assert_close(a.voltage, b.voltage, **tolerance)
    torch.testing.assert_close(a.refrac, b.refrac)
    if name in ADAPTIVE:
        torch.testing.assert_close(getattr(a, ADAPTIVE[name]), getattr(b, ADAPTIVE[name]), **tolerance)


# A difference of rounding at the foot of an exponential or quadratic upstroke grows with it.
TOLERANCE = {torch.float32: {"rtol": 1e-4, "atol": 1e-3}, torch.float64: {"rtol": 1e-9, "atol": 1e-9}}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch, training", [(1, True), (3, True), (20, False), (37, True)])
@pytest.mark.parametrize("lock", [True, False])
def test_200_steps(backend, theirs, name, dtype, batch, training, lock):
    a, b = (make(name, library=n, batch_size=batch).to(dtype).train(training) for n in (ours, theirs))
    fired = 0
    for x in currents(200, batch, 4, 5, dtype=dtype):
        spikes = a(x, refrac_lock=lock)
        assert torch.equal(spikes, b(x, refrac_lock=lock))
        assert torch.equal(a.spike, spikes)
        fired += int(spikes.sum())
    assert fired > 50
    assert_state_close(a, b, name, TOLERANCE[dtype])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("changes", [
    {"resistance": 0.7, "refrac_t": 0.0},
    {"refrac_t": 1.0, "rest_v": -62.5},
    {"refrac_t": 2.5, "resistance": 1.3},
    {"refrac_t": 20.0},
], ids=str)  # fmt: skip
def test_parameters_side_by_side(backend, theirs, name, changes):
    a, b = (make(name, library=n, batch_size=2, dt=0.5, **changes) for n in (ours, theirs))
    for x in currents(200, 2, 4, 5, seed=1):
        assert torch.equal(a(x), b(x))
    assert_state_close(a, b, name, TOLERANCE[torch.float32])


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("adapt", [True, False, None])
@pytest.mark.parametrize("training", [True, False])
def test_adapt_and_mode(backend, theirs, name, adapt, training):
    a, b = (make(name, library=n, batch_size=2).train(training) for n in (ours, theirs))
    for x in currents(60, 2, 4, 5):
        assert torch.equal(a(x, adapt), b(x, adapt))
    assert_state_close(a, b, name, TOLERANCE[torch.float32])
    assert bool(getattr(a, ADAPTIVE[name]).any()) is (training if adapt is None else adapt)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize(
    "reduction", [None, torch.mean, torch.sum, torch.amax], ids=lambda chosen: getattr(chosen, "__name__", "none")
)
def test_batch_reductions(backend, theirs, name, reduction):
    a, b = (make(name, library=n, batch_size=3, batch_reduction=reduction) for n in (ours, theirs))
    for x in currents(60, 3, 4, 5):
        assert torch.equal(a(x), b(x))
    assert_state_close(a, b, name, TOLERANCE[torch.float32])


@pytest.mark.parametrize("name", EVERY)
def test_checkpoints_both_ways(backend, theirs, name):
    a, b = (make(name, library=n, batch_size=2) for n in (ours, theirs))
    assert list(a.state_dict()) == list(b.state_dict())
    xs = currents(90, 2, 4, 5)
    for x in xs[:30]:
        a(x)
    b.load_state_dict(a.state_dict())
    for x in xs[30:60]:
        assert torch.equal(a(x), b(x))
    a = make(name, batch_size=2)
    a.load_state_dict(b.state_dict())
    for x in xs[60:]:
        assert torch.equal(a(x), b(x))


@pytest.mark.parametrize("name", EVERY)
def test_attributes_are_those_of_inferno(theirs, name):
    a, b = (make(name, library=n, batch_size=2) for n in (ours, theirs))
    public = {key for key in dir(b) if not key.startswith("_")}
    assert public <= set(dir(a))
    shown = {key: value for key, value in vars(b).items() if isinstance(value, float)}
    assert shown == {key: getattr(a, key) for key in shown}
    for key, buffer in b.named_buffers():
        assert_identical(dict(a.named_buffers())[key], buffer, key)
    assert repr(a) == repr(b)
    assert a._non_persistent_buffers_set == b._non_persistent_buffers_set


# -- our backends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_backends_agree_bit_for_bit(native, device, name, dtype):
    results = []
    for mode in ("torch", "native"):
        neurons = make(name, batch_size=33).to(device, dtype)
        with use_backend(mode):
            spikes = torch.stack([neurons(x) for x in currents(60, 33, 4, 5, dtype=dtype).to(device)])
        results.append([spikes, neurons.voltage, neurons.refrac, *neurons.buffers()])
    for actual, expected in zip(*results, strict=True):
        assert_identical(actual, expected)
    assert results[0][0].any()


def test_one_sample_of_a_batch_is_on_its_own_without_adaptation(backend):
    xs = currents(50, 3, 4, 5)
    for name in EVERY:
        whole, alone = make(name, batch_size=3).eval(), make(name).eval()
        for x in xs:
            assert torch.equal(whole(x)[1:2], alone(x[1:2]))


# -- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADAPTIVE)
def test_clear_keeps_adaptations_unless_told(backend, name):
    neurons = make(name, batch_size=2)
    for x in currents(30, 2, 4, 5):
        neurons(x)
    kept = getattr(neurons, ADAPTIVE[name]).clone()
    assert kept.any()
    neurons.clear()
    assert_identical(getattr(neurons, ADAPTIVE[name]), kept)
    assert (neurons.voltage == -60).all() and not neurons.refrac.any()
    neurons.clear(keep_adaptations=False)
    assert not getattr(neurons, ADAPTIVE[name]).any()
    neurons.batchsz = 5
    assert getattr(neurons, ADAPTIVE[name]).shape == (4, 5, 2)
    assert neurons(torch.zeros(5, 4, 5)).shape == (5, 4, 5)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_setting_adaptations(backend, name):
    neurons, attribute = make(name, batch_size=3), ADAPTIVE[name]
    samples = torch.rand(3, 4, 5, 2)
    setattr(neurons, attribute, samples)
    torch.testing.assert_close(getattr(neurons, attribute), samples.mean(0))
    setattr(neurons, attribute, samples[0])
    samples[0].zero_()
    assert getattr(neurons, attribute).all()
    with pytest.raises(ValueError, match=f"'{attribute}' has the shape"):
        setattr(neurons, attribute, torch.zeros(7, 2))
    with pytest.raises(TypeError, match=attribute):
        setattr(neurons, attribute, torch.zeros(4, 5, 2, dtype=torch.float64))
    assert getattr(neurons, attribute).all()


@pytest.mark.parametrize("name", EVERY)
def test_what_was_read_stays(backend, name):
    neurons = make(name, batch_size=2)
    attributes = ["voltage", "refrac", *([ADAPTIVE[name]] if name in ADAPTIVE else [])]
    xs = currents(20, 2, 4, 5)
    for x in xs:
        neurons(x)
    read = [getattr(neurons, key) for key in attributes]
    before = [tensor.clone() for tensor in read]
    for x in xs:
        neurons(x)
    for tensor, old in zip(read, before, strict=True):
        assert_identical(tensor, old)
    assert not torch.equal(neurons.voltage, before[0])


@pytest.mark.parametrize("name", EVERY)
def test_steps_without_reads_stay_in_place(backend, name):
    neurons = make(name, batch_size=2)
    pointers = [tensor.data_ptr() for tensor in neurons.buffers()]
    for x in currents(5, 2, 4, 5):
        neurons(x)
    assert pointers == [tensor.data_ptr() for tensor in neurons.buffers()]


@pytest.mark.parametrize("name", EVERY)
def test_copies_go_on_alike_and_apart(backend, name):
    xs = currents(60, 2, 4, 5)
    neurons = make(name, batch_size=2)
    for x in xs[:30]:
        neurons(x)
    buffer = io.BytesIO()
    torch.save(neurons, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(neurons), pickle.loads(pickle.dumps(neurons)), torch.load(buffer, weights_only=False)]
    results = [torch.stack([n(x) for x in xs[30:]]) for n in (neurons, *copies)]
    for result in results[1:]:
        assert torch.equal(result, results[0])
    copies[0].clear(keep_adaptations=False)
    assert torch.equal(neurons.voltage, copies[1].voltage)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_constants_are_read_at_every_step(backend, name):
    neurons = make(name, batch_size=2)
    neurons(torch.full((2, 4, 5), 1e5))
    at_once = getattr(neurons, ADAPTIVE[name]).clone()
    changed = make(name, batch_size=2)
    changed(torch.zeros(2, 4, 5))
    with torch.no_grad():
        changed.adapt_increment *= 3
    changed.clear(keep_adaptations=False)
    changed(torch.full((2, 4, 5), 1e5))
    torch.testing.assert_close(getattr(changed, ADAPTIVE[name]), 3 * at_once)
    neurons.adapt_increment = torch.zeros(2)
    neurons.clear(keep_adaptations=False)
    neurons(torch.full((2, 4, 5), 1e5))
    assert not getattr(neurons, ADAPTIVE[name]).any()


def test_copies_have_constants_of_their_own(backend):
    neurons = make("ALIF")
    neurons(torch.zeros(1, 4, 5))
    other = copy.deepcopy(neurons)
    other.adapt_increment.fill_(9.0)
    for n, jump in ((neurons, [1.0, 0.5]), (other, [9.0, 9.0])):
        n(torch.full((1, 4, 5), 1e5))
        assert n.threshold_adaptation[0, 0].tolist() == jump


# -- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADAPTIVE)
def test_gradients_pass_through_adaptations(backend, name):
    neurons = make(name, batch_size=2).double()
    x = currents(6, 2, 4, 5, dtype=torch.float64, high=10).requires_grad_()
    for current in x:
        neurons(current)
    total = neurons.voltage.sum() + getattr(neurons, ADAPTIVE[name]).sum()
    total.backward()
    assert x.grad.any()
    neurons.clear(keep_adaptations=False)
    assert not neurons.voltage.requires_grad and not getattr(neurons, ADAPTIVE[name]).requires_grad


# -- construction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, wanted", [("ALIF", [[10, 20], [1, 1]]), ("GLIF2", [[10, 20], [1, 1]])])
def test_d19_shorter_sequences_are_padded(backend, name, wanted):
    rates = "rc_adaptation" if name == "GLIF2" else "tc_adaptation"
    neurons = make(name, **{rates: (10.0, 20.0), "spike_increment": 1.0})
    assert [getattr(neurons, rates).tolist(), neurons.adapt_increment.tolist()] == wanted
    neurons(torch.full((1, 4, 5), 1e5))
    assert (neurons.threshold_adaptation == 1).all()


def test_d19_three_sequences(backend):
    neurons = make("AdEx", tc_adaptation=10.0, voltage_coupling=(1.0, 2.0, 3.0), spike_increment=(4.0, 5.0))
    shown = [neurons.tc_adaptation, neurons.adapt_vc_coupling, neurons.adapt_increment]
    assert [t.tolist() for t in shown] == [[10, 10, 10], [1, 2, 3], [4, 5, 5]]
    assert neurons.current_adaptation.shape == (4, 5, 3)


def bad():
    for name in EVERY:
        thresh = "thresh_eq_v" if "thresh_eq_v" in NEURONS[name] else "thresh_v"
        membrane = "tc_membrane" if "tc_membrane" in NEURONS[name] else "time_constant"
        cases = [({"refrac_t": -1.0}, "'refrac_t'"), ({"resistance": 0.0}, "'resistance'"), ({membrane: 0.0}, membrane)]
        cases += [({"batch_size": 0}, "'batch_size'"), ({"rest_v": -10.0}, "'rest_v'"), ({thresh: -70.0}, thresh)]
        cases += [({"reset_v": -10.0}, "'reset_v'")] if "reset_v" in NEURONS[name] else []
        for key in ("tc_adaptation", "rc_adaptation"):
            if key in NEURONS[name]:
                cases += [({key: (10.0, 0.0)}, f"'{key}'"), ({key: ()}, f"'{key}'")]
        if name in ADAPTIVE:
            cases.append(({"spike_increment": float("nan")}, "'spike_increment'"))
        for key, low, high in (("crit_v", -61.0, -39.0), ("rheobase_v", -61.0, -39.0)):
            if key in NEURONS[name]:
                cases += [({key: low}, key), ({key: high}, key)]
        cases += [({key: 0.0}, f"'{key}'") for key in ("affinity", "sharpness") if key in NEURONS[name]]
        yield from ((name, change, match) for change, match in cases)


@pytest.mark.parametrize("name, change, match", list(bad()))
def test_bad_parameters(theirs, name, change, match):
    with pytest.raises(ValueError, match=match):
        make(name, **change)
    if not any(value == () or value != value for value in change.values()):  # inferno-ai does not check these two
        with pytest.raises(ValueError):
            make(name, library=theirs, **change)


@pytest.mark.parametrize("name", EVERY)
def test_bad_input_leaves_the_state(backend, name):
    neurons = make(name, batch_size=2)
    before = [tensor.clone() for tensor in neurons.buffers()]
    with pytest.raises(ValueError, match="'inputs' has the shape"):
        neurons(torch.zeros(5, 2, 4, 5))
    with pytest.raises(TypeError, match="'inputs' has the dtype"):
        neurons(torch.zeros(2, 4, 5, dtype=torch.float64))
    with pytest.raises(TypeError, match="'inputs' is a list"):
        neurons([1.0])
    for tensor, old in zip(neurons.buffers(), before, strict=True):
        assert_identical(tensor, old)


def test_numbers_stand_for_every_neuron(backend):
    for name in EVERY:
        a, b = make(name, batch_size=2), make(name, batch_size=2)
        for _ in range(10):
            assert torch.equal(a(30.0), b(torch.full((2, 4, 5), 30.0)))


def test_glif1_and_lif_are_no_subclasses_of_each_other():
    assert not issubclass(ours.GLIF1, ours.LIF) and not issubclass(ours.LIF, ours.GLIF1)


def test_explain_names_the_op():
    for name in EVERY:
        assert [row.op for row in explain(make(name))] == ["neuron_step"]


@pytest.mark.cuda
@pytest.mark.parametrize("name", EVERY)
def test_cuda_graph_replays_equal_eager_steps(native, name):
    xs = currents(20, 3, 4, 5).cuda()
    eager, captured = make(name, batch_size=3).cuda(), make(name, batch_size=3).cuda()
    x = xs[0].clone()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        captured(x)
    torch.cuda.current_stream().wait_stream(stream)
    captured.clear(keep_adaptations=False)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        spikes = captured(x)
    captured.clear(keep_adaptations=False)
    for current in xs:
        x.copy_(current)
        graph.replay()
        assert torch.equal(spikes, eager(current))
