"""The moving mask once other frames have told what stands still: halos go, legs come back."""

import torch

from rcvd.recon.mover_pixels import MoverPixelOptions, mover_pixels, opened
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, cameras

SIZE = (96, 128)
FRAME = 4
NONE = torch.zeros(SIZE, dtype=torch.bool)


def walker() -> tuple[torch.Tensor, torch.Tensor]:
    """The picture, smooth, and the exact mask."""
    scene = PlaneScene(cameras(9, SIZE), (BACKDROP, PANEL, WALKER), texture=0.2)
    moving = scene.moving(FRAME)
    rgb = 0.2 * scene.rgb(FRAME)
    return torch.where(moving, rgb + 0.6, rgb), moving


def shifted(mask: torch.Tensor, pixels: int) -> torch.Tensor:
    return mask.roll(pixels, 1)


def iou(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_halo_of_which_a_part_is_known_goes() -> None:
    rgb, moving = walker()
    mask = moving | shifted(moving, 8) | shifted(moving, -8)
    columns = torch.arange(SIZE[1]) % 4 == 0
    still, hiding = ~moving & columns, moving & columns
    found = mover_pixels(mask, still, hiding, rgb)
    assert iou(mask, moving) < 0.7
    assert iou(found, moving) > 0.9


def test_what_the_mask_misses_comes_back() -> None:
    rgb, moving = walker()
    rows = torch.arange(SIZE[0])[:, None]
    upper = moving & (rows <= moving.any(1).nonzero().max() - 14)
    found = mover_pixels(upper, ~moving, moving, rgb)
    assert iou(upper, moving) < 0.7
    assert iou(found, moving) > 0.9


def test_what_hides_a_surface_far_from_the_mask_is_still() -> None:
    """A chair's strut that no frame could measure."""
    rgb, moving = walker()
    strut = NONE.clone()
    strut[10:40, 10:14] = True
    assert not (mover_pixels(moving, NONE, strut, rgb) & strut).any()
    assert not mover_pixels(NONE, NONE, strut, rgb).any()


def test_where_all_seems_to_hide_something_the_mask_stays() -> None:
    """Of a blurred frame other frames show other colours everywhere."""
    rgb, moving = walker()
    everywhere = torch.ones_like(moving)
    assert iou(mover_pixels(moving, NONE, everywhere, rgb), moving) > 0.95


def test_a_mask_of_which_nothing_is_known_stays() -> None:
    rgb, moving = walker()
    assert iou(mover_pixels(moving, NONE, NONE, rgb), moving) > 0.95
    off = MoverPixelOptions(enabled=False)
    assert torch.equal(mover_pixels(moving, shifted(moving, 4), NONE, rgb, off),
                       opened(moving & ~shifted(moving, 4)))  # fmt: skip


def test_opening_takes_threads_away() -> None:
    mask, thread = NONE.clone(), NONE.clone()
    mask[10:40, 20:30] = True
    thread[50:52, 20:60] = thread[25:26, 30:50] = True
    assert torch.equal(opened(mask | thread), mask)
