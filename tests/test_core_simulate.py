"""The engines of large sparse networks on numpy arrays: the CPU's, and the emulated kernels."""

import functools

import core_py
import network_cases as cases
import numpy as np
import pytest
import torch

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.ops._simulate_native import _KINDS, _entries, _packed_stimuli

core = core_py.load()


def stimuli_of(population):
    tables, integers, reals = _packed_stimuli([population], "cpu")
    numbers = zip(np.reshape(integers, (-1, 4)).tolist(), np.reshape(reals, (-1, 3)).tolist(), tables, strict=True)
    return [(*whole, *real, table.numpy()) for whole, real, table in numbers]


def populations_of(populations):
    kinds = [(_KINDS[p.kind], p.first, p.last, p.numbers.numpy(), p.drive.numpy()) for p in populations]
    return [(*kind, stimuli_of(p)) for kind, p in zip(kinds, populations, strict=True)]


def run_core(which, rows, dtype, trials, chunks, threads, make=cases.mixed_populations):
    """As :func:`network_cases.run_mixed`."""
    populations = make(dtype)
    state = ops.SimulationState.zeros(populations, trials=trials, dtype=dtype)
    counts = torch.zeros(trials, cases.SIZE, dtype=torch.int64)
    given = np.array([[5, 3, t] for t in range(trials)] + [[5, 3, 0], [7, 4, trials - 1]], dtype=np.int32)
    probe = np.array(cases.VARIABLES) * cases.SIZE + np.array(cases.PROBED)
    most = trials * sum(p.size * max([1, *map(_entries, p.stimuli)]) for p in populations)
    every, spikes, seen = 7, [], []
    for steps in chunks:
        start = np.array([state.step, 0, 0])
        samples = (state.step + steps) // every - state.step // every
        probed = torch.zeros(samples, trials, len(probe), dtype=dtype)
        fired = getattr(core, which).simulate(
            [tuple(tensor.numpy() for tensor in part) for part in rows.parts],
            rows.bounds.tolist(),
            rows.unit,
            populations_of(populations),
            **{"values": state.values.numpy(), "refrac": state.refrac.numpy(), "counts": counts.numpy()},
            **{"flight": (state.flight.numpy() - start).astype(np.int32), "given": given},
            **{"probe": probe, "probed": probed.numpy(), "probe_every": every, "ports": 2, "seed": 2**63 + 5},
            **{"start": state.step, "steps": steps, "min_delay": rows.min_delay, "max_delay": rows.max_delay},
            **{"threads": threads, "capacity": steps * most + len(given)},
        )
        now = torch.from_numpy(fired.astype(np.int64) + start)
        order = np.lexsort((now[:, 1], now[:, 2], now[:, 0]))
        state.advance(now[order], rows.max_delay, steps)
        spikes.append(now[order].int())
        seen.append(probed)
        given = given[:0]
    return torch.cat(spikes), torch.cat(seen), state, counts


@pytest.mark.parametrize("min_delay", [1, 6])
@pytest.mark.parametrize("weight_bits", [16, 32, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("which", core_py.BACKENDS)
def test_engines_agree_with_the_reference(which, dtype, weight_bits, min_delay):
    trials, steps = 2, 40
    with inferno_cuda.backend("torch"):
        rows = cases.mixed_rows(3, dtype, min_delay, weight_bits)
        expected = cases.run_mixed(rows, dtype, trials=trials, chunks=(steps,))
    for chunks in ((steps,), (11, 29)):
        cases.assert_runs_equal(run_core(which, rows, dtype, trials, chunks, 2), expected)


@functools.cache
def own_by_reference(dtype):
    with inferno_cuda.backend("torch"):
        rows = cases.own_rows(3, dtype)
        return rows, cases.run_mixed(rows, dtype, trials=2, chunks=(50,), make=cases.own_populations)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("which", core_py.BACKENDS)
def test_engines_agree_with_the_reference_on_our_own_neurons(which, dtype):
    rows, expected = own_by_reference(dtype)
    assert expected[3][:, 10:].sum() > 200 and bool(expected[2].values.isfinite().all())
    cases.assert_runs_equal(run_core(which, rows, dtype, 2, (23, 27), 2, cases.own_populations), expected)


def test_the_order_of_threads_and_blocks_changes_nothing():
    """Sums of synaptic input are exact, so atomic additions may come in any order."""
    rows = cases.mixed_rows(2)
    forwards = run_core("emulated", rows, torch.float32, 1, (40,), 1)
    core.emulated.set_reversed(True)
    try:
        backwards = run_core("emulated", rows, torch.float32, 1, (40,), 1)
    finally:
        core.emulated.set_reversed(False)
    cases.assert_runs_equal(backwards, forwards)
