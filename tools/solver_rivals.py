"""Other ways to solve the solver's normal equations and its whole problem, timed beside it."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from solver_cases import Recipe, errors_of, make_case
from solver_general import EVERY, FRAMES, against_general
from torch import Tensor

from rcvd.recon import schedule, solver
from rcvd.recon.eliminate import eliminate_points
from rcvd.recon.free import Free, block_index
from rcvd.recon.fronts import structure_of
from rcvd.recon.gauge import Gauge, GaugedFactor, moving_unknowns
from rcvd.recon.initialise import first_state
from rcvd.recon.linear import System, linearise
from rcvd.recon.options import lens_of
from rcvd.recon.schedule import NO_GRID, Setting, camera_noise, start
from rcvd.recon.solver import SolverOptions, solve
from rcvd.recon.state import Data
from rcvd.recon.sums import sum_rows

DAMPING = 1e-4
TOLERANCES = (1e-1, 1e-3)  # of the residual of conjugate gradients, in the preconditioner's norm


def print_rivals(kept: Path) -> None:
    print("The damped step of poses, focal and scales, one linearisation, seconds:\n")
    print("| frames | Cholesky | CG to 0.1 (steps, cost left) | CG to 0.001 (steps, cost left) |")
    print("|---|---|---|---|")
    for frames in (100, 500):
        against_gradients(frames, kept)
    print("\nThe whole solve in the two precisions:\n")
    against_single(kept)
    print(f"\nLeast squares on the same residuals, {FRAMES} frames, every {EVERY}th point:\n")
    against_general(kept)


def against_gradients(frames: int, kept: Path) -> None:
    """Cholesky of the reduced system beside matrix-free conjugate gradients with block-Jacobi."""
    matches = make_case(Recipe(frames=frames), kept).matches
    options = SolverOptions()
    lens = lens_of(matches.size, options, None)
    setting = Setting(matches, lens, options, structure_of(matches.pairs, matches.n_frames))
    first = first_state(matches, lens.focal, lens.centre, lens.aspect, options.initial).state
    state = start(setting, first)
    problem = setting.problem(NO_GRID, setting.free())
    noise = camera_noise(matches, options, options.width_uv[1], options.sigma_uv)
    system = linearise(problem.data, state, noise, problem.free)
    system = problem.priors.add_to(system, state, problem.free)
    moves = moving_unknowns(problem.free, frames, system.gradient)

    def cholesky() -> tuple[Tensor, int]:
        reduced, gradient, _ = eliminate_points(system, problem.data, problem.free, DAMPING)
        gauge = Gauge.of(system, problem.free)
        factor = GaugedFactor.of(reduced, problem.data.structure.fronts, moves, gauge)
        return factor.solve(-gradient), 1

    exact, _, direct = _timed(cholesky)
    cells = []
    for tolerance in TOLERANCES:
        found, steps, seconds = _timed(
            lambda t=tolerance: _gradients(system, problem.data, problem.free, moves, t)
        )
        left = _left(system, problem.data, problem.free, exact, found)
        cells.append(f"{seconds:.2f} ({steps}, {100 * left:.2g} %)")
    print(f"| {frames} | {direct:.2f} | {' | '.join(cells)} |", flush=True)


def _timed(work: Callable[[], tuple[Tensor, int]]) -> tuple[Tensor, int, float]:
    began = time.process_time()
    found, steps = work()
    return found, steps, time.process_time() - began


def _gradients(
    system: System, data: Data, free: Free, moves: Float[Tensor, "n"], tolerance: float
) -> tuple[Float[Tensor, "n"], int]:
    """The step by matrix-free CG; each frame's own block of the reduced system preconditions."""
    product, gradient, blocks = _matrix_free(system, data, free)
    b, t = free.block, len(data.log_z_i)
    frames = moves[: t * b].view(t, b)
    eye = torch.eye(b, dtype=blocks.dtype)
    kept = blocks * frames[:, :, None] * frames[:, None] + eye * (1 - frames)[:, None]
    factors = torch.linalg.cholesky(kept + 1e-9 * kept.diagonal(dim1=1, dim2=2).mean() * eye)
    corner = system.hessian.corner.diagonal()

    def precondition(r: Tensor) -> Tensor:
        own = torch.cholesky_solve(r[: t * b].view(t, b, 1), factors)
        return torch.cat([own.reshape(-1), r[t * b :] / corner]) * moves

    r, x = -gradient * moves, torch.zeros_like(gradient)
    z = precondition(r)
    p, rz = z, r @ z
    first = rz
    for step in range(5000):
        a = product(p) * moves
        alpha = rz / (p @ a)
        x, r = x + alpha * p, r - alpha * a
        z = precondition(r)
        rz, before = r @ z, rz
        if bool(rz <= tolerance**2 * first):
            return x, step + 1
        p = z + rz / before * p
    return x, 5000


def _matrix_free(
    system: System, data: Data, free: Free
) -> tuple[Callable[[Tensor], Tensor], Float[Tensor, "n"], Float[Tensor, "t b b"]]:
    """Products with the damped reduced system, its gradient, and the frames' own blocks."""
    t, b = len(data.log_z_i), free.block
    index = block_index(data, free, t)
    hessian = system.hessian.plus_diagonal(DAMPING * system.hessian.diagonal())
    gauge = Gauge.of(system, free)
    inverse = 1 / (system.point_hessian * (1 + DAMPING)).clamp(min=1e-12)
    inverse = torch.where(system.point_hessian > 0, inverse, 0.0)

    def back(depth: Tensor) -> Tensor:
        rows = (system.cross @ depth[data.i][..., None])[..., 0]
        local = (system.expand.transpose(1, 2) @ rows[..., None])[..., 0]
        out = sum_rows(local.reshape(-1), index.reshape(-1), len(system.gradient))
        out[: t * b] += (system.own @ depth[..., None]).reshape(-1)
        return out

    def product(x: Tensor) -> Tensor:
        local = (system.expand @ x[index][..., None])[..., 0]
        pull = sum_rows((local[:, None] @ system.cross)[:, 0], data.i, t)
        pull = pull + (x[: t * b].reshape(t, 1, b) @ system.own)[:, 0]
        return hessian.product(x) + gauge.product(x) - back(pull * inverse)

    gradient = system.gradient - back(inverse * system.point_gradient)
    blocks = hessian.blocks[hessian.pattern.diagonal].clone()
    for frame, (first, second) in ((data.i, (0, b)), (data.j, (b, 2 * b))):
        part = system.expand[:, :, first:second].transpose(1, 2) @ system.cross
        scaled = (part * inverse[data.i][:, None]) @ part.transpose(1, 2)
        blocks -= sum_rows(scaled, frame, t) * (frame is data.j)
        if frame is data.i:
            whole = sum_rows(part, frame, t) + system.own
            blocks -= (whole * inverse[:, None]) @ whole.transpose(1, 2)
    return product, gradient, blocks


def _left(system: System, data: Data, free: Free, exact: Tensor, found: Tensor) -> float:
    """Share of the exact step's decrease of the quadratic model that a step leaves."""
    product, gradient, _ = _matrix_free(system, data, free)
    best, got = (0.5 * x @ product(x) + gradient @ x for x in (exact, found))
    return float((got - best) / -best)


def against_single(kept: Path) -> None:
    """float64 and float32 of the same solve."""
    case = make_case(Recipe(frames=40), kept)
    print("| precision | ATE % | focal % | AbsRel | CPU s |\n|---|---|---|---|---|")
    for precision in (torch.float64, torch.float32):
        for module in (schedule, solver):
            setattr(module, "PRECISION", precision)  # noqa: B010 (a constant that only this moves)
        began = time.process_time()
        try:
            e = errors_of(case, solve(case.matches, SolverOptions()))
            cells = f"{e.ate:.3f} | {e.focal:+.2f} | {e.after:.4f}"
        except RuntimeError as error:
            cells = f"failed: {str(error).splitlines()[0][:60]} | - | -"
        print(f"| {precision} | {cells} | {time.process_time() - began:.1f} |", flush=True)
    for module in (schedule, solver):
        setattr(module, "PRECISION", torch.float64)  # noqa: B010
