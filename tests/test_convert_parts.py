"""What makes a module comes along when it is converted: options, generators, updaters, odd state, names."""

import functools

import pytest
import torch
from checkpoint_cases import ENCODERS, SYNAPSES, connection, inputs, neuron, recurrent, run, synapse
from convert_checks import assert_same_outputs
from states import seeded

import inferno_cuda as ours
from inferno_cuda import ConversionError, from_inferno, to_inferno

theirs = pytest.importorskip("inferno")
pytest.importorskip("inferno.neural")
pytest.importorskip("inferno.extra")

BOTH = ((theirs, from_inferno), (ours, to_inferno))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_take_their_generators_along(name):
    options = [{}] if name != "HomogeneousPoissonEncoder" else [{}, {"refrac": 1.0}, {"compensate": False}]
    for given in options:
        start = getattr(theirs.neural, name)(20, 1.0, 80.0, generator=seeded(2), **given)
        rates = torch.rand(4, 3, generator=seeded())
        start(rates)
        new = from_inferno(torch.nn.ModuleList([start, start]))
        assert new[0] is new[1] and new[0].generator is not start.generator
        back = to_inferno(new)[0]
        drawn = start(rates)[:-1]
        # the copies have generators of their own
        assert torch.equal(new[0](rates)[:-1], drawn) and torch.equal(back(rates)[:-1], drawn) and drawn.any()
        if given or name == "HomogeneousPoissonEncoder":
            new[0].dt = back.dt = start.dt = 0.5
            assert new[0].refrac == back.refrac == start.refrac and new[0].compensated == start.compensated


def test_one_generator_stays_one():
    gen = seeded(5)
    pair = torch.nn.ModuleList([ours.neural.PoissonIntervalEncoder(4, 1.0, 50.0, generator=gen) for _ in range(2)])
    new = to_inferno(pair)
    assert new[0].generator is new[1].generator is not gen
    encoder = to_inferno(ours.neural.PoissonIntervalEncoder(4, 1.0, 50.0))
    assert encoder.generator is None


def bounded(param, update, limit, power):
    return (limit - param).abs() ** power * update


def test_updaters_with_bounds_and_pending_updates():
    for package, convert in BOTH:
        F = package.functional
        conn = connection(package, "LinearDense")
        conn.updater.weight.upperbound(bounded, 2.0, power=2.0)
        conn.updater.weight.lowerbound(F.bound_lower_multiplicative, -1.0)
        conn.updater.bias.fullbound(F.bound_multiplicative, 3.0, -2.0)
        conn.updater.delay.reduction(torch.mean)
        new = convert(conn)
        for module in (conn, new):
            up = module.updater
            up.weight = (torch.full((4, 6), 0.5), torch.full((4, 6), 0.25))
            up.bias = (torch.full((4,), 0.5), torch.full((4,), 0.25))
            for value in (0.5, 0.25):
                up.delay = torch.full((4, 6), value)
            module.update()
        for mine, other in zip(new.parameters(), conn.parameters(), strict=True):
            assert torch.allclose(mine, other)


def test_pending_updates_come_along():
    for package, convert in BOTH:
        conn = connection(package, "LinearDense")
        for value in (0.5, 0.25):
            conn.updater.weight = (torch.full((4, 6), value), torch.full((4, 6), value / 2))
        new = convert(conn)
        assert len(new.updater.weight._pos) == len(new.updater.weight._neg) == 2
        for module in (conn, new):
            module.update()
        assert torch.allclose(new.weight, conn.weight)
        assert len(convert(connection(package, "LinearDense")).updater.weight._pos) == 0


def test_dtypes_and_tensors_as_parameters():
    for package, convert in BOTH:
        conn = connection(package, "Conv2D").double()
        new = convert(conn)
        assert all(b.dtype == torch.float64 for b in new.parameters())
        assert new.synapse.current_.value.dtype == torch.float64 and new.synapse.spike_.value.dtype == torch.bool
        lif = neuron(package, "LIF")
        lif.thresh_v = torch.tensor([-50.0, -49.0, -48.0, -47.0])
        lif.rest_v = -70.0
        new = convert(lif)
        assert torch.equal(new.thresh_v, lif.thresh_v) and new.thresh_v is not lif.thresh_v and new.rest_v == -70.0
        steps = list(inputs(lif, 20))
        assert_same_outputs(run(new, steps), run(lif, steps))


def test_functions_of_the_package_become_those_of_the_other():
    for package, convert, other in ((theirs, from_inferno, ours), (ours, to_inferno, theirs)):
        new = convert(neuron(package, "ALIF", batch_reduction=package.functional.nanmean))
        assert other.functional.nanmean in vars(new).values()
        new = convert(neuron(package, "AdEx", batch_reduction=torch.sum))
        assert torch.sum in vars(new).values()


def test_devices(device):
    for package, convert in BOTH:
        layer = recurrent(package).to(device)
        steps = [(x.to(device),) for (x,) in inputs(layer, 20)]
        run(layer, steps[:7])
        new = convert(layer)
        assert {t.device.type for t in (*new.buffers(), *new.parameters())} == {device}
        assert_same_outputs(run(new, steps[7:]), run(layer, steps[7:]))


@pytest.mark.parametrize("name", SYNAPSES)
def test_options_of_synapses(name):
    mode = "interp_mode" if name.startswith("Delta") else "spike_interp_mode"
    given = {mode: "nearest", "interp_tol": 0.25, "current_overbound": None, "spike_overbound": True, "inplace": True}
    made = getattr(ours.neural, name).partialconstructor(*_args(name), **given)(3, 0.5, 2.0, 1)
    there = to_inferno(made)
    assert there.inplace and there.dt == 0.5 and there.delay == 2.0
    back = from_inferno(there)
    for x in torch.rand(7, 1, 3, generator=seeded()) < 0.5:
        assert torch.equal(back(x), made(x))
    for delays in (torch.full((1, 3), 0.2), torch.full((1, 3), 1.3), torch.full((1, 3), 9.0)):
        assert torch.equal(back.current_at(delays), made.current_at(delays))
        assert torch.equal(back.spike_at(delays), made.spike_at(delays))


def _args(name):
    return {"DoubleExponentialCurrent": (2.0, 4.0, 1.5), "SingleExponentialCurrent": (2.0, 4.0)}.get(name, (2.0,))


def test_d27_histories_of_another_length_keep_the_newest():
    make = synapse(theirs, "SingleExponentialCurrent")
    start = make(3, 0.3, 2.1, 2)
    for x in torch.rand(13, 2, 3, generator=seeded()):
        start(x)
    new = from_inferno(start)
    assert start.current_.recordsz == new.current_.recordsz + 1
    for k in range(1, new.current_.recordsz + 1):
        assert torch.equal(new.current_.read(k), start.current_.read(k))
    back = to_inferno(new)
    for k in range(1, new.current_.recordsz + 1):
        assert torch.equal(back.current_.read(k), start.current_.read(k))
    assert not back.current_.read(back.current_.recordsz).any()


def test_d21_state_with_an_axis_in_front():
    parts = [("a", connection(theirs, "LinearDense", "DeltaCurrent"))]
    start = theirs.neural.Biclique(parts, [("n", neuron(theirs, "LIF"))], "sum")
    steps = list(inputs(parts[0][1], 9))
    for x in steps[:5]:
        start({"a": x})
    assert start.neurons.n.voltage.shape == (1, 2, 4)
    new = from_inferno(start)
    assert new.neurons.n.voltage.shape == (2, 4)
    for x in steps[5:]:
        assert torch.equal(new({"a": x})["n"], start({"a": x})["n"][0])
    assert to_inferno(new)._combine is not None


def test_names_and_transforms_of_layers():
    layer = ours.neural.RecurrentSerial(
        *(connection(ours, "LinearDirect", "DeltaCurrent", seed=i) for i in range(3)),
        neuron(ours, "LIF"), neuron(ours, "LIF"), feedfwd_connection_name="in", lateral_connection_name="across",
        feedback_neuron_name="back", lateral_in_transform=lambda s: (s.float(),), lateral_out_transform=torch.nn.ReLU(),
    )  # fmt: skip
    there = to_inferno(layer)
    assert list(there.connections_) == ["in", "across", "feedback"] and list(there.neurons_) == ["feedfwd", "back"]
    assert list(there.cells_) == ["in"] and there.feedback_spikes is None
    back = from_inferno(there)
    steps = [(torch.rand(2, 4, generator=seeded(i)) < 0.5,) for i in range(20)]
    assert_same_outputs(run(back, steps), run(layer, steps))
    assert to_inferno(recurrent(ours)).cells_.keys() == recurrent(theirs).cells_.keys()


def test_plain_modules_and_modules_that_are_converted_already():
    linear = torch.nn.Linear(2, 2)
    for convert in (from_inferno, to_inferno):
        new = convert(linear)
        assert new is not linear and torch.equal(new.weight, linear.weight)
    assert type(from_inferno(neuron(ours, "LIF"))) is ours.neural.LIF
    with pytest.raises(TypeError, match="'model'"):
        from_inferno([neuron(theirs, "LIF")])


def accelerated(module):
    """What `accelerate` does to the class of a module."""
    cls = type(module)
    module.__class__ = type(f"Accelerated{cls.__name__}", (cls,), {"__module__": cls.__module__, "_accelerates": cls})
    module.__dict__["_fused_cache"] = object()
    return module


def test_accelerated_modules_are_seen_through():
    new = from_inferno(accelerated(neuron(theirs, "LIF")))
    assert type(new) is ours.neural.LIF and not hasattr(new, "_fused_cache")
    mine = neuron(theirs, "LIF")
    mine.__class__ = type("Mine", (theirs.neural.LIF,), {"__module__": __name__})
    with pytest.raises(ConversionError, match="Mine is a class of the user"):
        from_inferno(accelerated(mine))


def test_submodules_of_the_user_come_along():
    for package, convert, other in ((theirs, from_inferno, ours), (ours, to_inferno, theirs)):
        conn = connection(package, "LinearDense")
        conn.norm = torch.nn.LayerNorm(2)
        conn._hidden = conn.norm
        conn.inner = torch.nn.ModuleDict({"lif": neuron(package, "LIF"), "again": conn.norm})
        conn.lif = conn.inner["lif"]
        new = convert(conn)
        assert set(new.state_dict()) == set(conn.state_dict())
        assert new.norm is new._hidden is new.inner["again"] is not conn.norm
        assert new.lif is new.inner["lif"] and type(new.lif) is other.neural.LIF
        lif = neuron(package, "LIF")
        lif.probe = torch.nn.Linear(2, 2)
        assert torch.equal(convert(lif).probe.weight, lif.probe.weight)


def test_gradients_come_along():
    for package, convert in BOTH:
        model = torch.nn.ModuleDict({"conn": connection(package, "LinearDense"), "plain": torch.nn.Linear(2, 2)})
        for param in model.parameters():
            param.grad = torch.rand(param.shape)
        model["conn"].bias.grad = None
        new = convert(model)
        assert new["conn"].bias.grad is None
        for name, param in new.named_parameters():
            grad = model.get_parameter(name).grad
            assert param.grad is grad is None or (torch.equal(param.grad, grad) and param.grad is not grad), name


def test_methods_of_other_modules_come_along():
    model = torch.nn.ModuleDict({"lif": neuron(ours, "LIF"), "plain": torch.nn.Linear(2, 2)})
    model.call = functools.partial(model["plain"].forward)
    new = to_inferno(model)
    assert new.call.func.__self__ is new["plain"]
