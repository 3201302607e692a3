"""A layer's parts are looked up once: whatever changes afterwards is noticed before the next step."""

import copy

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import inferno_cuda
from inferno_cuda.adapters import _inferno_programs as programs

theirs = pytest.importorskip("inferno.neural")

B = 3
LINEAR = {"rest_v": -60.0, "refrac_t": 2.0, "resistance": 1.0}
NEURONS = {
    "LIF": LINEAR | {"reset_v": -65.0, "thresh_v": -50.0, "time_constant": 20.0},
    "ALIF": LINEAR
    | {"reset_v": -65.0, "thresh_eq_v": -50.0, "tc_membrane": 20.0, "tc_adaptation": 90.0, "spike_increment": 1.0},
    "AdEx": LINEAR
    | {"rheobase_v": -52.0, "sharpness": 2.0, "reset_v": -68.0, "thresh_v": -45.0, "tc_membrane": 20.0}
    | {"tc_adaptation": 100.0, "voltage_coupling": 0.2, "spike_increment": 1.0},
}
SHAPES = {"LinearDense": (6, 5), "LinearLateral": (5,), "LinearDirect": (5,)}


def layer(neuron="LIF", connection="LinearDense", bias=False, synapse="DeltaCurrent", arguments=(90.0,), **options):
    random = torch.Generator().manual_seed(0)

    def drawn(like):
        return torch.rand(like.shape, generator=random)

    conn = getattr(theirs, connection)(
        *SHAPES[connection],
        1.0,
        synapse=getattr(theirs, synapse).partialconstructor(*arguments, **options.pop("synapse_options", {})),
        batch_size=B,
        bias=bias,
        weight_init=drawn,
        bias_init=drawn,
        **options,
    )
    return theirs.Serial(conn, getattr(theirs, neuron)(5, 1.0, batch_size=B, **NEURONS[neuron]))


def inputs(steps, made):
    shape = made.connection.inshape
    return torch.rand(steps, B, *shape, generator=torch.Generator().manual_seed(1)) < 0.5


def same_state(made, expected):
    """Equal, but for the mean of adaptations over the samples, whose sums torch and our op add up in other orders."""
    rounding = {"rtol": 0.0, "atol": 1e-5 if hasattr(expected.neuron, "adapt_increment") else 0.0}
    state, wanted = made.state_dict(), expected.state_dict()
    assert list(state) == list(wanted)
    for key, value in wanted.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(state[key], value, **rounding, msg=lambda m, key=key: f"{key} {m}")
        else:
            assert state[key] == value, key


def check(change=None, steps=12, give=lambda x: x, alive=True, **options):
    """The same steps of an accelerated layer and the library's, both changed in the middle."""
    made, expected = layer(**options), layer(**options)
    inferno_cuda.accelerate(made)
    spikes = []
    for k, x in enumerate(inputs(2 * steps, made)):
        if k == steps and change is not None:
            change(made), change(expected)
        results = made(give(x), capture_intermediate=True), expected(give(x), capture_intermediate=True)
        for given, wanted in zip(*results, strict=True):
            assert given.dtype == wanted.dtype and given.shape == wanted.shape and torch.equal(given, wanted)
        spikes.append(results[1][0])
    same_state(made, expected)
    assert any(spike.any() for spike in spikes) == alive
    return made


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("connection", SHAPES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("trains", [True, False])
def test_steps_are_equal(neuron, connection, bias, trains):
    made = check(lambda each: each.train(trains), neuron=neuron, connection=connection, bias=bias)
    kept = [vars(module)["_fused_program"] for module in (made.connection, made.neuron)]
    assert not any(type(program) is programs.Program for program in kept)


CHANGES = {
    "threshold": lambda each: setattr(each.neuron, "thresh_v", -55.0),
    "time constant": lambda each: setattr(each.neuron, "time_constant", 5.0),
    "resistance is a tensor": lambda each: setattr(each.neuron, "resistance", torch.full((5,), 2.0)),
    "step time of neurons": lambda each: setattr(each.neuron, "dt", 0.5),
    "step time of the synapse": lambda each: setattr(each.connection, "dt", 0.5),
    "charge": lambda each: setattr(each.synapse, "spike_charge", 30.0),
    "in place": lambda each: setattr(each.synapse, "inplace", True),
    "weight": lambda each: setattr(each.connection, "weight", torch.rand(5, 6, generator=torch.Generator())),
    "voltage": lambda each: setattr(each.neuron, "voltage", torch.full((B, 5), -52.0)),
    "voltage of one sample": lambda each: setattr(each.neuron, "voltage", torch.full((1, 5), -52.0)),
    "refractory time": lambda each: setattr(each.neuron, "refrac", torch.full((B, 5), 1.5)),
    "no refractory period": lambda each: setattr(each.neuron, "refrac_t", 0.0),
    "cleared": lambda each: (each.connection.clear(), each.neuron.clear()),
    "delay": lambda each: setattr(each.synapse, "delay", 2.0),
    "double": lambda each: each.to(torch.float64),
    "loaded": lambda each: each.load_state_dict(each.state_dict()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_are_noticed(change):
    check(change)


def test_a_changed_adaptation_is_noticed():
    def change(each):
        each.neuron.threshold_adaptation = torch.full((5, 1), -3.0)
        each.neuron.adapt_increment.fill_(4.0)

    check(change, neuron="ALIF")


def test_a_change_of_the_batch_is_noticed():
    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    for size in (B, 5, 2):
        for each in (made, expected):
            each.connection.batchsz = each.neuron.batchsz = size
        for x in inputs(5, made).repeat(1, 2, 1)[:, :size]:
            assert torch.equal(made(x), expected(x))
    same_state(made, expected)


GIVEN = {
    "float": lambda x: x.float(),
    "graded": lambda x: 0.3 * x.float(),
    "double": lambda x: x.double(),
    "not contiguous": lambda x: x.t().contiguous().t(),
    "expanded": lambda x: x[:, :1].expand(-1, 6),
}


@pytest.mark.parametrize("give", GIVEN.values(), ids=GIVEN)
def test_inputs_of_any_kind(give):
    check(give=give)


OTHERS = {
    "plus": {"synapse": "DeltaPlusCurrent"},
    "exponential": {"synapse": "SingleExponentialCurrent", "arguments": (90.0, 5.0)},
    "delay of 0": {"delay": 0.0},
    "delay": {"delay": 3.0},
    "in place": {"synapse_options": {"inplace": True}},
}


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
def test_other_synapses_run_as_modules(options):
    made = check(**options)
    assert type(vars(made.connection)["_fused_program"]) is programs.Program


def test_hooks_fire_as_soon_as_there_are_any():
    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    fired = [[], []]
    for k, x in enumerate(inputs(12, made)):
        if k in (3, 6, 9):
            part = {3: "connection", 6: "synapse", 9: "neuron"}[k]
            for each, log in zip((made, expected), fired, strict=True):
                getattr(each, part).register_forward_hook(lambda m, i, o, log=log, part=part: log.append((part, o)))
        assert torch.equal(made(x), expected(x))
    assert [part for part, _ in fired[0]] == [part for part, _ in fired[1]]
    assert {part for part, _ in fired[0]} == {"connection", "synapse", "neuron"}
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(*fired, strict=True))


def test_hooks_of_all_modules_fire():
    made = layer()
    inferno_cuda.accelerate(made)
    x = inputs(1, made)[0]
    made(x)
    seen = []
    with torch.nn.modules.module.register_module_forward_hook(lambda module, i, o: seen.append(module)):
        made(x)
    assert seen == [made.synapse, made.connection, made.neuron, made]


def test_another_synapse_is_noticed():
    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    xs = inputs(8, made)
    for each in (made, expected):
        each(xs[0])
        other = theirs.SingleExponentialCurrent((6,), 1.0, spike_charge=90.0, time_constant=5.0, batch_size=B)
        each.connection._modules["synapse_"] = other
    for x in xs:
        assert torch.equal(made(x), expected(x))
    same_state(made, expected)


@pytest.mark.parametrize("part", ["connection", "synapse", "neuron"])
def test_a_part_that_is_reverted_runs_the_librarys_code(part, monkeypatch):
    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    xs = inputs(8, made)
    made(xs[0]), expected(xs[0])
    inferno_cuda.revert(getattr(made, part))
    cls, called = type(getattr(expected, part)), []
    original = cls.forward
    monkeypatch.setattr(cls, "forward", lambda self, *x, **kwargs: called.append(self) or original(self, *x, **kwargs))
    for x in xs[1:]:
        assert torch.equal(made(x), expected(x))
    assert called.count(getattr(made, part)) == 7
    same_state(made, expected)


def test_a_part_that_is_accelerated_later_gets_its_program():
    made = layer()
    inferno_cuda.accelerate(made, filter_fn=lambda module, fqn: isinstance(module, theirs.Serial))
    x = inputs(1, made)[0]
    made(x)
    # nothing is kept on modules of the library's own classes
    assert not any(name.startswith("_fused_") for part in made.modules() for name in vars(part) if part is not made)
    inferno_cuda.accelerate(made)
    made(x)
    assert type(vars(made.neuron)["_fused_program"]) is not programs.Program


def test_gradients_flow_as_before():
    gradients = []
    for accelerates in (False, True):
        made = layer()
        if accelerates:
            inferno_cuda.accelerate(made)
        weight = made.connection.weight.requires_grad_()
        for x in inputs(3, made):
            made(x)
        made.neuron.voltage.sum().backward()
        gradients.append(weight.grad)
    assert torch.equal(*gradients) and gradients[0].any()


@pytest.mark.parametrize("shape", [(B, 7), (B + 1, 6), (6,)])
def test_inputs_of_a_wrong_shape_raise_as_before_and_change_nothing(shape):
    errors = []
    for accelerates in (False, True):
        made = layer()
        if accelerates:
            inferno_cuda.accelerate(made)
            made(inputs(1, made)[0])
        with pytest.raises(Exception) as error:
            made(torch.ones(shape, dtype=torch.bool))
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


def test_results_and_state_are_not_written_to_later():
    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    kept = []
    for x in inputs(10, made):
        spikes, currents = made(x, capture_intermediate=True)
        state = [made.neuron.voltage, made.neuron.refrac, made.synapse.spike, made.synapse.current]
        kept.append([spikes, currents, *state])
    copies = [[tensor.clone() for tensor in each] for each in kept[:-1]]
    made(inputs(1, made)[0])
    for x, held, copied in zip(inputs(10, made)[:9], kept, copies, strict=False):
        assert all(torch.equal(one, other) for one, other in zip(held, copied, strict=True))
        assert torch.equal(held[0], expected(x))


def test_d17_a_copy_shares_its_state_with_the_original_as_before():
    voltages = []
    for accelerates in (False, True):
        neuron = layer().neuron
        made = theirs.Serial(layer().connection, neuron)
        if accelerates:
            inferno_cuda.accelerate(made)
        xs = inputs(4, made)
        made(xs[0])
        copied = theirs.Serial(made.connection, copy.deepcopy(neuron))
        if accelerates:
            inferno_cuda.accelerate(copied)
        for x in xs[1:]:
            copied(x)
        voltages.append(neuron.voltage)
    assert torch.equal(*voltages)


def test_reverting_removes_the_programs():
    made = layer()
    inferno_cuda.accelerate(made)
    made(inputs(1, made)[0])
    inferno_cuda.revert(made)
    assert not [name for module in made.modules() for name in vars(module) if name.startswith("_fused_")]


@pytest.mark.parametrize("neuron", ["LIF", "ALIF"])
@pytest.mark.parametrize("first", range(4))
def test_in_and_out_of_inference_mode(neuron, first):
    modes = torch.inference_mode, torch.enable_grad, torch.inference_mode, torch.no_grad
    made, expected = layer(neuron), layer(neuron)
    inferno_cuda.accelerate(made)
    for k, x in enumerate(inputs(24, made)):
        with modes[(first + k // 3) % 4]():
            given, wanted = made(x), expected(x)
        assert torch.equal(given, wanted)
    same_state(made, expected)


def test_a_program_that_is_made_on_fake_tensors_is_made_again():
    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert programs.step(made.connection, mode.from_tensor(inputs(1, made)[0])).shape == (B, 5)
    first = vars(made.connection)["_fused_program"]
    made.synapse.spike_.value = torch.zeros(1, B, 6, dtype=torch.bool)
    for x in inputs(6, made):
        assert torch.equal(made(x), expected(x))
    assert vars(made.connection)["_fused_program"] is not first
    same_state(made, expected)


def stored(owner, name, put):
    """An attribute of numbers that becomes a tensor of the module."""
    number = getattr(owner, name)
    delattr(owner, name)
    put(owner, name, torch.tensor(float(number)))


def as_parameter(owner, name, value):
    setattr(owner, name, torch.nn.Parameter(value, requires_grad=False))


KINDS = {"parameter": as_parameter, "buffer": lambda owner, name, value: owner.register_buffer(name, value)}


@pytest.mark.parametrize("put", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("number", ["neuron thresh_v", "neuron resistance", "synapse spike_charge"])
def test_a_number_that_becomes_a_tensor_of_the_module_is_noticed(put, number):
    part, name = number.split()
    check(lambda each: stored(getattr(each, part), name, put))


def with_property(cls, name, value):
    ignored = property(lambda self: value, lambda self, given: None)
    return type(f"Own{cls.__name__}", (cls,), {name: ignored})


@pytest.mark.parametrize("kept", [False, True])
def test_a_number_that_is_a_property(kept):
    made, expected = layer(), layer()
    for each in (made, expected):
        for part, name, value in ((each.neuron, "thresh_v", -56.0), (each.synapse, "spike_charge", 120.0)):
            part.__class__ = with_property(type(part), name, value)
            if not kept:
                del vars(part)[name]
    inferno_cuda.accelerate(made, strict=True)
    spiked = 0
    for x in inputs(12, made):
        spikes = expected(x)
        spiked += int(spikes.sum())
        assert torch.equal(made(x), spikes)
    same_state(made, expected)
    assert spiked
    kept = [vars(module)["_fused_program"] for module in (made.connection, made.neuron)]
    assert all(type(program) is programs.Program for program in kept)


def test_a_weight_that_becomes_a_buffer_is_noticed():
    def change(each):
        weight = each.connection.weight_.detach()
        del each.connection.weight_
        each.connection.register_buffer("weight_", weight)

    made, expected = layer(), layer()
    inferno_cuda.accelerate(made)
    for k, x in enumerate(inputs(8, made)):
        if k == 4:
            change(made), change(expected)
        assert torch.equal(made(x), expected(x))
