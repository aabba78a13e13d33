"""Tables carry failures and refuse mixtures; plots draw what they are given."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rcvd.errors import UserError
from rcvd.evaluation import plots, tables
from rcvd.evaluation.comparison import as_truth
from rcvd.evaluation.profiles import PROFILES
from rcvd.evaluation.results import Result, evaluate
from tests.evaluation import exact


def result(profile: str = "strict", system: str = "ours") -> Result:
    scenes = {name: exact.make(seed=k) for k, name in enumerate(("a", "b_1"))}
    truths = [exact.truth_of(scene, name) for name, scene in scenes.items()]
    predictions = {"a": exact.noisy(exact.predict(scenes["a"])), "b_1": None}
    return evaluate(
        PROFILES[profile], truths, lambda t: predictions[t.name], system, None, {"commit": "x"}
    )


def test_markdown_marks_failures_and_ends_with_means() -> None:
    found = result()
    lines = tables.markdown(tables.sequence_grid(found)).splitlines()
    assert lines[0].startswith("| ours, strict ")
    assert "ate_percent" in lines[0]
    assert lines[3].startswith("| b_1 ! ")
    assert lines[4].startswith("| mean over sequences ")
    assert lines[5].startswith("| mean over pixels ")
    assert len({len(line) for line in lines}) == 1
    assert "! b_1: no output; no pose for some frame; no depth" in tables.notes(found)[0]


def test_given_intrinsics_and_the_divisor_of_p18n_are_told() -> None:
    scenes = {name: exact.make(seed=k) for k, name in enumerate(("alley_1", "alley_2"))}
    truths = [exact.truth_of(scene, name) for name, scene in scenes.items()]
    outputs = {
        name: replace(exact.predict(scene), known_k=name == "alley_2")
        for name, scene in scenes.items()
    }
    names = tuple(scenes)
    found = evaluate(PROFILES["P18n"], truths, lambda t: outputs[t.name], "ours", names)
    _, rows = tables.sequence_grid(found)
    assert [row[0] for row in rows[:2]] == ["alley_1", "alley_2 *"]
    assert tables.comparison_grid([found])[1][0][0] == "ours *"
    lines = tables.notes(found)
    assert "* intrinsics were given" in lines
    centres = scenes["alley_1"].cameras.world_from_cam[[0, -1], :3, 3]
    divisor = tables.number(float((centres[1] - centres[0]).norm()))
    assert any(f"divided by: alley_1 {divisor}, alley_2" in line for line in lines)


def test_holes_in_the_depth_are_told() -> None:
    scene = exact.make()
    z = scene.z.clone()
    z[:, :8] = 0  # a quarter of the rows
    output = replace(exact.predict(scene), depth=z.__getitem__)
    truth = exact.truth_of(scene)
    (line,) = tables.notes(evaluate(PROFILES["strict"], [truth], lambda _: output, "ours"))
    assert line == "no depth there, scored at the sequence's median: wall 25.0 %"


def test_latex_and_csv_hold_the_same_cells() -> None:
    grid = tables.sequence_grid(result(), every=True)
    rows = list(csv.reader(tables.comma_separated(grid).splitlines()))
    assert rows == [grid[0], *grid[1]]
    text = tables.latex(grid)
    assert r"b\_1 ! &" in text
    assert text.count(r"\\") == len(grid[1]) + 1


def test_json_carries_what_a_reader_needs() -> None:
    (document,) = json.loads(tables.as_json([result()]))
    assert document["profile"] == "strict"
    assert document["provenance"] == {"commit": "x"}
    assert list(document["failures"]) == ["b_1"]
    row = document["rows"][0]
    assert {"sequence", "metrics", "frames", "pixels", "unit", "known_k", "curve"} <= set(row)
    assert row["metrics"]["lad.abs_rel"] > 0


def test_systems_stand_side_by_side_and_profiles_do_not() -> None:
    header, rows = tables.comparison_grid([result(), result(system="theirs")])
    assert header[:2] == ["strict", "failed"]
    assert [row[0] for row in rows] == ["ours", "theirs"]
    assert rows[0][1] == "1/2"
    with pytest.raises(UserError, match="consistency, strict"):
        tables.comparison_grid([result(), result("consistency")])


def test_one_system_can_be_the_reference() -> None:
    scene = exact.make()
    reference = as_truth(exact.predict(scene))
    same = evaluate(PROFILES["strict"], [reference], lambda _: exact.predict(scene, 9.0), "b")
    assert same.rows[0].metrics["ate"] < 1e-9
    assert same.rows[0].metrics["lad_scale.abs_rel"] < 1e-5
    other = exact.noisy(exact.predict(scene))
    assert (
        evaluate(PROFILES["strict"], [reference], lambda _: other, "b").means["sequences"]["ate"]
        > 1e-3
    )


def test_means_say_how_many_sequences_they_cover() -> None:
    found = result()
    assert found.counted["focal_percent"] == 1
    assert math.isfinite(found.means["sequences"]["focal_percent"])


def test_plots_draw() -> None:
    scene = exact.make(20)
    poses = scene.cameras.world_from_cam
    still = torch.eye(4).double().repeat(20, 1, 1)
    picture = plots.trajectory_plot(poses, {"same": poses, "still": still}, "paths")
    assert picture.shape == (480, 720, 3)
    red = np.abs(picture.astype(int) - plots.COLOURS[1]).sum(-1) < 30
    assert red.sum() > 100
    curve = plots.frame_curves({"a": [0.1, math.nan, 0.3, 0.2], "b": [math.nan] * 4}, "AbsRel")
    assert (curve < 250).any()
    flat = plots.frame_curves({"a": [0.0, 0.0]}, "flat")
    assert (flat < 250).any()


def test_error_map_colours() -> None:
    true = torch.ones(1, 4)
    aligned = torch.tensor([[1.0, 2.0, 0.5, 1.0]])
    picture = plots.error_map(aligned, true, torch.tensor([[True, True, True, False]]))
    assert picture[0].tolist() == [[255, 255, 255], [200, 30, 40], [30, 60, 200], [128, 128, 128]]
