"""The documentation is complete: every public name is on a page of the API reference, every link leads on."""

import importlib
import pkgutil
import re
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import inferno_cuda

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench/README.md", ROOT / "tools/README.md"])
NAMES = re.compile(r"^```\{names\} (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

# Helpers of the mixins, and of tables.
HELPERS = {
    "explain.table",
    "neural.connections.mixins.check_like",
    "neural.connections.mixins.check_numbers",
    "neural.neurons.mixins.compute_type",
    "neural.neurons.mixins.fused_reduction",
    "neural.synapses.mixins.add_record",
    "types.K",
    "types.T",
}


def public_modules():
    """The modules whose name has no part with an underscore in front, by their name within the package."""
    found = (module.name for module in pkgutil.walk_packages(inferno_cuda.__path__, "inferno_cuda."))
    return ["inferno_cuda", *(name for name in found if not re.search(r"\._", name))]


def public_names(module):
    """What a module offers: its ``__all__``; without one, what is defined there and has no underscore in front.

    Modules further down hold parts of a package, which says itself what is public of them; mixins are for authors of
    models. The command line documents itself with --help.
    """
    path = module.__name__.removeprefix("inferno_cuda").lstrip(".")
    if hasattr(module, "__all__"):
        return module.__all__
    if path == "cli" or ("." in path and not path.endswith(".mixins")):
        return []
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    return [name for name in own if not name.startswith("_") and f"{path}.{name}" not in HELPERS]


@cache
def entries():
    """The names that the pages of the API reference list, as (page, module, name)."""
    found = []
    for page in sorted(ROOT.glob("docs/api/*.md")):
        for module, lines in NAMES.findall(page.read_text()):
            names = [line for line in lines.split() if not line.startswith(":")]
            found += [(page.name, module, name) for name in names]
    return found


def public_objects():
    """What the public names stand for, by id, with all names of each, the shortest first."""
    found = {}
    for path in public_modules():
        module = importlib.import_module(path)
        for name in public_names(module):
            if not isinstance(getattr(module, name), ModuleType):
                found.setdefault(id(getattr(module, name)), []).append(f"{path}.{name}")
    return {key: sorted(names, key=len) for key, names in found.items()}


def test_every_public_name_is_on_a_page():
    documented = {id(getattr(importlib.import_module(module), name)) for _, module, name in entries()}
    missing = [names[0] for key, names in public_objects().items() if key not in documented]
    assert not missing, "to be added to a {names} list under docs/api:\n" + "\n".join(missing)


def test_no_name_is_on_two_pages():
    documented = Counter(id(getattr(importlib.import_module(module), name)) for _, module, name in entries())
    twice = [entry for entry in entries() if documented[id(getattr(importlib.import_module(entry[1]), entry[2]))] > 1]
    assert not twice


def test_every_documented_name_has_a_docstring():
    values = {f"{module}.{name}": getattr(importlib.import_module(module), name) for _, module, name in entries()}
    assert not [name for name, value in values.items() if not getattr(value, "__doc__", None)]


def slugs(page):
    """The anchors that the headings of a page get."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page):
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in slugs(file)):
            broken.append(link)
    assert not broken


def test_the_readme_links_to_the_main_pages():
    links = LINK.findall((ROOT / "README.md").read_text())
    assert {"docs/timing.md", "docs/differences.md", "docs/architecture.md", "docs/development.md"} <= set(links)
