"""Runs the benchmark of the installed package and keeps what it measured: ``python bench/run.py [--quick] ...``."""

import datetime
import sys
from pathlib import Path

from inferno_cuda.cli import main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--json" not in arguments:
        stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
        arguments += ["--json", str(Path(__file__).parent / "results" / f"{stamp}.json")]
    sys.exit(main(["bench", *arguments]))
