"""The batch size of a whole layer."""

import pytest
import torch

import inferno_cuda
from inferno_cuda.neural import LIF, DeltaCurrent, LinearDense, Serial

CELL = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}


def layer(batch=8):
    synapse = DeltaCurrent.partialconstructor(spike_charge=20.0)
    connection = LinearDense(3, 2, 1.0, synapse=synapse, delay=2.0, batch_size=batch)
    return Serial(connection, LIF(2, 1.0, batch_size=batch, **CELL))


def test_setting_it_reaches_every_part():
    serial = layer()
    assert serial.batchsz == 8
    serial.batchsz = 5
    assert serial.connection.batchsz == serial.neuron.batchsz == serial.synapse.batchsz == 5
    assert inferno_cuda.run(serial, torch.ones(4, 5, 3)).shape == (4, 5, 2)


def test_parts_that_differ_are_named_when_it_is_read():
    serial = layer()
    serial.neuron.batchsz = 3
    with pytest.raises(ValueError, match=r"batch sizes \[3, 8\]"):
        assert serial.batchsz
    serial.batchsz = 3
    assert serial.batchsz == 3


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_bad_sizes_change_nothing(value):
    serial = layer()
    with pytest.raises((ValueError, TypeError), match="batchsz"):
        serial.batchsz = value
    assert serial.batchsz == 8
