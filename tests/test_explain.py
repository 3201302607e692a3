"""What `explain` says about modules."""

import pytest
import torch
import torch.nn as nn

import inferno_cuda
from inferno_cuda.explain import HEADER, Row, explain
from inferno_cuda.neural import LIF, DeltaCurrent, LinearDense, SingleExponentialCurrent

LIF_OPTIONS = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}


def dense(delay, synapse=SingleExponentialCurrent):
    values = {"spike_charge": 1.0} | ({"time_constant": 5.0} if synapse is not DeltaCurrent else {})
    return LinearDense(4, 3, 1.0, synapse=synapse.partialconstructor(**values), delay=delay)


def network(delay=5.0):
    return nn.ModuleDict({"inputs": dense(delay), "cells": LIF(3, 1.0, **LIF_OPTIONS), "other": nn.Linear(3, 2)})


def frozen(module):
    return module.requires_grad_(False)


def test_one_row_per_op_of_each_submodule(backend):
    rows = list(explain(frozen(network())))
    why = "backend is set to 'torch'" if backend == "torch" else ""
    assert rows == [
        Row("inputs", "LinearDense", "delayed_dense", "cpu", backend, why),
        Row("inputs.synapse_", "SingleExponentialCurrent", "synapse_step", "cpu", backend, why),
        Row("inputs.synapse_", "SingleExponentialCurrent", "history_gather", "cpu", backend, why),
        Row("cells", "LIF", "neuron_step", "cpu", backend, why),
    ]


def test_a_connection_without_delays_runs_no_op_of_ours():
    assert [row.op for row in explain(dense(None))] == ["synapse_step", "history_gather"]


def test_the_module_itself_has_no_name():
    explanation = explain(LIF(3, 1.0, **LIF_OPTIONS))
    assert explanation[0].module == ""
    assert "(itself)" in str(explanation)


def test_it_prints_an_aligned_table():
    header, rule, *lines = str(explain(frozen(network()))).splitlines()
    starts = [i for i, mark in enumerate(rule) if mark == "-" and (i == 0 or rule[i - 1] == " ")]
    assert [header[i:].split("  ")[0] for i in starts] == list(HEADER)
    assert len(lines) == 4
    assert all(line[i - 1] == " " and line[i] != " " for line in lines for i in starts[1:])


def test_parameters_that_need_gradients(native):
    module = frozen(network())
    module["inputs"].weight.requires_grad_(True)
    rows = {(row.module, row.op): row for row in explain(module)}
    assert rows["inputs", "delayed_dense"].backend == "native"
    assert rows["inputs", "delayed_dense"].reason == ""
    assert rows["cells", "neuron_step"].reason.startswith("where its input needs gradients: forward on the chosen")
    with torch.no_grad():
        assert {row.reason for row in explain(module)} == {""}


def test_what_it_says_about_gradients_is_true(native):
    """The weights' gradients exist, and the forward pass with them is the native one."""
    module = frozen(dense(5.0))
    expected = module(torch.ones(1, 4))
    module.clear()
    module.weight.requires_grad_(True)
    out = module(torch.ones(1, 4))
    out.sum().backward()
    assert torch.equal(out, expected)
    assert module.weight.grad is not None


def test_a_synapse_that_cannot_be_fused_is_named():
    class Own(SingleExponentialCurrent):
        def current_at(self, selector):
            return super().current_at(selector)

    row = explain(frozen(dense(5.0, Own)))[0]
    assert (row.cls, row.op, row.backend) == ("LinearDense", "delayed_dense", "torch")
    assert "Own" in row.reason


def test_device_of_a_module_on_another_device():
    module = LIF(3, 1.0, **LIF_OPTIONS).to("meta")
    (row,) = explain(module)
    assert (row.device, row.backend) == ("meta", "torch")
    assert row.reason


def test_modules_without_ops():
    explanation = explain(nn.Sequential(nn.Linear(2, 2)))
    assert len(explanation) == 0
    assert str(explanation) == "Sequential runs no ops of inferno_cuda"


def test_foreign_attributes_of_that_name_are_no_ops():
    module = nn.Linear(2, 2)
    module._ops = ("matmul",)
    assert list(explain(module)) == []
    module._ops = "neuron_step"
    assert list(explain(module)) == []


@pytest.mark.parametrize("wrong", [None, "LIF", torch.ones(2), LIF])
def test_only_modules_can_be_explained(wrong):
    with pytest.raises(TypeError, match="must be a torch.nn.Module"):
        explain(wrong)


def test_modules_of_other_packages_have_rows_once_they_are_accelerated(native):
    theirs = pytest.importorskip("inferno.neural")
    synapse = theirs.DeltaCurrent.partialconstructor(1.0)
    model = nn.Sequential(
        theirs.LinearDense(4, 3, 1.0, synapse=synapse, delay=5.0), theirs.LIF(3, 1.0, **LIF_OPTIONS)
    )
    assert not len(explain(model))
    inferno_cuda.accelerate(model)
    model[0].weight.requires_grad_()
    rows = list(explain(model))
    assert [row[:3] for row in rows] == [
        ("0", "AcceleratedLinearDense", "delayed_dense"),
        ("0.synapse_", "AcceleratedDeltaCurrent", "synapse_step"),
        ("1", "AcceleratedLIF", "neuron_step"),
    ]
    assert {row.backend for row in rows} == {"native"}
    assert rows[0].reason == "gradients needed: the library's own steps, in torch"
