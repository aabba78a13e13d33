"""poses: cameras, deformation grid and the masks refined by the solver's residuals.

Writes cameras.npz, deformation.npz (log_scale t gh gw, shift t, unit t), masks/000000.png and
diagnostics.json.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.export.cameras import write_cameras
from rcvd.geometry.camera import intrinsics_from_hfov, resize_intrinsics
from rcvd.items import (
    array_name,
    frame_name,
    read_array,
    read_flow,
    read_mask,
    read_pairs,
    write_mask,
)
from rcvd.recon.deform import disparity_unit
from rcvd.recon.matches import MatchOptions, build_matches
from rcvd.recon.solver import Solution, SolverOptions, solve
from rcvd.scene import Scene
from rcvd.store import Stage, Workspace, read_json, write_json
from rcvd.types import Flow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PosesSettings:
    """focal: pixels of the video's frames; hfov: degrees across their width; intrinsics: fx, fy,
    cx, cy and perhaps k1, in pixels of the video's frames. Give at most one; with none the focal is
    solved for. refine_masks: whether the solver's residuals correct the masks, and a second solve
    follows.
    """

    focal: float | None = None
    hfov: float | None = None
    intrinsics: tuple[float, ...] | None = None
    refine_masks: bool = False
    matches: MatchOptions = field(default_factory=MatchOptions)
    solver: SolverOptions = field(default_factory=SolverOptions)


@dataclass(frozen=True)
class _Inputs:
    """Everything the solver reads, at the working size."""

    scene: Scene
    workspace: Workspace
    z: Float[Tensor, "t h w"]
    pairs: list[tuple[int, int]]

    def flow(self, i: int, j: int) -> Flow:
        return read_flow(self.workspace.input("flow"), i, j)

    def flows(self) -> Iterator[tuple[int, int, Flow]]:
        for i, j in self.workspace.track(self.pairs, "matching"):
            yield i, j, self.flow(i, j)


def run(workspace: Workspace, settings: PosesSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    frames = range(scene.n_frames)
    depth_folder, mask_folder = workspace.input("depth"), workspace.input("masks")
    z = torch.stack([torch.from_numpy(read_array(depth_folder / array_name(k))) for k in frames])
    moving = torch.stack([read_mask(mask_folder / frame_name(k)) for k in frames])
    graph = read_pairs(workspace.input("flow") / "pairs.txt", scene.n_frames)
    inputs = _Inputs(scene, workspace, z, [(i, j) for i, j in graph.pairs.tolist()])
    options = _solver_options(settings, read_json(depth_folder / "prior.json"))
    known = known_intrinsics(settings, scene)
    solution, unit = _solve(inputs, moving, settings, options, known)
    if settings.refine_masks and solution.verdict.name == "ok":
        refined = _refine(inputs, moving, solution)
        changed = float((refined != moving).float().mean())
        logger.info("masks: %.2f %% of the pixels changed by the solver's residuals", 100 * changed)
        moving = refined
        solution, unit = _solve(inputs, moving, settings, options, known)
    _write(workspace, scene, solution, unit, moving)
    return {"verdict": solution.verdict.name, "figures": _figures(solution)}


def known_intrinsics(settings: PosesSettings, scene: Scene) -> Float[Tensor, "4"] | None:
    """fx, fy, cx, cy at the working size if the user gave them.

    Raises:
        UserError: more than one way was used, or a value is impossible.
    """
    given = [n for n in ("focal", "hfov", "intrinsics") if getattr(settings, n) is not None]
    if len(given) > 1:
        raise UserError(f"give one of --{' and --'.join(given)}, not both")
    h, w = scene.source_size
    if settings.hfov is not None:
        if not 1 < settings.hfov < 179:
            raise UserError(f"--hfov {settings.hfov}: degrees between 1 and 179 are expected")
        values = intrinsics_from_hfov(np.radians(settings.hfov), scene.source_size)
    elif settings.focal is not None:
        values = torch.tensor([settings.focal, settings.focal, w / 2, h / 2]).double()
    elif settings.intrinsics is not None:
        if len(settings.intrinsics) not in (4, 5):
            raise UserError("--intrinsics takes fx,fy,cx,cy or fx,fy,cx,cy,k1")
        values = torch.tensor(settings.intrinsics[:4]).double()
    else:
        return None
    if not (values > 0).all():
        raise UserError(f"the focal length and principal point must be positive, got {given[0]}")
    return resize_intrinsics(values, scene.source_size, scene.size)


def _solver_options(settings: PosesSettings, prior: dict[str, Any]) -> SolverOptions:
    return replace(settings.solver, free_shift=bool(prior["free_disparity_shift"]))


def _solve(
    inputs: _Inputs,
    moving: Bool[Tensor, "t h w"],
    settings: PosesSettings,
    options: SolverOptions,
    known: Float[Tensor, "4"] | None,
) -> tuple[Solution, Float[Tensor, "t"]]:
    scene, workspace = inputs.scene, inputs.workspace
    frames = ((scene.rgb(k), inputs.z[k], moving[k]) for k in range(scene.n_frames))
    matches = build_matches(frames, inputs.flows(), inputs.z, moving, settings.matches)
    with workspace.store.progress("solving", 100) as advance:
        done = 0

        def tell(_what: str, share: float) -> None:
            nonlocal done
            advance(round(100 * share) - done)
            done = round(100 * share)

        solution = solve(matches.to(workspace.store.device), options, known, tell)
    logger.info("%s", ", ".join(f"{k} {v}" for k, v in _figures(solution).items()))
    return solution, disparity_unit(matches)


def _refine(
    inputs: _Inputs, moving: Bool[Tensor, "t h w"], solution: Solution
) -> Bool[Tensor, "t h w"]:
    raise AssertionError


def _figures(solution: Solution) -> dict[str, Any]:
    """The few numbers that go into the log and scene.json."""
    report = solution.report
    return {
        "focal_px": round(report["focal_px"], 2),
        "focal_std_percent": round(100 * report["focal_std_share"], 2),
        "focal_known": report["focal_known"],
        "residual_px_median": report["residual_px"]["p50"],
    }


def _write(
    workspace: Workspace,
    scene: Scene,
    solution: Solution,
    unit: Float[Tensor, "t"],
    moving: Bool[Tensor, "t h w"],
) -> None:
    with workspace.writing("cameras.npz") as part:
        write_cameras(part, solution.cameras, scene.times)
    with workspace.writing("deformation.npz") as part:
        np.savez(
            part,
            log_scale=solution.deformation.log_scale.cpu().numpy(),
            shift=solution.shift.cpu().numpy(),
            unit=unit.cpu().numpy(),
        )
    for k in range(scene.n_frames):
        with workspace.writing(f"masks/{frame_name(k)}") as part:
            write_mask(part, moving[k])
    write_json(workspace.folder / "diagnostics.json", solution.report)


STAGE = Stage("poses", ("frames", "flow", "depth", "masks"), run)
