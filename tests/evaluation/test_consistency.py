"""Consistency measures: zero on an exact plane, not zero when depth or cameras are disturbed."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rcvd.evaluation import consistency
from rcvd.evaluation.consistency import Camera, View, sequence_consistency
from rcvd.geometry.camera import pixel_centres, rays
from rcvd.geometry.pose import se3_exp
from rcvd.types import Cameras, Flow

SIZE = (24, 32)


def scene(frames: int = 6) -> tuple[Cameras, Tensor]:
    """Cameras that drift before a tilted plane, and their exact depth."""
    step = torch.tensor([0.03, 0.01, 0.02, 0.0, 0.01, 0.005], dtype=torch.float64)
    poses = se3_exp(torch.arange(frames, dtype=torch.float64)[:, None] * step)
    intrinsics = torch.tensor([30.0, 30.0, 16.0, 12.0], dtype=torch.float64).repeat(frames, 1)
    distortion = torch.full((frames,), 0.02, dtype=torch.float64)
    normal = torch.nn.functional.normalize(torch.tensor([0.2, 0.1, 1.0]).double(), dim=0)
    directions = rays(pixel_centres(SIZE, dtype=torch.float64), intrinsics[0], distortion[0])
    turned = torch.einsum("tij,hwj->thwi", poses[:, :3, :3], directions)
    z = (3 - poses[:, :3, 3] @ normal)[:, None, None] / (turned @ normal)
    return Cameras(poses, intrinsics, distortion, SIZE), z


def views(z: Tensor) -> list[View]:
    return [(frame, torch.ones_like(frame, dtype=torch.bool)) for frame in z]


def test_exact_depth_agrees() -> None:
    cameras, z = scene()
    found = sequence_consistency(views(z).__getitem__, cameras)
    assert set(found) == {
        f"{name}_{gap}"
        for name in ("reprojection", "log_ratio", "under_1_percent", "visible")
        for gap in (1, 4)
    } | {"tae"}
    assert found["reprojection_1"] < 0.02  # bilinear depth of a tilted plane is not quite exact
    assert found["log_ratio_4"] < 1e-3
    assert found["under_1_percent_4"] == 1
    assert found["visible_1"] > 0.9
    assert found["tae"] < 1.5  # nearest pixels of a tilted plane


def test_disturbed_depth_shows_in_both_directions() -> None:
    cameras, z = scene()
    z = z * torch.tensor([1.0, 1.05] * 3, dtype=torch.float64)[:, None, None]
    found = sequence_consistency(views(z).__getitem__, cameras)
    assert found["log_ratio_1"] == pytest.approx(math.log(1.05), rel=0.02)
    assert found["log_ratio_4"] < 1e-3
    assert found["under_1_percent_1"] == 0
    assert found["tae"] == pytest.approx(5, abs=1)
    assert found["reprojection_1"] > 0.01


def test_a_window_of_frames_is_enough() -> None:
    cameras, z = scene()
    asked: list[int] = []

    def view(frame: int) -> View:
        asked.append(frame)
        return views(z)[frame]

    sequence_consistency(view, cameras, gaps=(1, 4))
    assert asked == list(range(6))


def test_some_pairs_stand_for_all() -> None:
    cameras, z = scene()
    z = z * torch.tensor([1.0, 1.05] * 3, dtype=torch.float64)[:, None, None]
    every = sequence_consistency(views(z).__getitem__, cameras, gaps=(1, 2))
    some = sequence_consistency(views(z).__getitem__, cameras, gaps=(1, 2), at_most=2)
    assert some["log_ratio_1"] == pytest.approx(every["log_ratio_1"], rel=0.05)
    first = sequence_consistency(views(z[:2]).__getitem__, scene(2)[0], gaps=(1,))
    alone = sequence_consistency(views(z).__getitem__, cameras, gaps=(1,), at_most=1)
    assert alone == first


def test_movers_and_unknown_depth_take_no_part() -> None:
    cameras, z = scene(2)
    disturbed = z.clone()
    disturbed[1, 5:10, 5:10] *= 2
    disturbed[1, 15:18] = 0
    static = torch.ones(2, *SIZE, dtype=torch.bool)
    static[1, 5:10, 5:10] = False
    pairs = list(zip(disturbed, static, strict=True))
    found = sequence_consistency(pairs.__getitem__, cameras, gaps=(1,))
    assert found["log_ratio_1"] < 1e-3
    assert found["visible_1"] < 0.9


def test_nothing_visible_is_nan() -> None:
    cameras, z = scene(2)
    away = replace(cameras, world_from_cam=cameras.world_from_cam.clone())
    away.world_from_cam[1, 0, 3] += 100
    found = sequence_consistency(views(z).__getitem__, away, gaps=(1,))
    assert math.isnan(found["log_ratio_1"])
    assert math.isnan(found["tae"])
    assert found["visible_1"] == 0


def exact_flow(cameras: Cameras, z: Tensor) -> Flow:
    pixels = pixel_centres(SIZE, dtype=torch.float64)
    landing, _ = consistency.transfer(z[0], pixels, Camera.of(cameras, 0), Camera.of(cameras, 1))
    ones = torch.ones(SIZE, dtype=torch.float64)
    return Flow(landing - pixels, ones > 0, ones)


def test_flow_measures() -> None:
    cameras, z = scene(2)
    flow, both = exact_flow(cameras, z), (Camera.of(cameras, 0), Camera.of(cameras, 1))
    static = torch.ones(SIZE, dtype=torch.bool)
    assert consistency.flow_change(z[0], z[1], flow, both) < 1e-3
    plain = consistency.flow_change(z[0], z[1], flow)
    assert plain == pytest.approx(0.02 / 3, rel=0.7)  # the camera went forward by 0.02 of 3
    assert consistency.flow_change(z[0], z[1] * 1.1, flow, both, static) == pytest.approx(
        math.log(1.1), rel=0.02
    )
    assert consistency.flow_reprojection(z[0], both, flow, static) < 1e-9
    off = replace(flow, displacement=flow.displacement + torch.tensor([3.0, 4.0]))
    assert consistency.flow_reprojection(z[0], both, off, static) == pytest.approx(5)


def test_the_nearer_point_wins_the_z_buffer() -> None:
    cameras, z = scene(1)
    still = Camera.of(cameras, 0)
    static = torch.ones(SIZE, dtype=torch.bool)
    assert consistency.warped_abs_rel((z[0], static), still, (z[0], static), still) < 1e-9
    # a camera far to the right sees a near strip cover what lies behind it
    near = z[0].clone()
    near[:, 10:12] = 0.5
    right = replace(still, world_from_cam=still.world_from_cam.clone())
    right.world_from_cam[0, 3] = 0.05
    error = consistency.warped_abs_rel((near, static), still, (z[0], static), right)
    assert error > 0.02


def test_flicker_is_the_change_that_the_cameras_do_not_make() -> None:
    cameras, z = scene()
    flows = {}
    for k in range(len(z) - 1):
        pixels = pixel_centres(SIZE, dtype=torch.float64)
        landed, _ = consistency.transfer(
            z[k], pixels, Camera.of(cameras, k), Camera.of(cameras, k + 1)
        )
        ones = torch.ones(SIZE, dtype=torch.float64)
        flows[k, k + 1] = Flow(landed - pixels, ones > 0, ones)

    def measured(depth: Tensor) -> float:
        static = torch.ones(SIZE, dtype=torch.bool)
        return consistency.flicker(
            depth.__getitem__, lambda _: static, lambda i, j: flows[i, j], cameras
        )

    assert measured(z) < 1e-3
    shaking = z * torch.tensor([1.0, 1.05] * 3, dtype=torch.float64)[:, None, None]
    assert measured(shaking) == pytest.approx(math.log(1.05), rel=0.02)
