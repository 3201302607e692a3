"""Checkpoint files of models whose libraries keep state outside of the state_dict."""

import warnings

import pytest
import torch

import inferno_cuda

pytest.importorskip("safetensors")


def leaky():
    snn = pytest.importorskip("snntorch")
    return torch.nn.Sequential(torch.nn.Linear(3, 2), snn.Leaky(0.9, init_hidden=True)), lambda m: m[1].reset_mem()


def lif_node():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return torch.nn.Sequential(torch.nn.Linear(3, 2), neuron.LIFNode()), lambda m: m[1].reset()


@pytest.mark.parametrize("make", [leaky, lif_node])
@pytest.mark.parametrize("accelerated", [False, True])
def test_voltages_that_are_left_out_are_mentioned(make, accelerated, tmp_path):
    model, reset = make()
    if accelerated:
        inferno_cuda.accelerate(model)
    with torch.no_grad():
        model(torch.ones(1, 3))
        model(torch.ones(1, 3))
    with pytest.warns(UserWarning, match="'1' keeps its voltages outside of the state_dict"):
        inferno_cuda.save_checkpoint(tmp_path / "file", model)
    reset(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inferno_cuda.save_checkpoint(tmp_path / "file", model)
    fresh, _ = make()
    inferno_cuda.load_checkpoint(tmp_path / "file", fresh)
    assert torch.equal(fresh[0].weight, model[0].weight)
