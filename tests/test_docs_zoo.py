"""The model zoo lists every model with every parameter and its default."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from inferno_cuda import neural
from inferno_cuda.neural import neurons, synapses

DOCS = Path(__file__).parents[1] / "docs"
ZOO = (DOCS / "model-zoo.md").read_text()
NEURONS = [getattr(neurons, name) for name in neurons.__all__]
SYNAPSES = [getattr(synapses, name) for name in synapses.__all__ if name != "DelayedCurrent"]


def section(title):
    return re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", ZOO, re.DOTALL | re.MULTILINE)[1]


def table(title):
    """The parameters of a section: units and defaults, as written."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*?) ?\| (\S+) \|$", section(title), re.MULTILINE)
    return {name: (unit.strip(), default) for name, unit, default in rows}


def written(parameter):
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return "mean" if parameter.name == "batch_reduction" else str(parameter.default)


@pytest.mark.parametrize("cls", NEURONS + SYNAPSES, ids=lambda cls: cls.__name__)
def test_parameters_and_defaults_are_those_of_the_class(cls):
    common = "What all neurons do" if issubclass(cls, neural.Neuron) else "What all synapses do"
    listed = {name: default for name, (_, default) in (table(common) | table(cls.__name__)).items()}
    assert listed == {p.name: written(p) for p in inspect.signature(cls).parameters.values()}


@pytest.mark.parametrize("cls", NEURONS + SYNAPSES, ids=lambda cls: cls.__name__)
def test_units_are_those_of_the_docstring(cls):
    common = "What all neurons do" if issubclass(cls, neural.Neuron) else "What all synapses do"
    for name, (unit, _) in (table(common) | table(cls.__name__)).items():
        said = re.search(
            rf"^ +{name}: (.*?)(?=^    {{0,4}}\w+: |^$|\Z)", inspect.getdoc(cls), re.DOTALL | re.MULTILINE
        )[1]
        if unit:
            assert f"in {unit}" in re.sub(r"\s+", " ", said), name


@pytest.mark.parametrize("cls", NEURONS + SYNAPSES, ids=lambda cls: cls.__name__)
def test_every_model_has_an_equation_a_source_and_a_trace(cls):
    text = section(cls.__name__)
    image = re.search(r"!\[.{20,}\]\((images/trace-\w+\.svg)\)", text)
    assert "$$" in text and (DOCS / image[1]).stat().st_size > 10_000
    assert cls.__name__.startswith("Delta") or re.search(r"\[\d", text)


@pytest.fixture(scope="module")
def script():
    """docs/make_traces.py as a module."""
    pytest.importorskip("matplotlib").use("svg")
    spec = importlib.util.spec_from_file_location("make_traces", DOCS / "make_traces.py")
    module = sys.modules["make_traces"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_traces"]


def test_the_script_draws_every_model(script):
    drawn = {subject.cls for subject in (*script.NEURONS, *script.SYNAPSES)}
    assert drawn == set(NEURONS + SYNAPSES)
    assert {path.stem for path in DOCS.glob("images/trace-*")} == {f"trace-{cls.__name__.lower()}" for cls in drawn}


@pytest.mark.parametrize("cls", NEURONS, ids=lambda cls: cls.__name__)
def test_traces_of_neurons_fire_and_rest(script, cls):
    (subject,) = (subject for subject in script.NEURONS if subject.cls is cls)
    trace = script.simulate(subject)
    assert 2 <= len(trace["spikes"]) < 20
    assert max(trace["voltage"]) <= max(trace["threshold"])


def test_figures_can_be_drawn(script, tmp_path):
    for draw, subject in ((script.draw_neuron, script.NEURONS[1]), (script.draw_synapse, script.SYNAPSES[1])):
        figure = draw(subject)
        figure.savefig(tmp_path / "figure.svg")
        script.plt.close(figure)
        assert "<svg" in (tmp_path / "figure.svg").read_text()
