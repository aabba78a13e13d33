"""Fused points lie on the surfaces; what no other frame confirms is left out."""

from dataclasses import replace

import pytest
import torch

from rcvd.recon import fuse
from rcvd.types import PointCloud
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, cameras

FRAMES = range(7)


@pytest.fixture(scope="module")
def scene() -> PlaneScene:
    return PlaneScene(cameras(7), (BACKDROP, PANEL, WALKER))


def static_depths(scene: PlaneScene) -> torch.Tensor:
    return torch.stack([torch.where(scene.moving(i), 0.0, scene.depth(i)) for i in FRAMES])


def agreement(scene: PlaneScene, i: int, z: torch.Tensor) -> fuse.Agreement:
    others = torch.tensor([j for j in FRAMES if j != i])
    static = static_depths(scene)
    return fuse.view_agreement(z, i, static[others], others, scene.cameras, 0.02)


def points_of(scene: PlaneScene, i: int, z: torch.Tensor) -> PointCloud:
    moving = scene.moving(i)
    votes = agreement(scene, i, torch.where(moving, 0.0, z))
    return fuse.frame_points(i, z, torch.ones_like(z), scene.rgb(i), moving, votes, scene.cameras)


def test_points_lie_on_the_planes(scene: PlaneScene) -> None:
    cloud = fuse.fuse((points_of(scene, i, scene.depth(i)) for i in FRAMES), 0.02)
    static = cloud.xyz[~cloud.moving].double()
    off = torch.stack(
        [
            (static @ torch.tensor(s.normal, dtype=torch.float64) - s.offset).abs()
            for s in (BACKDROP, PANEL)
        ]
    )
    on_surface = off.amin(0) < 1e-4
    # a voxel at the panel's rim may hold a point of either surface
    assert on_surface.float().mean() > 0.99
    assert len(static) > 2000
    normals = torch.nn.functional.normalize(torch.tensor([BACKDROP.normal, PANEL.normal]), dim=1)
    cosine = (cloud.normal[~cloud.moving] @ -normals.T).amax(1)
    assert cosine[on_surface].median() > 1 - 1e-4
    assert (cosine[on_surface] > 0.99).float().mean() > 0.97
    assert (cloud.confidence > 0).all()


def test_truth_agrees_and_a_disturbed_depth_does_not(scene: PlaneScene) -> None:
    truth = static_depths(scene)[3]
    votes = agreement(scene, 3, truth)
    known = truth > 0
    assert votes.agreeing[known].median() >= 5
    assert votes.contradicting[known].float().mean() < 0.05
    assert (votes.agreeing[~known] == 0).all()
    nearer = agreement(scene, 3, truth * 0.9)
    assert nearer.contradicting[known].median() >= 4
    further = agreement(scene, 3, truth * 1.1)
    assert further.agreeing[known].median() == 0
    assert further.contradicting[known].median() == 0


def test_floaters_are_left_out(scene: PlaneScene) -> None:
    z = scene.depth(3).clone()
    z[20:25, 5:10] *= 0.6
    clean, dirty = points_of(scene, 3, scene.depth(3)), points_of(scene, 3, z)
    assert len(clean.xyz) - len(dirty.xyz) == 25


def test_movers_stay_apart(scene: PlaneScene) -> None:
    cloud = fuse.fuse((points_of(scene, i, scene.depth(i)) for i in FRAMES), 0.02)
    for i in FRAMES:
        layer = cloud.xyz[cloud.moving & (cloud.frame == i)]
        expected = WALKER.offset + i * WALKER.velocity[2]
        assert len(layer) > 10
        assert (layer[:, 2] - expected).abs().max() < 1e-3


def test_thinning_is_the_plain_loop() -> None:
    torch.manual_seed(0)
    n = 300
    cloud = PointCloud(
        torch.randn(n, 3),
        torch.rand(n, 3),
        torch.nn.functional.normalize(torch.randn(n, 3), dim=1),
        torch.rand(n),
        torch.randint(0, 3, (n,)),
        torch.rand(n) > 0.7,
    )
    thinned = fuse.thin(cloud, 0.8)
    cells: dict[tuple[int, ...], list[int]] = {}
    for k in range(n):
        layer = int(cloud.frame[k]) if cloud.moving[k] else -1
        cell = tuple(int(v) for v in (cloud.xyz[k] / 0.8).floor())
        cells.setdefault((*cell, layer), []).append(k)
    assert len(thinned.xyz) == len(cells)
    expected = []
    for members in cells.values():
        w = cloud.confidence[members, None]
        expected.append((cloud.xyz[members] * w).sum(0) / w.sum())
    distance = (thinned.xyz[:, None] - torch.stack(expected)).norm(dim=-1).amin(1)
    assert distance.max() < 1e-5
    far = cloud.xyz.clone()
    far[0], far[1] = 1e5, -1e5
    spread = fuse.thin(replace(cloud, xyz=far), 1e-3)
    assert len(spread.xyz) == n
    again = fuse.thin(thinned, 1e-4)
    assert len(again.xyz) == len(thinned.xyz)


def test_no_points_and_voxel_size(scene: PlaneScene) -> None:
    assert len(fuse.fuse([], 0.1).xyz) == 0
    empty = points_of(scene, 3, torch.zeros(48, 64))
    assert len(fuse.fuse([empty], 0.1).xyz) == 0
    z = torch.full((48, 64), 2.0)
    options = fuse.FuseOptions()
    assert fuse.voxel_size(z, scene.cameras, options) == pytest.approx(1.5 * 2 / (0.9 * 64))
    assert fuse.voxel_size(z, scene.cameras, fuse.FuseOptions(voxel=0.3)) == 0.3
    assert fuse.voxel_size(z * 0, scene.cameras, options) == 1.0
