"""docs/recognition.md: its numbers are those of the modules, its tests exist."""

import ast
import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/recognition.md").read_text()


def test_numbers_are_counted_on_the_modules() -> None:
    tool = runpy.run_path(str(ROOT / "tools/recognition_page.py"))
    missing = [line for line in tool["lines"]() if line not in PAGE]
    assert not missing, "run tools/recognition_page.py and put its rows on the page"


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 100
    functions: dict[Path, set[str]] = {}
    for file, name in named:
        folder = ROOT if file.startswith("tests/") else ROOT / "tests/recognition"
        path = folder / file
        if path not in functions:
            tree = ast.parse(path.read_text())
            functions[path] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert name in functions[path], f"{file} has no {name}"
