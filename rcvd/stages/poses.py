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

from rcvd.export.cameras import write_cameras
from rcvd.flow.pairs import pair_graph
from rcvd.items import (
    array_name,
    frame_name,
    instances_name,
    read_array,
    read_instances,
    read_mask,
    write_instances,
)
from rcvd.masks.instances import with_class
from rcvd.masks.refine import refine_moving
from rcvd.scene import Scene
from rcvd.spool import Spool
from rcvd.stages.saving import save_mask
from rcvd.stages.solving import ClipSolver, DepthOf, MaskOf, PosesSettings, Solved, link_file
from rcvd.store import Stage, Workspace, write_json
from rcvd.types import Instances

logger = logging.getLogger(__name__)

CACHED_FRAMES, CACHED_FLOWS = 32, 64


def run(workspace: Workspace, settings: PosesSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    depth, masks = workspace.input("depth"), workspace.input("masks")

    def z_of(k: int) -> Float[Tensor, "h w"]:
        return torch.from_numpy(read_array(depth / array_name(k)))

    def first_of(k: int) -> Bool[Tensor, "h w"]:
        return read_mask(masks / frame_name(k))

    def refined_of(k: int) -> Bool[Tensor, "h w"]:
        return read_mask(workspace.folder / "masks" / frame_name(k))

    solver = ClipSolver(scene, workspace, settings)
    solved = solver.solve(z_of, first_of)
    if settings.refine_masks and solved.solution.verdict.solved:
        percent = _refine(solver, solved, z_of, first_of)
        logger.info("masks: the solve changed %.2f %% of the pixels; solving again", percent)
        solved = solver.solve(z_of, refined_of)
    else:
        for k in range(scene.n_frames):
            mask, instances = frame_name(k), f"instances/{instances_name(k)}"
            link_file(workspace, masks / mask, f"masks/{mask}", read_mask)
            link_file(workspace, masks / instances, instances, read_instances)
    with workspace.writing("cameras.npz") as part:
        write_cameras(part, solved.solution.cameras, scene.times)
    _write_deformation(workspace, solved)
    write_json(workspace.folder / "diagnostics.json", solved.solution.report)
    return {"verdict": solved.solution.verdict.name, "figures": solved.figures}


def _refine(solver: ClipSolver, solved: Solved, z_of: DepthOf, first_of: MaskOf) -> float:
    """masks/ and instances/ from what the flow leaves against the solved cameras and depth; gives
    the percentage of the pixels that this changed.
    """
    scene, workspace = solver.scene, solver.workspace
    found = workspace.input("masks") / "instances"
    graph = pair_graph(solver.pairs, scene.n_frames)
    frame_of = lru_cache(workspace.window(CACHED_FRAMES))(scene.rgb)
    flow_of = lru_cache(workspace.window(CACHED_FLOWS))(solver.flow)
    cameras = solved.solution.cameras

    def named(k: int) -> Instances:
        return with_class(read_instances(found / instances_name(k)))

    def depth_of(k: int) -> Float[Tensor, "h w"]:
        return solved.depth(k, z_of(k)).float()

    changed = 0.0
    with workspace.scratch("evidence") as folder:
        kept = Spool(folder)
        refined = refine_moving(
            first_of, named, depth_of, cameras, frame_of, flow_of, graph, kept=kept
        )
        for k, (moving, instances) in enumerate(refined):
            changed += float((moving != first_of(k)).float().mean()) / scene.n_frames
            save_mask(workspace, f"masks/{frame_name(k)}", moving)
            with workspace.writing(f"instances/{instances_name(k)}") as part:
                write_instances(part, instances)
    return 100 * changed


def _write_deformation(workspace: Workspace, solved: Solved) -> None:
    with workspace.writing("deformation.npz") as part:
        np.savez(
            part,
            log_scale=solved.solution.deformation.log_scale.cpu().numpy(),
            shift=solved.solution.shift.cpu().numpy(),
            unit=solved.unit.cpu().numpy(),
        )


STAGE = Stage("poses", ("frames", "flow", "depth", "masks"), run, version=9)
