"""The benchmark's cases of snnTorch and SpikingJelly: modules as they are beside the same ones accelerated."""

import pytest

from inferno_cuda.cli import bench, cases_libraries, subjects
from inferno_cuda.cli.bench import Result, Timing
from inferno_cuda.cli.case import Case

LEAST = 1e-4
MAKE = {
    "snntorch": lambda: cases_libraries._snntorch("Synaptic", 2),
    "spikingjelly": lambda: cases_libraries._spikingjelly("LIFNode", "m"),
}


def case(library):
    build = cases_libraries.steps(MAKE[library], (3, 2, 5))
    return Case(f"{library}-tiny", "tiny", build, 100, subjects=("native", library))


@pytest.mark.parametrize("library", MAKE)
def test_both_are_timed(native, library):
    pytest.importorskip(library)
    result = bench.run_case(case(library), subjects.names("cpu"), "cpu", LEAST)
    assert result.problem == "" and result.difference == 0
    assert list(result.timings) == ["native", library]
    assert result.library == library
    report = bench._report(result, 1e10)
    assert report["inferno_ai_by_ours"] is None and report["library_by_ours"] == result.ratio(library)


def test_without_kernels_the_library_is_timed_alone():
    pytest.importorskip("snntorch")
    result = bench.run_case(case("snntorch"), ["torch"], "cpu", LEAST)
    assert list(result.timings) == ["snntorch"]


def test_rows_show_the_library():
    result = Result(case("snntorch"), {"native": Timing(1e-3, 0, 3), "snntorch": Timing(4e-3, 0, 3)})
    row = bench.row(result, 1e9)
    assert "1 ms" in row and "4 ms" in row and "4x" in row


@pytest.mark.parametrize("library", MAKE)
def test_there_are_cases_for_what_is_installed(library):
    pytest.importorskip(library)
    names = [case.name for case in cases_libraries.LIBRARIES]
    assert any(name.startswith(library) for name in names) and len(set(names)) == len(names)
