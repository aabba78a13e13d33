"""Rotations and rigid transforms; a_from_b maps coordinates of frame b to frame a."""

import torch
from jaxtyping import Float
from torch import Tensor

SMALL_ANGLE = 1e-4  # below it the series is more exact than the closed form


def skew(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Cross-product matrix: skew(a) @ b = a x b."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*v.shape[:-1], 3, 3)


def _angle_terms(
    rotvec: Float[Tensor, "*b 3"],
) -> tuple[Float[Tensor, "*b 1 1"], Float[Tensor, "*b 1 1"], Float[Tensor, "*b 1 1"]]:
    """sin(a)/a, (1 - cos(a))/a^2 and (a - sin(a))/a^3 of the angle a, exact and smooth at 0."""
    a2 = rotvec.square().sum(-1)[..., None, None]
    small = a2 < SMALL_ANGLE**2
    safe = torch.where(small, torch.ones_like(a2), a2)
    a = safe.sqrt()
    sinc = torch.where(small, 1 - a2 / 6, a.sin() / a)
    versine = torch.where(small, 0.5 - a2 / 24, 2 * (a / 2).sin().square() / safe)
    cubic = torch.where(small, 1 / 6 - a2 / 120, (a - a.sin()) / (safe * a))
    return sinc, versine, cubic


def so3_exp(rotvec: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrix of a rotation vector in radians (Rodrigues)."""
    k = skew(rotvec)
    sinc, versine, _ = _angle_terms(rotvec)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + sinc * k + versine * (k @ k)


def so3_log(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Rotation vector in radians, angle in [0, pi]; by the quaternion, so exact near 0 and pi."""
    q = quaternion_from_rotation(rotation)
    q = torch.where(q[..., 3:] < 0, -q, q)
    v, w = q[..., :3], q[..., 3:]
    s = v.norm(dim=-1, keepdim=True)
    small = s < SMALL_ANGLE
    safe = torch.where(small, torch.ones_like(s), s)
    return v * torch.where(small, 2 / w - 2 * s.square() / (3 * w**3), 2 * torch.atan2(s, w) / safe)


def se3_exp(twist: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 4 4"]:
    """Rigid transform of a twist (translation part first, then rotation vector)."""
    rho, rotvec = twist[..., :3], twist[..., 3:]
    k = skew(rotvec)
    sinc, versine, cubic = _angle_terms(rotvec)
    k2 = k @ k
    eye = torch.eye(3, dtype=twist.dtype, device=twist.device)
    left = eye + versine * k + cubic * k2
    return rigid(eye + sinc * k + versine * k2, (left @ rho[..., None])[..., 0])


def se3_log(transform: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 6"]:
    """Twist of a rigid transform, inverse of `se3_exp` for angles below pi."""
    rotvec = so3_log(transform[..., :3, :3])
    k = skew(rotvec)
    _, versine, cubic = _angle_terms(rotvec)
    eye = torch.eye(3, dtype=transform.dtype, device=transform.device)
    left = eye + versine * k + cubic * (k @ k)
    rho = torch.linalg.solve(left, transform[..., :3, 3:])[..., 0]
    return torch.cat([rho, rotvec], -1)


def rigid(
    rotation: Float[Tensor, "*b 3 3"], translation: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b 4 4"]:
    """4x4 transform of a rotation and a translation."""
    top = torch.cat([rotation, translation[..., None]], -1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1
    return torch.cat([top, bottom], -2)


def invert(a_from_b: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """b_from_a of a rigid transform, by transposition."""
    rt = a_from_b[..., :3, :3].transpose(-1, -2)
    return rigid(rt, -(rt @ a_from_b[..., :3, 3:])[..., 0])


def j_from_i(
    world_from_cam_i: Float[Tensor, "*b 4 4"], world_from_cam_j: Float[Tensor, "*b 4 4"]
) -> Float[Tensor, "*b 4 4"]:
    """Coordinates of camera i to those of camera j."""
    return invert(world_from_cam_j) @ world_from_cam_i


def transform_points(
    a_from_b: Float[Tensor, "*b 4 4"], points: Float[Tensor, "*b n 3"]
) -> Float[Tensor, "*b n 3"]:
    """Points in frame b to frame a."""
    return points @ a_from_b[..., :3, :3].transpose(-1, -2) + a_from_b[..., None, :3, 3]


def quaternion_from_rotation(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternion (x, y, z, w) as in TUM files; the largest component decides the branch."""
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    w = 1 + xx + yy + zz
    x, y, z = 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    rows = torch.stack(
        [
            torch.stack([x, d, e, a], -1),
            torch.stack([d, y, f, b], -1),
            torch.stack([e, f, z, c], -1),
            torch.stack([a, b, c, w], -1),
        ],
        -2,
    )
    best = torch.stack([x, y, z, w], -1).argmax(-1)
    row = torch.gather(rows, -2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    return torch.nn.functional.normalize(row, dim=-1)


def rotation_from_quaternion(quaternion: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrix of a quaternion (x, y, z, w), normalised here."""
    q = torch.nn.functional.normalize(quaternion, dim=-1)
    k = skew(q[..., :3])
    eye = torch.eye(3, dtype=q.dtype, device=q.device)
    return eye + 2 * q[..., 3, None, None] * k + 2 * (k @ k)
