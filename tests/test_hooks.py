"""Hooks of modules, normalization, clamping: what they do, how long they live, how they are copied and saved."""

import gc
import inspect
import warnings

import pytest
import torch
from torch import nn

import inferno_cuda as inferno
from inferno_cuda.neural import Clamping, DeltaCurrent, LinearDense, Normalization


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-3.0, 4.0]))
        self.register_buffer("state", torch.tensor([-1.0, 2.0]))

    def forward(self, x, k=0):
        return x + k


class Counting(inferno.StateHook):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def hook(self, module):
        self.seen.append(type(module).__name__)


class Both(inferno.ContextualHook):
    def __init__(self, **kwargs):
        super().__init__("before", "after", **kwargs)
        self.seen = []

    def before(self, module, args):
        self.seen.append(("before", args))
        return (100,)

    def after(self, module, args, output):
        self.seen.append(("after", output))
        return 100


def dense():
    torch.manual_seed(0)
    return LinearDense(3, 2, 1.0, synapse=DeltaCurrent.partialconstructor(1.0))


def hooks_of(module):
    return len(module._forward_hooks) + len(module._forward_pre_hooks)


@pytest.mark.parametrize("cls, names", [
    (inferno, ["Hook", "ContextualHook", "StateHook"]), (inferno.neural, ["Normalization", "Clamping"])
])  # fmt: skip
def test_parameters_are_those_of_inferno(cls, names):
    upstream = pytest.importorskip("inferno")
    theirs = upstream if cls is inferno else pytest.importorskip("inferno.neural")
    for name in names:
        for method in ("__init__", "register", "deregister", *(["forward"] if name not in names[:2] else [])):
            signatures = [inspect.signature(getattr(getattr(m, name), method)).parameters for m in (cls, theirs)]
            a, b = ([(p.name, p.kind, p.default) for p in s.values()] for s in signatures)
            assert a == b


def test_hook_functions_see_and_change_the_call():
    module, seen = Adder(), []
    hook = inferno.Hook(
        lambda *a: seen.append(a[1:]),
        lambda m, args, kwargs, out: out + 1,
        prehook_kwargs={"with_kwargs": True},
        posthook_kwargs={"with_kwargs": True},
    )
    hook.register(module)
    assert module(1, k=2) == 4 and seen == [((1,), {"k": 2})]
    hook.deregister()
    hook.deregister()
    assert not hook.registered and module(1, k=2) == 3 and hooks_of(module) == 0
    assert not module._forward_hooks_with_kwargs and not module._forward_pre_hooks_with_kwargs


def test_modes():
    module = Adder()
    hook = inferno.Hook(posthook=lambda *a: 7, train_update=False)
    hook.register(module)
    assert (module(1), module.eval()(1)) == (1, 7)
    hook.trainexec, hook.evalexec = 1, 0
    assert (module(1), module.train()(1)) == (1, 7)
    assert hook.trainexec is True and hook.evalexec is False


def test_bad_arguments():
    with pytest.raises(RuntimeError, match="at least one of 'prehook', 'posthook'"):
        inferno.Hook()
    with pytest.raises(TypeError, match="'prehook' must be callable"):
        inferno.Hook(3)
    with pytest.raises(TypeError, match="'module' must be an instance of Module"):
        inferno.Hook(print).register(3)
    with pytest.raises(RuntimeError, match="at least one of 'prehook', 'posthook'"):
        inferno.ContextualHook()
    with pytest.raises(TypeError, match="'posthook' must be an instance of str"):
        inferno.ContextualHook(posthook=print)
    with pytest.raises(AttributeError, match="nope"):
        inferno.ContextualHook("nope")
    with pytest.raises(TypeError, match="'module' must be an instance of Module"):
        Counting(3)
    with pytest.raises(TypeError, match="abstract"):
        inferno.StateHook(Adder())


def test_d54_registering_twice_warns_and_changes_nothing():
    first, second = Adder(), Adder()
    hook = inferno.Hook(posthook=lambda *a: 7)
    hook.register(first)
    with pytest.warns(RuntimeWarning, match="this Hook is already registered to a module"):
        hook.register(second)
    assert hook.registered and first(1) == 7 and second(1) == 1
    hook.deregister()
    hook.register(second)
    assert first(1) == 1 and second(1) == 7


def test_hooks_do_not_outlive_themselves_nor_keep_modules_alive():
    module = Adder()
    hook = inferno.Hook(lambda *a: None, lambda *a: 7)
    hook.register(module)
    del hook
    gc.collect()
    assert module(1) == 1 and hooks_of(module) == 0
    hook = inferno.Hook(posthook=lambda *a: 7)
    hook.register(module)
    del module
    gc.collect()
    assert not hook.registered
    hook.deregister()
    other = Adder()
    hook.register(other)
    assert other(1) == 7


def test_contextual_hooks_cannot_change_the_call():
    module, hook = Adder(), Both()
    hook.register(module)
    assert module(1, k=1) == 2
    assert hook.seen == [("before", (1,)), ("after", 2)]


def test_state_hooks_run_when_registered_or_forced():
    module = Adder()
    hook = Counting(module)
    hook()
    assert not hook.seen and not hook.registered and hook.module is module
    hook(force=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hook.register()
        hook.register()
    module(1)
    hook()
    assert len(hook.seen) == 3 and hooks_of(module) == 1
    hook.trainexec = False
    hook(force=True)
    module(1)
    assert len(hook.seen) == 3
    hook(ignore_mode=True)
    assert len(hook.seen) == 4
    hook.deregister()
    hook(ignore_mode=True)
    assert len(hook.seen) == 4


def test_state_hooks_take_their_place():
    module, order = Adder(), []

    class Named(inferno.StateHook):
        def hook(self, m):
            order.append(self.name)

    hooks = []
    places = {"a": {}, "b": {"prepend": True}, "c": {"as_prehook": True}, "d": {"always_call": True}}
    for name, options in places.items():
        hooks.append(Named(module, **options))
        hooks[-1].name = name
        hooks[-1].register()
    module(1)
    assert order == ["c", "b", "a", "d"]
    with pytest.raises(TypeError):
        module(None)
    assert order[4:] == ["c", "d"]


def test_d23_a_hook_can_be_an_attribute_of_its_module():
    c = dense()
    c.hook = Clamping(c, "weight", min=0.5)
    c.train().eval().to(torch.float64)
    assert [k for k in c.state_dict() if k.startswith("hook")] == ["hook._extra_state"]
    assert list(c.hook.state_dict()) == ["_extra_state"] and not list(c.hook.parameters())
    assert [n for n, _ in c.hook.named_modules()] == [""] and "weight" in repr(c)
    c.load_state_dict(c.state_dict())
    c.hook.register()
    c(torch.ones(1, 3, dtype=torch.float64))
    assert c.weight.min() == 0.5 and c.hook.module is c


def test_what_inferno_saved_of_a_hook_loads():
    theirs, models = pytest.importorskip("inferno.neural"), []
    for neural in (inferno.neural, theirs):
        c = neural.LinearDense(3, 2, 1.0, synapse=neural.DeltaCurrent.partialconstructor(1.0))
        c.updater = c.defaultupdater()
        hooks = neural.Clamping(c, "weight", min=0.5), neural.Clamping(c.updater, "parent.weight", max=2.0)
        models.append(nn.ModuleList([c, *hooks]))
    ours, state = models[0], models[1].state_dict()
    assert "1._hooked_module.weight_" in state and "2._hooked_module.updates_.weight._extra_state" in state
    ours.load_state_dict(state)
    assert torch.equal(ours[0].weight, models[1][0].weight)
    with pytest.raises(RuntimeError, match="1._hooked_modul"):
        ours.load_state_dict({**state, "1._hooked_modul": torch.ones(1)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_normalized_in_float32(dtype):
    linear = nn.Linear(3, 2, bias=False).to(dtype)
    values = torch.tensor([[0.0, 0.0, 0.0], [3e4, 6e4, 1.0]])
    linear.weight.data.copy_(values)
    expected = nn.functional.normalize(linear.weight.detach().float(), dim=-1).to(dtype)
    Normalization(linear, "weight", 2, 1.0, -1)(force=True)
    assert linear.weight.dtype == dtype and torch.equal(linear.weight, expected)
    assert not linear.weight[0].any() and linear.weight[1, :2].all()


def test_a_hook_holds_its_module():
    hook = Clamping(nn.Linear(2, 2), "weight", min=0.0)
    gc.collect()
    hook(force=True)
    assert hook.module.weight.min() >= 0


def test_d52_parameters_of_any_module_can_be_targets():
    linear = nn.Linear(2, 2)
    weight = linear.weight
    with torch.no_grad():
        weight.copy_(torch.tensor([[-1.0, 0.25], [0.5, 0.75]]))
    Clamping(linear, "weight", min=0.0)(force=True)
    assert linear.weight is weight and weight.requires_grad and weight.is_leaf and weight.min() >= 0
    Normalization(linear, "weight", 1, 2.0, -1)(force=True)
    torch.testing.assert_close(weight.abs().sum(-1), torch.full((2,), 2.0))
    holder = nn.Module()
    holder.inner = linear
    Clamping(holder, "inner.weight", max=0.25)(force=True)
    assert weight.max() == 0.25


def test_a_prehook_leaves_room_for_gradients():
    linear = nn.Linear(2, 2)
    hook = Clamping(linear, "weight", min=0.0, as_prehook=True)
    hook.register()
    x = torch.ones(1, 2, requires_grad=True)
    linear(x).sum().backward()
    assert linear.weight.min() >= 0 and torch.equal(linear.weight.grad, torch.ones(2, 2))
    torch.testing.assert_close(x.grad[0], linear.weight.detach().sum(0))


def test_targets_that_are_no_parameters():
    module = Adder()
    Clamping(module, "state", min=0.0)(force=True)
    assert module.state.tolist() == [0.0, 2.0] and "state" in module.state_dict()
    with pytest.raises(TypeError, match="'training' must be an instance of Tensor"):
        Clamping(module, "training", min=0.0)(force=True)
    with pytest.raises(AttributeError, match="nope"):
        Clamping(module, "state.nope", min=0.0)(force=True)


@pytest.mark.parametrize("options", [(1, 2.0, -1), (2, 0.5, None), (3.0, 1.0, (0, 1)), (1, -1.0, 0, 0.1)])
def test_normalization_equals_inferno(options):
    theirs = pytest.importorskip("inferno.neural")
    weights = []
    for normalization in (Normalization, theirs.Normalization):
        c = dense()
        c.weight = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
        hook = normalization(c, "weight", *options)
        hook.register()
        c(torch.ones(1, 3))
        assert (hook.attribute, hook.order, hook.scale, hook.dim) == ("weight", *options[:3])
        weights.append(c.weight.detach())
    assert torch.equal(*weights)


@pytest.mark.parametrize("limits", [{"min": 0.5}, {"max": 0.5}, {"min": 0.25, "max": 0.5}, {"min": 1, "max": 2}])
def test_clamping_updates_equals_inferno(limits):
    theirs = pytest.importorskip("inferno.neural")
    weights = []
    for clamping in (Clamping, theirs.Clamping):
        c = dense()
        c.weight = torch.linspace(0, 1, 6).view(2, 3)
        c.updater = c.defaultupdater()
        hook = clamping(c.updater, "parent.weight", **limits)
        hook.register()
        c.updater.weight = torch.full((2, 3), 0.125)
        c.update()
        assert (hook.clampmin, hook.clampmax) == (limits.get("min"), limits.get("max"))
        weights.append(c.weight.detach())
    assert torch.equal(*weights) and len(weights[0].unique()) < 6


@pytest.mark.parametrize(
    "args, error",
    [
        ((0, 1.0, 0), ValueError),
        ((float("nan"), 1.0, 0), ValueError),
        ((1, 0, 0), ValueError),
        ((1, 0j, 0), ValueError),
        ((1, 1.0, 1.5), ValueError),
        ((1, 1.0, (0, 1.5)), ValueError),
        ((1, 1.0, "x"), ValueError),
        ((1, 1.0, 0, -1.0), ValueError),
    ],
)
def test_normalization_checks(args, error):
    with pytest.raises(error):
        Normalization(Adder(), "weight", *args)
    assert Normalization(Adder(), "weight", 1, 1j, [0, -1.0]).dim == (0, -1)


@pytest.mark.parametrize(
    "limits, error",
    [((None, None), RuntimeError), ((1, 1), ValueError), ((2, 1), ValueError), ((0, float("nan")), ValueError),
     ((float("nan"), None), ValueError), (("a", None), ValueError)],
)  # fmt: skip
def test_clamping_checks(limits, error):
    with pytest.raises(error, match="'m(in|ax)'|convert"):
        Clamping(Adder(), "weight", *limits)


@pytest.mark.parametrize("attr, error", [("1a", ValueError), ("a..b", ValueError), ("", ValueError), (3, TypeError)])
def test_paths_are_checked(attr, error):
    with pytest.raises(error, match="'attr'"):
        Clamping(Adder(), attr, min=0.0)
