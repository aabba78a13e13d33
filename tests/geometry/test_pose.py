"""Laws of rotations and rigid transforms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rcvd.geometry import pose

angles = st.floats(0, math.pi - 1e-6)
axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: sum(x * x for x in a) > 1e-3)


@settings(max_examples=60, deadline=None)
@given(angles, axes)
def test_so3_exp_is_scipys_and_log_inverts_it(angle: float, axis: tuple[float, ...]) -> None:
    v = np.array(axis) / np.linalg.norm(axis) * angle
    rotation = pose.so3_exp(torch.from_numpy(v))
    np.testing.assert_allclose(rotation.numpy(), Rotation.from_rotvec(v).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(pose.so3_log(rotation).numpy(), v, atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 1e-3, 1.0, 3.0])
def test_se3_log_inverts_exp(size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    twist = torch.randn(20, 6, dtype=torch.float64, generator=generator)
    twist = twist / twist[:, 3:].norm(dim=1, keepdim=True) * size
    torch.testing.assert_close(pose.se3_log(pose.se3_exp(twist)), twist, atol=1e-9, rtol=1e-7)


def test_invert_and_relative_pose() -> None:
    a, b = pose.se3_exp(torch.randn(2, 6, dtype=torch.float64))
    torch.testing.assert_close(pose.invert(a) @ a, torch.eye(4, dtype=torch.float64))
    points = torch.randn(5, 3, dtype=torch.float64)
    world = pose.transform_points(a, points)
    there = pose.transform_points(pose.invert(b), world)
    torch.testing.assert_close(pose.transform_points(pose.j_from_i(a, b), points), there)


def test_quaternion_round_trip_is_xyzw() -> None:
    rotation = torch.from_numpy(
        Rotation.from_rotvec(np.random.default_rng(1).normal(size=(50, 3)) * 2).as_matrix()
    )
    quaternion = pose.quaternion_from_rotation(rotation)
    torch.testing.assert_close(pose.rotation_from_quaternion(quaternion), rotation)
    expected = Rotation.from_matrix(rotation.numpy()).as_quat()
    dots = (quaternion * torch.from_numpy(expected)).sum(1).abs()
    torch.testing.assert_close(dots, torch.ones_like(dots))


def test_gradient_at_the_identity() -> None:
    zero = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pose.se3_exp, (zero,))
