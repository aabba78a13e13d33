"""Nearest hits and shadows of bundles of rays, each bundle against its own few candidates.

A bundle is a tile of the image or the sub-samples of a pixel. Candidates are found once a bundle
(projected bounds for camera rays, a swept sphere for shadows), so that the work follows what is
seen, not scene size; the same code serves CPU and GPU.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.synthetic.primitives import INTERSECTIONS, Primitives, hit_box, unit_from_world

NEAR = 0.02  # metres; what is nearer to the image plane is clipped when bounds are projected
CORNERS = torch.tensor([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]).double()
EDGES = torch.tensor([(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit])


@dataclass(frozen=True)
class Solids:
    """Primitives made ready for casting: unit = matrix @ world + offset, flat over b and n."""

    kind: Int[Tensor, "b n"]
    shadows: Bool[Tensor, "b n"]
    matrix: Float[Tensor, "bn 3 3"]
    offset: Float[Tensor, "bn 3 1"]
    half: Float[Tensor, "bn 3"]


def ready(primitives: Primitives, dtype: torch.dtype = torch.float32) -> Solids:
    """The solids' inverse transforms, computed in double and rounded once."""
    matrix, offset = unit_from_world(primitives.half.double(), primitives.world_from_local.double())
    return Solids(
        kind=primitives.kind,
        shadows=primitives.shadows,
        matrix=matrix.reshape(-1, 3, 3).to(dtype),
        offset=offset.reshape(-1, 3, 1).to(dtype),
        half=primitives.half.reshape(-1, 3).to(dtype),
    )


def projected_bounds(
    primitives: Primitives, cam_from_world: Float[Tensor, "b 4 4"]
) -> Float[Tensor, "b n 4"]:
    """Bounds of every solid in x / z, y / z: (x0, y0, x1, y1); x0 > x1 where wholly behind."""
    corners = CORNERS.to(primitives.half.device) * primitives.half.double()[:, :, None]
    pose = cam_from_world.double()[:, None] @ primitives.world_from_local.double()
    points = corners @ pose[..., :3, :3].transpose(-1, -2) + pose[..., None, :3, 3]
    ends = points[:, :, EDGES.to(points.device)]
    p, q = ends[..., 0, :], ends[..., 1, :]
    step = (NEAR - p[..., 2:]) / torch.where(q == p, 1.0, q - p)[..., 2:]
    cut = p + step * (q - p)
    crosses = (p[..., 2] < NEAR) != (q[..., 2] < NEAR)
    points = torch.cat([points, cut], 2)
    seen = torch.cat([points[:, :, :8, 2] >= NEAR, crosses], 2)[..., None]
    xy = points[..., :2] / points[..., 2:].clamp(min=NEAR / 2)
    low = torch.where(seen, xy, torch.inf).amin(2)
    high = torch.where(seen, xy, -torch.inf).amax(2)
    return torch.cat([low, high], -1)


def shadow_candidates(
    solids: Solids,
    scene: Int[Tensor, "m"],
    centre: Float[Tensor, "m 3"],
    radius: Float[Tensor, "m"],
    to_light: Float[Tensor, "m 3"],
) -> Bool[Tensor, "m n"]:
    """Solids that may stand between the points of a sphere and their light."""
    n = solids.kind.shape[1]
    row = scene[:, None] * n + torch.arange(n, device=scene.device)
    grown = solids.half[row] + radius[:, None, None]
    rows = row.reshape(-1)
    matrix, offset = solids.matrix[rows], solids.offset[rows]
    o = torch.bmm(matrix, centre.repeat_interleave(n, 0)[..., None]) + offset
    d = torch.bmm(matrix, to_light.repeat_interleave(n, 0)[..., None])
    shrink = (solids.half[row] / grown).reshape(-1, 3, 1)
    o, d = o * shrink, d * shrink
    t = hit_box(o, d).reshape(row.shape)
    within = (o.abs().amax((1, 2)) <= 1).reshape(row.shape)
    usable = (solids.shadows & (solids.kind >= 0))[scene]
    return usable & ((t <= 1) | within)


def _table(
    chosen: Bool[Tensor, "m n"],
) -> tuple[Int[Tensor, "m"], Int[Tensor, "m k"], list[int]]:
    """Bundles by falling number of candidates, their candidates, and rows with more than k."""
    count = chosen.sum(1)
    order = count.argsort(descending=True, stable=True)
    longest = int(count.max()) if count.numel() else 0
    row, column = chosen[order].nonzero(as_tuple=True)
    count = count[order]
    start = count.cumsum(0) - count
    place = torch.arange(len(row), device=row.device) - start[row]
    table = torch.zeros(len(order), longest, dtype=torch.long, device=row.device)
    table[row, place] = column
    ks = torch.arange(longest, device=row.device)
    return order, table, (count[None] > ks[:, None]).sum(1).tolist()


def nearest(
    solids: Solids,
    scene: Int[Tensor, "m"],
    candidates: Bool[Tensor, "m n"],
    origin: Float[Tensor, "m 3 _"],
    direction: Float[Tensor, "m 3 r"],
) -> tuple[Float[Tensor, "m r"], Int[Tensor, "m r"]]:
    """First solid along each ray: parameter t (infinity where none) and its number (-1)."""
    n = solids.kind.shape[1]
    best = torch.full((len(direction), direction.shape[2]), torch.inf, device=direction.device).to(
        direction
    )
    index = torch.full(best.shape, -1, dtype=torch.long, device=best.device)
    kinds = solids.kind[scene]
    for kind, hit in INTERSECTIONS.items():
        order, table, rows = _table(candidates & (kinds == kind))
        if not rows:
            continue
        o, d, base = origin[order], direction[order], scene[order] * n
        near, first = best[order], index[order]
        for k, m in enumerate(rows):
            solid = table[:m, k]
            flat = base[:m] + solid
            matrix = solids.matrix[flat]
            at = torch.bmm(matrix, o[:m]) + solids.offset[flat]
            t = hit(at, torch.bmm(matrix, d[:m]))
            closer = t < near[:m]
            near[:m] = torch.minimum(t, near[:m])
            first[:m] = torch.where(closer, solid[:, None], first[:m])
        best[order], index[order] = near, first
    return best, index


def blocked(
    solids: Solids,
    scene: Int[Tensor, "m"],
    candidates: Bool[Tensor, "m n"],
    origin: Float[Tensor, "m 3 r"],
    to_light: Float[Tensor, "m 3 r"],
) -> Bool[Tensor, "m r"]:
    """True where a solid stands on the segment from origin to origin + to_light."""
    t, _ = nearest(solids, scene, candidates, origin, to_light)
    return t < 1
