"""Interfaces, and the bookkeeping of shapes, batches and delays."""

import pytest
import torch

from inferno_cuda.neural import (
    LIF,
    Connection,
    DeltaCurrent,
    InfernoNeuron,
    InfernoSynapse,
    LinearDense,
    Neuron,
    SingleExponentialCurrent,
    Synapse,
    Updatable,
)
from inferno_cuda.neural.mixins import BatchMixin, BatchShapeMixin, DelayedMixin, ShapeMixin
from inferno_cuda.state import Module, RecordTensor, ShapedTensor

NEURON = {"shape", "count", "batchsz", "batchedshape", "dt", "voltage", "refrac", "spike", "clear", "forward"}
SYNAPSE = {"partialconstructor", "dt", "delay", "current", "spike", "current_at", "spike_at", "clear", "forward"}
CONNECTION = {
    "inshape", "outshape", "weight", "bias", "delay", "selector", "like_input", "like_bias", "like_synaptic",
    "postsyn_receptive", "presyn_receptive", "forward",
}  # fmt: skip
WRITABLE = {"batchsz", "dt", "voltage", "refrac", "delay", "current", "spike", "weight", "bias"}


def concrete(base):
    """A subclass in which every member is inherited from the base as it is."""
    sub = type("Sub", (base,), {"__init__": Module.__init__})
    sub.__abstractmethods__ = frozenset()
    return sub


@pytest.mark.parametrize("base, members", [(Neuron, NEURON), (Synapse, SYNAPSE), (Connection, CONNECTION)])
def test_abstract_members(base, members):
    assert base.__abstractmethods__ == members
    with pytest.raises(TypeError, match="abstract"):
        base.__new__(base)


def test_abstract_members_are_those_of_inferno():
    neural = pytest.importorskip("inferno.neural")
    for base in (Neuron, Synapse, Connection):
        assert base.__abstractmethods__ == getattr(neural, base.__name__).__abstractmethods__
    for name in ("Neuron", "InfernoNeuron", "Synapse", "InfernoSynapse", "Connection", "LIF", "DeltaCurrent",
                 "SingleExponentialCurrent", "LinearDense", "Accumulator", "Updater", "Updatable"):  # fmt: skip
        theirs = {n for n in dir(getattr(neural, name)) if not n.startswith("_")}
        ours = __import__("inferno_cuda.neural", fromlist=[name])
        assert theirs <= set(dir(getattr(ours, name))), name


@pytest.mark.parametrize(
    "base, members",
    [
        (Neuron, NEURON),
        (Synapse, SYNAPSE),
        (Connection, CONNECTION),
        (InfernoNeuron, NEURON),
        (InfernoSynapse, SYNAPSE),
    ],
)
def test_members_left_out_raise_their_name(base, members):
    sub = concrete(base)()
    given = {"shape", "count", "batchsz", "batchedshape"} if base is InfernoNeuron else set()
    given |= {"dt", "delay"} if base is InfernoSynapse else set()
    for name in members - given:
        attribute = getattr(base, name)
        calls = [lambda name=name: getattr(sub, name)]
        if not isinstance(attribute, property):
            calls = [lambda name=name: getattr(sub, name)(torch.zeros(1)) if name != "clear" else sub.clear()]
        elif attribute.fset and name in WRITABLE:
            calls.append(lambda name=name: setattr(sub, name, 1))
        for call in calls:
            with pytest.raises(NotImplementedError, match=rf"Sub\({base.__name__}\).*{name}"):
                call()


def test_inferno_neuron_can_be_built():
    neuron = InfernoNeuron((2, 3), 4)
    assert (neuron.shape, neuron.count, neuron.batchsz, neuron.batchedshape) == ((2, 3), 6, 4, (4, 2, 3))


def test_inheritance():
    assert issubclass(LIF, InfernoNeuron) and issubclass(InfernoNeuron, BatchShapeMixin)
    assert issubclass(DeltaCurrent, InfernoSynapse) and issubclass(SingleExponentialCurrent, InfernoSynapse)
    assert issubclass(InfernoSynapse, DelayedMixin) and issubclass(InfernoSynapse, BatchShapeMixin)
    assert issubclass(LinearDense, Connection) and issubclass(Connection, Updatable) and issubclass(Connection, Module)


def test_modules_name_their_ops():
    from inferno_cuda.ops import choose

    conn = LinearDense(2, 2, 1.0, synapse=DeltaCurrent.partialconstructor(1.0), delay=1.0)
    neuron = LIF(1, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0)
    for module in (conn, conn.synapse, neuron):
        assert module._ops and all(choose(op, "cpu") for op in module._ops)


def test_replacing_the_synapse_checks_it():
    conn = LinearDense(3, 2, 1.0, synapse=DeltaCurrent.partialconstructor(1.0))
    old = conn.synapse
    with pytest.raises(TypeError, match="synapse"):
        conn.synapse = torch.nn.Identity()
    with pytest.raises(ValueError, match="synapse"):
        conn.synapse = DeltaCurrent(4, 1.0, spike_charge=1.0)
    assert conn.synapse is old
    with pytest.raises(TypeError, match="synapse"):
        LinearDense(3, 2, 1.0, synapse=lambda *_: torch.nn.Identity())


# -- mixins -----------------------------------------------------------------------------------------------------------


class Owner(DelayedMixin, BatchShapeMixin, Module):
    def __init__(self):
        Module.__init__(self)
        BatchShapeMixin.__init__(self, 3, 2)
        DelayedMixin.__init__(self, 1.0, 2.0)
        ShapedTensor.create(self, "state_", torch.ones(2, 3))
        RecordTensor.create(self, "record_", 5.0, 10.0, torch.ones(2, 3))
        self.add_batched("state_", "record_")
        self.add_delayed("record_")
        self.plain = torch.ones(2, 3)


def test_batched_state_is_resized():
    owner = Owner()
    owner.batchsz = 3.0
    assert owner.batchsz == 3 and owner.batchedshape == (3, 3)
    assert owner.state_.value.tolist() == [[0.0] * 3, [1.0] * 3, [1.0] * 3] and owner.record_.shape == (3, 3)
    owner.batchsz = 1
    assert owner.state_.value.tolist() == [[1.0] * 3]


def test_records_share_their_timing():
    owner = Owner()
    record = owner.record_
    assert (record.dt, record.duration, record.inclusive, record.recordsz) == (1.0, 2.0, True, 3)
    owner.dt = 0.5
    assert (owner.dt, owner.record_.dt, owner.record_.recordsz) == (0.5, 0.5, 5)
    owner.delay = 1.0
    assert (owner.delay, owner.record_.duration, owner.record_.recordsz) == (1.0, 1.0, 3)


@pytest.mark.parametrize(
    "build, error",
    [
        (lambda: BatchMixin(0), ValueError),
        (lambda: BatchMixin(1.5), ValueError),
        (lambda: BatchMixin(None), TypeError),
        (lambda: ShapeMixin((2, -1)), ValueError),
        (lambda: ShapeMixin((2, 1.5)), ValueError),
        (lambda: DelayedMixin(0.0, 1.0), ValueError),
        (lambda: DelayedMixin(1.0, -1.0), ValueError),
        (lambda: DelayedMixin(1.0, float("nan")), ValueError),
    ],
)
def test_bad_arguments_raise(build, error):
    with pytest.raises(error):
        build()
