"""Levenberg-Marquardt on one problem at one noise model."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.geometry.pose import se3_exp
from rcvd.recon.free import Free
from rcvd.recon.linear import System, linearise
from rcvd.recon.noise import Noise, pair_cost, prior_cost
from rcvd.recon.priors import WeakPriors
from rcvd.recon.residuals import Sight, prior_residuals, sights
from rcvd.recon.state import Data, State, fix_gauge
from rcvd.recon.step import Step, solve_step
from rcvd.recon.stiffness import Stiffness

MAX_DEPTH_STEP = 1.0  # log units: a point seen under no parallax may not jump


@dataclass(frozen=True)
class Problem:
    """All that a state is judged by."""

    data: Data
    stiff: Stiffness
    priors: WeakPriors
    free: Free


@dataclass(frozen=True)
class Progress:
    """Of one Levenberg-Marquardt run: cost after it, accepted and tried steps, CG iterations."""

    cost: float
    accepted: int
    tried: int
    cg_steps: int


def total_cost(
    problem: Problem, state: State, noise: Noise, seen: list[Sight] | None = None
) -> Float[Tensor, ""]:
    """The cost that steps are accepted by. seen: the state's `sights`, if at hand already."""
    costs = in_order(
        lambda part: pair_cost(part.data, part.residuals, noise),
        seen or sights(problem.data, state),
    )
    return (
        torch.stack(list(costs)).sum()
        + prior_cost(problem.data, prior_residuals(problem.data, state), noise)
        + problem.stiff.cost(state.grid.flatten(1))
        + problem.priors.cost(state, problem.free)
    )


def apply_step(state: State, step: Step, free: Free) -> State:
    """The state moved by a step, back in its gauge."""
    t, b = len(state.log_scale), free.block
    frames = step.frames[: t * b].reshape(t, b)
    shared = step.frames[t * b :]
    if free.cameras:
        state = _moved_cameras(state, frames, shared, free)
    moved = replace(
        state,
        log_scale=state.log_scale + frames[:, free.scale],
        shift=state.shift + frames[:, free.scale + 1] if free.shift else state.shift,
        grid=state.grid + step.grid.reshape(state.grid.shape),
        log_z=state.log_z + step.log_z.clamp(-MAX_DEPTH_STEP, MAX_DEPTH_STEP),
    )
    return fix_gauge(moved)


def _moved_cameras(
    state: State, frames: Float[Tensor, "t b"], shared: Float[Tensor, "c"], free: Free
) -> State:
    log_focal = state.log_focal
    if free.zooms:
        log_focal = log_focal + frames[:, -1]
    elif free.focal == "shared":
        log_focal = log_focal + shared[0]
    return replace(
        state,
        world_from_cam=state.world_from_cam @ se3_exp(frames[:, :6]),
        log_focal=log_focal,
        k1=state.k1 + shared[-1] if free.k1 else state.k1,
    )


@dataclass(frozen=True)
class Stop:
    """When a run ends, and how exactly a step is solved.

    tolerance: relative decrease of the cost. cg_tolerance: of the step's residual.
    """

    max_steps: int
    tolerance: float
    cg_tolerance: float = 0.1
    cg_steps: int = 20


START_DAMPING = 1e-4
DAMPING_TRIES = 6


def minimise(
    problem: Problem,
    state: State,
    noise: Callable[[int], Noise],
    stop: Stop,
) -> tuple[State, Progress]:
    """Steps until the relative decrease of the cost falls under the tolerance.

    noise: by step (annealing). A step is judged at the noise it was made with, and the run does
    not stop while the noise still changes.
    """
    tried = cg_steps = accepted = 0
    damping = START_DAMPING
    seen = sights(problem.data, state)
    before, cost = noise(0), total_cost(problem, state, noise(0), seen)
    for k in range(stop.max_steps):
        now = noise(k)
        if now != before:
            cost, before = total_cost(problem, state, now, seen), now
        system = linearise(problem.data, state, now, problem.free, seen)
        system = problem.priors.add_to(system, state, problem.free)
        for _ in range(DAMPING_TRIES):
            step = _damped_step(problem, system, state, damping, stop)
            trial = apply_step(state, step, problem.free)
            seen = sights(problem.data, trial)
            trial_cost = total_cost(problem, trial, now, seen)
            tried, cg_steps = tried + 1, cg_steps + step.cg_steps
            if bool(trial_cost < cost):
                break
            damping *= 10
        else:
            break
        accepted += 1
        gain = float((cost - trial_cost) / cost)
        state, cost = trial, trial_cost
        damping = max(damping / 5, 1e-9)
        if gain < stop.tolerance and noise(k + 1) == now:
            break
    return state, Progress(float(cost), accepted, tried, cg_steps)


def _damped_step(
    problem: Problem, system: System, state: State, damping: float, stop: Stop
) -> Step:
    return solve_step(
        system,
        problem.data,
        problem.free,
        problem.stiff,
        state.grid.flatten(1),
        damping,
        stop.cg_tolerance,
        stop.cg_steps,
    )
