"""Classes that can be accelerated, and those of other versions and packages, which cannot."""

import gc
import pickle
import subprocess
import sys
import types
import weakref

import pytest
import torch
from adapter_cases import connection, currents, neuron
from torch import nn

import inferno_cuda
from inferno_cuda.adapters import _library, _registry, _swap
from inferno_cuda.adapters._adapter import Adapter

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")


def model():
    return nn.Sequential(connection(theirs, "LinearDense", delays="off the grid"), neuron(theirs, "ALIF", 4))


class Sealed(theirs.LIF):
    def __init_subclass__(cls, **kwargs):
        raise TypeError("this is the last one")


class SealedMeta(type(theirs.LIF)):
    def __new__(mcs, name, bases, own):
        if any(isinstance(base, SealedMeta) for base in bases):
            raise ValueError("no more of these")
        return super().__new__(mcs, name, bases, own)


class SealedByMeta(theirs.LIF, metaclass=SealedMeta):
    pass


@pytest.mark.parametrize(("cls", "why"), [(Sealed, "this is the last one"), (SealedByMeta, "no more of these")])
def test_a_class_that_cannot_be_subclassed_is_skipped(cls, why):
    m = nn.Sequential(neuron(theirs, "LIF"), neuron(types.SimpleNamespace(LIF=cls), "LIF"), neuron(theirs, "ALIF"))
    with pytest.raises(RuntimeError, match=f"cannot be subclassed: {why}"):
        inferno_cuda.accelerate(m, strict=True)
    assert [type(part) for part in m] == [theirs.LIF, cls, theirs.ALIF]
    report = inferno_cuda.accelerate(m, verify=currents(3, 2, 5)[0])
    assert [row.reason for row in report] == ["", f"{cls.__name__} cannot be subclassed: {why}", ""]
    assert [type(part).__name__ for part in m] == ["AcceleratedLIF", cls.__name__, "AcceleratedALIF"]


def test_classes_are_not_kept_alive():
    local = type("Local", (theirs.DeltaCurrent,), {})
    library = types.SimpleNamespace(LinearDense=theirs.LinearDense, DeltaCurrent=local)
    made = connection(library, "LinearDense", delays="on the grid")
    inferno_cuda.accelerate(made, strict=True)
    made(torch.ones(made.batched_inshape))
    alive = weakref.ref(local), weakref.ref(type(made.synapse))
    del made, local, library
    gc.collect()
    assert [ref() for ref in alive] == [None, None]


class Grown(nn.Linear):
    pass


class Fast:
    def forward(self, x):
        return super().forward(x)


@pytest.mark.parametrize("change", ["an override", "another version", "sealed"])
def test_a_pickle_whose_class_no_longer_fits(monkeypatch, change):
    adapter = Adapter("toys", nn.Linear, Fast, lambda module: "toy", lambda module: None)
    monkeypatch.setattr(_registry, "_adapters", lambda: {nn.Linear: adapter})
    m = Grown(2, 2)
    inferno_cuda.accelerate(m)
    saved = pickle.dumps(m)
    assert type(pickle.loads(saved)) is type(m) is not Grown
    if change == "an override":
        monkeypatch.setattr(Grown, "forward", lambda self, x: x - 1)
    elif change == "another version":
        monkeypatch.setitem(_library.VERSIONS, "toys", ("torch", "0.0"))
    else:
        delattr(Grown, _swap._MADE)
        monkeypatch.setattr(Grown, "__init_subclass__", classmethod(lambda cls: 1 / 0))
    made = pickle.loads(saved)
    assert type(made) is Grown and torch.equal(made.weight, m.weight)


def test_other_packages_of_the_libraries_names():
    code = (
        "import sys, types, torch, inferno_cuda\n"
        f"others = {{name: types.ModuleType(name) for name in {list(_registry.LIBRARIES)}}}\n"
        "sys.modules.update(others)\n"
        "for _ in range(2): print(len(inferno_cuda.accelerate(torch.nn.Linear(2, 2), strict=True)))\n"
        "for name in others: del sys.modules[name]\n"
        "from inferno import neural\n"
        "n = neural.LIF(2, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)\n"
        "print(len(inferno_cuda.accelerate(n, strict=True)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["0", "0", "1"]


def test_modules_of_another_package_named_inferno_are_no_known_library(monkeypatch):
    package = types.ModuleType("inferno")
    monkeypatch.setitem(sys.modules, "inferno", package)
    foreign = type("Foreign", (nn.Linear,), {"__module__": "inferno.layers"})
    package.Module = nn.Module
    monkeypatch.delitem(sys.modules, "inferno.neural")
    assert not len(inferno_cuda.accelerate(foreign(2, 2), strict=True))


@pytest.mark.parametrize("version", ["0.0.4", "0.0.6", "0.1.0", "0.0.5.dev1"])
def test_another_version_is_skipped(monkeypatch, version):
    monkeypatch.setattr(_library, "installed", lambda distribution: version)
    reason = f"inferno-ai {version} is installed, the adapters are for 0.0.5"
    assert [row.reason for row in inferno_cuda.accelerate(model()).skipped] == [reason] * 3


def test_a_local_version_is_the_same(monkeypatch):
    monkeypatch.setattr(_library, "installed", lambda distribution: "0.0.5+local")
    inferno_cuda.accelerate(model(), strict=True)


def test_a_copy_of_the_library_without_a_version_needs_the_private_names(monkeypatch):
    monkeypatch.setattr(_library, "installed", lambda distribution: None)
    inferno_cuda.accelerate(model(), strict=True)
    other = model()
    del vars(other[0].synapse_)["_InfernoSynapse__inplace"]
    del vars(other[1])["voltage_"]
    skipped = {row.fqn: row.reason for row in inferno_cuda.accelerate(other).skipped}
    assert list(skipped) == ["0.synapse_", "1"]
    assert skipped["0.synapse_"].startswith("it has no _InfernoSynapse__inplace, as the version of inferno")
    assert skipped["1"].startswith("it has no voltage_._ShapedTensor__owner, as the version of inferno")


def test_the_version_of_a_distribution():
    assert _library.installed("torch") == torch.__version__ and _library.installed("no-such-distribution") is None
