"""Hooks and the copies and files of modules: which hook acts on which module afterwards."""

import copy
import gc
import pickle

import pytest
import torch
from test_hooks import Adder, dense, hooks_of

import inferno_cuda as inferno
from inferno_cuda.neural import Clamping, LinearDense


class Shout:
    """A hook function that can be saved."""

    def __call__(self, module, args, output):
        return output * 10


def saved(thing):
    return pickle.loads(pickle.dumps(thing))


COPIES = pytest.mark.parametrize("copied", [copy.deepcopy, saved], ids=["deepcopy", "pickle"])


def clamps(module):
    """Whether a call of the module clamps its weight at 0.5."""
    with torch.no_grad():
        module.weight.fill_(-1.0)
    module(torch.ones(1, 3) if isinstance(module, LinearDense) else 1)
    return module.weight.min().item() == 0.5


@COPIES
@pytest.mark.parametrize("make", [dense, Adder])
def test_a_hook_that_its_module_holds_is_copied_with_it(copied, make):
    module = make()
    module.hook = Clamping(module, "weight", min=0.5)
    module.hook.register()
    other = copied(module)
    assert other.hook is not module.hook and other.hook.module is other
    assert hooks_of(other) == 1 and clamps(other) and clamps(module)
    module.hook.deregister()
    assert other.hook.registered and clamps(other) and not clamps(module)
    other.hook.deregister()
    assert not other.hook.registered and hooks_of(other) == 0 and not clamps(other)
    other.hook.register()
    assert clamps(other)


class Watcher(inferno.ContextualHook, inferno.Module):
    def __init__(self):
        inferno.Module.__init__(self)
        inferno.ContextualHook.__init__(self, posthook="watch")
        self.register_extra("calls", 0)

    def watch(self, module, args, output):
        self.calls += 1


@COPIES
def test_a_hook_can_be_a_module_too(copied):
    things = [Adder(), Watcher()]
    things[1].register(things[0])
    module, hook = copied(things)
    module(1)
    assert (hook.calls, things[1].calls) == (1, 0) and hook.get_extra("calls") == 1


@COPIES
def test_a_copied_hook_brings_its_module(copied):
    hook = Clamping(Adder(), "weight", min=0.5)
    assert not copied(hook).registered
    hook.register()
    other = copied(hook)
    assert other.registered and other.module is not hook.module
    assert clamps(other.module) and hooks_of(hook.module) == 1


@pytest.mark.parametrize("order", [("module", "hook"), ("hook", "module")])
@COPIES
def test_hook_and_module_copied_together_stay_together(copied, order):
    things = {"module": Adder(), "hook": inferno.Hook(posthook=Shout())}
    things["hook"].register(things["module"])
    other = copied({name: things[name] for name in order})
    assert other["module"](1) == 10 and other["hook"].registered
    other["hook"].deregister()
    assert other["module"](1) == 1 and hooks_of(other["module"]) == 0 and things["module"](1) == 10


def test_a_copied_module_shares_a_hook_from_outside():
    module = Adder()
    hook = Clamping(module, "weight", min=0.5)
    hook.register()
    other = copy.deepcopy(module)
    assert clamps(other) and clamps(copy.deepcopy(other))
    hook.deregister()
    assert not clamps(other)
    hook.register()
    assert clamps(module) and not clamps(other)
    other = copy.deepcopy(module)
    del hook
    gc.collect()
    assert not clamps(other)


@pytest.mark.parametrize("make", [lambda m: Clamping(m, "weight", min=0.5), lambda m: inferno.Hook(posthook=Shout())])
def test_a_shallow_copy_is_not_registered_and_takes_nothing(make):
    module = Adder()
    hook = make(module)
    where = () if isinstance(hook, inferno.StateHook) else (module,)
    hook.register(*where)
    other = copy.copy(hook)
    assert hook.registered and not other.registered and hooks_of(module) == 1
    other.deregister()
    other.register(*where)
    assert other.registered and hooks_of(module) == 2
    del hook
    gc.collect()
    assert other.registered and hooks_of(module) == 1
    del other
    gc.collect()
    assert hooks_of(module) == 0


def test_a_saved_module_keeps_its_hooks():
    module = Adder()
    hook = inferno.Hook(posthook=Shout())
    hook.register(module)
    other = saved(module)
    del module, hook
    gc.collect()
    assert other(1) == 10
    other = copy.deepcopy(saved(other))
    gc.collect()
    assert other(1) == 10
    late = inferno.Hook(posthook=lambda *a: a[2] + 1)
    late.register(other)
    assert hooks_of(other) == 2 and other(1) == 11


def test_a_hook_saved_alone_is_not_registered():
    module = Adder()
    hook = inferno.Hook(posthook=Shout())
    hook.register(module)
    for other in (saved(hook), copy.deepcopy(hook)):
        assert not other.registered and "Adder" not in str(pickle.dumps(hook))
        other.deregister()
        fresh = Adder()
        other.register(fresh)
        assert fresh(1) == 10
    assert module(1) == 10


def test_ids_of_saved_hooks_are_not_given_again(monkeypatch):
    module = Adder()
    hook = inferno.Hook(posthook=Shout())
    hook.register(module)
    data = pickle.dumps(module)
    # as in another process, where torch has given fewer ids
    monkeypatch.setattr(torch.utils.hooks.RemovableHandle, "next_id", 0)
    other = pickle.loads(data)
    late = [inferno.Hook(posthook=lambda *a: a[2] + 1) for _ in range(2)]
    for each in late:
        each.register(other)
    assert hooks_of(other) == 3 and other(1) == 12


def test_a_function_that_cannot_be_saved_is_an_error():
    module = Adder()
    hook = inferno.Hook(posthook=lambda *a: None)
    hook.register(module)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(module)
