"""Which package may import which: a lower layer never imports a higher one."""

import ast
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent / "rcvd"
LAYERS = (
    (
        "errors",
        "types",
        "optional",
        "hub",
        "checkpoint_table",
        "checkpoints",
        "weights",
        "arrays",
        "amounts",
        "device",
        "abreast",
    ),
    ("geometry",),
    ("synthetic",),
    ("flow", "depth", "masks"),
    ("recon",),
    ("export", "evaluation"),
    ("training",),
    ("hdr", "frame_quality", "focal_metadata", "selection", "image_folder"),
    ("video", "items", "recipe", "provenance", "usage", "store", "spool", "processes"),
    ("running", "leftovers"),
    ("scene", "licences", "check", "stages", "recognition", "viewer"),
    ("settings", "plan"),
    ("pipeline",),
    ("status", "clean", "demo", "outputs", "evaluate", "compare", "resolution", "export_formats"),
    ("batch", "reproduce"),
    ("terminal",),
    ("cli",),  # and every module whose name begins with cli_
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
NUMERIC = ("geometry", "synthetic", "flow", "depth", "masks", "recon", "training")
LONGEST_FUNCTION, LONGEST_FILE = 60, 250  # lines
RIM_LIBRARIES = ("pydantic", "typer", "rich", "av", "open3d", "kornia", "yaml", "beartype")


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def package_of(path: Path) -> str:
    return layered(path.relative_to(ROOT).with_suffix("").parts[0])


def layered(name: str) -> str:
    return "cli" if name.startswith("cli_") else name


def test_no_layer_imports_a_higher_one() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        package = package_of(path)
        if package == "__init__":
            continue
        for name in imported(ast.walk(ast.parse(path.read_text()))):
            target = layered(name.split(".")[1]) if name.startswith("rcvd.") else None
            if target in LEVEL and LEVEL[target] > LEVEL[package]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_every_package_has_a_layer() -> None:
    found = {package_of(path) for path in ROOT.rglob("*.py")} - {"__init__"}
    assert found <= LEVEL.keys()


def test_numeric_packages_load_without_the_rims_libraries() -> None:
    wrong = []
    for package in NUMERIC:
        for path in (ROOT / package).rglob("*.py"):
            top_level = ast.parse(path.read_text()).body
            roots = {name.split(".")[0] for name in imported(top_level)}
            wrong += [f"{path.relative_to(ROOT)}: {name}" for name in roots & set(RIM_LIBRARIES)]
    assert not wrong


def test_functions_and_files_stay_short() -> None:
    long = []
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        if len(text.splitlines()) > LONGEST_FILE:
            long.append(f"{path.relative_to(ROOT)}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not long
