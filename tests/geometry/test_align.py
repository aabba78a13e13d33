"""Similarity alignment recovers what was applied."""

import torch

from rcvd.geometry import align, pose


def test_umeyama_recovers_a_similarity() -> None:
    source = torch.randn(30, 3, dtype=torch.float64)
    rotation = pose.so3_exp(torch.tensor([0.3, -2.0, 0.5], dtype=torch.float64))
    translation = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    target = 2.5 * source @ rotation.T + translation
    scale, r, t = align.umeyama(source, target)
    assert abs(scale - 2.5) < 1e-12
    torch.testing.assert_close(r, rotation)
    torch.testing.assert_close(t, translation)


def test_umeyama_never_reflects() -> None:
    source = torch.randn(30, 3, dtype=torch.float64)
    _, r, _ = align.umeyama(source, source * torch.tensor([1.0, 1.0, -1.0]))
    assert torch.det(r) > 0


def test_no_spread_is_a_translation() -> None:
    scale, r, t = align.umeyama(torch.ones(4, 3).double(), torch.zeros(4, 3).double())
    assert scale == 1.0
    torch.testing.assert_close(r, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(t, -torch.ones(3, dtype=torch.float64))


def test_sim3_moves_centres_and_turns_axes() -> None:
    poses = pose.se3_exp(torch.randn(6, 6, dtype=torch.float64))
    rotation = pose.so3_exp(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    moved = align.sim3_poses(poses, 2.0, rotation, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(moved[:, :3, :3], rotation @ poses[:, :3, :3])
    torch.testing.assert_close(moved[:, :3, 3], 2 * poses[:, :3, 3] @ rotation.T + 1)
