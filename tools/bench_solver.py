#!/usr/bin/env python3
"""Accuracy and speed of the joint solve on corrupted exact scenes: seeds x frames x outliers.

    tools/bench solver --frames 40 100 --seeds 0 1 2 3 4 --outliers 0 0.2

The flow is exact plus 0.3 px noise (rule `paper`), the depth has a wrong scale and a smooth bend in
every frame. `--scipy` also solves a small problem with scipy.optimize.least_squares on the same
residuals and prints the ratio of the times.
"""

import argparse
import dataclasses
import resource
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from rcvd.flow.pairs import make_pairs
from rcvd.geometry.align import umeyama
from rcvd.geometry.grid import grid_to_image
from rcvd.geometry.pose import se3_exp
from rcvd.recon.fronts import structure_of
from rcvd.recon.levenberg import Problem, Stop, minimise, total_cost
from rcvd.recon.matches import Matches, MatchOptions, build_matches
from rcvd.recon.options import lens_of
from rcvd.recon.residuals import pair_residuals, prior_residuals
from rcvd.recon.schedule import NO_GRID, Setting, camera_noise
from rcvd.recon.solver import Solution, SolverOptions, solve
from rcvd.recon.state import State
from rcvd.synthetic import Sequence, corrupt_depth, make_sequence
from rcvd.types import Flow

NOISE_PX = 0.3
OUTLIER_PX = 20.0


def noisy_flows(
    sequence: Sequence, rule: str, outliers: float, seed: int
) -> Iterator[tuple[int, int, Flow]]:
    """Exact flow with pixel noise; a share of the image, in blocks, moves OUTLIER_PX together."""
    g = torch.Generator().manual_seed(seed)
    for i, j in make_pairs(len(sequence.z), rule).pairs.tolist():
        flow = sequence.flow(i, j)
        moved = flow.displacement + NOISE_PX * torch.randn(flow.displacement.shape, generator=g)
        block = torch.rand(7, 12, generator=g) < outliers
        h, w = flow.valid.shape
        bad = block.repeat_interleave(-(-h // 7), 0).repeat_interleave(-(-w // 12), 1)[:h, :w]
        angle = 6.2832 * torch.rand(1, generator=g)
        moved[bad] += OUTLIER_PX * torch.cat([angle.cos(), angle.sin()])
        yield i, j, Flow(moved, flow.valid, flow.confidence)


def make(
    scene: str, frames: int, rule: str, outliers: float, seed: int, masked: bool = True
) -> tuple[Sequence, Tensor, Matches]:
    """The sequence, its corrupted depth and the matches; not masked: movers are matched too."""
    sequence = make_sequence(scene, seed, frames)
    z = corrupt_depth(sequence.z, torch.Generator().manual_seed(seed))
    moving = sequence.moving if masked else torch.zeros_like(sequence.moving)
    per_frame = zip(sequence.rgb, z, moving, strict=True)
    flows = noisy_flows(sequence, rule, outliers, seed)
    return (
        sequence,
        z,
        build_matches(per_frame, flows, z.__getitem__, moving.__getitem__, MatchOptions()),
    )


def scale_drift(sequence: Sequence, solution: Solution) -> float:
    """Change in % of the solved scale from the first to the last fifth of the path, by steps."""
    lengths = [
        (centres[1:] - centres[:-1]).norm(dim=1)
        for centres in (
            solution.cameras.world_from_cam[:, :3, 3].cpu().double(),
            sequence.cameras.world_from_cam[:, :3, 3].double(),
        )
    ]
    fifth = max(len(lengths[0]) // 5, 1)
    first, last = (
        lengths[0][part].sum() / lengths[1][part].sum()
        for part in (slice(None, fifth), slice(-fifth, None))
    )
    return 100 * float(last / first - 1)


def figures(sequence: Sequence, z: Tensor, solution: Solution) -> tuple[float, float, float, float]:
    """ATE in % of the path, focal error in %, AbsRel before and after the solve, one scale each."""
    truth = sequence.cameras.world_from_cam[:, :3, 3].double()
    centres = solution.cameras.world_from_cam[:, :3, 3].cpu().double()
    scale, rotation, translation = umeyama(centres, truth)
    error = (scale * centres @ rotation.T + translation - truth).square().sum(1).mean().sqrt()
    path = (truth[1:] - truth[:-1]).norm(dim=1).sum()
    focal = float(solution.cameras.intrinsics[0, 0] / sequence.cameras.intrinsics[0, 0] - 1)
    field = grid_to_image(solution.deformation.log_scale.cpu().float(), sequence.cameras.size)
    static = ~sequence.moving & (sequence.z > 0)
    true = sequence.z[static]
    before, after = (
        float(((d * (true / d).median() - true).abs() / true).mean())
        for d in (z[static], (z * field.exp())[static])
    )
    return 100 * float(error / path), 100 * focal, before, after


def against_scipy(scene: str) -> None:
    """Seconds of scipy's sparse least squares and ours from one start to the same cost."""
    from scipy.optimize import least_squares
    from scipy.sparse import lil_matrix

    _, _, matches = make(scene, 8, "paper", 0.0, 0)
    matches = matches.select(torch.ones(len(matches.pairs), dtype=torch.bool), 8)
    options = SolverOptions()
    lens = lens_of(matches.size, options, None)
    structure = structure_of(matches.pairs, matches.n_frames)
    setting = Setting(matches, lens, options, structure)
    known = dataclasses.replace(lens, known=True)
    problem = dataclasses.replace(setting, lens=known)
    problem = problem.problem(NO_GRID, problem.free())
    noise = camera_noise(matches, options, 1e3, options.sigma_uv)
    from rcvd.recon.initialise import first_state

    start = first_state(matches, lens.focal, lens.centre, lens.aspect, options.initial).state
    began = time.process_time()
    ours, _ = minimise(problem, start, lambda _k: noise, Stop(50, 1e-6))
    our_time = time.process_time() - began
    t, s = start.log_z.shape

    def state_at(x: np.ndarray) -> State:
        v = torch.from_numpy(x)
        twist = torch.cat([torch.zeros(1, 6).double(), v[: 6 * (t - 1)].reshape(t - 1, 6)])
        rest = v[6 * (t - 1) :]
        return dataclasses.replace(
            start,
            world_from_cam=start.world_from_cam @ se3_exp(twist),
            log_scale=start.log_scale + rest[:t],
            log_z=start.log_z + rest[t:].reshape(t, s),
        )

    sparsity = _sparsity(problem, t, s, lil_matrix)
    began = time.process_time()
    result = least_squares(
        lambda x: _rows(problem, state_at(x), noise),
        np.zeros(6 * (t - 1) + t + t * s),
        jac_sparsity=sparsity,
        x_scale="jac",
        ftol=1e-6,
        max_nfev=50,
    )
    their_time = time.process_time() - began
    theirs = float(total_cost(problem, state_at(result.x), noise))
    print(
        f"scipy {their_time:.2f} s (cost {theirs:.1f}), ours {our_time:.2f} s "
        f"(cost {float(total_cost(problem, ours, noise)):.1f}): {their_time / our_time:.0f} x"
    )


def _rows(problem: Problem, state: State, noise: object) -> np.ndarray:
    """Whitened residuals without kernels, which at so wide a kernel is the same cost."""
    data = problem.data
    residuals = pair_residuals(data, state)
    root = data.confidence.sqrt()
    sigma_uv, sigma_z, sigma_p = (getattr(noise, f"sigma_{k}") for k in ("uv", "z", "prior"))
    rows = [
        (residuals.uv * root[:, None] / sigma_uv).reshape(-1),
        (residuals.z * root * data.known_j / sigma_z).reshape(-1),
        (prior_residuals(data, state) * data.valid_i / sigma_p).reshape(-1),
        state.log_scale.mean()[None] * 1e3,
    ]
    return torch.cat(rows).numpy()


def _sparsity(problem: Problem, t: int, s: int, lil_matrix: type) -> object:
    """Which unknown touches which residual."""
    data, p = problem.data, len(problem.data.i)
    out = lil_matrix((3 * p * s + t * s + 1, 6 * (t - 1) + t + t * s), dtype=np.int8)
    scale, depth = 6 * (t - 1), 6 * (t - 1) + t
    for k, (i, j) in enumerate(zip(data.i.tolist(), data.j.tolist(), strict=True)):
        for block, rows in ((0, range(2 * k * s, 2 * (k + 1) * s)), (1, range(s))):
            for r in rows:
                row = r if block == 0 else 2 * p * s + k * s + r
                for frame in (i, j):
                    if frame:
                        out[row, 6 * (frame - 1) : 6 * frame] = 1
                out[row, depth + i * s + r % s] = 1
                if block:
                    out[row, scale + j] = 1
    for i in range(t):
        for r in range(s):
            out[3 * p * s + i * s + r, [scale + i, depth + i * s + r]] = 1
    out[-1, scale : scale + t] = 1
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", default="room")
    parser.add_argument("--frames", type=int, nargs="+", default=[40])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--outliers", type=float, nargs="+", default=[0.0])
    parser.add_argument("--rule", default="paper")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-masks", action="store_true", help="movers are matched too")
    parser.add_argument("--paper", action="store_true", help="without free point depths")
    parser.add_argument("--scipy", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = SolverOptions(free_depths=not args.paper)
    print(
        "frames pairs seed outliers | ATE % focal % (std) drift % AbsRel before -> after | "
        "CPU s  peak GB"
    )
    for frames in args.frames:
        for outliers in args.outliers:
            for seed in args.seeds:
                sequence, z, matches = make(
                    args.scene, frames, args.rule, outliers, seed, not args.no_masks
                )
                matches = matches.to(args.device)
                began = time.process_time()
                solution = solve(matches, options)
                seconds = time.process_time() - began
                ate, focal, before, after = figures(sequence, z, solution)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
                print(
                    f"{frames:4d} {len(matches.pairs):5d} {seed:3d} {outliers:5.2f} | {ate:.4f} "
                    f"{focal:+.3f} ({100 * solution.report['focal_std_share']:.2f}) "
                    f"{scale_drift(sequence, solution):+.2f} {before:.4f} -> {after:.4f} | "
                    f"{seconds:.2f} {peak:.2f}",
                    flush=True,
                )
    if args.scipy:
        against_scipy(args.scene)


if __name__ == "__main__":
    main()
