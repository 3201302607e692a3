"""Checks that dependencies point one way, as docs/architecture.md says; prints offenders and exits with 1.

    inferno_cuda:  reference, ops, core <- functional, state <- observe <- neural <- learn, extra, adapters, ...
    csrc:          core <- cpu, cuda <- torch
"""

import ast
import re
import sys
from pathlib import Path

PACKAGE = "inferno_cuda"
# For each room, the rooms that it may import besides itself. "" is the package's own __init__.py.
PYTHON_ROOMS = {
    "reference": set(),
    "surrogate": {"reference"},
    "ops": {"reference", "surrogate", "_C"},
    "testing": {"reference", "ops"},
    "core": set(),
    "types": set(),
    "functional": {"reference", "ops"},
    "state": {"reference", "ops", "functional"},
    "observe": {"reference", "ops", "core", "types", "functional", "state"},
    "neural": {"reference", "surrogate", "ops", "core", "types", "functional", "state", "observe"},
    "learn": {"ops", "core", "functional", "state", "observe", "neural"},
    "extra": {"core", "types", "functional", "state", "neural"},
    "sim": {"ops", "core", "functional", "state", "neural"},
    "explain": {"ops"},
    "adapters": {"reference", "ops", "state", "neural"},
    "convert": {"functional", "state", "neural", "observe", "extra"},
    "checkpoint": {"state"},
    "": {
        *("reference", "ops", "core", "types", "functional", "state", "observe", "neural", "learn", "extra", "explain"),
        *("surrogate", "adapters", "convert", "checkpoint", "sim"),
    },
    "cli": {
        *("reference", "surrogate", "ops", "functional", "state", "neural", "learn", "testing", "explain", "adapters"),
        *("checkpoint", "sim", ""),
    },
    "__main__": {"cli"},
}
CSRC_ROOMS = {"core": set(), "cpu": {"core"}, "cuda": {"core"}, "torch": {"core", "cpu", "cuda"}}
# Headers from elsewhere, and the rooms that may include them.
FOREIGN_HEADERS = [
    (re.compile(r"(torch|ATen|c10|caffe2)/"), {"torch"}),
    (re.compile(r"(cuda|cub/|thrust/|cooperative_groups|curand|nv/|mma\.h)"), {"cuda"}),
    (re.compile(r"Python\.h"), {"torch"}),
    (re.compile(r"pybind11/"), set()),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def imported_modules(tree, module, is_package):
    """(line, dotted name) of everything that a module imports, relative names resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module if is_package else module[:-1]
            parents = parents[: len(parents) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            # What is imported from the package itself may be one of its rooms.
            names = [f"{source}.{a.name}" for a in node.names] if source == PACKAGE else [source]
            yield from ((node.lineno, name) for name in names)


def room_of(dotted):
    """The room that a dotted name of the package is in; names of its __init__.py are in ""."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in {*PYTHON_ROOMS, "_C"} else ""


def python_offences(root):
    for path in sorted((root / PACKAGE).rglob("*.py")):
        module = list(path.relative_to(root).with_suffix("").parts)
        is_package = module[-1] == "__init__"
        module = module[:-1] if is_package else module
        room = module[1] if len(module) > 1 else ""
        if room not in PYTHON_ROOMS:
            yield f"{path.relative_to(root)}: there is no rule for {room!r}; give it a place in tools/check_imports.py"
            continue
        for line, name in imported_modules(ast.parse(path.read_text()), module, is_package):
            if name.split(".")[0] == PACKAGE and room_of(name) not in {room, *PYTHON_ROOMS[room]}:
                yield f"{path.relative_to(root)}:{line}: {room or PACKAGE} must not import {name}"


def csrc_offences(root):
    csrc = root / "csrc"
    for path in sorted(p for p in csrc.rglob("*") if p.suffix in {".h", ".cpp", ".cu", ".cuh"}):
        room = path.relative_to(csrc).parts[0]
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            header = match[1]
            if (csrc / header).exists():
                allowed = header.split("/")[0] in {room, *CSRC_ROOMS.get(room, set())}
            else:
                allowed = all(room in rooms for pattern, rooms in FOREIGN_HEADERS if pattern.match(header))
            if not allowed:
                line = text.count("\n", 0, match.start(1)) + 1
                yield f"{path.relative_to(root)}:{line}: {room} must not include {header}"


def main(root):
    offences = [*python_offences(root), *csrc_offences(root)]
    print("\n".join(offences) or "check_imports: all dependencies point one way")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]))
