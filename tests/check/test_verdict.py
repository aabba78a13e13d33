"""Each rule of the verdict, on figures that are good but for one."""

from dataclasses import replace
from typing import Any

import pytest

from rcvd.check.measures import BINS, Measures, from_document
from rcvd.check.text import lines, where
from rcvd.check.verdict import AMBER, GREEN, RED, judge, stretches
from rcvd.recon.verdict import NO_PARALLAX, OK, TOO_FEW

N = 50


def good(**changes: Any) -> Measures:
    measures = Measures(
        frames=N,
        size=(216, 384),
        solve=OK,
        spans=((0, N - 1, OK),),
        unposed=(),
        doubtful=(),
        still=False,
        parallax_px=(8.0,) * N,
        reprojection_px=(0.15,) * N,
        depth_ratio=(0.004,) * N,
        cycle_failure=(0.05,) * N,
        unexplained=(0.2,) * N,
        moving=(0.1,) * N,
        blur_px=(0.5,) * N,
        log_scale=(0.0,) * N,
        far_end=0.02,
        hfov=62.0,
        focal_known=False,
        focal_std=0.01,
        over_time={"log_ratio_1": 0.002, "flicker": None},
        pixel_counts=(1,) * BINS,
        ratio_counts=(1,) * BINS,
    )
    return replace(measures, **changes)


def test_a_good_scene_is_green() -> None:
    verdict = judge(good())
    assert verdict.level == GREEN
    assert verdict.findings == ()
    assert next(lines(verdict))[1].startswith("GREEN: cameras and depth agree")


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        (
            {"spans": ((0, 39, OK), (40, 49, NO_PARALLAX))},
            AMBER,
            "frames 40-49: the camera only rotates here; depth comes from the prior",
        ),
        (
            {"solve": NO_PARALLAX, "spans": ((0, N - 1, NO_PARALLAX),), "still": True},
            RED,
            "the camera stands still here",
        ),
        ({"spans": ((0, 30, OK), (31, 49, TOO_FEW))}, AMBER, "frames 31-49: too little"),
        ({"solve": TOO_FEW, "spans": ((0, N - 1, TOO_FEW),)}, RED, "its poses are guesses"),
        ({"unposed": (7,)}, AMBER, "frame 7: the flow gave no pose"),
        ({"doubtful": (8,)}, AMBER, "frames 7-8: few matches hold the parts"),
        ({"reprojection_px": (0.15,) * 40 + (1.4,) * 10}, AMBER, "frames 40-49: still points miss"),
        ({"reprojection_px": (2.5,) * N}, RED, "by 2.5 px"),
        ({"depth_ratio": (0.03,) * N}, AMBER, "differ by 3 %"),
        ({"cycle_failure": (0.6,) * N}, RED, "60 % of the flow"),
        ({"unexplained": (0.45,) * N}, AMBER, "45 % of the picture does not fit"),
        ({"unexplained": (0.6,) * N}, RED, "60 % of the picture does not fit"),
        ({"moving": (0.6,) * N}, AMBER, "moving things cover 60 %"),
        ({"blur_px": (5.0,) * N}, RED, "blurred by 5.0 px"),
        ({"focal_std": 0.08}, AMBER, "certain to 8 %"),
        ({"hfov": 140.0}, AMBER, "140 degrees"),
        ({"log_scale": (0.0,) * 25 + (0.5,) * 25}, AMBER, "1.65 times"),
        ({"far_end": 0.5}, RED, "50 % of the path"),
    ],
)
def test_one_fault_is_found_and_named(changes: dict[str, Any], level: str, text: str) -> None:
    verdict = judge(good(**changes))
    assert verdict.level == level
    assert len(verdict.findings) == 1
    assert text in where(verdict.findings[0]) + verdict.findings[0].reason
    assert verdict.findings[0].advice


def test_a_few_bad_frames_are_forgiven_and_a_bad_stretch_is_amber() -> None:
    few = good(reprojection_px=(0.15,) * 46 + (9.0,) * 4)
    assert judge(few).level == GREEN
    stretch = good(reprojection_px=(0.15,) * 40 + (9.0,) * 10)
    assert judge(stretch).level == AMBER


def test_a_known_focal_length_is_not_doubted() -> None:
    assert judge(good(focal_known=True, focal_std=0.5, hfov=150.0)).level == GREEN


def test_the_worst_comes_first() -> None:
    verdict = judge(good(focal_std=0.08, cycle_failure=(0.6,) * N))
    assert [finding.level for finding in verdict.findings] == [RED, AMBER]
    assert verdict.level == RED


def test_many_doubts_are_red_and_lost_flow_is_one_of_them() -> None:
    doubts = {"cycle_failure": (0.3,) * N, "unexplained": (0.45,) * N}
    doubts |= {"blur_px": (2.0,) * N, "focal_std": 0.08, "far_end": 0.2}
    assert len(judge(good(**doubts)).findings) == 5
    assert judge(good(**doubts)).level == AMBER
    assert judge(good(**doubts, moving=(0.5,) * N)).level == RED


def test_unmeasured_frames_are_left_out() -> None:
    assert judge(good(blur_px=(None,) * 30 + (0.5,) * 20)).level == GREEN
    assert judge(good(blur_px=(None,) * N)).level == GREEN


def test_stretches_bridge_short_gaps() -> None:
    assert stretches([3, 4, 6, 20], 30) == ((3, 6), (20, 20))
    assert stretches(range(30), 30) == ()


def test_measures_survive_json() -> None:
    import json

    measures = good(spans=((0, 9, OK), (10, 49, NO_PARALLAX)), unposed=(1, 2))
    assert from_document(json.loads(json.dumps(measures.document()))) == measures
