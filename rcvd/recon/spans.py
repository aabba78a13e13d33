"""What frames that could not be solved fall back to: rotation only, and the prior's depth."""

from dataclasses import replace

import torch
from torch import Tensor

from rcvd.geometry.pose import so3_exp, so3_log
from rcvd.recon.state import State
from rcvd.recon.stiffness import Stiffness
from rcvd.recon.verdict import TOO_FEW, Verdict

STIFF = 1e6  # times the smoothness of a fallen frame's grid, which leaves it one scale


def bridge_spans(state: State, verdict: Verdict) -> State:
    """The state with fallen spans placed between the solved frames at their ends.

    Centres are interpolated, for a span without parallax hardly moves; where matches are too few,
    rotation and log-scale are, too. At an end of the clip the nearest solved frame stands for both.
    """
    t = len(state.log_scale)
    world_from_cam, log_scale = state.world_from_cam.clone(), state.log_scale.clone()
    fallen = {k for first, last in verdict.fallen for k in range(first, last + 1)}
    solved = [k for k in range(t) if k not in fallen]
    for first, last, name in verdict.spans:
        if first not in fallen:
            continue
        before = max((k for k in solved if k < first), default=None)
        after = min((k for k in solved if k > last), default=before)
        before = after if before is None else before
        if before is None or after is None:
            continue
        for k in range(first, last + 1):
            share = (k - before) / (after - before) if after != before else 0.0
            pose = between(world_from_cam[before], world_from_cam[after], share)
            world_from_cam[k, :3, 3] = pose[:3, 3]
            if name == TOO_FEW:
                world_from_cam[k] = pose
                log_scale[k] = torch.lerp(log_scale[before], log_scale[after], share)
    log_z = state.log_z + (log_scale - state.log_scale)[:, None]
    return replace(state, world_from_cam=world_from_cam, log_scale=log_scale, log_z=log_z)


def between(one: Tensor, two: Tensor, share: float) -> Tensor:
    """The pose at a share of the way, on the straight line, turning evenly."""
    pose = one.clone()
    turn = so3_log(one[:3, :3].T @ two[:3, :3])
    pose[:3, :3] = one[:3, :3] @ so3_exp(share * turn)
    pose[:3, 3] = torch.lerp(one[:3, 3], two[:3, 3], share)
    return pose


def held_frames(verdict: Verdict) -> tuple[int, ...]:
    """Frames whose centres are not measured."""
    return tuple(k for first, last in verdict.fallen for k in range(first, last + 1))


def stiffened(stiff: Stiffness, held: tuple[int, ...]) -> Stiffness:
    """The smoothness with the grids of fallen frames held flat."""
    weight = stiff.weight.clone()
    weight[list(held)] *= STIFF
    return replace(stiff, weight=weight)
