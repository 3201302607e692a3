"""The examples of docs/checkpoints.md run."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "checkpoints.md"


def test_examples_run(tmp_path, monkeypatch):
    pytest.importorskip("inferno")
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) >= 8
    names = {}
    for block in blocks:
        # so that an error shows the line of the page
        lines = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines + block[1], str(PAGE), "exec"), names)
