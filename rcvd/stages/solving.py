"""The joint solve of one clip from its run folder: shared by `poses` and `finetune`."""

import errno
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.amounts import SIGNED
from rcvd.errors import UserError
from rcvd.geometry.camera import intrinsics_from_hfov, resize_intrinsics
from rcvd.items import read_flow, read_pairs
from rcvd.recon.deform import deformed_depth, disparity_unit
from rcvd.recon.matches import MatchOptions, build_matches
from rcvd.recon.solver import Solution, SolverOptions, solve
from rcvd.scene import Scene
from rcvd.store import REPORT, Workspace, read_json
from rcvd.types import Flow

logger = logging.getLogger(__name__)

RgbOf = Callable[[int], Float[Tensor, "3 h w"]]
DepthOf = Callable[[int], Float[Tensor, "h w"]]
MaskOf = Callable[[int], Bool[Tensor, "h w"]]
CACHED_FRAMES = 32


@dataclass(frozen=True)
class PosesSettings:
    """focal: pixels of the video's frames; hfov: degrees across their width; intrinsics: fx, fy,
    cx, cy and perhaps k1, in pixels of the video's frames. Give at most one; with none the focal is
    solved for, and metadata says whether what the recording tells of it is expected. refine_masks:
    whether the solver's residuals correct the masks, and a second solve follows.
    """

    focal: float | None = None
    hfov: float | None = None
    intrinsics: tuple[float, ...] | None = field(default=None, metadata={SIGNED: True})
    metadata: bool = True
    refine_masks: bool = True
    matches: MatchOptions = field(default_factory=MatchOptions)
    solver: SolverOptions = field(default_factory=SolverOptions)

    def __post_init__(self) -> None:
        """Raises UserError where more than one way was used, or a value is impossible."""
        given = [n for n in ("focal", "hfov", "intrinsics") if getattr(self, n) is not None]
        if len(given) > 1:
            raise UserError(f"give one of --{' and --'.join(given)}, not both")
        if self.hfov is not None and not 1 < self.hfov < 179:
            raise UserError(f"--hfov {self.hfov}: degrees between 1 and 179 are expected")
        if self.intrinsics is not None and len(self.intrinsics) not in (4, 5):
            raise UserError("--intrinsics takes fx,fy,cx,cy or fx,fy,cx,cy,k1")
        if not all(0 < x < math.inf for x in (self.focal or 1, *(self.intrinsics or ())[:4])):
            raise UserError(f"--{given[0]}: focal lengths and principal point must be positive")
        if not all(map(math.isfinite, (self.intrinsics or ())[4:])):
            raise UserError("--intrinsics: k1 must be a finite number")


@dataclass(frozen=True)
class Solved:
    """A solution, and what turns the prior it was solved with into depth.

    unit: median sampled prior depth of each frame, the inverse unit of the disparity shifts.
    """

    solution: Solution
    unit: Float[Tensor, "t"]

    def depth(self, k: int, z: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
        """The deformed prior of frame k."""
        row = slice(k, k + 1)
        scales = self.solution.deformation.log_scale[row]
        return deformed_depth(z[None], scales, self.solution.shift[row], self.unit[row])[0]

    @property
    def figures(self) -> dict[str, Any]:
        """The few numbers that go into the log and scene.json."""
        report = self.solution.report
        return {
            "focal_px": round(report["focal_px"], 2),
            "focal_std_percent": round(100 * report["focal_std_share"], 2),
            "focal_known": report["focal_known"],
            "residual_px_median": report["residual_px"].get("p50"),
        }


@dataclass(frozen=True)
class ClipSolver:
    """Solves a clip for any prior and masks; reads one flow at a time."""

    scene: Scene
    workspace: Workspace
    settings: PosesSettings

    @property
    def pairs(self) -> list[tuple[int, int]]:
        graph = read_pairs(self.workspace.input("flow") / "pairs.txt", self.scene.n_frames)
        return [(i, j) for i, j in graph.pairs.tolist()]

    def flow(self, i: int, j: int) -> Flow:
        return read_flow(self.workspace.input("flow"), i, j)

    def _flows(self) -> Iterator[tuple[int, int, Flow]]:
        for i, j in self.workspace.track(self.pairs, "matching"):
            yield i, j, self.flow(i, j)

    def _pictures(self) -> RgbOf | None:
        """Frames to sharpen the matches on; flow that the user brought is left as it is."""
        own = read_json(self.workspace.input("flow") / REPORT)["backend"] == "files"
        return None if own else self.scene.rgb

    def _options(self) -> SolverOptions:
        """The solver's settings, expecting the focal length that the recording tells."""
        hint = self.scene.clip_info["focal_hint"]
        if hint is None or not self.settings.metadata:
            return self.settings.solver
        half = max(self.scene.source_size) / 2 / hint["pixels"]
        hfov = 2 * math.degrees(math.atan(half))
        return replace(self.settings.solver, hfov=hfov, sigma_focal=hint["sigma"])

    def solve(self, z_of: DepthOf, moving_of: MaskOf) -> Solved:
        """Cameras and deformation from a prior and masks by frame, as the settings say."""
        scene, store = self.scene, self.workspace.store
        prior = read_json(self.workspace.input("depth") / "prior.json")
        options = replace(self._options(), free_shift=bool(prior["free_disparity_shift"]))
        window = self.workspace.window(CACHED_FRAMES)
        z_of, moving_of = lru_cache(window)(z_of), lru_cache(window)(moving_of)
        frames = ((scene.rgb(k), z_of(k), moving_of(k)) for k in range(scene.n_frames))
        sampling = self.settings.matches.of_clip(len(self.pairs))
        matches = build_matches(frames, self._flows(), z_of, moving_of, sampling, self._pictures())
        known = known_intrinsics(self.settings, scene)
        with store.progress("solving", 100) as advance:
            done = 0

            def tell(_what: str, share: float) -> None:
                nonlocal done
                advance(round(100 * share) - done)
                done = round(100 * share)

            given = self.settings.intrinsics or ()
            k1 = given[4] if len(given) == 5 else 0.0
            solution = solve(matches.to(store.device), options, known, tell, k1)
        # frames, flows and masks of the stages lie on the CPU
        solution = solution.to("cpu")
        solved = Solved(solution, disparity_unit(matches))
        logger.info("%s", ", ".join(f"{name} {value}" for name, value in solved.figures.items()))
        return solved


def known_intrinsics(settings: PosesSettings, scene: Scene) -> Float[Tensor, "4"] | None:
    """fx, fy, cx, cy at the working size if the user gave them."""
    h, w = scene.source_size
    if settings.hfov is not None:
        values = intrinsics_from_hfov(np.radians(settings.hfov), scene.source_size)
    elif settings.focal is not None:
        values = torch.tensor([settings.focal, settings.focal, w / 2, h / 2]).double()
    elif settings.intrinsics is not None:
        values = torch.tensor(settings.intrinsics[:4]).double()
    else:
        return None
    return resize_intrinsics(values, scene.source_size, scene.size)


def link_file(
    workspace: Workspace, source: Path, name: str, read: Callable[[Path], object]
) -> None:
    """Give an input's file a second name in the running stage; a copy where links are refused.

    read: reads it, so that a damaged file is told by the name of the stage that made it.
    """
    read(source)
    with workspace.writing(name) as part:
        try:
            os.link(source, part)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            shutil.copyfile(source, part)
