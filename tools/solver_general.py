"""General least-squares solvers on a small problem of the solver's, timed beside it."""

import dataclasses
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from solver_cases import Recipe, make_case

from rcvd.geometry.pose import se3_exp
from rcvd.recon.fronts import structure_of
from rcvd.recon.initialise import first_state
from rcvd.recon.levenberg import Problem, Stop, minimise, total_cost
from rcvd.recon.noise import Noise
from rcvd.recon.options import lens_of
from rcvd.recon.residuals import pair_residuals, prior_residuals
from rcvd.recon.schedule import NO_GRID, Setting, camera_noise
from rcvd.recon.solver import SolverOptions
from rcvd.recon.state import State

FRAMES, EVERY = 8, 8  # of the problem: its frames, its points
WIDE = 1e3  # px: a kernel that leaves least squares


@dataclasses.dataclass(frozen=True)
class Small:
    """A least-squares problem with the focal known: poses but the first, log-scales, depths."""

    problem: Problem
    start: State
    noise: Noise

    @property
    def shape(self) -> tuple[int, int]:
        """Frames, points of each."""
        t, s = self.start.log_z.shape
        return t, s

    def state_at(self, x: np.ndarray) -> State:
        (t, s), start, v = self.shape, self.start, torch.from_numpy(x)
        poses, scale, depth = v.split([6 * (t - 1), t, t * s])
        twist = torch.cat([torch.zeros(1, 6).double(), poses.reshape(t - 1, 6)])
        return dataclasses.replace(
            start,
            world_from_cam=start.world_from_cam @ se3_exp(twist),
            log_scale=start.log_scale + scale,
            log_z=start.log_z + depth.reshape(t, s),
        )

    def cost(self, state: State) -> float:
        return float(total_cost(self.problem, state, self.noise))


def small_problem(kept: Path) -> Small:
    matches = make_case(Recipe(frames=FRAMES), kept).matches
    matches = matches.select(torch.ones(len(matches.pairs), dtype=torch.bool), EVERY)
    options = SolverOptions()
    lens = dataclasses.replace(lens_of(matches.size, options, None), known=True)
    structure = structure_of(matches.pairs, matches.n_frames)
    setting = Setting(matches, lens, options, structure)
    problem = setting.problem(NO_GRID, setting.free())
    problem = dataclasses.replace(
        problem, priors=dataclasses.replace(problem.priors, sigma_path=1e6)
    )
    noise = camera_noise(matches, options, WIDE, options.sigma_uv)
    noise = dataclasses.replace(noise, width_z=WIDE, width_prior=WIDE)
    first = first_state(matches, lens.focal, lens.centre, lens.aspect, options.initial).state
    return Small(problem, first, noise)


def against_general(kept: Path) -> None:
    """scipy.optimize.least_squares, and Ceres where pyceres is installed."""
    small = small_problem(kept)
    began = time.process_time()
    ours, _ = minimise(small.problem, small.start, lambda _k: small.noise, Stop(50, 1e-6))
    mine = time.process_time() - began
    rows = [("this solver", mine, small.cost(ours))]
    solvers = {"scipy least_squares (trf, lsmr)": by_scipy}
    if find_spec("pyceres"):
        solvers["Ceres (sparse Cholesky, residuals by torch)"] = by_ceres
    for name, run in solvers.items():
        began = time.process_time()
        state = run(small)
        rows.append((name, time.process_time() - began, small.cost(state)))
    print("| solver | cost | CPU s | ratio |\n|---|---|---|---|")
    for name, seconds, cost in rows:
        print(f"| {name} | {cost:.1f} | {seconds:.2f} | {seconds / mine:.0f} |", flush=True)


def by_scipy(small: Small) -> State:
    from scipy.optimize import least_squares

    t, s = small.shape
    found = least_squares(
        lambda x: np.concatenate(list(_rows(small, small.state_at(x)).values())),
        np.zeros(6 * (t - 1) + t + t * s),
        jac_sparsity=_sparsity(small),
        x_scale="jac",
        ftol=1e-6,
        max_nfev=50,
    )
    return small.state_at(found.x)


def _rows(small: Small, state: State) -> dict[str, np.ndarray]:
    """Whitened residuals without kernels, which at so wide a kernel is the same cost."""
    data, noise = small.problem.data, small.noise
    residuals = pair_residuals(data, state)
    root = data.confidence.sqrt()
    return {
        "uv": (residuals.uv * root[:, None] / noise.sigma_uv).reshape(-1).numpy(),
        "z": (residuals.z * root * data.known_j / noise.sigma_z).reshape(-1).numpy(),
        "prior": (prior_residuals(data, state) * data.valid_i / noise.sigma_prior)
        .reshape(-1)
        .numpy(),
        "gauge": (state.log_scale.mean()[None] * WIDE).numpy(),
    }


def _sparsity(small: Small):
    """Which unknown touches which residual."""
    from scipy.sparse import lil_matrix

    data, (t, s) = small.problem.data, small.shape
    p = len(data.i)
    out = lil_matrix((3 * p * s + t * s + 1, 6 * (t - 1) + t + t * s), dtype=np.int8)
    scale, depth = 6 * (t - 1), 6 * (t - 1) + t
    points = np.arange(s)
    for k, (i, j) in enumerate(zip(data.i.tolist(), data.j.tolist(), strict=True)):
        for first, is_z in ((2 * k * s, False), (2 * k * s + s, False), (2 * p * s + k * s, True)):
            rows = first + points
            for frame in (i, j):
                if frame:
                    out[first : first + s, 6 * (frame - 1) : 6 * frame] = 1
            out[rows, depth + i * s + points] = 1
            if is_z:
                out[first : first + s, scale + j] = 1
    for i in range(t):
        rows = 3 * p * s + i * s + points
        out[rows, depth + i * s + points] = 1
        out[rows[0] : rows[-1] + 1, scale + i] = 1
    out[-1, scale : scale + t] = 1
    return out


def by_ceres(small: Small) -> State:
    import pyceres  # pyright: ignore[reportMissingImports]
    from solver_ceres import blocks_of

    t, s = small.shape
    poses, scales, depths = np.zeros((t, 6)), np.zeros((t, 1)), np.zeros((t, s))
    problem = pyceres.Problem()
    for cost, parameters in blocks_of(small, poses, scales, depths):
        problem.add_residual_block(cost, pyceres.TrivialLoss(), parameters)
    problem.set_parameter_block_constant(poses[0])
    options = pyceres.SolverOptions()
    options.linear_solver_type = pyceres.LinearSolverType.SPARSE_NORMAL_CHOLESKY
    options.function_tolerance = 1e-6
    options.max_num_iterations = 50
    options.num_threads = 1
    pyceres.solve(options, problem, pyceres.SolverSummary())
    return small.state_at(np.concatenate([poses[1:].ravel(), scales.ravel(), depths.ravel()]))
