"""What learning rules do: worked numbers, windows of spike pairs, delays that move, what is never made."""

import math

import pytest
import torch
from learn_cases import LONGEST, OURS, RULES, SIGNALS, layer, off_grid, rule, spikes

import inferno_cuda.functional as functional
from inferno_cuda import learn, neural
from inferno_cuda.extra import ExactNeuron


def exact(current, post):
    return post.to(current.dtype) * 2 - 1


def one_to_one(delay=None, start=0.0, batch=1, dt=1.0):
    """One input, one neuron that fires when it is told to, a weight of 0."""
    connection = neural.LinearDense(
        1,
        1,
        dt,
        synapse=neural.DeltaCurrent.partialconstructor(1.0),
        delay=delay,
        batch_size=batch,
        weight_init=torch.zeros_like,
        delay_init=lambda d: torch.full_like(d, start),
    )
    connection.updater = connection.defaultupdater()
    neuron = ExactNeuron(1, dt, rest_v=-60.0, thresh_v=-50.0, batch_size=batch)
    return neural.Serial(connection, neuron, exact)


def pair_changes(trainer, made, pre_at, post_at, steps, *signal):
    """The weight after one spike of either side, at these steps."""
    trainer.register_cell("cell", made.cell)
    for step in range(steps):
        made(torch.full((1, 1), step == pre_at), post=torch.full((1, 1), step == post_at))
        trainer(*signal)
        made.update()
    return made.connection.weight.item()


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("lag", range(-50, 51, 5))
def test_window_of_a_pair(lag, stable):
    up, down, tau_up, tau_down = 0.8, 0.5, 17.0, 34.0
    trainer = (learn.StableSTDP if stable else learn.STDP)(up, -down, tau_down, tau_up)
    change = pair_changes(trainer, one_to_one(), 50, 50 + lag, 101)
    if lag > 0:
        expected = up * math.exp(-lag / tau_up)
    elif lag < 0:
        expected = -down * math.exp(lag / tau_down)
    else:
        expected = up - down
    assert change == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("lag", [-20, -3, -2, -1, 0, 1, 2, 3, 20])
def test_window_of_a_pair_behind_a_delay(lag, delayed):
    trainer = learn.STDP(0.8, -0.5, 34.0, 17.0, delayed=delayed)
    change = pair_changes(trainer, one_to_one(5.0, 2.0), 50, 50 + lag + 2, 101)
    expected = {True: 0.8 * math.exp(-lag / 17.0), False: -0.5 * math.exp(lag / 34.0)}[lag > 0]
    assert change == pytest.approx(0.3 if lag == 0 else expected, rel=1e-5)


def test_worked_numbers_of_a_pair():
    # a lag of 10 ms: traces decay to exp(-1/2) and exp(-1)
    assert pair_changes(learn.STDP(1.0, -1.0, 10.0, 20.0), one_to_one(), 0, 10, 11) == pytest.approx(0.60653066)
    assert pair_changes(learn.STDP(1.0, -1.0, 10.0, 20.0), one_to_one(), 10, 0, 11) == pytest.approx(-0.36787944)
    assert pair_changes(learn.MSTDP(1.0, -1.0, 10.0, 20.0), one_to_one(), 0, 10, 11, -2.0) == pytest.approx(-1.2130613)
    # 5 steps of dt = 2 ms
    assert pair_changes(learn.STDP(1.0, -1.0, 10.0, 20.0), one_to_one(dt=2.0), 0, 5, 6) == pytest.approx(0.60653066)


def test_worked_numbers_of_a_burst():
    """Spikes at 0 and 2 before one at 3, tau 10 ms: both count, or the nearer one alone."""
    for mode, expected in (("cumulative", math.exp(-0.3) + math.exp(-0.1)), ("nearest", math.exp(-0.1))):
        made = one_to_one()
        trainer = learn.STDP(1.0, 0.0, 10.0, 10.0, trace_mode=mode)
        trainer.register_cell("cell", made.cell)
        for step in range(4):
            made(torch.full((1, 1), step in (0, 2)), post=torch.full((1, 1), step == 3))
            trainer()
        assert made.updater.weight.pos.item() == pytest.approx(expected)


@pytest.mark.parametrize("rule", ["TripletSTDP", "StableTripletSTDP"])
def test_worked_numbers_of_a_triplet(rule):
    """Post, pre, post at 0, 4, 10 ms: the second counts the slow trace of the first."""
    made = one_to_one()
    trainer = getattr(learn, rule)(0.5, 0.3, -0.4, 0.2, 20.0, 50.0, 10.0, 40.0)
    trainer.register_cell("cell", made.cell)
    for step in range(11):
        made(torch.full((1, 1), step == 4), post=torch.full((1, 1), step in (0, 10)))
        trainer()
        made.update()
    # the slow trace is read a step early, when it is 9 ms old
    expected = math.exp(-6 / 10) * (0.5 + 0.3 * math.exp(-9 / 50)) - math.exp(-4 / 20) * 0.4
    assert made.connection.weight.item() == pytest.approx(expected, rel=1e-5)


def test_worked_numbers_of_an_eligibility():
    """A pair 10 ms apart, the reward 30 ms later: exp(-1/2) exp(-1) / 30 times the reward."""
    made = one_to_one()
    trainer = learn.MSTDPET(1.0, -1.0, 10.0, 20.0, 30.0)
    trainer.register_cell("cell", made.cell)
    for step in range(41):
        made(torch.full((1, 1), step == 0), post=torch.full((1, 1), step == 10))
    trainer(4.0, scale=0.5)
    acc = made.updater.weight
    assert acc.pos.item() == pytest.approx(2 * math.exp(-1.5) / 30) and acc.neg.item() == 0
    trainer(-4.0, scale=0.5)
    assert acc.neg.item() == pytest.approx(2 * math.exp(-1.5) / 30)


@pytest.mark.parametrize("lag", [-7.0, 0.0, 7.0])
def test_a_kernel_is_applied_in_every_step(lag):
    post = {"learning_rate": torch.tensor(0.5), "time_constant": 10.0}
    pre = {"learning_rate": -0.25, "time_constant": 5.0}
    trainer = learn.KernelSTDP(functional.exp_stdp_post_kernel, functional.exp_stdp_pre_kernel, post, pre)
    change = pair_changes(trainer, one_to_one(), 20, 20 + int(lag), 30)
    steps = 30 - max(20, 20 + int(lag))
    each = 0.5 * math.exp(-lag / 10) if lag >= 0 else -0.25 * math.exp(lag / 5)
    assert change == pytest.approx(steps * each, rel=1e-5)
    assert "aux_states_.cell.kernel_post_tensor_kwargs.learning_rate" in trainer.state_dict()


@pytest.mark.parametrize("start", [0.0, 1.0, 4.0, 9.0, 10.0])
def test_delays_move_toward_coincidence(start):
    """The neuron fires 4 ms after its input, again and again: the delay becomes 4 ms wherever it starts."""
    made = one_to_one(10.0, start)
    trainer = learn.DelayAdjustedSTDPD(0.02, -0.02, 5.0, 5.0)
    trainer.register_cell("cell", made.cell)
    distance = [abs(start - 4.0)]
    for _ in range(40):
        for step in range(20):
            made(torch.full((1, 1), step == 0), post=torch.full((1, 1), step == 4))
            # while the next pair is under way, the last spikes are of different pairs
            if step >= 4:
                trainer()
                made.update()
        distance.append(abs(made.connection.delay.item() - 4.0))
    assert distance[-1] <= 0.05
    assert all(b <= a + 0.05 for a, b in zip(distance, distance[1:], strict=False))


def test_delays_of_a_signal_move_both_ways():
    ends = []
    for signal in (1.0, -1.0):
        made = one_to_one(10.0, 3.0)
        trainer = learn.DelayAdjustedMSTDPD(0.1, -0.1, 5.0, 5.0)
        trainer.register_cell("cell", made.cell)
        for step in range(8):
            made(torch.full((1, 1), step == 0), post=torch.full((1, 1), step == 5))
            trainer(signal)
            made.update()
        ends.append(made.connection.delay.item())
    assert ends[0] > 3.0 > ends[1] and ends[0] - 3.0 == pytest.approx(3.0 - ends[1], rel=0.2)


@pytest.mark.parametrize("name", RULES)
def test_the_same_bits_in_every_run(name):
    ends = []
    for _ in range(2):
        made = layer(OURS, delay=LONGEST, delay_init=off_grid, batch=3)
        trainer = rule(OURS, name)
        trainer.register_cell("cell", made.cell)
        for step, (x, post) in enumerate(zip(spikes(20, 3, 2, 3), spikes(20, 3, 4, seed=1), strict=True)):
            made(x, post=post)
            trainer(SIGNALS["mixed"](3, step)) if RULES[name][2] else trainer()
            made.update()
        ends.append((made.connection.weight.clone(), made.connection.delay.clone()))
    assert all(map(torch.equal, *ends))


class Largest(torch.overrides.TorchFunctionMode):
    """Notes the size of the largest tensor that is made."""

    def __init__(self):
        super().__init__()
        self.size = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor) and function is not torch.Tensor.expand:
                self.size = max(self.size, one.numel())
        return made


@pytest.mark.parametrize("name", [n for n in RULES if n.split()[0] in ("STDP", "StableSTDP", "TripletSTDP", "MSTDP")])
@pytest.mark.parametrize("reduction", [None, torch.mean, torch.sum, functional.mean, functional.sum])
def test_nothing_of_batch_times_weights_is_made(name, reduction):
    connection = neural.LinearDense(30, 20, 1.0, synapse=neural.DeltaCurrent.partialconstructor(1.0), batch_size=16)
    connection.updater = connection.defaultupdater()
    made = neural.Serial(connection, ExactNeuron(20, 1.0, rest_v=-60.0, thresh_v=-50.0, batch_size=16), exact)
    trainer = rule(OURS, name, reduction)
    trainer.register_cell("cell", made.cell)
    with Largest() as largest:
        made(spikes(1, 16, 30)[0], post=spikes(1, 16, 20)[0])
        trainer(SIGNALS["mixed"](16, 0)) if RULES[name][2] else trainer()
    assert 30 * 20 <= largest.size < 16 * 30 * 20 / 4


@pytest.mark.parametrize("connection", ["dense", "direct", "lateral", "conv"])
@pytest.mark.parametrize("known, same", [
    (torch.mean, lambda terms, dim: terms.mean(dim)),
    (functional.mean, lambda terms, dim: terms.mean(dim)),
    (torch.sum, lambda terms, dim: terms.sum(dim)),
])  # fmt: skip
@pytest.mark.parametrize("name", ["STDP", "TripletSTDP", "MSTDP", "MSTDPET"])
def test_known_reductions_are_what_they_say(name, known, same, connection):
    ends = []
    for reduction in (known, same):
        made = layer(OURS, connection, LONGEST, 3, off_grid)
        trainer = rule(OURS, name, reduction)
        trainer.register_cell("cell", made.cell)
        shape_in, shape_out = made.connection.inshape, made.connection.outshape
        for step in range(10):
            made(spikes(1, 3, *shape_in, seed=step)[0], post=spikes(1, 3, *shape_out, seed=step + 99)[0])
            trainer(SIGNALS["mixed"](3, step)) if RULES[name][2] else trainer()
            made.update()
        ends.append(made.connection.weight.clone())
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


def test_a_tensor_of_one_number_is_a_number():
    made = layer(OURS, batch=3)
    trainer = rule(OURS, "MSTDP")
    trainer.register_cell("cell", made.cell)
    made(spikes(1, 3, 2, 3)[0], post=spikes(1, 3, 4)[0])
    trainer(0.5)
    trainer(torch.tensor(0.5))
    trainer(torch.full((3,), 0.5, dtype=torch.float64))
    for side in (made.updater.weight._pos, made.updater.weight._neg):
        torch.testing.assert_close(side[0], side[1])
        torch.testing.assert_close(side[0], side[2])


@pytest.mark.parametrize("name", ["KernelSTDP", "DelayAdjustedSTDP"])
def test_nothing_spikes_beyond_the_border_of_an_image(name):
    connection = neural.Conv2D(
        2, 2, 1, 1, 1.0, 3, padding=1, synapse=neural.DeltaCurrent.partialconstructor(1.0), delay=2.0
    )
    connection.updater = connection.defaultupdater()
    made = neural.Serial(connection, ExactNeuron((1, 2, 2), 1.0, rest_v=-60.0, thresh_v=-50.0), exact)
    trainer = rule(OURS, name, delayed=True) if name == "KernelSTDP" else rule(OURS, name)
    trainer.register_cell("cell", made.cell)
    made(torch.ones(1, 1, 2, 2), post=torch.tensor([[[[1, 0], [0, 0]]]]))
    trainer()
    changes = made.updater.weight.pos[0, 0]
    # the upper left neuron sees the four pixels with the lower right of its kernel
    assert changes.nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


@pytest.mark.parametrize("signal", [0.5, -0.5, torch.tensor([0.5, -0.25])])
def test_only_the_magnitude_of_the_scale_counts(signal):
    sides = []
    for scale in (2.0, -2.0):
        made = layer(OURS, batch=2)
        trainer = learn.MSTDP(0.5, -0.25, 9.0, 9.0)
        trainer.register_cell("c", made.cell)
        made(torch.ones(2, 2, 3), post=torch.ones(2, 4))
        trainer(signal, scale)
        sides.append((made.updater.weight.pos, made.updater.weight.neg))
    for one, other in zip(*sides, strict=True):
        assert torch.equal(one, other) and one.min() > 0


def test_the_decay_of_eligibility_follows_the_step():
    made = layer(OURS)
    reducer = learn.MSTDPET(1.0, 1.0, 9.0, 9.0, 5.0).register_cell("c", made.cell).monitors["elig_post"].reducer
    reducer.dt = 2.0
    assert reducer.dt == 2.0 and reducer.decay == math.exp(-2.0 / 5.0)


def test_clear_tells_the_monitors_how():
    made = layer(OURS)
    trainer = learn.STDP(1.0, 1.0, 9.0, 9.0)
    trainer.register_cell("c", made.cell)
    made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    shape = trainer.get_monitor("c", "trace_post").reducer.data.shape
    trainer.clear(keepshape=True)
    kept = trainer.get_monitor("c", "trace_post").reducer
    assert kept.data.shape == shape and not kept.data.any() and kept.latest is None
    trainer.clear()
    assert kept.data.numel() == 0


def test_rules_record_before_hooks_that_were_there():
    made, seen = layer(OURS), []
    trainer = learn.STDP(1.0, 1.0, 9.0, 9.0)
    made.register_forward_hook(lambda *_: seen.append(trainer.get_monitor("c", "spike_post").peek().clone()))
    trainer.register_cell("c", made.cell)
    made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    assert len(seen) == 1 and seen[0].all()
