"""Intersections against a slow march along the ray; normals against the surface's own shape."""

import math
import random

import pytest
import torch

from rcvd.geometry.pose import rigid, so3_exp
from rcvd.synthetic import cast
from rcvd.synthetic.primitives import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    INTERSECTIONS,
    NOTHING,
    Primitives,
    local_normals,
    unit_from_world,
)

KINDS = (BOX, ELLIPSOID, CYLINDER)


def inside(kind: int, x: float, y: float, z: float) -> bool:
    if kind == BOX:
        return max(abs(x), abs(y), abs(z)) <= 1
    if kind == ELLIPSOID:
        return x * x + y * y + z * z <= 1
    return x * x + z * z <= 1 and abs(y) <= 1


def march(kind: int, o: list[float], d: list[float]) -> float:
    """Entry parameter by small steps and bisection: an oracle without any formula."""

    def within(t: float) -> bool:
        return inside(kind, *(a + t * b for a, b in zip(o, d, strict=True)))

    steps = 4000
    for k in range(steps):
        t = 8 * (k + 1) / steps
        if within(t):
            low, high = t - 8 / steps, t
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (low, middle) if within(middle) else (middle, high)
            return high
    return math.inf


@pytest.mark.parametrize("kind", KINDS)
def test_intersections_agree_with_a_march_along_the_ray(kind: int) -> None:
    rng = random.Random(kind)
    hits = 0
    for _ in range(40):
        o = [rng.uniform(-1, 1) for _ in range(3)]
        o = [a + 3 * b / math.hypot(*o) for a, b in zip((0, 0, 0), o, strict=True)]
        goal = [rng.uniform(-1.2, 1.2) for _ in range(3)]
        d = [g - a for g, a in zip(goal, o, strict=True)]
        expected = march(kind, o, d)
        rays = [torch.tensor(v, dtype=torch.float64).reshape(1, 3, 1) for v in (o, d)]
        got = INTERSECTIONS[kind](*rays).item()
        if math.isinf(expected):  # a march may miss a graze shorter than its step
            assert math.isinf(got) or not inside(
                kind, *(a + 1.002 * got * b for a, b in zip(o, d, strict=True))
            )
        else:
            hits += 1
            assert got == pytest.approx(expected, abs=1e-9)
        # from behind, nothing is ahead
        assert math.isinf(INTERSECTIONS[kind](rays[0], -rays[1]).item())
    assert hits > 10


@pytest.mark.parametrize("kind", KINDS)
def test_normals_are_square_to_the_surface(kind: int) -> None:
    g = torch.Generator().manual_seed(kind)
    half = torch.tensor([[0.7, 1.3, 0.4]], dtype=torch.float64)
    o = 3 * torch.nn.functional.normalize(torch.randn(200, 3, 1, generator=g).double(), dim=1)
    d = 0.6 * torch.randn(200, 3, 1, generator=g).double() - o
    step = 1e-6
    points = []
    for shift in (torch.zeros(3), torch.tensor([1.0, 0.3, 0]), torch.tensor([-0.2, 1.0, 0.6])):
        turned = d + step * shift.double()[:, None]
        points.append((o + INTERSECTIONS[kind](o, turned)[:, None] * turned)[..., 0])
    normal = local_normals(torch.full((200,), kind), half.expand(200, 3), points[0])
    for other in points[1:]:
        along = torch.nn.functional.normalize((other - points[0]) * half, dim=-1)
        square = (along * normal).sum(-1).abs()
        ok = along.isfinite().all(1)
        assert ok.sum() > 60
        assert square[ok].median() < 1e-4
    outward = (normal * points[0]).sum(-1)
    assert (outward[points[0].isfinite().all(1)] > 0).all()


def some_primitives(b: int, n: int, g: torch.Generator) -> Primitives:
    turn = so3_exp(torch.randn(b, n, 3, generator=g).double())
    centre = 3 * torch.randn(b, n, 3, generator=g).double() + torch.tensor([0.0, 0.0, 8.0])
    kind = torch.randint(0, 3, (b, n), generator=g)
    kind[:, -1] = NOTHING
    return Primitives(
        kind=kind,
        half=0.3 + torch.rand(b, n, 3, generator=g).double(),
        world_from_local=rigid(turn, centre),
        shadows=torch.ones(b, n, dtype=torch.bool),
    )


def test_nearest_agrees_with_every_ray_against_every_solid() -> None:
    g = torch.Generator().manual_seed(1)
    primitives = some_primitives(2, 9, g)
    scene = torch.tensor([0, 1, 0, 1, 1])
    direction = torch.randn(5, 3, 16, generator=g).double() * 0.4
    direction[:, 2] = 1
    origin = torch.zeros(5, 3, 1).double()
    everything = torch.ones(5, 9, dtype=torch.bool)
    solids = cast.ready(primitives, torch.float64)
    t, index = cast.nearest(solids, scene, everything, origin, direction)
    hits = 0
    for m in range(5):
        for r in range(16):
            best, which = math.inf, -1
            for n in range(8):
                s = int(scene[m])
                matrix, offset = unit_from_world(
                    primitives.half[s, n], primitives.world_from_local[s, n]
                )
                o = offset.reshape(1, 3, 1)
                d = (matrix @ direction[m, :, r]).reshape(1, 3, 1)
                near = INTERSECTIONS[int(primitives.kind[s, n])](o, d).item()
                if near < best:
                    best, which = near, n
            assert t[m, r].item() == pytest.approx(best)
            assert index[m, r] == which
            hits += which >= 0
    assert 10 < hits < 80


def test_projected_bounds_hold_all_that_is_seen() -> None:
    g = torch.Generator().manual_seed(2)
    primitives = some_primitives(1, 12, g)
    primitives.world_from_local[0, :4, 2, 3] = 0.2  # across the image plane
    bounds = cast.projected_bounds(primitives, torch.eye(4)[None])
    solids = cast.ready(primitives, torch.float64)
    xy = 3 * torch.randn(1, 2, 4000, generator=g).double()
    direction = torch.cat([xy, torch.ones(1, 1, 4000)], 1)
    for n in range(11):
        only = torch.zeros(1, 12, dtype=torch.bool)
        only[0, n] = True
        t, _ = cast.nearest(
            solids, torch.tensor([0]), only, torch.zeros(1, 3, 1).double(), direction
        )
        seen = xy[0, :, t[0] < math.inf].T
        seen_z = t[0][t[0] < math.inf]
        seen = seen[seen_z > cast.NEAR]
        low, high = bounds[0, n, :2], bounds[0, n, 2:]
        assert ((seen >= low) & (seen <= high)).all()
