"""The command line: ``inferno-cuda`` or ``python -m inferno_cuda``, with info, check, validate, demo and bench."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from . import bench, check, demo, info, validate
from .common import Failure

_COMMANDS = {"info": info, "check": check, "validate": validate, "demo": demo, "bench": bench}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inferno-cuda",
        description="Spiking neural networks in fused C++ and CUDA kernels: what runs here, whether it is right, "
        "what it does, how fast it is.",
    )
    parser.add_argument("--version", action="version", version=f"inferno_cuda {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        command = commands.add_parser(
            name, help=module.SUMMARY, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0, 1 (it failed) or 130 (interrupted).

    Args:
        argv: the arguments, without the program's name; default: those of this process.

    Raises:
        SystemExit: with 2 for wrong arguments, with 0 after ``--help`` and ``--version``.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except Failure as failure:
        print(f"inferno-cuda: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("inferno-cuda: interrupted", file=sys.stderr)
        return 130
