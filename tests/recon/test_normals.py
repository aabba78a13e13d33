"""Normals: exact on slanted planes, seen by any lens, and never across an edge."""

from dataclasses import replace

import pytest
import torch

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.views import view_rays
from rcvd.recon.normals import depth_normals
from rcvd.types import Cameras
from tests.recon.plane_scene import BACKDROP, PANEL, PlaneScene, cameras


def plane_depth(cams: Cameras, normal: torch.Tensor, offset: float) -> torch.Tensor:
    ray = view_rays(cams, torch.tensor([0]), pixel_centres(cams.size)[None])[0]
    return offset / (ray @ normal)


@pytest.mark.parametrize("k1", [0.0, -0.2])
def test_a_slanted_plane_is_exact(k1: float) -> None:
    cams = replace(cameras(1), distortion=torch.full((1,), k1))
    normal = torch.nn.functional.normalize(torch.tensor([0.3, 0.6, 1.0]), dim=0)
    found = depth_normals(plane_depth(cams, normal, 3.0), 0, cams)
    torch.testing.assert_close(found, -normal.expand_as(found), atol=2e-4, rtol=0)


def test_edges_keep_both_sides_apart_and_unknown_has_none() -> None:
    cams = cameras(1)
    scene = PlaneScene(cams, (BACKDROP, PANEL))
    z = scene.depth(0)
    z[40:] = 0
    z[43, 30] = 2.0  # a lone pixel tells no plane
    found = depth_normals(z, 0, cams)
    expected = torch.stack(
        [torch.nn.functional.normalize(torch.tensor(s.normal), dim=0) for s in (BACKDROP, PANEL)]
    )
    best = (found[:40].reshape(-1, 3) @ -expected.T).amax(1)
    assert best.min() > 1 - 1e-4
    assert (found[40:] == 0).all()
