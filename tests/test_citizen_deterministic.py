"""The same bits in every run, for any number of threads, also where deterministic algorithms are demanded."""

import ast
from pathlib import Path

import pytest
import torch
from citizen_cases import BATCH, assert_all_learn, assert_close, currents, dense, lif, network, spikes, train_step

import inferno_cuda


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def wide():
    """Enough work for several threads."""
    return torch.nn.Sequential(dense(200, 150, scale=3.0), lif(150), dense(150, 120, scale=3.0, seed=2), lif(120))


@pytest.mark.parametrize("name", ["small", "wide"])
def test_any_number_of_threads(backend, deterministic, threads, name):
    if name == "wide" and backend == "torch":
        make, x = lambda: torch.nn.Sequential(dense(20, 15, scale=30.0), lif(15)), spikes(8, inputs=20)
    else:
        make, x = (network, spikes(12)) if name == "small" else (wide, spikes(40, inputs=200))
    found = []
    for count in (1, 2, 3, 1):
        threads(count)
        found.append(train_step(make(), x))
    assert_all_learn(found[0])
    for other in found[1:]:
        assert_close(other, found[0], rtol=0, atol=0)


def test_parameters_of_neurons(backend, deterministic, threads):
    found = []
    for count in (1, 2):
        threads(count)
        cells = lif(60)
        cells.time_constant = torch.nn.Parameter(torch.tensor(20.0))
        cells.thresh_v = torch.nn.Parameter(torch.full((60,), -50.0))
        found.append(train_step(cells, currents(30, BATCH, 60)))
    assert_all_learn(found[0])
    assert_close(*found, rtol=0, atol=0)


def test_steps_of_every_part_are_allowed(backend, deterministic, device):
    module = network().to(device)
    out = torch.stack([module(row) for row in spikes(6).to(device)])
    out.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


# torch functions that add in an order of their own on CUDA, by the name of the method
UNORDERED = {"index_add", "index_add_", "scatter_add", "scatter_add_", "index_put", "index_put_", "put_", "bincount",
             "scatter_reduce", "scatter_reduce_", "histc", "grid_sample"}  # fmt: skip

# Sums that have no order: of integers, of multiples of a quantum, which are exact, and numpy's.
EXACT = {
    *("connectivity.py: bincount", "rows.py: index_add_", "simulate.py: index_put_", "sparse.py: bincount"),
    "statistics.py: bincount",
}
# Averages of a SparseConnection's synapses (like_bias, like_input) and its dense matrix: ordered on CUDA only under
# torch.use_deterministic_algorithms.
TORCHS = {"sparse.py: index_add", "sparse.py: index_put"}


def test_no_unordered_sum_in_the_package():
    found = set()
    for path in Path(inferno_cuda.__file__).parent.rglob("*.py"):
        if "adapters" in path.parts or "cli" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Attribute)
            # reducers have a method of the name of torch's function
            owner = ast.unparse(node.value).split(".")[-1] if named else ""
            resampled = named and node.attr == "interpolate" and owner in ("F", "functional")
            if named and (node.attr in UNORDERED or resampled):
                found.add(f"{path.name}: {node.attr}")
    assert found == EXACT | TORCHS
