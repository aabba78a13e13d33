"""The ablation: every variant is a valid run, and the table means what it says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from rcvd import pipeline

TOOL = Path(__file__).parent.parent / "tools" / "bench_ablation.py"


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_ablation", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_variant_changes_the_settings_of_a_run(ablation: ModuleType) -> None:
    whole = pipeline.make_settings(Path("clip.mp4"))
    for name, differences in ablation.VARIANTS.items():
        settings = pipeline.make_settings(Path("clip.mp4"), None, differences)
        assert (settings == whole) == (name == "nothing")


def test_the_table_holds_means_over_the_seeds(ablation: ModuleType) -> None:
    def errors(value: float) -> dict[str, dict[str, float]]:
        return {name: dict.fromkeys(ablation.FIGURES.values(), value) for name in ablation.VARIANTS}

    rows = ablation.table({0: errors(0.1), 1: errors(0.2)}).splitlines()
    assert len(rows) == 2 + len(ablation.VARIANTS)
    assert rows[2].startswith("| nothing | 0.1500 |")
    without = errors(0.1)
    del without["fine-tuning"]["held_out_after"]
    assert "nan" in ablation.table({0: without})
