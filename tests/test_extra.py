"""ExactNeuron: fires when told to, with a batch size that can change."""

import copy
import pickle

import pytest
import torch

from inferno_cuda.extra import ExactNeuron
from inferno_cuda.neural import DeltaCurrent, LinearDense, Serial


def exact(shape=(2, 3), **options):
    return ExactNeuron(shape, 1.0, **{"rest_v": -60.0, "thresh_v": -50.0, **options})


def noise(steps, *shape, seed=0):
    return torch.randn(steps, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])
def test_against_inferno(dtype):
    theirs = pytest.importorskip("inferno.extra")
    a, b = (kind((2, 3), 1.0, rest_v=-60, thresh_v=-50, batch_size=2) for kind in (ExactNeuron, theirs.ExactNeuron))
    assert repr(a) == repr(b) and list(a.state_dict()) == list(b.state_dict())
    for t, x in enumerate(noise(100, 2, 2, 3)):
        x = x > 0 if dtype == torch.bool else (x * 3).to(dtype)
        override = None if t % 4 else noise(1, 12, seed=t)[0].round().to(dtype)
        out, want = a(x, override, refrac_lock=True), b(x, override, refrac_lock=True)
        assert torch.equal(out, want) and out.dtype == torch.bool and out.shape == (2, 2, 3)
        for name in ("spike", "voltage", "refrac"):
            mine, other = getattr(a, name), getattr(b, name)
            assert torch.equal(mine, other) and mine.dtype == other.dtype
    b.load_state_dict(a.state_dict())
    a.load_state_dict(b.state_dict())
    a.clear(anything=1)
    b.clear(anything=1)
    assert torch.equal(a.spike, b.spike) and torch.equal(a.voltage, b.voltage)


@pytest.mark.parametrize("changes", [{"step_time": 0.0}, {"rest_v": -50}, {"rest_v": float("nan")}, {"shape": (2, 0)},
                                     {"batch_size": 0}, {"rest_v": None}, {"shape": 1.5}], ids=str)  # fmt: skip
def test_errors_are_of_the_same_class(changes):
    theirs = pytest.importorskip("inferno.extra")
    raised = []
    for kind in (ExactNeuron, theirs.ExactNeuron):
        with pytest.raises(Exception) as info:
            kind(**{"shape": (2, 3), "step_time": 1.0, "rest_v": -60.0, "thresh_v": -50.0, **changes})
        raised.append(info.type)
    assert raised[0] is raised[1]


def test_worked_numbers():
    n = exact(3)
    assert n.voltage.tolist() == [[-60.0] * 3] and n.refrac.tolist() == [[0.0] * 3] and not n.spike.any()
    assert n(torch.tensor([[0.0, 1e-30, float("nan")]])).tolist() == [[False, True, False]]
    assert n.voltage.tolist() == [[-60.0, -50.0, -60.0]] and n.spike.tolist() == [[False, True, False]]
    assert n(torch.ones(1, 3), torch.tensor([-1.0, 0.0, 2.0])).tolist() == [[True, False, True]]
    assert n(1.0).all() and not n(-1).any() and n(torch.ones(1)).all()
    n.voltage = n.refrac = torch.ones(1, 3)
    assert n.voltage.tolist() == [[-50.0] * 3] and not n.refrac.any()
    n.dt = 2.0
    assert n.dt == n.step_time == 2.0
    n.thresh_v = -40.0
    assert n.voltage.tolist() == [[-40.0] * 3]


@pytest.mark.parametrize("sizes", [(1, 4), (4, 1), (3, 2)])
def test_batch_size_can_change(sizes):
    n = exact(batch_size=sizes[0])
    n(torch.ones(sizes[0], 2, 3))
    n.batchsz = sizes[1]
    assert n.spike.shape == n.voltage.shape == n.refrac.shape == n.batchedshape == (sizes[1], 2, 3)
    assert not n.spike.any()
    assert n(torch.ones(sizes[1], 2, 3)).all() and n.spike.all()
    with pytest.raises(ValueError, match="'inputs'"):
        n(torch.ones(sizes[0] + 5, 2, 3))


@pytest.mark.parametrize("call, kind, words", [
    (lambda n: n(torch.ones(4, 1, 2, 3)), ValueError, "'inputs' has the shape"),
    (lambda n: n(torch.ones(5)), ValueError, "'inputs' has the shape"),
    (lambda n: n("1"), TypeError, "'inputs'"),
    (lambda n: n(torch.ones(1, 2, 3), torch.ones(5)), ValueError, "'override' has the shape"),
    (lambda n: n(torch.ones(1, 2, 3), [1] * 6), TypeError, "'override'"),
    (lambda n: n(torch.ones(1, 2, 3, device="meta")), ValueError, "'inputs' is on the device meta"),
    (lambda n: setattr(n, "dt", -1.0), ValueError, "'dt'"),
])  # fmt: skip
def test_bad_input_changes_nothing(call, kind, words):
    n = exact()
    n(torch.ones(1, 2, 3))
    with pytest.raises(kind, match=words):
        call(n)
    assert n.spike.all() and n.dt == 1.0


def test_what_is_returned_or_read_is_the_callers():
    n = exact()
    for override in (None, torch.ones(1, 2, 3, dtype=torch.bool)):
        out = n(torch.ones(1, 2, 3), override)
        spike = n.spike
        out.zero_()
        assert n.spike.all() and (override is None or override.all())
        n(torch.zeros(1, 2, 3))
        assert spike.all() and not n.spike.any()


def test_strided_inputs():
    n, x = exact((3, 2)), noise(1, 2, 3)
    x = x.transpose(1, 2)
    assert torch.equal(n(x), x > 0) and torch.equal(n(-x, override=x.gt(0)), x > 0)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies_are_independent(duplicate):
    n = exact()
    n(torch.ones(1, 2, 3))
    other = duplicate(n)
    assert other.spike.all() and other.voltage.eq(-50).all()
    n.clear()
    assert other.spike.all() and not n.spike.any()


def test_dtype_and_device(device):
    n = exact().to(device)
    assert n(torch.ones(1, 2, 3, device=device)).device.type == device == n.voltage.device.type
    for dtype in (torch.float64, torch.float16):
        n.to(dtype)
        assert n.voltage.dtype == n.refrac.dtype == dtype and n.spike.dtype == torch.bool
        assert n.voltage.eq(-50).all()


def test_state_of_inference_mode_is_ordinary():
    n = exact()
    with torch.inference_mode():
        n(torch.ones(1, 2, 3))
    assert n.spike.all() and not n.spike.is_inference()
    assert not n(torch.zeros(1, 2, 3)).any()


def test_in_a_layer():
    conn = LinearDense(4, 3, 1.0, synapse=DeltaCurrent.partialconstructor(1.0), weight_init=lambda w: w - 0.5)
    layer = Serial(conn, exact(3))
    for x in noise(20, 1, 4) > 0:
        spikes, current = layer(x, capture_intermediate=True)
        assert torch.equal(spikes, current > 0) and torch.equal(layer.cell.postspike, spikes)
    told = torch.tensor([[True, False, True]])
    assert torch.equal(layer(x, neuron_kwargs={"override": told}), told)
