"""Converted copies of models go on as the originals, spike for spike, in both directions."""

import pytest
import torch
from checkpoint_cases import CASES, connection, inputs, neuron, run, serial
from convert_checks import assert_same_outputs, assert_same_state, frozen

import inferno_cuda as ours
from inferno_cuda import from_inferno, to_inferno

theirs = pytest.importorskip("inferno")
pytest.importorskip("inferno.neural")
pytest.importorskip("inferno.extra")

BOTH = ((theirs, from_inferno), (ours, to_inferno))


def packages(model):
    return {type(m).__module__.partition(".")[0] for m in model.modules()} - {"torch"}


@pytest.mark.parametrize("cut", [0, 9])
@pytest.mark.parametrize("name", CASES)
def test_copies_go_on_in_the_other_package(name, cut):
    for first, convert, package in ((theirs, from_inferno, "inferno_cuda"), (ours, to_inferno, "inferno")):
        start = CASES[name](first)
        steps = list(inputs(start, 30))
        run(start, steps[:cut])
        before = frozen(start.state_dict())
        rng = torch.get_rng_state()
        new = convert(start)
        assert torch.equal(torch.get_rng_state(), rng)
        assert packages(new) == {package}
        assert_same_state(new.state_dict(), before)
        wanted = run(start, steps[cut:])
        assert_same_outputs(run(new, steps[cut:]), wanted)
        assert any(out.any() for outs in wanted for out in outs)


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name):
    start = CASES[name](theirs)
    steps = list(inputs(start, 30))
    run(start, steps[:9])
    back = to_inferno(from_inferno(start))
    assert type(back) is type(start)
    assert_same_state(back.state_dict(), start.state_dict())
    for mine, other in zip(run(back, steps[9:]), run(start, steps[9:]), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))
    assert_same_state(back.state_dict(), start.state_dict())


class Net(torch.nn.Module):
    """A container of a user, with all that may go wrong."""

    def __init__(self, inferno):
        super().__init__()
        self.first = serial(inferno)
        self.again = self.first
        self.out = torch.nn.Linear(4, 4)
        self.second = connection(inferno, "LinearDirect", "DoubleExponentialCurrent", seed=3)
        self.second.weight_ = self.first.connection.bias_
        self.aside = {"kept": [neuron(inferno, "AdEx")], "first": self.first}
        self.aside["me"] = self.aside
        self.norm = inferno.neural.Normalization(self.first, "connection.weight", 1, 4.0, 1, epsilon=1e-6)
        self.clamp = inferno.neural.Clamping(self.first.updater, "parent.bias", min=0.1, max=0.4, eval_update=False)
        self.norm.register()
        self.clamp.register()

    def forward(self, x):
        spikes = self.first(x)
        current = self.second(spikes)
        return spikes, current, self.aside["kept"][0](current)


@pytest.mark.parametrize("direction", ["from", "to"])
def test_whole_trees(direction):
    package, convert, target = (theirs, from_inferno, ours) if direction == "from" else (ours, to_inferno, theirs)
    net = Net(package)
    net.first.neuron.eval()
    net.out.weight.requires_grad_(False)
    net.first.connection.weight_.requires_grad_()
    net.out.register_forward_hook(print)
    net.second.note = {"text": "mine", "of": net.first}
    steps = list(inputs(net.first, 20))
    run(net, steps[:5])
    new = convert(net)
    assert type(new) is Net and type(new.first) is target.neural.Serial and new.again is new.first
    assert new.aside["first"] is new.first and type(new.aside["kept"][0]) is target.neural.AdEx
    assert new.aside["me"] is new.aside and new.second.note == {"text": "mine", "of": new.first}
    assert new.second.weight_ is new.first.connection.bias_ is not net.second.weight_
    assert new.first.cell.connection is new.first.connection and new.first.updater.parent is new.first.connection
    assert [n for n, _ in new.named_parameters()] == [n for n, _ in net.named_parameters()]
    for mine, other in zip(new.parameters(), net.parameters(), strict=True):
        assert torch.equal(mine, other) and mine is not other and mine.requires_grad == other.requires_grad
    assert len(new.out._forward_hooks) == 1
    modes = {name: module.training for name, module in net.named_modules()}
    common = [(name, m.training) for name, m in new.named_modules() if name in modes]
    assert all(modes[name] == mode for name, mode in common) and len(common) > 20
    assert not modes["first.neurons_.serial"] and modes["first"]
    assert new.norm.module is new.first and new.norm.registered and new.norm.eps == 1e-6
    assert new.clamp.module is new.first.updater and not new.clamp.evalexec
    for model in (net, new):
        model.first.updater.weight = torch.full((4, 6), 0.1)
        model.first.updater.bias = torch.full((4,), 0.3)
        model.first.update()
    with torch.no_grad():
        assert_same_outputs(run(new, steps[5:]), run(net, steps[5:]))
    assert torch.allclose(new.first.connection.weight, net.first.connection.weight)
    assert torch.allclose(new.first.connection.weight.abs().sum(1), torch.full((4,), 4.0))
    assert new.first.connection.bias.max() == torch.tensor(0.4)


def test_hooks_on_containers_of_the_user():
    for package, convert in BOTH:
        linear = torch.nn.Linear(3, 2)
        linear.gain = torch.ones(2)
        pair = torch.nn.ModuleDict({"linear": linear, "clamp": package.neural.Clamping(linear, "gain", max=0.5)})
        pair["clamp"].register()
        new = convert(pair)
        assert new["clamp"].module is new["linear"] is not linear
        new["linear"](torch.ones(3))
        assert new["linear"].gain.tolist() == [0.5, 0.5] and linear.gain.tolist() == [1.0, 1.0]
        assert len(new["linear"]._forward_hooks) == 1
