"""What learning rules look like beside inferno-ai's: signatures, states, monitors, keys, hooks."""

import inspect

import pytest
import torch
from learn_cases import LONGEST, OURS, RULES, layer, on_grid, rule, spikes

pytest.importorskip("inferno.learn")

DELAYED = [False, True]


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def plain(state):
    """Plain attributes of a module, with classes and functions by name."""
    own = {k: v for k, v in vars(state).items() if k not in vars(torch.nn.Module()) and k != "_extras"}
    return {k: getattr(v, "__name__", v) for k, v in own.items()}


def registered(lib, name, delayed, **overrides):
    made = layer(lib, delay=LONGEST, delay_init=on_grid, batch=2)
    trainer = rule(lib, name, delayed=delayed)
    return made, trainer, trainer.register_cell("cell", made.cell, **overrides)


def test_names(repaired_inferno):
    assert set(repaired_inferno.learn.__all__) <= set(OURS.learn.__all__)
    assert {"StableSTDP", "StableTripletSTDP", "EligibilityTraceReducer"} <= set(OURS.learn.__all__)


@pytest.mark.parametrize("name", sorted({name.split()[0] for name in RULES} | {"LinearHomeostasis"}))
def test_signatures(repaired_inferno, name):
    ours, other = getattr(OURS.learn, name), getattr(repaired_inferno.learn, name)
    added = {"legacy_sign"} if name == "LinearHomeostasis" else set()
    assert [p for p in parameters(ours.__init__) if p[0] not in added] == parameters(other.__init__)
    assert parameters(ours.register_cell) == parameters(other.register_cell)
    assert parameters(ours.forward) == parameters(other.forward)


@pytest.mark.parametrize("method", ["add_cell", "get_cell", "del_cell", "add_monitor", "get_monitor", "del_monitor"])
def test_signatures_of_the_base(repaired_inferno, method):
    ours, theirs = (getattr(lib.learn.CellTrainer, method) for lib in (OURS, repaired_inferno))
    assert parameters(ours) == parameters(theirs)


@pytest.mark.parametrize("delayed", DELAYED)
@pytest.mark.parametrize("name", RULES)
def test_attributes_states_monitors_keys(repaired_inferno, name, delayed):
    if delayed and not RULES[name][3]:
        delayed = False
    pairs = [registered(lib, name, delayed) for lib in (OURS, repaired_inferno)]
    (ours, other) = ((trainer, unit) for _, trainer, unit in pairs)
    mine = {k: v for k, v in plain(ours[0]).items() if k not in ("cells_", "_configured")}
    assert mine == {k: v for k, v in plain(other[0]).items() if k != "cells_"}
    assert plain(ours[1].state) == plain(other[1].state)
    assert list(ours[1].monitors) == list(other[1].monitors)
    for one, two in zip(ours[1].monitors.values(), other[1].monitors.values(), strict=True):
        for part, like in ((one, two), (one.reducer, two.reducer)):
            assert type(like).__name__ in [base.__name__ for base in type(part).__mro__]
        assert (one.reducer.dt, one.reducer.duration) == (two.reducer.dt, two.reducer.duration)
        tags = dict(getattr(one, "_tags", {}))
        for added in ("trace", "inplace", "delayed"):  # left out by some rules there
            if added not in getattr(two, "_tags", {}):
                tags.pop(added, None)
        assert tags == getattr(two, "_tags", {})
    for made, trainer, _ in pairs:
        for x, post in zip(spikes(3, 2, 2, 3), spikes(3, 2, 4), strict=True):
            made(x, post=post)
        trainer(0.5) if RULES[name][2] else trainer()
    ours, other = (trainer.state_dict() for _, trainer, _ in pairs)
    assert list(ours) == list(other)
    for key, value in other.items():
        reducers = [trainer.get_submodule(key.rpartition(".")[0]) for _, trainer, _ in pairs]
        if getattr(reducers[0], "_of_sent", False):  # a record of what was sent, of which arrivals are made when read
            torch.testing.assert_close(reducers[0].peek(), reducers[1].peek(), equal_nan=True)
        elif isinstance(value, torch.Tensor):
            torch.testing.assert_close(ours[key], value, equal_nan=True)
        else:
            assert ours[key] == value
    pairs[0][1].load_state_dict(other)


def test_homeostasis_keys(repaired_inferno):
    keys = []
    for lib in (OURS, repaired_inferno):
        made = layer(lib)
        trainer = lib.learn.LinearHomeostasis(0.1, 0.5, "weight")
        unit = trainer.register_cell("cell", made.cell)
        made(spikes(1, 1, 2, 3)[0], post=spikes(1, 1, 4)[0])
        keys.append((list(trainer.state_dict()), list(unit.monitors), unit.monitors["spike_rate"]._tags))
    assert keys[0] == keys[1]


def test_overrides_are_those_of_the_cell():
    made, trainer = layer(OURS, delay=LONGEST), rule(OURS, "STDP")
    unit = trainer.register_cell("cell", made.cell, lr_post=0.5, tc_pre=3, trace_mode="NEAREST", delayed=True)
    state = unit.state
    assert (state.lr_post, state.tc_pre, state.tracemode, state.delayed) == (0.5, 3.0, "nearest", True)
    assert unit.state.lr_pre == trainer.lr_pre == -0.015 and trainer.lr_post == 0.02
    assert unit.monitors["trace_pre"].reducer.amplitude == 0.5
    assert unit.monitors["trace_pre"].reducer.duration == LONGEST


def test_records_only_while_layer_and_trainer_train():
    made, trainer, unit = registered(OURS, "MSTDPET", False)
    pool = unit.monitors
    reducers = [monitor.reducer for monitor in pool.values()]

    def step():
        made(torch.ones(2, 2, 3), post=torch.ones(2, 4))
        return [reducer.latest is not None and float(reducer.latest.sum()) for reducer in reducers]

    made.eval()
    assert step() == [False] * 6
    made.train()
    first = step()
    assert all(first)
    trainer.eval()
    assert not any(monitor.registered for monitor in pool.values()) and step() == first
    trainer(1.0)
    assert made.updater.weight.pos is None
    trainer.train()
    # what is eligible is recorded after the traces and spikes that it is made of
    second = step()
    assert second != first and second[4] > first[4] * 1.5
    trainer.clear()
    assert all(reducer.latest is None for reducer in reducers)


def test_cells_that_do_not_learn_are_left_out():
    learn = OURS.learn
    layers = [layer(OURS, name=f"layer{i}") for i in range(3)]
    trainer = learn.STDP(1.0, -1.0, 20.0, 20.0)
    for i, made in enumerate(layers):
        trainer.register_cell(f"cell{i}", made.cell)
        made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    layers[1].cell.eval()
    layers[2].connection.updater = None
    trainer()
    assert layers[0].updater.weight.pos is not None and layers[1].updater.weight.pos is None
    layers[1].cell.train()
    modulated = learn.MSTDP(1.0, -1.0, 20.0, 20.0)
    for i, made in enumerate(layers[:2]):
        modulated.register_cell(f"cell{i}", made.cell)
        made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    modulated(1.0, cells=["cell1"])
    assert len(layers[0].updater.weight._pos) == 1 and len(layers[1].updater.weight._pos) == 1


def test_iteration_and_units():
    made, trainer, unit = registered(OURS, "STDP", False)
    ((cell, state, monitors),) = trainer
    assert cell is made.cell and state is unit.state and monitors == dict(unit.monitors)
    assert [name for name, _ in trainer.named_cells] == ["cell"] and list(trainer.cells) == [(cell, state)]
    assert trainer.get_cell("cell") == (cell, state)
    assert trainer.get_monitor("cell", "trace_pre") is unit.monitors["trace_pre"] is made.cell.monitors.trace_pre
    trainer.del_monitor("cell", "trace_pre")
    assert trainer.get_monitor("cell", "trace_pre") is None
    trainer.del_cell("cell")
    assert not list(trainer) and list(trainer.state_dict()) == ["_extra_state", "monitor_pool_._extra_state"]
    del unit, monitors
    assert not len(made._forward_hooks)
    trainer.register_cell("cell", made.cell)


def test_a_cell_that_is_gone():
    made, trainer, _ = registered(OURS, "STDP", False)
    del made, _
    assert not list(trainer)
    trainer.eval().train()
    trainer()
    other = layer(OURS)
    trainer.register_cell("cell", other.cell)
    assert len(list(trainer)) == 1


class TestBadInput:
    def test_cells(self):
        made, trainer, _ = registered(OURS, "STDP", False)
        with pytest.raises(ValueError, match="'cell'.*already"):
            trainer.register_cell("cell", made.cell)
        with pytest.raises(TypeError, match="'cell' must be an instance of Cell"):
            trainer.register_cell("other", made)
        with pytest.raises(KeyError):
            trainer.get_unit("other")
        with pytest.raises(AttributeError, match="'other'"):
            trainer.del_cell("other")
        bare = layer(OURS)
        bare.connection.updater = None
        with pytest.raises(RuntimeError, match="not updatable"):
            trainer.register_cell("bare", bare.cell)
        bare.connection.updater = bare.connection.defaultupdater(exclude_weight=True)
        with pytest.raises(RuntimeError, match="'cell' does not contain required parameter 'weight'"):
            trainer.register_cell("bare", bare.cell)
        with pytest.raises(TypeError, match="no hyper-parameter 'lr_poost'"):
            trainer.register_cell("other", layer(OURS).cell, lr_poost=1.0)
        assert [name for name, _ in trainer.named_cells] == ["cell"]

    @pytest.mark.parametrize("name, value, error", [
        ("tc_post", 0.0, ValueError),
        ("lr_post", float("nan"), ValueError),
        ("interp_tolerance", -1.0, ValueError),
        ("trace_mode", 3, TypeError),
        ("batch_reduction", 3, TypeError),
    ])  # fmt: skip
    def test_numbers(self, name, value, error):
        right = dict(lr_post=1.0, lr_pre=1.0, tc_post=1.0, tc_pre=1.0)
        with pytest.raises(error, match=name):
            OURS.learn.STDP(**{**right, name: value})
        trainer = OURS.learn.STDP(**right)
        with pytest.raises(error, match=name):
            trainer.register_cell("cell", layer(OURS).cell, **{name: value})
        assert not list(trainer)

    def test_triplets(self):
        args = dict(lr_post_pair=1.0, lr_post_triplet=1.0, lr_pre_pair=1.0, lr_pre_triplet=1.0)
        times = dict(tc_post_fast=10.0, tc_post_slow=20.0, tc_pre_fast=10.0, tc_pre_slow=20.0)
        for wrong in ({"tc_pre_slow": 10.0}, {"tc_post_slow": 9.0}, {"lr_post_pair": 0.0}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                OURS.learn.TripletSTDP(**{**args, **times, **wrong})
        trainer = OURS.learn.TripletSTDP(**args, **times)
        with pytest.raises(ValueError, match="tc_pre_slow"):
            trainer.register_cell("cell", layer(OURS).cell, tc_pre_fast=30.0)

    def test_before_the_first_step(self):
        made, trainer, _ = registered(OURS, "STDP", False)
        with pytest.raises(RuntimeError, match="nothing has been recorded"):
            trainer()
        assert made.updater.weight.pos is None

    @pytest.mark.parametrize("name", ["MSTDP", "MSTDPET", "DelayAdjustedMSTDP"])
    def test_signals(self, name):
        made, trainer, _ = registered(OURS, name, False)
        made(torch.ones(2, 2, 3), post=torch.ones(2, 4))
        with pytest.raises(ValueError, match=r"'signal' has the shape \(3,\)"):
            trainer(torch.ones(3))
        with pytest.raises(ValueError, match="'signal'"):
            trainer(torch.ones(2, 1))
        with pytest.raises(AttributeError, match="'cells' .'other'"):
            trainer(1.0, cells=["other"])
        assert made.updater.weight.pos is None
