"""The structured step against a dense solve of the same normal equations."""

from dataclasses import replace

import pytest
import torch
from made_matches import make
from test_residuals import disturbed, truth
from torch import Tensor

from rcvd.geometry.pose import se3_exp
from rcvd.recon.free import Free
from rcvd.recon.linear import linearise
from rcvd.recon.noise import Noise, pair_weights, prior_weight
from rcvd.recon.priors import WeakPriors
from rcvd.recon.residuals import pair_residuals, prior_residuals
from rcvd.recon.state import Data, State
from rcvd.recon.step import solve_step
from rcvd.recon.stiffness import Stiffness, stiffness, vertex_moving
from rcvd.recon.sums import sum_rows

NOISE = Noise(0.5, 8.0, 0.1, 0.3, 0.1, 0.25)
PRIORS = WeakPriors(5.0, 0.3, 0.01, 0.1, 0.3, 1.0)
DAMPING = 1e-3


def unpack(state: State, free: Free, x: Tensor) -> State:
    """The state moved by a vector of (frames' blocks, shared, grid, depths), gauge left alone."""
    t, b = len(state.log_scale), free.block
    parts = x.split([t * b, free.shared, state.grid.numel(), state.log_z.numel()])
    frames, shared = parts[0].reshape(t, b), parts[1]
    focal = state.log_focal
    if free.focal == "zoom":
        focal = focal + frames[:, -1]
    if free.focal == "shared":
        focal = focal + shared[0]
    return replace(
        state,
        world_from_cam=state.world_from_cam @ se3_exp(frames[:, :6]),
        log_focal=focal,
        k1=state.k1 + shared[-1] if free.k1 else state.k1,
        log_scale=state.log_scale + frames[:, 6],
        shift=state.shift + frames[:, 7] if free.shift else state.shift,
        grid=state.grid + parts[2].reshape(state.grid.shape),
        log_z=state.log_z + parts[3].reshape(state.log_z.shape),
    )


def whitened(data: Data, stiff: Stiffness, free: Free, state: State, at: State) -> Tensor:
    """All residuals of `state`, weighted as at the linearisation point `at`."""
    fixed = pair_residuals(data, at)
    w_uv, w_z = pair_weights(data, fixed, NOISE)
    w_p = prior_weight(data, prior_residuals(data, at), NOISE)
    r = pair_residuals(data, state)
    g = state.grid.flatten(1)
    rows = [
        (r.uv * w_uv.sqrt()[:, None]).reshape(-1),
        (r.z * w_z.sqrt()).reshape(-1),
        (prior_residuals(data, state) * w_p.sqrt()).reshape(-1),
        (stiff.weight.sqrt() * (g[:, stiff.first] - g[:, stiff.second])).reshape(-1),
    ]
    c = state.world_from_cam[:, :3, 3]
    rows.append(((c[:-2] - 2 * c[1:-1] + c[2:]) / PRIORS.sigma_path).reshape(-1))
    f = state.log_focal
    if free.focal == "shared":
        rows.append((f[:1] - PRIORS.log_focal) / PRIORS.sigma_focal)
    if free.focal == "zoom":
        rows.append((f - PRIORS.log_focal) / PRIORS.sigma_focal / len(f) ** 0.5)
        rows.append((f[:-2] - 2 * f[1:-1] + f[2:]) / PRIORS.sigma_zoom)
    if free.k1:
        rows.append(state.k1[None] / PRIORS.sigma_k1)
    if free.shift:
        rows.append(state.shift / PRIORS.sigma_shift)
    return torch.cat(rows)


@pytest.mark.parametrize(
    ("free", "bicubic"),
    [
        (Free(), False),
        (Free(), True),
        (Free("fixed"), False),
        (Free("zoom", k1=True), False),
        (Free(shift=True), True),
        (Free(held=(0, 1, 2, 3)), False),
    ],
    ids=["shared", "bicubic", "fixed", "zoom-k1", "shift-bicubic", "turn"],
)
def test_step_equals_the_dense_solve(free: Free, bicubic: bool) -> None:
    made = make(n=4, points=14, corruption=0.05)
    data, state = truth(made, bicubic)
    # the k1 of `disturbed` also exercises the distortion where it is not an unknown
    state = disturbed(state)
    stiff = stiffness(made.matches, (3, 5), 0.1, 100.0, torch.float64)
    system = PRIORS.add_to(linearise(data, state, NOISE, free), state, free)
    step = solve_step(system, data, free, stiff, state.grid.flatten(1), DAMPING, 1e-13, 500)

    t, b, v = 4, free.block, state.grid.numel()
    zero = torch.zeros(t * b + free.shared + v + state.log_z.numel(), dtype=torch.float64)

    def rows(x: Tensor) -> Tensor:
        return whitened(data, stiff, free, unpack(state, free, x), state)

    jacobian = torch.autograd.functional.jacobian(rows, zero)
    assert isinstance(jacobian, Tensor)
    hessian, gradient = jacobian.T @ jacobian, jacobian.T @ rows(zero)
    scale = torch.arange(t) * b + 6
    frames = t * b + free.shared
    damp = DAMPING * hessian.diagonal().clone()
    hessian[scale[:, None], scale[None]] += hessian[scale, scale].mean().clamp(min=1.0) / t
    damp[frames : frames + v] = 0
    hessian = hessian + torch.diag(damp)
    grid = slice(frames, frames + v)
    ridge = _grid_ridge(hessian, frames, v, t)
    hessian[grid, grid] += DAMPING * ridge * torch.eye(v, dtype=torch.float64)
    moves = torch.ones(len(zero), dtype=torch.bool)
    moves[:6] = False
    moves[: t * b].view(t, b)[list(free.held), :3] = False
    unused = hessian.diagonal() == 0
    moves &= ~unused
    solution = torch.zeros_like(zero)
    solution[moves] = -torch.linalg.solve(hessian[moves][:, moves], gradient[moves])
    torch.testing.assert_close(step.frames, solution[:frames], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(step.grid.reshape(-1), solution[grid], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(step.log_z.reshape(-1), solution[frames + v :], atol=1e-6, rtol=1e-5)


def _grid_ridge(hessian: Tensor, start: int, v: int, t: int) -> Tensor:
    """Mean diagonal of the grids' Hessian once the points are eliminated."""
    points = hessian[start + v :, start + v :].diagonal()
    cross = hessian[start : start + v, start + v :]
    inverse = torch.where(points > 0, 1 / points.clamp(min=1e-300), 0.0)
    return (hessian[start : start + v, start : start + v].diagonal() - (cross**2) @ inverse).mean()


def test_sum_rows_sums_equal_indices() -> None:
    values = torch.arange(12.0).reshape(4, 3)
    index = torch.tensor([2, 0, 2, 2])
    expected = torch.zeros(4, 3)
    for row, k in zip(values, index.tolist(), strict=True):
        expected[k] += row
    torch.testing.assert_close(sum_rows(values, index, 4), expected)


def test_a_mask_at_the_top_stiffens_the_top_rows() -> None:
    made = make(n=3, points=30)
    share = made.matches.moving_share.clone()
    share[:, :4] = 1.0
    matches = replace(made.matches, moving_share=share)
    moving = vertex_moving(share, (7, 12)).reshape(3, 7, 12)
    assert moving[:, 0].min() == 1.0
    assert moving[:, 3:].max() == 0.0
    plain = stiffness(made.matches, (7, 12), 0.1, 100.0, torch.float64)
    masked = stiffness(matches, (7, 12), 0.1, 100.0, torch.float64)
    ratio = masked.weight / plain.weight
    row = plain.first // 12
    torch.testing.assert_close(ratio[:, row == 0], torch.full_like(ratio[:, row == 0], 100.0))
    torch.testing.assert_close(ratio[:, row >= 3], torch.ones_like(ratio[:, row >= 3]))


def test_smoothness_gradient_matches_its_cost_and_matrix() -> None:
    made = make(n=3, points=30)
    stiff = stiffness(made.matches, (3, 5), 0.1, 100.0, torch.float64)
    grid = torch.randn(3, 15, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(stiff.cost(grid), grid)
    torch.testing.assert_close(2 * stiff.gradient(grid.detach()), gradient)
    product = (stiff.matrices(15) @ grid.detach()[..., None])[..., 0]
    torch.testing.assert_close(product, stiff.gradient(grid.detach()))


def test_linear_fields_cost_the_same_on_every_grid() -> None:
    made = make(n=3, points=30)
    x = torch.linspace(0, 1, 5, dtype=torch.float64).expand(3, 3, 5).reshape(3, 15)
    fine = torch.linspace(0, 1, 9, dtype=torch.float64).expand(3, 5, 9).reshape(3, 45)
    coarse = stiffness(made.matches, (3, 5), 0.1, 1.0, torch.float64)
    finer = stiffness(made.matches, (5, 9), 0.1, 1.0, torch.float64)
    # the share of edges that run along x differs a little between the grids
    assert abs(float(coarse.cost(x) / finer.cost(fine)) - 1) < 0.12
