"""Recognition is a consumer: networks stay below it all, and reconstruction never meets them."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2] / "rcvd"
NETWORKS_MAY = ("rcvd.recognition.networks", "rcvd.errors", "rcvd.types", "rcvd.geometry")
MOTION_MAY = (*NETWORKS_MAY, "rcvd.recognition.motion")


def imports(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_networks_and_motion_import_nothing_above_geometry() -> None:
    for folder, allowed in (("networks", NETWORKS_MAY), ("motion", MOTION_MAY)):
        for path in (ROOT / "recognition" / folder).glob("*.py"):
            ours = {name for name in imports(path) if name.startswith("rcvd")}
            assert all(name.startswith(allowed) for name in ours), path


def test_reconstruction_does_not_import_recognition() -> None:
    code = (
        "import sys, rcvd.pipeline, rcvd.cli\n"
        "print([m for m in sys.modules if m.startswith(('rcvd.recognition', 'h5py', 'sklearn'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_recognition_and_its_verbs_import_recognition() -> None:
    """So that reconstruction can neither wait for it nor run it, however lazily."""
    mine = ("recognition/", "cli_recognize")
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(mine):
            continue
        found = {module for module in imports(path) if module.startswith("rcvd.recognition")}
        assert not found, name


def test_no_stage_is_a_recognition_stage() -> None:
    from rcvd.pipeline import STAGES

    assert not any("recogn" in (stage.name + stage.run.__module__) for stage in STAGES)
