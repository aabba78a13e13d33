"""Depth under a mask comes from frames that measured it, where these show the same colour."""

import torch

from rcvd.recon.borrow import BorrowOptions, borrow_depth, carried_depth, lenders
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, cameras

FRAME, N = 4, 9
SOURCES = [0, 2, 6, 8]


def borrowed(scene: PlaneScene, wanted: torch.Tensor, options: BorrowOptions | None = None):
    """Every source has measured all that stands still."""
    return borrow_depth(
        FRAME,
        wanted,
        scene.rgb(FRAME),
        torch.tensor(SOURCES),
        torch.stack([torch.where(scene.moving(j), 0.0, scene.depth(j)) for j in SOURCES]),
        torch.stack([scene.rgb(j) for j in SOURCES]),
        scene.cameras,
        options,
    )


def test_a_halo_gets_its_depth_and_the_mover_none() -> None:
    scene = PlaneScene(cameras(N), (BACKDROP, PANEL, WALKER))
    moving = scene.moving(FRAME)
    mask = moving.clone()
    mask[:, 4:] |= moving[:, :-4]
    mask[:, :-4] |= moving[:, 4:]
    z = borrowed(scene, mask).z
    halo = mask & ~moving
    assert (z[halo] > 0).double().mean() > 0.5
    given = halo & (z > 0)
    # the nearest of the points that land on a pixel: off by the slope of the plane in a pixel
    assert (z / scene.depth(FRAME) - 1)[given].abs().max() < 0.02
    assert (z[moving] == 0).all()
    assert (z[~mask] == 0).all()


def test_what_a_mover_hides() -> None:
    """It is there in one frame only: the others have measured what is behind it."""
    scene, empty = PlaneScene(cameras(N), (BACKDROP, PANEL, WALKER)), PlaneScene(cameras(N))
    moving = scene.moving(FRAME)
    wanted = moving.clone()
    wanted[:, 4:] |= moving[:, :-4]
    found = borrow_depth(
        FRAME,
        wanted,
        scene.rgb(FRAME),
        torch.tensor(SOURCES),
        torch.stack([empty.depth(j) for j in SOURCES]),
        torch.stack([empty.rgb(j) for j in SOURCES]),
        scene.cameras,
    )
    told = found.hidden > 0
    assert told[moving].double().mean() > 0.5
    assert told[~moving].double().mean() < 0.02
    assert (found.hidden / empty.depth(FRAME) - 1)[told].abs().median() < 0.02
    assert not (told & (found.z > 0)).any()


def test_the_surface_in_front_hides_the_one_behind() -> None:
    scene = PlaneScene(cameras(N))
    z = borrowed(scene, torch.ones(scene.cameras.size, dtype=torch.bool)).z
    panel = scene.depth(FRAME) < 3.0
    assert (z[panel] > 0).double().mean() > 0.5
    assert (z[panel & (z > 0)] < 3.0).all()


def test_one_frame_is_not_enough() -> None:
    scene = PlaneScene(cameras(N))
    everywhere = torch.ones(scene.cameras.size, dtype=torch.bool)
    assert not borrowed(scene, everywhere, BorrowOptions(min_agreeing=5)).z.any()
    assert lenders(3, 6, BorrowOptions(distances=(1, 2, 4), reach=0)) == [1, 2, 4, 5]
    assert lenders(4, 60, BorrowOptions(distances=(2,), reach=30)) == [0, 2, 6, 8, 16, 24, 32]
    assert lenders(0, 2, BorrowOptions()) == []
    assert lenders(4, 9, BorrowOptions(enabled=False)) == []


def test_nothing_lands_behind_the_camera_or_outside() -> None:
    scene = PlaneScene(cameras(2))
    turned = scene.cameras.world_from_cam.clone()
    turned[1, :3, :3] = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    cams = type(scene.cameras)(
        turned, scene.cameras.intrinsics, scene.cameras.distortion, scene.cameras.size
    )
    assert carried_depth(scene.depth(1)[None], torch.tensor([1]), 0, cams).isnan().all()
    z = torch.zeros(1, *scene.cameras.size)
    z[0, 5, 7] = 2.0
    same = carried_depth(z, torch.tensor([0]), 0, scene.cameras)
    assert same.isfinite().sum() == 1
    assert same[0, 5, 7] == 2.0
