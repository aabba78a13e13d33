"""A frame placed by the points of others whose depth is known already."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import undistort
from rcvd.geometry.pose import invert, transform_points
from rcvd.recon.options import Lens
from rcvd.recon.resection import InitialOptions, camera_matrix, resect
from rcvd.recon.residuals import source_rays
from rcvd.recon.state import Data, State


def place(
    data: Data,
    state: State,
    k: int,
    pairs: Bool[Tensor, "p"],
    lens: Lens,
    options: InitialOptions,
) -> tuple[Float[Tensor, "4 4"], Float[Tensor, ""]] | None:
    """Pose of frame k by the points of pairs (i, k), and the change of its log-scale."""
    near = pairs.nonzero()[:, 0]
    if not len(near):
        return None
    rays = source_rays(data, state)[data.i[near]]
    z = state.log_z[data.i[near]].exp()[:, None]
    points = torch.cat([rays * z, z], 1).transpose(1, 2)
    world = transform_points(state.world_from_cam[data.i[near]], points)
    use = data.confidence[near] > 0
    stretch = data.xy_j.new_tensor([1.0, data.aspect])
    focal = float(state.log_focal[k].exp())
    straight = undistort(data.xy_j[near].transpose(1, 2) / focal, state.k1) * focal
    pixels = straight * stretch + data.xy_j.new_tensor(lens.centre)
    camera = camera_matrix(focal, lens.centre, lens.aspect)
    pose = resect(world[use].cpu(), pixels[use].cpu(), camera, options)
    if pose is None:
        return None
    pose = pose.to(world)
    depth = transform_points(invert(pose).expand(len(near), 4, 4), world)[..., 2]
    known = data.known_j[near] & (depth > 0)
    if not bool(known.any()):
        return pose, depth.new_zeros(())
    change = (depth.clamp(min=1e-9).log() - data.log_z_j[near])[known].median()
    return pose, change - state.log_scale[k]
