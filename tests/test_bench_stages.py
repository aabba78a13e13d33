"""The table of what each stage gains, on a real run of the small demo clip."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rcvd.demo import demo_errors
from rcvd.scene import Scene

TOOL = Path(__file__).parent.parent / "tools" / "bench_stages.py"


@pytest.fixture(scope="module")
def stages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_stages", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run_and_truth(stages: ModuleType, demo_scene: Path) -> tuple[Any, ...]:
    """The scene, its truth and its final depth."""
    scene = Scene.load(demo_scene)
    return scene, stages.Truth.of(demo_scene.parent), stages.depth_after(scene, "filter")


def test_stages_begin_at_the_prior_and_end_at_the_demos_figures(
    stages: ModuleType, run_and_truth: tuple[Any, ...], demo_folder: Path
) -> None:
    rows = {name: figures for name, *figures in stages.figures(*run_and_truth)}
    errors = demo_errors(run_and_truth[0], demo_folder / "truth.npz")
    assert list(rows) == ["prior", "solver", "triangulation", "filter"]
    assert rows["prior"][0] == pytest.approx(errors["abs_rel_prior"], rel=1e-4)
    assert rows["filter"][:2] == pytest.approx(
        [errors["abs_rel"], errors["abs_rel_static"]], rel=1e-3
    )
    share = rows["filter"][2] / rows["prior"][2]
    assert share == pytest.approx(errors["flicker_share"], rel=0.02)
    static = [figures[1] for figures in rows.values()]
    assert static == sorted(static, reverse=True)


def test_the_sources_of_depth_make_up_the_static_error(
    stages: ModuleType, run_and_truth: tuple[Any, ...]
) -> None:
    rows = list(stages.by_source(*run_and_truth))
    assert sum(share for _, share, _, _ in rows) == pytest.approx(1)
    assert sum(part for *_, part in rows if part == part) == pytest.approx(1, rel=1e-6)
    measured, *_ = rows
    assert measured[0] == "measured"
    assert measured[1] > 0.3
