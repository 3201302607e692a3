"""What the host keeps between steps, and lookups in one pass: nothing but the time of a call may tell them apart."""

import copy

import pytest
import torch
from synapse_cases import KINDS, synapse

import inferno_cuda
from inferno_cuda import neural, ops

LIF = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
ADEX = {
    "rest_v": -60.0,
    "rheobase_v": -50.0,
    "sharpness": 2.0,
    "reset_v": -65.0,
    "thresh_v": -45.0,
    "refrac_t": 3.0,
    "tc_membrane": 20.0,
    "tc_adaptation": 30.0,
    "voltage_coupling": 0.1,
    "spike_increment": 1.0,
}


@pytest.fixture
def native():
    if not ops.native_status.loaded:
        pytest.skip(ops.native_status.problem)


def of_both_backends(call):
    with inferno_cuda.backend("torch"):
        expected = call()
    with inferno_cuda.backend("native"):
        return call(), expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("over", [None, 0.0, 0.3, -1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_past_currents_are_those_of_the_reference(native, kind, over, dtype):
    random = torch.Generator().manual_seed(1)
    cells = synapse(kind, (3, 5), 0.7, delay=7.0, batch_size=4, current_overbound=over).to(dtype)
    for _ in range(13):
        cells(torch.rand(4, 3, 5, generator=random) < 0.4)
    at = 9 * torch.rand(4, 3, 5, 6, generator=random) - 1
    at[..., 0] = 0.7 * (10 * torch.rand(4, 3, 5, generator=random)).round()
    at[0, 0, 0, 1] = torch.nan
    elsewhere = at.transpose(1, 2).contiguous().transpose(1, 2)
    for selector in (at, at[..., 2], elsewhere, at.double(), at[:1].expand_as(at)):
        ours, expected = of_both_backends(lambda selector=selector: cells.current_at(selector))
        assert ours.dtype == expected.dtype == dtype and ours.shape == selector.shape
        torch.testing.assert_close(ours, expected, rtol=0, atol=0, equal_nan=True)


def test_parts_whose_pointers_differ_are_looked_up_where_they_are(native):
    cells = synapse("double exponential", 4, delay=3.0)
    for _ in range(5):
        cells(torch.ones(1, 4))
    cells.pos_current = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    at = torch.tensor([[0.0, 0.5, 1.0, 2.5]])
    ours, expected = of_both_backends(lambda: cells.current_at(at))
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_long_history_is_looked_up_exactly(native, dtype):
    """Float32 counts a million steps, but not the parts between them: such times are computed with in float64."""
    slots = (1 << 20) + 3
    data = torch.arange(slots, dtype=torch.float32).view(slots, 1, 1)
    pointer = torch.tensor(5)
    at = torch.tensor([0.0, 1.0, 77.5, 524288.5, 1048576.0, 1048578.0], dtype=dtype).view(1, 1, -1)
    for mode in ("previous", "next", "linear"):
        ours, expected = of_both_backends(lambda mode=mode: ops.history_gather(data, pointer, at, dt=1.0, mode=mode))
        assert torch.equal(ours, expected)
        age = {"previous": at.ceil(), "next": at.floor(), "linear": at}[mode]
        newest = (pointer - 1).item()
        torch.testing.assert_close(ours, ((newest - age) % slots).float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("make", [lambda: neural.LIF(5, 1.0, **LIF), lambda: neural.AdEx(5, 1.0, **ADEX)])
def test_every_parameter_is_read_again_once_it_is_set(backend, make):
    """A neuron that has stepped before goes on as one that was made with the new parameters."""
    current = torch.linspace(0, 60, 5).expand(1, 5)
    changes = {"dt": 0.5, "rest_v": -58.0, "reset_v": -70.0, "thresh_v": -40.0, "refrac_t": 5.0, "resistance": 2.0}
    old, new = make(), make()
    for _ in range(7):
        old(current)
    new.load_state_dict(old.state_dict())
    for name, value in changes.items():
        setattr(old, name, value)
        setattr(new, name, value)
        for _ in range(5):
            fresh = copy.deepcopy(new)
            assert torch.equal(old(current), fresh(current))
            assert torch.equal(old.voltage, fresh.voltage) and torch.equal(old.refrac, fresh.refrac)
            new.load_state_dict(fresh.state_dict())


def test_steps_that_differ_in_an_option_do_not_share_their_numbers(backend):
    cells, twin = (neural.AdEx(5, 1.0, **ADEX) for _ in range(2))
    current = torch.linspace(0, 60, 5).expand(1, 5)
    for k in range(12):
        options = {"refrac_lock": bool(k % 2), "adapt": k % 3 != 0}
        twin = copy.deepcopy(twin)
        assert torch.equal(cells(current, **options), twin(current, **options))
        assert torch.equal(cells.current_adaptation, twin.current_adaptation)
        assert torch.equal(cells.voltage, twin.voltage)


def test_a_deleted_parameter_is_missed(backend):
    cells = neural.LIF(2, 1.0, **LIF)
    cells(torch.zeros(1, 2))
    cells(torch.zeros(1, 2))
    del cells.resistance
    with pytest.raises(AttributeError, match="resistance"):
        cells(torch.zeros(1, 2))


def test_kept_numbers_are_in_no_copy_and_no_file(native):
    cells = neural.LIF(2, 1.0, **LIF)
    cells(torch.zeros(1, 2))
    assert cells._packed_steps and not copy.deepcopy(cells)._packed_steps
