"""Every example in the documentation runs and gives what it says."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import inferno_cuda

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(?:pycon|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def docstrings():
    """The examples of the docstrings of the package, as doctests by qualified name, each object once."""
    found = {}
    finder = doctest.DocTestFinder(exclude_empty=True)
    for entry in pkgutil.walk_packages(inferno_cuda.__path__, "inferno_cuda."):
        if re.search(r"\._|\.cli", entry.name) and not entry.name.endswith("._fused"):
            continue
        module = importlib.import_module(entry.name)
        for test in finder.find(module, entry.name, globs={}):
            if test.examples:
                found[test.name] = test
    return found


DOCSTRINGS = docstrings()


def run(test):
    report = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not result.failed, "".join(report)


def examples(page):
    """The prompts of a page as one doctest, in which later blocks know what earlier ones did."""
    blocks = [block for block in BLOCK.findall(page.read_text()) if ">>>" in block]
    return doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_examples_in_docstrings(name):
    run(DOCSTRINGS[name])


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page).examples], ids=lambda page: page.name)
def test_examples_on_pages(page):
    if re.search(r"^>>> (import|from) inferno\b", page.read_text(), re.MULTILINE):
        pytest.importorskip("inferno")
    run(examples(page))


def test_programs_in_the_readme():
    programs = [block for block in BLOCK.findall((ROOT / "README.md").read_text()) if block.startswith("import ")]
    assert len(programs) >= 2
    exec(compile("\n".join(programs), "README.md", "exec"), {})


MAIN = [
    "neural." + name
    for name in inferno_cuda.neural.__all__
    if inspect.isclass(getattr(inferno_cuda.neural, name))
    and name not in ("SynapseConstructor", "Updatable", "Accumulator", "Cell", "Layer")
    and name not in inferno_cuda.neural.base.__all__
] + ["RecordTensor", "backend", "explain", "ops.neuron_step_", "ops.delayed_dense", "ops.history_gather"]


@pytest.mark.parametrize("name", MAIN)
def test_what_is_used_most_has_an_example(name):
    value = inferno_cuda
    for part in name.split("."):
        value = getattr(value, part)
    assert ">>> " in inspect.getdoc(value)
