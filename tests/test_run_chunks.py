"""Where inputs of runs come from, how they are cut, and how a run ends early."""

import signal
import threading

import pytest
import torch
from run_cases import NEURONS, B, Leaky, currents, recurrent, serial, spikes
from states import assert_same_state, states

import inferno_cuda
from inferno_cuda.neural import DeltaPlusCurrent, LinearDense
from inferno_cuda.testing import assert_identical

STEPS = 11
pytestmark = pytest.mark.usefixtures("interruptible")


def lif():
    return NEURONS["LIF"]()


def test_iterators_and_functions_give_chunks(backend):
    inputs = currents(STEPS, 5)
    wanted = lif().run(inputs)
    cuts = [inputs[:4], inputs[4:4], inputs[4:5], inputs[5:]]
    assert_identical(lif().run(iter(cuts)), wanted)
    assert_identical(lif().run(iter(cuts), chunk=2), wanted)
    assert_identical(lif().run(iter(cuts), steps=7), wanted[:7])
    asked = []

    def made(first, last):
        asked.append((first, last))
        return inputs[first:last]

    neurons = lif()
    out, recording = neurons.run(made, steps=STEPS, chunk=4, record="voltage")
    assert_identical(out, wanted)
    assert asked == [(0, 4), (4, 8), (8, 11)] and recording["voltage"].shape == (STEPS, B, 5)
    out, recording = lif().run(iter(cuts), record="voltage", every=3)
    assert_identical(recording["voltage"], lif().run(inputs, record="voltage")[1]["voltage"][::3])


def test_several_inputs_and_numbers(backend):
    synapse = DeltaPlusCurrent.partialconstructor(2.0)
    once, each = (
        LinearDense(6, 5, 1.0, synapse=synapse, batch_size=B, weight_init=torch.ones_like) for _ in range(2)
    )
    x, extra = spikes(STEPS, 6), torch.rand(STEPS, B, 6)
    wanted = torch.stack([each(a, b, 0.5) for a, b in zip(x, extra, strict=True)])
    assert_identical(once.run((x, extra, 0.5), chunk=3), wanted)


def test_a_function_sees_parts_of_what_is_left():
    def made(first, last):
        return torch.ones(last - first + 1, B, 5)

    with pytest.raises(ValueError, match=r"'inputs\(0, 4\)' gave 5 steps, they must be 4"):
        lif().run(made, steps=STEPS, chunk=4)


def test_too_short_an_iterator_says_so():
    neurons = lif()
    with pytest.raises(ValueError, match="ended 3 steps before the 11") as caught:
        neurons.run(iter([currents(8, 5)]), steps=STEPS)
    assert caught.value.steps_done == 8


def test_expanded_inputs_are_never_whole(monkeypatch):
    largest = []
    neurons = lif()
    whole = neurons._run_sequence

    def seen(inputs, *args, **kwargs):
        largest.append(inputs.shape[0])
        return whole(inputs, *args, **kwargs)

    monkeypatch.setattr(type(neurons), "_run_sequence", lambda self, *args, **kwargs: seen(*args, **kwargs))
    monkeypatch.setattr("inferno_cuda.neural.sequence._run._BUDGET", 1 << 12)
    out = neurons.run(currents(1, 5).expand(400, B, 5))
    assert out.shape == (400, B, 5)
    assert not largest or max(largest) < 100 and sum(largest) == 400


def test_the_callback_and_the_bar_follow(capsys):
    done = []
    neurons = lif()
    neurons.run(currents(STEPS, 5), chunk=4, callback=done.append, progress=True)
    assert done == [4, 8, 11]
    assert "11/11" in capsys.readouterr().err
    neurons.run(currents(STEPS, 5), chunk=4)
    assert not capsys.readouterr().err


class Stop(Exception):
    pass


@pytest.mark.parametrize("make", [lif, lambda: serial(inputs=5), lambda: serial(inputs=5).train()])
def test_an_exception_between_chunks_leaves_the_last_one(backend, make):
    once, each, inputs = make(), make(), currents(STEPS, 5)
    out = torch.full((STEPS, B, 5), -1.0)

    def stop(done):
        if done == 8:
            raise Stop("enough")

    with pytest.raises(Stop) as caught:
        once.run(inputs, chunk=4, callback=stop, record="voltage", out=out)
    assert caught.value.steps_done == 8 and "8 of 11 steps are done" in caught.value.__notes__[0]
    _, recording = each.run(inputs[:8], record="voltage")
    assert_same_state(states(once), states(each))
    assert_identical(out[:8], recording["voltage"])
    assert out[8:].eq(-1).all()
    assert_identical(once.run(inputs[8:]), each.run(inputs[8:]))


def test_ctrl_c_waits_for_the_end_of_a_chunk(backend):
    once, each, inputs = lif(), lif(), currents(STEPS, 5)

    def parts():
        yield inputs[:7]
        signal.raise_signal(signal.SIGINT)
        yield inputs[7:]

    with pytest.raises(KeyboardInterrupt) as caught:
        once.run(parts())
    assert caught.value.steps_done == 7
    each.run(inputs[:7])
    assert_same_state(states(once), states(each))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_waits_for_the_end_of_a_step():
    once, each, inputs = recurrent(), recurrent(), spikes(STEPS, 6)
    calls = []

    def hit(*_):
        calls.append(1)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGINT)

    handle = once.feedback_connection.register_forward_pre_hook(hit)  # in the midst of a step
    out = torch.full((STEPS, B, 5), -1.0)
    with pytest.raises(KeyboardInterrupt) as caught:
        once.run(inputs, record="feedfwd.voltage", out=out)
    handle.remove()
    assert caught.value.steps_done == 8
    _, recording = each.run(inputs[:8], record="feedfwd.voltage")
    assert_same_state(states(once), states(each))
    assert_identical(out[:8], recording["feedfwd.voltage"])
    assert out[8:].eq(-1).all()


def test_a_second_ctrl_c_stops_at_once():
    module, calls = Leaky(), []

    def hit(*_):
        calls.append(1)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    module.register_forward_hook(hit)
    with pytest.raises(KeyboardInterrupt) as caught:
        inferno_cuda.run(module, currents(5, 6))
    assert len(calls) == 1 and caught.value.steps_done == 0 and "failed" in caught.value.__notes__[0]


def test_other_handlers_and_threads_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        module = Leaky()
        module.register_forward_hook(lambda *_: signal.raise_signal(signal.SIGINT))
        inferno_cuda.run(module, currents(3, 6))
        assert len(seen) == 3
    finally:
        signal.signal(signal.SIGINT, before)
    results = []
    thread = threading.Thread(target=lambda: results.append(lif().run(currents(STEPS, 5))))
    thread.start()
    thread.join()
    assert_identical(results[0], lif().run(currents(STEPS, 5)))


def test_a_step_that_fails_is_counted():
    class Fails(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 6:
                raise Stop("no more")
            return x

    with pytest.raises(Stop) as caught:
        inferno_cuda.run(Fails(), torch.ones(9, 1), chunk=2)
    assert caught.value.steps_done == 5 and "the step after them failed" in caught.value.__notes__[0]


BAD = [
    ({"inputs": torch.ones(())}, ValueError, r"shape \(\)"),
    ({"inputs": torch.ones(0, B, 5)}, ValueError, "has 0 steps"),
    ({"inputs": (torch.ones(3, B, 5), torch.ones(4, B, 5))}, ValueError, "tensors of 3, 4 steps"),
    ({"inputs": (1.0, 2.0)}, ValueError, "no tensor"),
    ({"inputs": (torch.ones(3, B, 5), "x")}, TypeError, "has a str"),
    ({"inputs": 3}, TypeError, "is a int"),
    ({"inputs": [torch.ones(B, 5)] * 3}, TypeError, "is a list, .* torch.stack"),
    ({"inputs": iter([[torch.ones(B, 5)] * 3])}, TypeError, "is a list, .* torch.stack"),
    ({"recrod": "voltage"}, TypeError, "LIF has no argument 'recrod', that of run is 'record'"),
    ({"chunks": 3}, TypeError, "'chunks', that of run is 'chunk'"),
    ({"inputs": lambda first, last: None}, ValueError, "needs the number of steps"),
    ({"inputs": iter([]), "record": "voltage", "out": torch.zeros(1)}, ValueError, "'steps' is None"),
    ({"steps": 4}, ValueError, "'steps' is 4, 'inputs' has 3 steps"),
    ({"steps": 0}, ValueError, "'steps' of 0"),
    ({"chunk": 0}, ValueError, "'chunk' of 0"),
    ({"chunk": 1.5}, ValueError, "'chunk' of 1.5"),
    ({"callback": 1}, TypeError, "'callback' is a int"),
    ({"inputs": torch.ones(3, B, 4)}, ValueError, "shape"),
]


@pytest.mark.parametrize("options, error, match", BAD, ids=[match for *_, match in BAD])
def test_bad_arguments_leave_the_state(options, error, match):
    neurons = lif()
    before = states(neurons)
    with pytest.raises(error, match=match):
        neurons.run(**{"inputs": torch.ones(3, B, 5), **options})
    assert_same_state(states(neurons), before)


def test_what_is_no_module_does_not_run():
    with pytest.raises(TypeError, match="'module'"):
        inferno_cuda.run(lambda x: x, torch.ones(3))


def test_outputs_that_do_not_stack():
    class Says(torch.nn.Module):
        def forward(self, x):
            return "spike"

    with pytest.raises(TypeError, match="returned a str"):
        inferno_cuda.run(Says(), torch.ones(3))
    assert inferno_cuda.run(Says(), torch.ones(3), outputs=False) is None


@pytest.mark.slow
def test_a_million_steps_take_no_memory():
    import resource

    neurons = NEURONS["LIF"](1000)
    neurons.batchsz = 1
    inputs = torch.rand(1, 1, 1000).mul_(40).expand(1_000_000, 1, 1000)
    neurons.run(inputs[:20_000], outputs=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    neurons.run(inputs, outputs=False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def with_a_bad_parameter():
    layer = serial("LIF")
    layer.neuron.refrac_t = torch.tensor([2.0])
    return layer


def with_another_batch():
    second = serial("LIF", inputs=5)
    second.neuron.batchsz = second.connection.batchsz = B + 1
    return torch.nn.Sequential(serial("LIF"), second)


FAILING = {
    "parameter": (with_a_bad_parameter, {}),
    "keyword": (lambda: serial("LIF"), {"neuron_kwargs": {"record": 1}}),
    "batch size": (with_another_batch, {}),
    "width": (lambda: torch.nn.Sequential(serial("LIF"), torch.nn.Linear(7, 2)), {}),
    "second layer": (lambda: torch.nn.Sequential(serial("LIF"), serial("LIF", inputs=7)), {}),
}


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("name", FAILING)
def test_parts_that_fail_at_once_leave_the_state(backend, name, mode):
    make, options = FAILING[name]
    module = make()
    first = module[0] if isinstance(module, torch.nn.Sequential) else module
    first.connection(spikes(1, 6)[0])  # a history
    before, after = states(module), first.connection.run(spikes(3, 6, seed=2))
    module.load_state_dict(before)
    with mode(), pytest.raises(Exception) as caught:  # noqa: PT011
        inferno_cuda.run(module, spikes(STEPS, 6), **options)
    assert caught.value.steps_done == 0 and "the state is that after them" in caught.value.__notes__[0]
    assert_same_state(states(module), before)
    assert_identical(first.connection.run(spikes(3, 6, seed=2)), after)


def test_ctrl_c_at_the_end_of_the_inputs_is_not_lost(backend):
    once, each, inputs = lif(), lif(), currents(STEPS, 5)

    def parts():
        yield inputs
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        once.run(parts())
    assert caught.value.steps_done == STEPS
    each.run(inputs)
    assert_same_state(states(once), states(each))


@pytest.mark.parametrize("name", ["linear", "lif"])
def test_a_function_is_not_asked_for_more_than_fits(name):
    module, asked = torch.nn.Linear(1000, 2) if name == "linear" else NEURONS["LIF"](1000), []

    def made(first, last):
        asked.append((first, last))
        return torch.ones(1, 2, 1000).expand(last - first, B, 1000)

    with torch.no_grad():
        inferno_cuda.run(module, made, steps=20_000, outputs=False)
    assert [first for first, _ in asked[1:]] == [last for _, last in asked[:-1]]
    assert asked[0][0] == 0 and asked[-1][1] == 20_000
    sizes = [last - first for first, last in asked]
    assert max(sizes) * B * 1000 * 4 <= 1 << 26 and len(sizes) < 20


def test_keywords_of_functions_may_be_close_to_those_of_run():
    def scaled(current, step=1.0):
        return step * current

    inputs = spikes(STEPS, 6)
    assert_identical(
        serial("LIF", transform=scaled).run(inputs, step=2.0), serial("LIF", transform=lambda x: 2.0 * x).run(inputs)
    )
    for make in (lambda: serial("LIF"), recurrent):
        with pytest.raises(TypeError, match="'step', that of run is 'steps'"):
            make().run(inputs, step=2.0)
