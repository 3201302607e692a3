"""The nervous system of a worm, C. elegans, as a network: other people's connectivity, read from the file of a package.

The synapses are those of Cook et al. (2019) as the package c302 has them: for every pair of cells the number of
chemical synapses, which are the weights here, and gap junctions, which are left out. Neurons that release GABA inhibit
(McIntire et al., 1993), the others excite. The worm's neurons are graded and mostly do not spike: what is shown is that
a connectome runs, not what a worm does.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
from pathlib import Path

import numpy as np

from .. import sim
from ..sim import statistics
from . import common

FILE = "data/herm_full_edgelist.csv"
DURATION = 1000.0  # ms
WEIGHT, INHIBITION = 8.0, 4.0  # pA of one synapse; how much stronger inhibitory ones are
TOUCHED = ("ALML", "ALMR", "AVM")  # receptors of gentle touch at the front that have chemical synapses
TOUCH = (500.0, 1000.0, 1000.0)  # ms, ms, pA
_GABA = ("AVL", "DVB", "RIS", "RMED", "RMEL", "RMER", "RMEV")


def find() -> Path:
    """The file.

    Raises:
        Failure: c302 is not installed, or has no such file.
    """
    found = importlib.util.find_spec("c302")
    if found is None or not found.submodule_search_locations:
        raise common.Failure("the connectome is in the package c302: pip install --no-deps c302")
    path = Path(found.submodule_search_locations[0]) / FILE
    if not path.exists():
        raise common.Failure(f"c302 is there, but its connectome is not: no {path}")
    return path


def read(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names of neurons, and of each chemical connection source, target and number of synapses.

    Cells that send nothing, such as muscles, are no neurons of the network.
    """
    with open(path, newline="") as file:
        rows = [{key: value.strip() for key, value in row.items()} for row in csv.DictReader(file)]
    rows = [row for row in rows if row["Type"] == "chemical"]
    names = sorted({row["Source"] for row in rows})
    number = {name: k for k, name in enumerate(names)}
    rows = [row for row in rows if row["Target"] in number]
    columns = (
        [number[row["Source"]] for row in rows],
        [number[row["Target"]] for row in rows],
        [float(row["Weight"]) for row in rows],
    )
    return names, *map(np.array, columns)


def inhibitory(name: str) -> bool:
    """Whether a neuron releases GABA: DD and VD motor neurons, and seven more."""
    return name in _GABA or (name[:2] in ("DD", "VD") and name[2:].isdigit())


def network(path: Path, seed: int, device: str) -> tuple[sim.Network, list[str]]:
    """The connectome as a network, and the names of its neurons."""
    from scipy.sparse import coo_array

    names, source, target, count = read(path)
    sign = np.where([inhibitory(name) for name in names], -INHIBITION, 1.0)
    matrix = coo_array((WEIGHT * sign[source] * count, (target, source)), shape=(len(names), len(names)))
    net = sim.Network(seed=seed, device=device)
    worm = net.population(len(names), "iaf_psc_exp", name="worm", V_m=sim.Uniform(-70.0, -55.0), tau_syn_ex=5.0)
    net.connect(worm, worm, matrix, delay=sim.Uniform(1.0, 3.0))
    net.noise_current(worm, 150.0, 350.0, 1.0)
    for name in TOUCHED:
        net.step_current(worm[names.index(name)], TOUCH[:2], [TOUCH[2], 0.0])
    return net, names


def _rows(names: list[str], before: np.ndarray, during: np.ndarray) -> list[tuple[str, float, float]]:
    """The neurons that touch moves most."""
    order = np.argsort(before - during, kind="stable")[:12]
    return [(names[k], float(before[k]), float(during[k])) for k in order]


def run(arguments: argparse.Namespace) -> int:
    """The command.

    Raises:
        Failure: the connectome is not installed.
    """
    common.make_folder(arguments.out)
    net, names = network(find(), arguments.seed, arguments.device)
    spikes = net.record_spikes()
    print(net, flush=True)
    net.run(DURATION, progress=True)
    times, neurons = (column.cpu().numpy() for column in spikes.of(net["worm"]))
    before = statistics.rates(times, neurons, len(names), 0.0, TOUCH[0])
    during = statistics.rates(times, neurons, len(names), *TOUCH[:2])
    rows = _rows(names, before, during)
    print(f"{net.synapse_count:,} connections between {len(names)} neurons, {len(times):,} spikes in {DURATION:g} ms")
    print(f"mean rate {before.mean():.1f} Hz, while {', '.join(TOUCHED)} are touched {during.mean():.1f} Hz")
    print("moved most:")
    for name, rest, touched in rows:
        print(f"  {name:<6} {rest:5.0f} -> {touched:.0f} Hz")
    summary = {
        "neurons": len(names),
        "connections": net.synapse_count,
        "spikes": len(times),
        "rate_before_hz": float(before.mean()),
        "rate_touched_hz": float(during.mean()),
        "most_moved": rows,
    }
    result = arguments.out / "connectome.json"
    result.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {result}")
    return 0
