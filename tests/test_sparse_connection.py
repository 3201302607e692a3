"""SparseConnection: where synapses come from, equality with LinearDense, what the rest of the package does with it."""

import copy
import pickle

import pytest
import torch
from connection_cases import DELTA, EXPONENTIAL, Difference, Plain
from states import seeded

import inferno_cuda
from inferno_cuda import learn, load_checkpoint, ops, run, save_checkpoint
from inferno_cuda.neural import (
    LIF,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    LinearDense,
    RecurrentSerial,
    Serial,
    SparseConnection,
)
from inferno_cuda.testing import assert_identical

INPUTS, OUTPUTS = (2, 3), (5,)
MASK = torch.rand(5, 6, generator=seeded(3)) < 0.4
MASK[1] = False  # an output without synapses
MASK[:, 4] = False  # and an input
SYNAPSES = {
    "delta": DELTA,
    "linear": DeltaPlusCurrent.partialconstructor(2.0, interp_mode="linear"),
    "exponential": EXPONENTIAL,
    "double": DoubleExponentialCurrent.partialconstructor(2.0, 5.0, 1.5),
    "plain": Plain.partialconstructor(2.0, 4.0),
    "difference": Difference.partialconstructor(2.0, 4.0),
}


def sparse(connectivity=MASK, *, delay=4.0, seed=0, synapse=EXPONENTIAL, inputs=INPUTS, outputs=OUTPUTS, **options):
    torch.manual_seed(seed)
    spread = None if delay is None else lambda d: 4.6 * torch.rand(d.shape, generator=seeded(seed))
    options = {"bias": True, "batch_size": 2, "weight_init": lambda w: w - 0.3, **options}
    options |= {"synapse": synapse, "delay": delay, "delay_init": spread}
    return SparseConnection(inputs, outputs, 1.0, connectivity, **options)


def dense_like(connection, synapse=EXPONENTIAL):
    """A LinearDense with the same synapses and zeros for those that are absent."""
    matrices = [connection.to_dense().detach()]
    matrices += [] if connection.delay is None else [connection.to_dense(connection.delay.detach())]
    dense = LinearDense(
        connection.inshape,
        connection.outshape,
        connection.dt,
        synapse=synapse,
        bias=connection.biased,
        delay=connection.delayedby,
        batch_size=connection.batchsz,
    ).to(connection.weight)
    for name, value in zip(("weight", "delay"), matrices, strict=False):
        setattr(dense, name, value)
    if connection.biased:
        dense.bias = connection.bias
    return dense


def spikes(connection, steps=9, seed=0):
    return torch.rand(steps, *connection.batched_inshape, generator=seeded(seed)) < 0.3


def of_synapses(connection, matrix):
    """The entries of a matrix ``(..., O, I)`` at the synapses."""
    return matrix[..., connection.target.long(), connection.source.long()]


# -- where synapses come from -----------------------------------------------------------------------------------------

TARGET, SOURCE = MASK.nonzero(as_tuple=True)
VALUES = torch.where(MASK, torch.rand(5, 6, generator=seeded(4)), 0.0)
GIVEN = {
    "pair": (SOURCE, TARGET),
    "lists": [SOURCE.tolist(), TARGET.tolist()],
    "arrays": (SOURCE.int().numpy(), TARGET.numpy()),
    "connectivity": ops.connectivity(SOURCE, TARGET, inputs=6, outputs=5),
    "mask": MASK,
    "dense": VALUES,
    "coo": VALUES.to_sparse_coo(),
    "csr": VALUES.to_sparse_csr,  # to be called, since torch warns of it
    "csc": VALUES.to_sparse_csc,
    "bool coo": MASK.to_sparse_coo(),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("name", GIVEN)
def test_connectivity_from_what_people_have(name):
    given = GIVEN[name]() if callable(GIVEN[name]) else GIVEN[name]
    connection = SparseConnection(INPUTS, OUTPUTS, 1.0, given, synapse=DELTA)
    assert connection.weight.shape == connection.source.shape == SOURCE.shape
    assert torch.equal(connection.source, SOURCE.int()) and torch.equal(connection.target, TARGET.int())
    if name in ("dense", "coo", "csr", "csc"):
        assert torch.equal(connection.to_dense(), VALUES)
    assert torch.equal(connection.to_dense() != 0, MASK)
    assert connection.weight.dtype == torch.float32


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_array", "lil_matrix"])
def test_connectivity_from_scipy(kind):
    sparse_of = getattr(pytest.importorskip("scipy.sparse"), kind)
    connection = SparseConnection(INPUTS, OUTPUTS, 1.0, sparse_of(VALUES.double().numpy()), synapse=DELTA)
    assert torch.equal(connection.to_dense(), VALUES) and connection.weight.dtype == torch.float32
    connection = SparseConnection(INPUTS, OUTPUTS, 1.0, sparse_of(MASK.numpy()), synapse=DELTA)
    assert torch.equal(connection.to_dense() != 0, MASK)
    with pytest.raises(ValueError, match="'connectivity' has the shape"):
        SparseConnection(5, 6, 1.0, sparse_of(VALUES.numpy()), synapse=DELTA)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_compressed_rows():
    matrix = VALUES.to_sparse_csr()
    start, source = matrix.crow_indices(), matrix.col_indices()
    connection = SparseConnection.from_csr(6, 5, 1.0, start.numpy(), source, synapse=DELTA, delay=2.0)
    assert torch.equal(connection.source, SOURCE.int()) and torch.equal(connection.target, TARGET.int())
    for bad in (start + 1, start.flip(0), start[:-1]):
        with pytest.raises(ValueError, match="'start'"):
            SparseConnection.from_csr(6, 5, 1.0, bad, source, synapse=DELTA)
    with pytest.raises(TypeError, match="'start' has the dtype torch.float32"):
        SparseConnection.from_csr(6, 5, 1.0, start.float(), source, synapse=DELTA)


def test_duplicates_are_kept_and_values_follow_the_order():
    source, target = torch.tensor([3, 0, 3, 1]), torch.tensor([1, 1, 1, 0])
    connection = SparseConnection(4, 2, 1.0, (source, target), synapse=DELTA, delay=3.0)
    weight, delay = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([0.0, 0.0, 2.0, 0.0])
    connection.weight, connection.delay = weight[connection.order], delay[connection.order]
    assert connection.order.tolist() == [3, 1, 0, 2]
    assert torch.equal(connection.to_dense(), torch.tensor([[0.0, 8.0, 0.0, 0.0], [2.0, 0.0, 0.0, 5.0]]))
    steps = [connection(torch.full((1, 4), t == 0)) for t in range(4)]
    assert torch.cat(steps).tolist() == [[16.0, 6.0], [0.0, 0.0], [0.0, 8.0], [0.0, 0.0]]
    matrix = torch.sparse_coo_tensor(torch.stack([target, source]), weight, (2, 4), check_invariants=True)
    assert torch.equal(SparseConnection(4, 2, 1.0, matrix, synapse=DELTA).weight, weight[connection.order])


@pytest.mark.parametrize(
    "connectivity, error, match",
    [
        (([0, 6], [0, 0]), ValueError, "source had entries from 0 to 6; they must be within 0 and 5"),
        (([0, 1], [0, 5]), ValueError, "target had entries from 0 to 5"),
        (([0, 1], [0]), ValueError, "source had 2 entries on cpu, target 1"),
        (([0.5], [0]), TypeError, "source was torch.float32; it must have integers"),
        ((["a"], [0]), TypeError, "'source' is list, it must be an array of integers"),
        (torch.ones(6, 5), ValueError, r"the shape \(6, 5\), it must be \(outputs, inputs\), \(5, 6\)"),
        (ops.connectivity(SOURCE, TARGET, inputs=7, outputs=5), ValueError, "from 7 inputs to 5 outputs"),
        (None, TypeError, "'connectivity' is NoneType, it must be a pair"),
        ((1, 2, 3), TypeError, "'connectivity' is tuple"),
    ],
)
def test_bad_connectivity(connectivity, error, match):
    with pytest.raises(error, match=match):
        SparseConnection(INPUTS, OUTPUTS, 1.0, connectivity, synapse=DELTA)


# -- the same as LinearDense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("delay, batch", [(4.0, 1), (4.0, 19), (0.0, 2), (None, 1), (None, 19)])
def test_equals_linear_dense(backend, synapse, delay, batch):
    connection = sparse(synapse=SYNAPSES[synapse], delay=delay, batch_size=batch).double()
    dense = dense_like(connection, SYNAPSES[synapse])
    for x in spikes(connection, 6):
        torch.testing.assert_close(connection(x), dense(x), rtol=1e-12, atol=1e-12)
        for name in ("syncurrent", "synspike"):
            seen, expected = getattr(connection, name), getattr(dense, name)
            expected = expected.transpose(1, 2) if delay else expected.unsqueeze(1).expand(-1, 5, -1)
            torch.testing.assert_close(seen, of_synapses(connection, expected), rtol=0, atol=0)
    expected = dense.selector.transpose(1, 2)
    assert torch.equal(connection.selector, of_synapses(connection, expected))


@pytest.mark.parametrize("synapse", ["delta", "linear", "exponential", "double"])
@pytest.mark.parametrize("delay", [4.0, None])
def test_sequences_equal_steps(backend, synapse, delay):
    stepped, at_once = (sparse(synapse=SYNAPSES[synapse], delay=delay) for _ in range(2))
    x = spikes(stepped)
    expected = torch.stack([stepped(step) for step in x])
    assert at_once._run_sequence(x.clone()) is not None
    again = sparse(synapse=SYNAPSES[synapse], delay=delay)
    assert_identical(run(again, x), expected)
    after = stepped.state_dict()
    for name, value in again.state_dict().items():
        assert not isinstance(value, torch.Tensor) or torch.equal(value, after[name]), name


@pytest.mark.parametrize("learned", [False, True])
def test_gradients_equal_those_of_linear_dense(backend, learned):
    synapse = DeltaPlusCurrent.partialconstructor(2.0, interp_mode="linear")
    connection = sparse(synapse=synapse).double()
    connection.delay = connection.delay.clamp(max=4.0)  # those that learn stay within their range
    dense = dense_like(connection, synapse)
    x = [torch.rand(2, *INPUTS, generator=seeded(k), dtype=torch.float64, requires_grad=True) for k in range(6)]
    found = []
    for one in (connection, dense):
        one.weight.requires_grad_()
        one.bias.requires_grad_()
        one.delay.requires_grad_(learned)
        sum((one(step) ** 2).sum() for step in x).backward()
        params = [one.weight.grad, *([one.delay.grad] if learned else [])]
        found.append((params, one.bias.grad, [step.grad for step in x]))
        for step in x:
            step.grad = None
    for mine, theirs in zip(found[0][0], found[1][0], strict=True):
        torch.testing.assert_close(mine, of_synapses(connection, theirs))
    torch.testing.assert_close(found[0][1:], found[1][1:])


def test_half_types_and_autocast(backend):
    connection = sparse(synapse=DELTA, delay=4.0).to(torch.bfloat16)
    assert connection(spikes(connection)[0]).dtype == torch.bfloat16 and connection.source.dtype == torch.int32
    connection = sparse(delay=None)
    with torch.autocast("cpu", torch.bfloat16):
        assert connection(spikes(connection)[0]).dtype == torch.float32


def test_no_synapses(backend):
    for delay in (None, 3.0):
        connection = sparse((torch.empty(0, dtype=torch.long),) * 2, delay=delay)
        assert torch.equal(connection(spikes(connection)[0]), connection.bias.expand(2, -1))
        assert connection.syncurrent.shape == connection.synspike.shape == (2, 0)
        assert connection.like_input(connection.synspike).shape == (2, *INPUTS)


# -- shapes -----------------------------------------------------------------------------------------------------------


def test_receptive_shapes():
    connection = sparse()
    synapses = len(connection.source)
    post = torch.rand(2, *OUTPUTS)
    seen = connection.postsyn_receptive(post)
    assert seen.shape == (2, synapses, 1) and torch.equal(seen[..., 0], post[:, TARGET])
    data = torch.rand(2, synapses)
    assert torch.equal(connection.presyn_receptive(data)[..., 0], data)
    back = connection.like_bias(seen[0, :, 0])
    torch.testing.assert_close(back, torch.where(MASK.any(1), post[0], 0.0))
    inputs = torch.rand(2, *INPUTS)
    again = connection.like_input(connection.like_synaptic(inputs)[:, SOURCE])
    torch.testing.assert_close(again, torch.where(MASK.any(0), inputs.flatten(1), 0.0).view_as(inputs))
    fired = connection.like_input(torch.ones(2, synapses, dtype=torch.bool))
    assert fired.dtype == torch.bool and torch.equal(fired[0].flatten(), MASK.any(0))
    with pytest.raises(ValueError, match="'values' has the shape"):
        connection.to_dense(torch.zeros(3))


# -- in networks ------------------------------------------------------------------------------------------------------


def neurons(shape=OUTPUTS):
    return LIF(shape, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-59.5, refrac_t=2.0, time_constant=10.0,
               resistance=1.0, batch_size=2)  # fmt: skip


def layer(make, seed=0):
    connection = make(seed)
    return Serial(connection, neurons())


STRONG = {"weight_init": lambda w: 3 * w, "synapse": EXPONENTIAL}
RULES = {
    "stdp": lambda: learn.STDP(lr_post=1e-2, lr_pre=-1e-2, tc_post=20.0, tc_pre=15.0),
    "stdp delayed": lambda: learn.STDP(lr_post=1e-2, lr_pre=-1e-2, tc_post=20.0, tc_pre=15.0, delayed=True),
    "triplet": lambda: learn.TripletSTDP(
        lr_post_pair=1e-2, lr_post_triplet=1e-2, lr_pre_pair=-1e-2, lr_pre_triplet=-1e-2, tc_post_fast=10.0,
        tc_post_slow=30.0, tc_pre_fast=10.0, tc_pre_slow=30.0,
    ),
    "adjusted": lambda: learn.DelayAdjustedSTDP(lr_neg=-1e-2, lr_pos=1e-2, tc_neg=15.0, tc_pos=20.0),
    "eligibility": lambda: learn.MSTDPET(lr_post=1e-2, lr_pre=-1e-2, tc_post=20.0, tc_pre=15.0, tc_eligibility=30.0),
    "delays": lambda: learn.DelayAdjustedSTDPD(lr_neg=-1e-2, lr_pos=1e-2, tc_neg=15.0, tc_pos=20.0),
    "homeostasis": lambda: learn.LinearHomeostasis(plasticity=1e-2, target=0.1, param="bias"),
}  # fmt: skip
DELAYED = {"adjusted", "delays"}


# rules that adjust to delays, or learn them, take only connections with delays
@pytest.mark.parametrize("delay, rule", [(4.0, r) for r in RULES] + [(None, r) for r in RULES if r not in DELAYED])
def test_learning_rules_change_what_they_change_of_linear_dense(rule, delay):
    connection = sparse(delay=delay, **STRONG)
    both = [connection, dense_like(connection)]
    for one in both:
        one.updater = one.defaultupdater()
        net, trainer = Serial(one, neurons()), RULES[rule]()
        trainer.register_cell("cell", net.cell)
        for x in spikes(one, 25):
            net(x)
            trainer(1.0) if rule == "eligibility" else trainer()
            one.update()
            if one is not connection:
                one.weight = torch.where(MASK, one.weight, 0.0)  # what is absent stays so
    assert torch.equal(both[0].to_dense() != 0, MASK)
    torch.testing.assert_close(connection.weight, of_synapses(connection, both[1].weight), rtol=1e-5, atol=1e-6)
    has = MASK.any(1)
    torch.testing.assert_close(connection.bias[has], both[1].bias[has], rtol=1e-5, atol=1e-6)
    fresh = sparse(delay=delay, **STRONG)
    changed = {"homeostasis": "bias", "delays": "delay"}.get(rule, "weight")
    if changed == "delay":
        expected = of_synapses(connection, both[1].delay)
        torch.testing.assert_close(connection.delay, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(getattr(connection, changed), getattr(fresh, changed))


def test_explains_why_no_kernels_make_the_terms(native):
    connection = sparse(**STRONG)
    connection.updater = connection.defaultupdater()
    trainer = RULES["stdp"]()
    net = Serial(connection, neurons())
    trainer.register_cell("cell", net.cell)
    assert "no kernels for learning rules on a SparseConnection" in str(trainer.explain())


def test_recurrent_layer(backend):
    around = torch.rand(5, 5, generator=seeded(5)) < 0.5
    outputs = []
    for dense in (False, True):
        parts = [
            sparse(**STRONG),
            sparse(around, inputs=5, delay=3.0, seed=1, **STRONG),
            sparse(around.t(), inputs=5, delay=2.0, seed=2, **STRONG),
        ]
        parts = list(map(dense_like, parts)) if dense else parts
        net = RecurrentSerial(*parts, neurons(), neurons())
        outputs.append(run(net, spikes(parts[0], 20)))
    first, second = (torch.stack(out) if isinstance(out, tuple) else out for out in outputs)
    assert torch.equal(first, second) and first.any() and not first.all()


def test_copies_and_devices(device):
    connection = sparse().to(device)
    twin = copy.deepcopy(connection)
    x = spikes(connection, 3).to(device)
    for step in x:
        assert_identical(connection(step), twin(step))
    for tensor in connection.connectivity[:-1]:
        assert tensor.device == connection.weight.device


# -- files ------------------------------------------------------------------------------------------------------------


def another():
    """As many synapses as the usual connection has, elsewhere."""
    chosen = torch.randperm(30, generator=seeded(8))[: len(SOURCE)]
    return sparse((chosen % 6, chosen // 6), seed=5)


def test_state_dict_brings_its_connectivity(backend):
    saved, other = sparse(), another()
    before = [saved(x) for x in spikes(saved)]
    assert len(before) and not torch.equal(saved.source, other.source)
    other.load_state_dict(saved.state_dict())
    for x in spikes(saved, seed=1):
        assert_identical(other(x), saved(x))
    x = torch.rand(2, *INPUTS, requires_grad=True)
    for one in (saved, other):
        one.weight.requires_grad_()
        one(x.detach() > 0.5).sum().backward()
    assert_identical(saved.weight.grad, other.weight.grad)
    assert_identical(torch.as_tensor(saved.connectivity.degree), torch.as_tensor(other.connectivity.degree))


def test_state_dict_of_other_sizes_or_of_no_list_is_refused():
    connection = sparse()
    state = connection.state_dict()
    small = sparse((SOURCE[1:], TARGET[1:]))
    with pytest.raises(RuntimeError, match="size mismatch for weight_"):
        small.load_state_dict(state)
    for name, entry in (("source_", 6), ("target_", -1), ("target_", 4)):
        bad = {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in state.items()}
        bad[name][0] = entry
        with pytest.raises(RuntimeError, match="no synapses from 6 inputs to 5 outputs"):
            connection.load_state_dict(bad)


def test_checkpoints_resume(tmp_path):
    net = Serial(sparse(**STRONG), neurons())
    x = spikes(net.connection, 12)
    run(net, x[:5])
    save_checkpoint(tmp_path / "net", net)
    expected = run(net, x[5:])
    torch.manual_seed(9)
    fresh = Serial(another(), neurons())
    load_checkpoint(tmp_path / "net", fresh)
    assert torch.equal(run(fresh, x[5:]), expected)


def test_pickles_and_prints():
    connection = pickle.loads(pickle.dumps(sparse()))
    x = spikes(connection)[0]
    assert_identical(connection(x), sparse()(x))
    assert f"synapses={len(SOURCE)}" in repr(connection)
    for one, op in ((connection, "delayed_sparse"), (sparse(delay=None), "sparse_sum")):
        assert op in [row.op for row in inferno_cuda.explain(one)]
