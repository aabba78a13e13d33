"""Residuals against a plain loop, Jacobians against autograd, exact scenes."""

from dataclasses import replace

import pytest
import torch
from made_matches import Made, make
from torch import Tensor

from rcvd.geometry.pose import invert, j_from_i, se3_exp
from rcvd.recon.fronts import structure_of
from rcvd.recon.jacobians import jacobians_of, relative_adjoint
from rcvd.recon.residuals import pair_residuals, prior_residuals, sights
from rcvd.recon.state import Data, State, fix_gauge, prepare

GRID = (3, 5)


def truth(made: Made, bicubic: bool = False) -> tuple[Data, State]:
    """The true state of a made scene whose corruption is a per-frame scale (a 1x1 grid)."""
    cx, cy = (float(x) for x in made.intrinsics[2:])
    t = made.matches.n_frames
    structure = structure_of(made.matches.pairs, t)
    data = prepare(made.matches, (cx, cy), 1.0, GRID, torch.float64, structure, bicubic)
    state = State(
        world_from_cam=made.world_from_cam,
        log_focal=made.intrinsics[0].log().expand(t).clone(),
        k1=torch.zeros((), dtype=torch.float64),
        log_scale=torch.zeros(t, dtype=torch.float64),
        shift=torch.zeros(t, dtype=torch.float64),
        grid=torch.zeros(t, *GRID, dtype=torch.float64),
        log_z=made.log_z,
    )
    return data, state


def disturbed(state: State, seed: int = 0) -> State:
    """A state off the truth in every unknown."""
    g = torch.Generator().manual_seed(seed)

    def noise(x: Tensor, size: float) -> Tensor:
        return size * torch.randn(x.shape, dtype=x.dtype, generator=g)

    twist = noise(state.world_from_cam[:, 0, :].repeat(1, 2)[:, :6], 0.03)
    return replace(
        state,
        world_from_cam=state.world_from_cam @ se3_exp(twist),
        log_focal=state.log_focal + noise(state.log_focal, 0.05),
        k1=torch.tensor(0.07, dtype=torch.float64),
        log_scale=noise(state.log_scale, 0.1),
        shift=noise(state.shift, 0.1),
        grid=noise(state.grid, 0.1),
        log_z=state.log_z + noise(state.log_z, 0.05),
    )


def test_exact_scene_has_zero_residuals_and_a_disturbed_one_has_not() -> None:
    made = make(n=6, points=40)
    data, state = truth(made)
    use = data.confidence > 0
    residuals = pair_residuals(data, state)
    assert residuals.uv.square().sum(1).sqrt()[use].max() < 1e-9
    assert residuals.z[use].abs().max() < 1e-9
    assert prior_residuals(data, state).abs().max() < 1e-12
    off = pair_residuals(data, disturbed(state))
    assert off.uv.square().sum(1).sqrt()[use].median() > 1
    assert off.z[use].abs().median() > 0.02


def bilinear(values: Tensor, x: float, y: float, size: tuple[int, int]) -> Tensor:
    """Plain bilinear lookup in a grid whose vertices lie on the border."""
    rows, columns = values.shape
    u, v = x / size[1] * (columns - 1), y / size[0] * (rows - 1)
    c, r = min(int(u), columns - 2), min(int(v), rows - 2)
    a, b = u - c, v - r
    top = (1 - a) * values[r, c] + a * values[r, c + 1]
    return (1 - b) * top + b * ((1 - a) * values[r + 1, c] + a * values[r + 1, c + 1])


def test_residuals_agree_with_a_plain_loop() -> None:
    made = make(n=4, points=12, corruption=0.1)
    data, state = truth(made)
    state = disturbed(state)
    got, offset = pair_residuals(data, state), prior_residuals(data, state)
    m = made.matches
    for p, (i, j) in enumerate(m.pairs.tolist()):
        relative = invert(state.world_from_cam[j]) @ state.world_from_cam[i]
        for s in range(m.xy_i.shape[1]):
            if m.confidence[p, s] == 0:
                continue
            distorted = (m.xy_i[i, s] - made.intrinsics[2:]) / state.log_focal[i].exp()
            ray = distorted.clone()
            for _ in range(200):
                ray = distorted / (1 + state.k1 * ray.square().sum())
            z = state.log_z[i, s].exp()
            point = relative[:3, :3] @ torch.cat([ray * z, z[None]]) + relative[:3, 3]
            flat = point[:2] / point[2]
            bent = flat * (1 + state.k1 * flat.square().sum())
            pixel = bent * state.log_focal[j].exp() + made.intrinsics[2:]
            torch.testing.assert_close(got.uv[p, :, s], pixel - m.xy_j[p, s], atol=1e-9, rtol=0)
            median = m.log_z_i[j].sort().values[(m.xy_i.shape[1] - 1) // 2]
            x, y = m.xy_j[p, s].tolist()
            prior = -((-m.log_z_j[p, s]).exp() + state.shift[j] * (-median).exp()).log()
            prior = prior + state.log_scale[j] + bilinear(state.grid[j], x, y, m.size)
            torch.testing.assert_close(got.z[p, s], point[2].log() - prior, atol=1e-9, rtol=0)
    median = m.log_z_i[1].sort().values[(m.xy_i.shape[1] - 1) // 2]
    x, y = m.xy_i[1, 5].tolist()
    prior = -((-m.log_z_i[1, 5]).exp() + state.shift[1] * (-median).exp()).log()
    prior = prior + state.log_scale[1] + bilinear(state.grid[1], x, y, m.size)
    torch.testing.assert_close(offset[1, 5], state.log_z[1, 5] - prior, atol=1e-9, rtol=0)


@pytest.mark.parametrize("k1", [0.0, 0.03])
@pytest.mark.parametrize("what", ["pose_i", "pose_j", "focal", "k1", "depth"])
def test_jacobians_agree_with_autograd(what: str, k1: float) -> None:
    made = make(n=3, points=6)
    data, state = truth(made)
    state = replace(disturbed(state), k1=torch.tensor(k1, dtype=torch.float64))
    (seen,) = sights(data, state)
    # what is exactly straight is worked out shorter: autograd takes the general way beside it
    state = replace(state, k1=state.k1 + 1e-13)
    g = seen.geometry
    rel = g.z.new_empty(len(data.i), 6, 3, g.z.shape[1])
    one = torch.ones_like(g.z)
    jac = jacobians_of(seen, state, (one, one), rel, free_k1=True)
    assert jac.focal_i is not None
    assert jac.focal_j is not None
    assert jac.k1 is not None
    p = 1
    i, j = (int(x) for x in made.matches.pairs[p])
    transform = j_from_i(state.world_from_cam[i], state.world_from_cam[j])[None]
    adjoint = relative_adjoint(transform[:, :3, :3], transform[:, :3, 3])[0]

    def moved(x: Tensor) -> State:
        if what in ("pose_i", "pose_j"):
            k = i if what == "pose_i" else j
            step = torch.zeros(3, 6, dtype=x.dtype).index_put((torch.tensor([k]),), x[None])
            return replace(state, world_from_cam=state.world_from_cam @ se3_exp(step))
        if what == "focal":
            change = torch.zeros(3, dtype=x.dtype).index_put((torch.tensor([i, j]),), x)
            return replace(state, log_focal=state.log_focal + change)
        if what == "k1":
            return replace(state, k1=state.k1 + x[0])
        change = torch.zeros_like(state.log_z).index_put((torch.tensor([i]),), x[None])
        return replace(state, log_z=state.log_z + change)

    def both(x: Tensor) -> Tensor:
        residuals = pair_residuals(data, moved(x))
        return torch.cat([residuals.uv[p], residuals.z[p][None]])

    size = {"pose_i": 6, "pose_j": 6, "focal": 2, "k1": 1, "depth": 6}[what]
    expected = torch.autograd.functional.jacobian(both, torch.zeros(size, dtype=torch.float64))
    assert isinstance(expected, Tensor)
    by_pose = rel[p].permute(1, 2, 0)
    focal_j = torch.cat([jac.focal_j[p], torch.zeros_like(g.z[p])[None]])
    analytic = {
        "pose_i": by_pose @ adjoint,
        "pose_j": -by_pose,
        "focal": torch.stack([jac.focal_i[p], focal_j], -1),
        "k1": jac.k1[p][..., None],
        "depth": torch.diag_embed(jac.depth[p]),
    }[what]
    torch.testing.assert_close(analytic, expected, atol=1e-8, rtol=1e-8)


def test_gauge_step_leaves_the_scene_alone() -> None:
    made = make(n=4, points=20, corruption=0.1)
    data, state = truth(made)
    state = disturbed(state)
    fixed = fix_gauge(state)
    assert (fixed.log_scale + fixed.grid.mean((1, 2))).mean().abs() < 1e-12
    assert fixed.grid.mean((1, 2)).abs().max() < 1e-12
    before, after = pair_residuals(data, state), pair_residuals(data, fixed)
    torch.testing.assert_close(before.uv, after.uv, atol=1e-9, rtol=0)
    torch.testing.assert_close(before.z, after.z, atol=1e-9, rtol=0)
    torch.testing.assert_close(prior_residuals(data, state), prior_residuals(data, fixed))
