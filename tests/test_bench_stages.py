"""The table of what each stage gains, on a real run of the small demo clip."""

import importlib.util
from pathlib import Path
from types import ModuleType

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


def test_stages_begin_at_the_prior_and_end_at_the_demos_figures(
    stages: ModuleType, demo_folder: Path, demo_scene: Path
) -> None:
    rows = {name: figures for name, *figures in stages.figures(demo_scene.parent)}
    errors = demo_errors(Scene.load(demo_scene), demo_folder / "truth.npz")
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
    stages: ModuleType, demo_scene: Path
) -> None:
    rows = list(stages.by_source(demo_scene.parent))
    assert sum(share for _, share, _, _ in rows) == pytest.approx(1)
    assert sum(part for *_, part in rows if part == part) == pytest.approx(1, rel=1e-6)
    measured, *_ = rows
    assert measured[0] == "measured"
    assert measured[1] > 0.3
