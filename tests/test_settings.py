"""Settings: presets, overrides, and errors that name the setting."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from rcvd import pipeline, settings
from rcvd.amounts import SIGNED, positive
from rcvd.errors import UserError
from tests.setting_numbers import zeros


@dataclass(frozen=True)
class Inner:
    max_side: int = 384
    rate: float = 1e-3
    rule: Literal["paper", "dense"] = "dense"
    folder: Path | None = None
    thin: int = positive(3)
    widths: tuple[float, float] = positive((16.0, 2.0))
    shift: float = field(default=0.0, metadata={SIGNED: True})


@dataclass(frozen=True)
class Outer:
    flow: Inner = field(default_factory=Inner)
    extra: Inner | None = None
    seed: int = 0


def test_layers_win_in_order() -> None:
    built = settings.build(
        Outer,
        {"flow": {"max_side": 100, "rate": 0.5}},
        settings.parse_overrides(["flow.max_side=200", "seed=3", "flow.folder=x/y"]),
    )
    assert built.flow == Inner(200, 0.5, "dense", Path("x/y"))
    assert built.seed == 3


def test_yaml_numbers_written_as_text_are_read() -> None:
    assert settings.build(Outer, settings.parse_overrides(["flow.rate=1e-3"])).flow.rate == 1e-3


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("flow.maxside=5", "flow.maxside: no such setting; did you mean 'max_side'?"),
        ("flwo.max_side=5", "flwo: no such setting; did you mean 'flow'?"),
        ("flow.max_side=big", "flow.max_side: .* got 'big'"),
        ("flow.rule=wild", "flow.rule: .*'paper' or 'dense'"),
        ("flow=5", "flow is a section"),
        ("extra.rat=1", "extra.rat: no such setting; did you mean 'rate'?"),
        ("flow.max_side", "write it as section.name=value"),
        ("seed.x=1", "seed"),
        ("flow.rate=.nan", "flow.rate nan: a number of 0 or more is expected"),
        ("flow.rate=-1e-9", "flow.rate -1e-09: a number of 0 or more"),
        ("flow.max_side=-5", "flow.max_side -5: a number of 0 or more"),
        ("flow.thin=0", "flow.thin 0: a number above 0 is expected"),
        ("flow.widths=[1, .inf]", "flow.widths inf: a number above 0"),
        ("extra.rate=.inf", "extra.rate inf: a number of 0 or more"),
    ],
)
def test_errors_name_the_setting(override: str, text: str) -> None:
    with pytest.raises(UserError, match=text):
        settings.build(Outer, settings.parse_overrides([override]))


def test_unknown_and_broken_presets(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such preset; known: fast, paper"):
        settings.read_preset("fats")
    broken = tmp_path / "x.yaml"
    broken.write_text("a: [1")
    with pytest.raises(UserError, match="not valid YAML"):
        settings.read_preset(str(broken))
    broken.write_text("- 1")
    with pytest.raises(UserError, match="must be a mapping"):
        settings.read_preset(str(broken))


def test_printed_settings_build_the_same_settings(tmp_path: Path) -> None:
    built = settings.build(Outer, {"flow": {"folder": "a", "rate": 2.0}})
    path = tmp_path / "again.yaml"
    path.write_text(settings.as_yaml(built))
    assert settings.build(Outer, settings.read_preset(str(path))) == built


def test_what_may_be_negative_may(tmp_path: Path) -> None:
    assert settings.build(Outer, settings.parse_overrides(["flow.shift=-2"])).flow.shift == -2
    intrinsics = {"poses": {"intrinsics": [200.0, 200.0, 96.0, 56.0, -0.1]}}
    assert pipeline.make_settings(tmp_path, None, intrinsics).poses.intrinsics[4] == -0.1  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize("value", [".nan", "-1", ".inf"])
def test_no_number_of_a_run_may_be_negative_or_endless(value: str, tmp_path: Path) -> None:
    content = settings.as_data(pipeline.make_settings(tmp_path))
    names = dict(zeros(content))
    assert len(names) > 100
    for name, zero in names.items():
        text = f"[{', '.join([value] * len(zero))}]" if isinstance(zero, list) else value
        with pytest.raises(UserError, match=name.rpartition(".")[2]):
            pipeline.make_settings(tmp_path, None, settings.parse_overrides([f"{name}={text}"]))
