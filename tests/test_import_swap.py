"""A program written for inferno-ai runs unchanged with ours in its place: the same results, names and signatures."""

import importlib
import inspect
from inspect import Parameter

import pytest
import torch
from programs import PROGRAMS

import inferno_cuda as ours

theirs = pytest.importorskip("inferno")
PUBLIC = ["", "observe", "learn", "neural", "neural.functional", "functional", "extra", "types"]
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def homes(path):
    """A submodule of both packages."""
    return tuple(importlib.import_module(f"{package.__name__}.{path}".rstrip(".")) for package in (ours, theirs))


@pytest.fixture(autouse=True, scope="module")
def submodules():
    """Imports them as a program would: inferno-ai has them as attributes only then."""
    for path in PUBLIC:
        homes(path)


def assert_same_tensors(a, b, where):
    assert a.dtype == b.dtype and a.shape == b.shape, where
    torch.testing.assert_close(a, b, equal_nan=True, msg=lambda text: f"{where}: {text}")


def assert_same_state(a, b):
    assert list(a) == list(b)
    for key, value in a.items():
        if isinstance(value, torch.Tensor):
            assert_same_tensors(value, b[key], key)
        else:
            assert dict(value) == dict(b[key]), key


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_programs_compute_the_same(backend, program):
    (seen, module), (their_seen, their_module) = program(ours), program(theirs)
    assert len(seen) == len(their_seen)
    for step, (mine, other) in enumerate(zip(seen, their_seen, strict=True)):
        for i, (a, b) in enumerate(zip(mine, other, strict=True)):
            assert_same_tensors(a, b, f"step {step}, tensor {i}")
    assert_same_state(module.state_dict(), their_module.state_dict())


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p.__name__ != "analysis"], ids=lambda p: p.__name__)
def test_programs_are_alive(program):
    seen, _ = program(ours)
    for i, tensor in enumerate(seen[0]):
        over_time = torch.stack([step[i] for step in seen[:-1] if len(step) == len(seen[0])]).float()
        assert over_time.std() > 0
        if tensor.dtype == torch.bool:
            assert 0.005 < over_time.mean() < 0.5


def parameters(call):
    return list(inspect.signature(call).parameters.values())


def swap_problems(mine, other):
    """Why a call that is right for `other` may not mean the same for `mine`."""
    named = [p for p in parameters(mine) if p.kind not in VARIADIC]
    forwards = {p.kind for p in parameters(mine)} >= set(VARIADIC)
    wanted = [p for p in parameters(other) if p.kind not in VARIADIC]
    extra = named[len(wanted) :]
    for a, b in zip(named, wanted, strict=False):
        if (a.name, a.kind) != (b.name, b.kind):
            yield f"{a.kind.description} '{a.name}' in place of {b.kind.description} '{b.name}'"
        if repr(a.default) != repr(b.default):
            yield f"'{a.name}' is {a.default} by default, and {b.default} there"
    if len(named) < len(wanted) and not forwards:
        yield f"without {[p.name for p in wanted[len(named) :]]}"
    yield from (f"needs '{p.name}'" for p in extra if p.default is Parameter.empty)
    missing = {p.kind for p in parameters(other)} & set(VARIADIC) - {p.kind for p in parameters(mine)}
    yield from (f"without {kind.description} parameters" for kind in missing)


def own_members(cls):
    """Public members and the constructor of a class, without what is torch's."""
    names = [name for name in dir(cls) if not name.startswith("_") and not hasattr(torch.nn.Module, name)]
    return [*names, "__init__", *(["forward"] if hasattr(cls, "forward") else [])]


def member_problems(mine, other, name):
    if not hasattr(mine, name):
        return ["is missing"]
    a, b = inspect.getattr_static(mine, name), inspect.getattr_static(other, name)
    if isinstance(b, property):
        if not isinstance(a, property):
            return ["is no property"]
        return [f"has no {what}" for what in ("fset", "fdel") if getattr(b, what) and not getattr(a, what)]
    return list(swap_problems(getattr(mine, name), getattr(other, name))) if callable(getattr(other, name)) else []


def differences(path):
    mine, other = homes(path)
    for name in other.__all__:
        label = f"{path}.{name}".lstrip(".")
        if name not in mine.__all__ or not hasattr(mine, name):
            yield f"{label} is missing"
            continue
        a, b = getattr(mine, name), getattr(other, name)
        if inspect.isclass(b):
            for member in own_members(b):
                yield from (f"{label}.{member}: {problem}" for problem in member_problems(a, b, member))
        elif callable(b):
            yield from (f"{label}: {problem}" for problem in swap_problems(a, b))


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path or "inferno")
def test_public_names_have_the_same_parameters(path):
    assert list(differences(path)) == []


@pytest.mark.parametrize(
    "mine, problem",
    [
        (lambda b, a, *, c=0, **kwargs: 0, "'b' in place of"),
        (lambda a, **kwargs: 0, "without ['b', 'c']"),
        (lambda a, b, *, c=1, **kwargs: 0, "'c' is 1 by default"),
        (lambda a, b, *, c=0, d, **kwargs: 0, "needs 'd'"),
        (lambda a, b, c=0, **kwargs: 0, "'c' in place of keyword-only 'c'"),
        (lambda a, b, *, c=0: 0, "without variadic keyword parameters"),
        (lambda a, b, *, c=0, d=1, **kwargs: 0, None),
        (lambda a, *args, **kwargs: 0, None),
    ],
)
def test_differences_would_be_found(mine, problem):
    def other(a, b, *, c=0, **kwargs):
        pass

    found = list(swap_problems(mine, other))
    assert found == [] if problem is None else any(problem in text for text in found)
