"""poses: cameras, deformation grid and the masks refined by the solver's residuals.

Writes cameras.npz, deformation.npz (log_scale t gh gw, shift t, unit t), masks/000000.png,
instances/000000.json and diagnostics.json.
"""

import logging
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.flow.pairs import pair_graph
from rcvd.items import (
    array_name,
    frame_name,
    instances_name,
    read_array,
    read_instances,
    read_mask,
)
from rcvd.masks.instances import with_class
from rcvd.masks.refine import refine_moving
from rcvd.scene import Scene
from rcvd.stages.solving import ClipSolver, PosesSettings, Solved, write_solution
from rcvd.store import Stage, Workspace, write_json
from rcvd.types import Instances

logger = logging.getLogger(__name__)

CACHED_FRAMES, CACHED_FLOWS = 32, 64


def run(workspace: Workspace, settings: PosesSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    frames = range(scene.n_frames)
    depth, masks = workspace.input("depth"), workspace.input("masks")
    z = torch.stack([torch.from_numpy(read_array(depth / array_name(k))) for k in frames])
    moving = torch.stack([read_mask(masks / frame_name(k)) for k in frames])
    solver = ClipSolver(scene, workspace, settings)
    solved = solver.solve(z, moving)
    found = [read_instances(masks / "instances" / instances_name(k)) for k in frames]
    if settings.refine_masks and solved.solution.verdict.solved:
        refined, found = _refine(solver, solved, z, moving, found)
        percent = 100 * float((refined != moving).float().mean())
        logger.info("masks: the solve changed %.2f %% of the pixels; solving again", percent)
        moving, solved = refined, solver.solve(z, refined)
    write_solution(workspace, scene, solved, moving, found)
    _write_deformation(workspace, solved)
    write_json(workspace.folder / "diagnostics.json", solved.solution.report)
    return {"verdict": solved.solution.verdict.name, "figures": solved.figures}


def _refine(
    solver: ClipSolver,
    solved: Solved,
    z: Float[Tensor, "t h w"],
    moving: Bool[Tensor, "t h w"],
    found: list[Instances],
) -> tuple[Bool[Tensor, "t h w"], list[Instances]]:
    """Masks and instances from what the flow leaves against the solved cameras and depth."""
    depth = torch.stack([solved.depth(k, z[k]) for k in range(len(z))]).float()
    graph = pair_graph(solver.pairs, len(z))
    frame_of = lru_cache(CACHED_FRAMES)(solver.scene.rgb)
    flow_of = lru_cache(CACHED_FLOWS)(solver.flow)
    cameras = solved.solution.cameras
    named = [with_class(instances) for instances in found]
    refined = refine_moving(moving, lambda k: named[k], depth, cameras, frame_of, flow_of, graph)
    masks, instances = zip(*refined, strict=True)
    return torch.stack(masks), list(instances)


def _write_deformation(workspace: Workspace, solved: Solved) -> None:
    with workspace.writing("deformation.npz") as part:
        np.savez(
            part,
            log_scale=solved.solution.deformation.log_scale.cpu().numpy(),
            shift=solved.solution.shift.cpu().numpy(),
            unit=solved.unit.cpu().numpy(),
        )


STAGE = Stage("poses", ("frames", "flow", "depth", "masks"), run, version=3)
