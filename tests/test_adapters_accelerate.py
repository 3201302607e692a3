"""accelerate and revert: what they change, what they leave alone, and what they refuse."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import weakref

import pytest
import torch
from adapter_cases import assert_state, connection, currents, neuron, pair, synapse
from states import spikes
from torch import nn

import inferno_cuda
from inferno_cuda.adapters import Outcome, _registry, _swap
from inferno_cuda.adapters._adapter import Adapter

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")


class Model(nn.Module):
    """A connection, two uses of one group of neurons, and modules that belong to no known library."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(6, 6)
        self.relu = nn.ReLU()
        self.connection = connection(theirs, "LinearDense", delays="off the grid")
        self.neurons = neuron(theirs, "ALIF", 4)
        self.same = self.neurons

    def forward(self, x):
        current = self.connection(self.relu(self.scale(x)).view(2, 3, 2))
        return self.same(self.neurons(current * 9).float() * 30)


def model(seed=0):
    torch.manual_seed(seed)
    return Model().requires_grad_(False)


def names(module):
    return [type(part) for part in module.modules()]


def test_the_root_alone():
    n = neuron(theirs, "LIF")
    report = inferno_cuda.accelerate(n)
    assert [(row.fqn, row.cls, row.outcome) for row in report] == [("", "LIF", Outcome.ACCELERATED)]
    assert isinstance(n, theirs.LIF) and type(n) is not theirs.LIF
    inferno_cuda.revert(n)
    assert type(n) is theirs.LIF


def test_a_whole_model():
    plain, fast = model(), model()
    report = inferno_cuda.accelerate(fast, strict=True)
    # a module that is used twice is one row, and other libraries' modules are none
    assert [row.fqn for row in report] == ["connection", "connection.synapse_", "neurons"]
    assert len(report.accelerated) == len(report) == 3 and not report.skipped
    for x in torch.rand(40, 2, 6, generator=torch.Generator().manual_seed(0)):
        assert torch.equal(plain(x), fast(x))
    assert_state(plain, fast, rtol=1e-5, atol=1e-5)


def test_nothing_but_the_class_changes():
    m = model()
    m(torch.rand(2, 6))
    m.neurons.eval()
    handle = m.neurons.register_forward_hook(lambda *_: None)
    optimizer = torch.optim.SGD([m.connection.weight_], 0.1)
    before = {fqn: dict(vars(part)) for fqn, part in m.named_modules()}
    state = {key: id(x) for key, x in m.state_dict(keep_vars=True).items() if isinstance(x, torch.Tensor)}
    kinds = names(m)
    for _ in range(2):
        inferno_cuda.accelerate(m)
        for fqn, part in m.named_modules():
            assert list(vars(part)) == list(before[fqn])
            assert all(vars(part)[name] is value for name, value in before[fqn].items())
        now = {key: id(x) for key, x in m.state_dict(keep_vars=True).items() if isinstance(x, torch.Tensor)}
        assert list(now.items()) == list(state.items())
        assert optimizer.param_groups[0]["params"][0] is m.connection.weight_
        assert handle.id in m.neurons._forward_hooks and not m.neurons.training and m.connection.training
    inferno_cuda.revert(m)
    assert names(m) == kinds


def test_revert_leaves_what_was_never_touched():
    plain, other = model(), model()
    inferno_cuda.accelerate(other)
    inputs = torch.rand(20, 2, 6)
    for x in inputs:
        plain(x), other(x)
    inferno_cuda.revert(other)
    assert names(other) == names(plain)
    for (fqn, a), b in zip(plain.named_modules(), other.modules(), strict=True):
        assert list(vars(a)) == list(vars(b)), fqn
        assert [type(value) for value in vars(a).values()] == [type(value) for value in vars(b).values()]
    assert list(plain.state_dict()) == list(other.state_dict())
    assert str(plain) == str(other)
    assert_state(plain, other, rtol=1e-5, atol=1e-5)
    other.load_state_dict(plain.state_dict())
    for x in inputs:
        assert torch.equal(plain(x), other(x))
    assert_state(plain, other)


def test_a_second_call_changes_nothing():
    m = model()
    inferno_cuda.accelerate(m)
    m(torch.rand(2, 6))
    before = [(part, type(part), dict(vars(part))) for part in m.modules()]
    report = inferno_cuda.accelerate(m, strict=True)
    assert [row.outcome for row in report] == [Outcome.ALREADY] * 3 and not report.accelerated
    assert "3 already accelerated" in str(report)
    assert all(type(part) is cls and vars(part) == kept for part, cls, kept in before)
    inferno_cuda.revert(m), inferno_cuda.revert(m)
    assert names(m) == names(model())


def test_classes_are_made_once():
    a, b = neuron(theirs, "LIF"), neuron(theirs, "LIF")
    inferno_cuda.accelerate(a), inferno_cuda.accelerate(b)
    assert type(a) is type(b)
    cls = type(a)
    assert cls.__name__ == cls.__qualname__ == "AcceleratedLIF" and cls.__module__ == theirs.LIF.__module__
    assert cls.__doc__ == theirs.LIF.__doc__ and issubclass(cls, theirs.LIF)
    assert "AcceleratedLIF(shape=(5,)" in repr(a)


def test_the_report_as_text():
    m = model()
    m.encoder = theirs.HomogeneousPoissonEncoder(10, 1.0, 50.0)
    report = inferno_cuda.accelerate(m, filter_fn=lambda module, fqn: fqn != "neurons")
    assert str(report).splitlines() == [
        "module               class                                                     runs, or why it does not",
        "connection           inferno.LinearDense                accelerated            delayed_dense",
        "connection.synapse_  inferno.DeltaCurrent               accelerated            synapse_step (delta)",
        "neurons              inferno.ALIF                       left out by filter_fn",
        "encoder              inferno.HomogeneousPoissonEncoder  skipped                there is no adapter for it",
        "2 accelerated, 1 skipped, 1 left out by filter_fn; "
        "with gradients or under torch.compile the library's own code runs",
    ]
    assert str(inferno_cuda.accelerate(nn.Linear(2, 2))).startswith("no modules of a known library")


def test_strict_raises_before_anything_changes():
    m = model()
    m.encoder = theirs.HomogeneousPoissonEncoder(10, 1.0, 50.0)
    with pytest.raises(RuntimeError, match=r"(?s)'strict' is set.*encoder .*there is no adapter for it"):
        inferno_cuda.accelerate(m, strict=True)
    assert names(m)[:-1] == names(model())
    # what the filter leaves out is no skip, and is not looked at
    inferno_cuda.accelerate(m, strict=True, filter_fn=lambda module, fqn: fqn == "neurons")


def test_filter_fn():
    m, asked = model(), []

    def choose(module, fqn):
        asked.append((fqn, module is m.get_submodule(fqn)))
        return isinstance(module, theirs.LinearDense)

    report = inferno_cuda.accelerate(m, filter_fn=choose)
    assert asked == [("connection", True), ("connection.synapse_", True), ("neurons", True)]
    assert [row.fqn for row in report.accelerated] == ["connection"]
    assert type(m.neurons) is theirs.ALIF


def test_updaters_are_no_skip():
    m = model()
    m.connection.updater = m.connection.defaultupdater()
    inferno_cuda.accelerate(m, strict=True)


class Forward(theirs.LIF):
    def forward(self, inputs, refrac_lock=True, **kwargs):
        return super().forward(inputs * 2, refrac_lock, **kwargs)


class Dynamics(theirs.LIF):
    def _integrate_v(self, masked_inputs):
        return super()._integrate_v(masked_inputs * 2)


class Voltage(theirs.ALIF):
    @property
    def voltage(self):
        return theirs.ALIF.voltage.fget(self) * 1.0


class Named(theirs.LIF):
    """Nothing of a step is different here."""

    def describe(self):
        return "named"

    def clear(self, **kwargs):
        super().clear(**kwargs)
        self.cleared = True


class Weighted(theirs.LinearDense):
    @property
    def weight(self):
        return self.weight_ * 2


def of(cls, name):
    return neuron(type("library", (), {name: cls}), name)


def weighted():
    library = type("library", (), {"LinearDense": Weighted, "DeltaCurrent": theirs.DeltaCurrent})
    return connection(library, "LinearDense")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: of(Forward, "LIF"), "Forward overrides forward of LIF"),
        (lambda: of(Dynamics, "LIF"), "Dynamics overrides _integrate_v of LIF"),
        (lambda: of(Voltage, "ALIF"), "Voltage overrides voltage of ALIF"),
        (weighted, "Weighted overrides weight of LinearDense"),
    ],
)
def test_a_subclass_that_overrides_what_is_replaced_is_skipped(make, reason):
    made = make()
    report = inferno_cuda.accelerate(made)
    assert [row.reason for row in report.skipped] == [reason]
    assert not _swap.is_accelerated(made)


def test_any_other_subclass_is_accelerated():
    plain, fast = pair(lambda: of(Named, "LIF"))
    assert isinstance(fast, Named) and fast.describe() == "named" and type(fast).__name__ == "AcceleratedNamed"
    for x in currents(20, 2, 5):
        assert torch.equal(plain(x), fast(x))
    fast.clear()
    assert fast.cleared
    inferno_cuda.revert(fast)
    assert type(fast) is Named


def test_a_forward_of_the_instance_is_skipped():
    n = neuron(theirs, "LIF")
    vars(n)["forward"] = lambda x: x
    assert inferno_cuda.accelerate(n).skipped[0].reason == "forward is set on the module itself"


class Half(nn.Module):
    def forward(self, x):
        return x / 2


def test_parametrizations():
    c = connection(theirs, "LinearDense")
    inferno_cuda.accelerate(c)
    nn.utils.parametrize.register_parametrization(c, "weight_", Half())
    with pytest.raises(RuntimeError, match="was given the class ParametrizedAcceleratedLinearDense"):
        inferno_cuda.revert(c)
    assert _swap.is_accelerated(c.synapse_)
    x = spikes(1, *c.batched_inshape)[0].float()
    c.clear()
    before = c(x)
    nn.utils.parametrize.remove_parametrizations(c, "weight_", leave_parametrized=False)
    c.clear()
    assert not torch.equal(c(x), before)
    inferno_cuda.revert(c)
    nn.utils.parametrize.register_parametrization(c, "weight_", Half())
    assert inferno_cuda.accelerate(c).skipped[0].reason == "it has parametrizations"


@pytest.mark.parametrize("call", [inferno_cuda.accelerate, inferno_cuda.revert])
def test_what_is_no_module(call):
    with pytest.raises(TypeError, match="'model' must be an instance of Module"):
        call("model")


def test_a_filter_that_is_no_function():
    with pytest.raises(TypeError, match="'filter_fn' is a str"):
        inferno_cuda.accelerate(model(), filter_fn="neurons")


class Toy(nn.Module):
    """A module of a library that is known for a test, and can be copied."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x * self.weight


class FastToy:
    def forward(self, x):
        vars(self)["_fused_calls"] = vars(self).get("_fused_calls", 0) + 1
        return super().forward(x)


@pytest.fixture
def toys(monkeypatch):
    adapter = Adapter("toys", Toy, FastToy, lambda module: "toy", lambda module: None)
    known = _registry._adapters
    monkeypatch.setattr(_registry, "_adapters", lambda: {**known(), Toy: adapter})


@pytest.mark.parametrize(
    "through",
    [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: pickle.loads(pickle.dumps(m, 0))],
    ids=["deepcopy", "copy", "pickle", "oldest pickle"],
)
def test_copies(toys, through):
    m = nn.Sequential(Toy(2), Toy(3))
    inferno_cuda.accelerate(m[0])
    m[0](torch.ones(2))
    made = through(m[0])
    assert type(made) is type(m[0]) and "_fused_calls" in vars(m[0]) and "_fused_calls" not in vars(made)
    assert torch.equal(made(torch.ones(2)), torch.ones(2)) and vars(made)["_fused_calls"] == 1
    inferno_cuda.revert(made)
    assert type(made) is Toy and _swap.is_accelerated(m[0])


def test_a_saved_model(toys, tmp_path):
    m = nn.Sequential(Toy(2), nn.Linear(2, 2))
    inferno_cuda.accelerate(m)
    torch.save(m, tmp_path / "model.pt")
    made = torch.load(tmp_path / "model.pt", weights_only=False)
    assert [type(part).__name__ for part in made] == ["AcceleratedToy", "Linear"]
    inferno_cuda.revert(m)
    assert b"AcceleratedToy" not in pickle.dumps(m)


def test_a_pickle_opens_where_nothing_was_imported(tmp_path):
    """A class that there is no adapter for comes back as its own."""
    (tmp_path / "saved_toys.py").write_text(
        "from torch import nn\nclass Toy(nn.Module):\n    def forward(self, x):\n        return x + 1\n"
    )
    code = (
        "import pickle, sys, saved_toys\nfrom inferno_cuda.adapters import _swap\n"
        "class Fast: pass\n"
        "t = saved_toys.Toy(); _swap.accelerate_module(t, Fast); t.__dict__['_fused_x'] = lambda: 0\n"
        "sys.stdout.buffer.write(pickle.dumps(t))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    data = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout
    code = "import pickle, sys; t = pickle.loads(sys.stdin.buffer.read()); print(type(t).__name__, t(1))"
    done = subprocess.run([sys.executable, "-c", code], env=env, input=data, capture_output=True, check=True)
    assert done.stdout.split() == [b"Toy", b"2"]


def test_d48_a_model_of_inferno_can_be_saved_no_more_than_before():
    n = neuron(theirs, "LIF")
    inferno_cuda.accelerate(n)
    with pytest.raises(TypeError, match="weakref"):
        pickle.dumps(n)


def test_modules_are_not_kept_alive():
    n = neuron(theirs, "ALIF")
    inferno_cuda.accelerate(n)
    n(currents(1, 2, 5)[0])
    alive = weakref.ref(n)
    del n
    gc.collect()
    assert alive() is None


def test_state_goes_between_accelerated_and_plain_models():
    plain, fast = model(), model(1)
    inferno_cuda.accelerate(fast)
    for x in torch.rand(9, 2, 6):
        fast(x)
    plain.load_state_dict(copy.deepcopy(fast.state_dict()))
    for x in torch.rand(9, 2, 6):
        assert torch.equal(plain(x), fast(x))


def test_an_import_costs_no_library():
    code = "import sys, inferno_cuda; print(*{x.split('.')[0] for x in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not set(done.stdout.split()) & {"inferno", "snntorch", "spikingjelly"}


def test_this_package_under_the_library_s_name_is_not_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "inferno", inferno_cuda)
    assert "inferno" not in list(_registry._loaded())


def test_synapses_and_neurons_of_ours_are_no_known_library():
    assert not len(inferno_cuda.accelerate(synapse(inferno_cuda.neural, "DeltaCurrent")))
