"""What cannot be converted is listed, each module with the reason, and nothing is made or changed."""

import functools

import pytest
import torch
from checkpoint_cases import connection, inputs, neuron, run, serial
from convert_checks import assert_same_state, frozen

import inferno_cuda as ours
from inferno_cuda import ConversionError, from_inferno, to_inferno

theirs = pytest.importorskip("inferno")
pytest.importorskip("inferno.neural")
pytest.importorskip("inferno.extra")

BOTH = [pytest.param(theirs, from_inferno, id="from"), pytest.param(ours, to_inferno, id="to")]
both = pytest.mark.parametrize("package, convert", BOTH)


def refused(convert, model, **reasons):
    """Checks the reasons by path, with _ for dots and "root" for the model."""
    before = frozen(model.state_dict())
    with pytest.raises(ConversionError) as info:
        convert(model)
    assert_same_state(model.state_dict(), before)
    problems = {path.replace(".", "_") or "root": reason for path, reason in info.value.problems.items()}
    assert problems.keys() == reasons.keys()
    for path, words in reasons.items():
        assert words in problems[path]
        assert problems[path] in str(info.value)


def subclass(cls):
    return type("Mine", (cls,), {"forward": lambda self, x: super(type(self), self).forward(x)})


def reclassed(module):
    module.__class__ = subclass(type(module))
    return module


@both
def test_every_problem_is_listed(package, convert):
    first, second = serial(package), connection(package, "LinearDense")
    reclassed(first.neuron)
    second.register_forward_hook(lambda *args: None)
    model = torch.nn.ModuleDict({"fine": neuron(package, "LIF"), "first": first, "second": second})
    refused(convert, model, first_neurons__serial="class of the user, made from ALIF", second="_forward_hooks")


@both
@pytest.mark.parametrize("kind", ["neuron", "synapse", "connection", "layer"])
def test_classes_of_the_user(package, convert, kind):
    made = {
        "neuron": lambda: neuron(package, "LIF"),
        "synapse": lambda: package.neural.DeltaCurrent(3, 1.0, spike_charge=1.0),
        "connection": lambda: connection(package, "LinearDirect"),
        "layer": lambda: serial(package),
    }
    refused(convert, reclassed(made[kind]()), root="class of the user")
    refused(convert, torch.nn.Sequential(reclassed(made[kind]())), **{"0": "class of the user"})


@both
def test_synapses_of_the_user_in_a_connection(package, convert):
    conn = connection(package, "LinearDense")
    reclassed(conn.synapse)
    refused(convert, conn, root="its synapse has no counterpart", synapse_="class of the user")


@both
@pytest.mark.parametrize(
    "register, name",
    [
        (lambda m: m.register_forward_hook(lambda *a: None), "_forward_hooks"),
        (lambda m: m.register_forward_pre_hook(lambda *a: None), "_forward_pre_hooks"),
        (lambda m: m.register_full_backward_hook(lambda *a: None), "_backward_hooks"),
        (lambda m: m.register_full_backward_pre_hook(lambda *a: None), "_backward_pre_hooks"),
        (lambda m: m.register_state_dict_post_hook(lambda *a: None), "_state_dict_hooks"),
        (lambda m: m.register_state_dict_pre_hook(lambda *a: None), "_state_dict_pre_hooks"),
        (lambda m: m.register_load_state_dict_pre_hook(lambda *a: None), "_load_state_dict_pre_hooks"),
        (lambda m: m.register_load_state_dict_post_hook(lambda *a: None), "_load_state_dict_post_hooks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hooks_of_the_user(package, convert, register, name):
    for module in (neuron(package, "LIF"), connection(package, "Conv2D")):
        register(module)
        refused(convert, module, root=name)
    layer = serial(package)
    register(layer.connections_)
    refused(convert, layer, connections_=name)


@both
def test_hooks_of_the_library_from_outside(package, convert):
    layer = serial(package)
    hook = package.neural.Clamping(layer, "connection.weight", min=0)
    hook.register()
    refused(convert, layer, root="_forward_hooks")
    linear = torch.nn.Sequential(torch.nn.Linear(2, 2))
    plain = package.Hook(posthook=lambda *a: None)
    plain.register(linear[0])
    refused(convert, linear, **{"0": "_forward_hooks"})
    refused(convert, torch.nn.ModuleDict({"hook": hook}), hook="not in the model")
    pair = torch.nn.ModuleDict({"layer": serial(package)})
    pair["hook"] = package.neural.Clamping(pair["layer"], "connection.weight", min=0)
    pair["hook"].register_forward_hook(lambda *a: None)
    refused(convert, pair, hook="_forward_hooks")


def test_a_hook_in_its_own_module():
    model = torch.nn.Module()
    model.gain = torch.nn.Parameter(torch.ones(2))
    model.hook = ours.neural.Clamping(model, "gain", min=0)
    refused(to_inferno, model, hook="part of the module that it acts on")


def test_trainers_monitors_and_parts_without_their_whole():
    learn, observe = pytest.importorskip("inferno.learn"), pytest.importorskip("inferno.observe")
    layer = serial(theirs)
    model = torch.nn.ModuleDict({"trainer": learn.STDP(0.1, 0.1, 20.0, 20.0)})
    refused(from_inferno, model, trainer="STDP")
    monitor = observe.StateMonitor(observe.PassthroughReducer(1.0), "neuron.voltage", layer)
    with pytest.raises(ConversionError, match="_forward_hooks"):
        from_inferno(layer)
    del monitor
    cell = serial(ours)
    observed = torch.nn.Identity()
    cell.cell.add_monitor("m", "neuron.voltage", lambda attr, module: observed, None)
    refused(to_inferno, cell, root="monitors")
    for package, convert in ((theirs, from_inferno), (ours, to_inferno)):
        updater = connection(package, "LinearDense")
        refused(convert, torch.nn.ModuleDict({"updater": updater.updater}), updater="outside of what it belongs to")


@both
def test_modules_with_more_than_their_class_has(package, convert):
    conn = connection(package, "LinearDense")
    conn.register_buffer("mask", torch.ones(1))
    refused(convert, conn, root="holds ['mask']")
    lif = neuron(package, "LIF")
    lif.__dict__["forward"] = lambda x: x
    refused(convert, lif, root="'forward'")
    conn = connection(package, "LinearDense")
    conn.updater.register_parameter("rate", torch.nn.Parameter(torch.ones(1)))
    refused(convert, conn, updater_="holds ['rate']")
    conn = connection(package, "LinearDense")
    conn.updater = torch.nn.Identity()
    with pytest.raises(ConversionError, match="updater is of a class of the user"):
        convert(conn)


def test_state_without_a_counterpart():
    lif = neuron(theirs, "LIF")
    lif(torch.zeros(2, 4, dtype=torch.float64))
    refused(from_inferno, lif, root="different dtypes")
    lif = neuron(theirs, "LIF")
    lif(torch.zeros(3, 2, 4))
    refused(from_inferno, lif, root="'_voltage__data' has the shape (3, 2, 4)")
    lateral = connection(theirs, "LinearLateral", "DeltaCurrent")
    lateral.load_state_dict({**lateral.state_dict(), "weight_": torch.ones(4, 4)})
    refused(from_inferno, lateral, root="diagonal of 'weight_'")
    conv = connection(theirs, "Conv2D")
    run(conv, inputs(conv, 3))
    conv.synapse.current_.value = torch.rand_like(conv.synapse.current_.value)
    refused(from_inferno, conv, root="disagree about pixels")


def test_without_inferno_ai(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "inferno"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inferno.neural", None)
    with pytest.raises(ImportError, match="pip install inferno-ai"):
        to_inferno(neuron(ours, "LIF"))


def test_wrapped_parts_of_a_layer():
    class Wrapped(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            return super().__getattr__(name) if name == "inner" else getattr(self.inner, name)

    layer = ours.neural.Serial(Wrapped(connection(ours, "LinearDense")), neuron(ours, "LIF"))
    refused(to_inferno, layer, root="Wrapped")


@both
@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_on_parameters(package, convert, register):
    conn = connection(package, "LinearDense")
    conn.weight.requires_grad_()
    handle = getattr(conn.weight, register)(lambda *args: None)
    refused(convert, torch.nn.Sequential(conn), **{"0": "hook on its parameter 'weight_'"})
    handle.remove()
    convert(conn)


@both
def test_bound_methods(package, convert):
    for wrap in (lambda f: f, lambda f: [{"f": f}], lambda f: functools.partial(f, kind=1)):
        model = torch.nn.ModuleDict({"lif": neuron(package, "LIF"), "plain": torch.nn.Identity()})
        model["plain"].my_hooks = wrap(model["lif"].forward)
        refused(convert, model, plain="method 'forward' of a LIF")
        del model["plain"].my_hooks
        model["lif"].call = wrap(model["lif"].clear)
        refused(convert, model, lif="method 'clear' of a LIF")
    model = torch.nn.ModuleDict({"lif": neuron(package, "LIF"), "plain": torch.nn.Identity()})
    model["plain"].register_forward_hook(model["lif"].forward)
    refused(convert, model, plain="_forward_hooks")
    model = torch.nn.ModuleDict({"lif": neuron(package, "LIF"), "plain": torch.nn.Identity()})
    model["plain"].register_full_backward_hook(model["lif"].clear)
    refused(convert, model, plain="_backward_hooks")
    lif, conn = neuron(package, "LIF"), connection(package, "LinearDense")
    refused(convert, package.neural.Serial(conn, lif, lif.forward), root="method 'forward'")


@pytest.mark.parametrize("synapse", [ours.neural.DeltaCurrent, ours.neural.DeltaPlusCurrent])
def test_linear_interpolation_of_spikes(synapse):
    make = synapse.partialconstructor(1.0, interp_mode="linear")
    model = ours.neural.LinearDense(3, 2, 1.0, synapse=make, delay=2.0)
    refused(to_inferno, model, root="interpolates 'linear'", synapse_="interpolates 'linear'")


def test_sparse_connections_are_named_alone_or_in_a_layer():
    """inferno-ai has none; their synapses must not be converted without them."""

    def sparse():
        synapse = ours.neural.DeltaCurrent.partialconstructor(spike_charge=1.0)
        return ours.neural.SparseConnection(3, 2, 1.0, ([0, 2, 2], [1, 1, 0]), synapse=synapse, delay=5.0)

    words, shared = "SparseConnection is a class that inferno does not have", sparse()
    refused(to_inferno, shared, root=words)
    assert type(shared.synapse) is ours.neural.DeltaCurrent
    refused(to_inferno, torch.nn.Sequential(torch.nn.Linear(2, 3), sparse()), **{"1": words})
    layer = ours.neural.Serial(sparse(), ours.neural.LIF((2,), 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0,
                                                         refrac_t=2.0, time_constant=20.0))  # fmt: skip
    refused(to_inferno, layer, connections__serial=words)
