"""Runs models from the literature here and in NEST (https://www.nest-simulator.org), each with seeds of its own.

Either draws its synapses, delays and Poisson spikes by itself, so that spikes differ and distributions must agree:
rates of neurons (Hz), coefficients of variation of their intervals between spikes, correlations of the spike counts of
pairs of 200 neurons in bins of 2 ms. The table has the mean of each over all neurons or pairs and runs, and distances
of Kolmogorov and Smirnov: those between two runs of NEST (mean, largest), and those between a run of ours and one of
NEST's (mean, largest). A star marks where the latter are on average above the largest of the former, which chance does
to a few of many. Whether ours are as far from NEST's as runs of one simulator are from each other is tested over all
distances at once, by sharing out the runs in other ways; if fewer than 1% of them are as extreme, the exit status is 1.
Runs that fall silent, as those of self-sustained activity can, are counted and replaced.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import common, nest_twin, validation
from .cases_validation import VALIDATION

SUMMARY = "compares rates, irregularity and correlations of networks with those of NEST"
SEEDS, LEAST = 5, 0.01  # runs of each; the smallest p that is no failure
_HEADER = f"{'population':<12}{'statistic':<14}{'ours':>9}{'NEST':>9}   {'NEST-NEST':>13}   {'ours-NEST':>13}"


def _seeds(text: str) -> int:
    value = common.positive_int(text)
    if value < 5:
        raise argparse.ArgumentTypeError(f"{text} is below 5: fewer runs can show no difference")
    return value


def _known(prefix: str) -> str:
    if not any(case.name.startswith(prefix) for case in VALIDATION):
        raise argparse.ArgumentTypeError(f"no case begins with {prefix!r}")
    return prefix


def add_arguments(parser: argparse.ArgumentParser) -> None:
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    names = ", ".join(case.name for case in VALIDATION)
    parser.add_argument(
        "--cases", nargs="+", metavar="NAME", type=_known, help=f"only those whose names begin so; of: {names}"
    )
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, help="runs of each (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found there")
    common.add_device(parser, auto, f"of ours; default: {auto}")


def _line(one: validation.Comparison) -> str:
    distances = (f"{np.mean(found):5.3f} ({max(found):5.3f})" for found in (one.within, one.between))
    values = f"{one.ours:9.4f}{one.nest:9.4f}   " + "   ".join(distances)
    return f"{one.population:<12}{one.statistic:<14}{values}" + ("" if one.inside else " *")


def _print(result: validation.ValidationResult) -> None:
    silent = "; fell silent: {} of ours, {} of NEST's".format(*result.silent) if any(result.silent) else ""
    print(f"{result.case.what}: {result.case.duration:g} ms, {result.seeds} seeds each{silent}\n{_HEADER}")
    print("\n".join(_line(one) for one in result.comparisons))
    inside = sum(one.inside for one in result.comparisons)
    print(f"{inside} of {len(result.comparisons)} within NEST's own spread; over all p = {result.p:.2g}\n", flush=True)


def _report(result: validation.ValidationResult) -> dict[str, Any]:
    case = result.case
    rows = [
        {
            **{"population": one.population, "statistic": one.statistic, "ours": one.ours, "nest": one.nest},
            **{"nest_nest": one.within.tolist(), "ours_nest": one.between.tolist(), "inside": one.inside},
        }
        for one in result.comparisons
    ]
    return {
        **{"name": case.name, "what": case.what, "settle_ms": case.settle, "duration_ms": case.duration},
        **{"seeds": result.seeds, "silent": dict(zip(("ours", "nest"), result.silent, strict=True))},
        **{"p": result.p, "comparisons": rows},
    }


def run(arguments: argparse.Namespace) -> int:
    """The command.

    Raises:
        Failure: NEST is not installed, or a network keeps falling silent.
    """
    device = common.require_device(arguments.device)
    if not nest_twin.installed():
        raise common.Failure("there is no NEST to compare with: pip install nest-simulator")
    if arguments.json:
        common.make_folder(arguments.json.parent)
    wanted, results = tuple(arguments.cases or [""]), []
    for case in (case for case in VALIDATION if case.name.startswith(wanted)):
        try:
            results.append(validation.run_case(case, arguments.seeds, device, torch.get_num_threads()))
        except RuntimeError as error:
            raise common.Failure(f"{case.name}: {error}") from error
        _print(results[-1])
    if arguments.json:
        date = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
        report = {"date": date, "device": device, "machine": common.machine(), "nest": nest_twin.version()}
        arguments.json.write_text(json.dumps(report | {"cases": [_report(one) for one in results]}, indent=2) + "\n")
    far = [result.case.name for result in results if result.p < LEAST]
    print(f"unlike NEST: {', '.join(far)}" if far else "all are as near to NEST as its own runs are to each other")
    return 1 if far else 0
