"""A second start for spans whose first one failed: links that the flow contradicts are made anew.

By then the points of the frames before are triangulated, so the resection is far better than the
first one, which had the depth prior only.
"""

import logging
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.camera import undistort
from rcvd.geometry.pose import invert, rigid, transform_points
from rcvd.recon.initialise import InitialOptions, camera_matrix, resect
from rcvd.recon.options import Lens
from rcvd.recon.residuals import pair_residuals, source_rays
from rcvd.recon.state import Data, State
from rcvd.recon.sums import sum_rows

log = logging.getLogger(__name__)

LINK_PX, LINK_SHARE = 3.0, 0.5  # a link holds where this share of its matches lies so near
JOINT_SHARE = 0.8  # of the clip's median: a joint across which fewer matches hold is doubtful
REACH = 8  # frames around a link whose matches judge it, and place the frame after it
MIN_POINTS = 30


@dataclass(frozen=True)
class Restart:
    """The state with the clip put together anew after every broken link, and those links (k: from
    frame k - 1 to k).
    """

    state: State
    links: list[int]


@dataclass(frozen=True)
class Holding:
    """Which matches count, and which of them cameras and depths of t frames explain."""

    use: Bool[Tensor, "p s"]
    good: Bool[Tensor, "p s"]
    t: int

    @classmethod
    def of(cls, data: Data, state: State) -> "Holding":
        residuals = pair_residuals(data, state)
        use = data.confidence > 0
        near = residuals.uv.square().sum(1).sqrt() < LINK_PX
        return cls(use, use & residuals.in_front & near, len(state.log_scale))


def broken_links(data: Data, holding: Holding) -> list[int]:
    """Frames k whose step from k - 1 most matches contradict."""
    use, good = holding.use, holding.good
    share = good.sum(1) / use.sum(1).clamp(min=1)
    best = share.new_ones(holding.t)
    for p in ((data.i - data.j).abs() == 1).nonzero()[:, 0].tolist():
        if int(use[p].sum()) >= MIN_POINTS:
            later = max(int(data.i[p]), int(data.j[p]))
            best[later] = min(float(best[later]), float(share[p]))
    return (best < LINK_SHARE).nonzero()[:, 0].tolist()


def doubtful_links(data: Data, holding: Holding) -> list[int]:
    """Frames k where far fewer of the matches between frames before and from k on hold than at
    other k; of several in a row the first.
    """
    first, last = torch.minimum(data.i, data.j), torch.maximum(data.i, data.j)
    near, t = last - first <= REACH, holding.t

    def across(matches: Bool[Tensor, "p s"]) -> Float[Tensor, "t"]:
        count = matches[near].sum(1).to(data.confidence)
        begun, ended = (sum_rows(count, k[near] + 1, t + 1) for k in (first, last))
        return (begun - ended).cumsum(0)[:t]

    total = across(holding.use)
    share = across(holding.good) / total.clamp(min=1)
    doubtful = (total >= MIN_POINTS) & (share < JOINT_SHARE * share[1:].median())
    doubtful[0] = False
    return (doubtful[1:] & ~doubtful[:-1]).nonzero()[:, 0].add(1).tolist()


def restart(data: Data, state: State, lens: Lens, options: InitialOptions) -> Restart:
    """Every broken or doubtful link by resection on the solved points before it; what follows
    moves along.
    """
    holding = Holding.of(data, state)
    links = sorted({*broken_links(data, holding), *doubtful_links(data, holding)})
    made = []
    for k in links:
        near = (data.j == k) & (data.i < k) & (data.i >= k - REACH)
        placed = place(data, state, k, near, lens, options)
        if placed is None:
            continue
        state = _moved_from(state, k, *placed)
        made.append(k)
    if made:
        log.info("restart: the steps to frames %s were made anew", made)
    return Restart(state, made)


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


def _moved_from(
    state: State, k: int, pose: Float[Tensor, "4 4"], growth: Float[Tensor, ""]
) -> State:
    """Frames from k on moved and scaled together so that frame k has the given pose."""
    onward = torch.arange(len(state.log_scale), device=growth.device) >= k
    relative = invert(state.world_from_cam[k]) @ state.world_from_cam[k:]
    scaled = rigid(relative[:, :3, :3], relative[:, :3, 3] * growth.exp())
    world_from_cam = torch.cat([state.world_from_cam[:k], pose @ scaled])
    return replace(
        state,
        world_from_cam=world_from_cam,
        log_scale=state.log_scale + growth * onward,
        log_z=state.log_z + (growth * onward)[:, None],
    )
