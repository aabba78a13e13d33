"""triangulate: depth measured by the flow under the solved cameras: z/, sigma/ 000000.npy."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.export.cameras import read_cameras
from rcvd.flow.chain import stacked
from rcvd.items import array_name, frame_name, read_array, read_flow, read_mask, read_pairs
from rcvd.recon.spread import SpreadOptions, spread_correction
from rcvd.recon.triangulate import TriangulationOptions, triangulate_frame
from rcvd.scene import Scene
from rcvd.store import REPORT, Stage, Workspace, read_json
from rcvd.types import Cameras, Flow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriangulateSettings:
    """enabled: False, or a clip without parallax, passes the deformed prior on. min_agreement:
    share of a pixel's flow vectors that must agree on its depth for it to count as measured.
    """

    enabled: bool = True
    min_agreement: float = 0.5
    options: TriangulationOptions = field(default_factory=TriangulationOptions)
    spread: SpreadOptions = field(default_factory=SpreadOptions)


def run(workspace: Workspace, settings: TriangulateSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    device = torch.device(workspace.store.device)
    finetuned = workspace.input("finetune")
    cameras, _ = read_cameras(finetuned / "cameras.npz")
    verdict = read_json(workspace.input("poses") / REPORT)["verdict"]
    enabled = settings.enabled and verdict == "ok"
    if not enabled:
        reason = "switched off" if not settings.enabled else f"verdict: {verdict}"
        logger.info("triangulate: the deformed prior is kept (%s)", reason)
    graph = read_pairs(workspace.input("flow") / "pairs.txt", scene.n_frames)
    leaving = targets_by_frame(graph.pairs.tolist(), scene.n_frames)
    todo = workspace.missing(f"z/{array_name(k)}" for k in range(scene.n_frames))
    for k in workspace.track([int(Path(name).stem) for name in todo], "triangulate"):
        prior = torch.from_numpy(read_array(finetuned / "z" / array_name(k))).to(device)
        sigma = torch.full_like(prior, settings.options.prior_sigma)
        z = prior
        if enabled and leaving[k]:
            moving = read_mask(finetuned / "masks" / frame_name(k)).to(device)
            flow = stacked([read_flow(workspace.input("flow"), k, j) for j in leaving[k]])
            rgb = scene.rgb(k).to(device)
            z, sigma = measure(
                prior, rgb, k, leaving[k], _to(flow, device), cameras, moving, settings
            )
        _save(workspace, f"sigma/{array_name(k)}", sigma, np.float16)
        _save(workspace, f"z/{array_name(k)}", z, np.float32)
    return {"frames": scene.n_frames, "enabled": enabled}


def targets_by_frame(pairs: Iterable[Sequence[int]], n_frames: int) -> list[list[int]]:
    """For each frame, the frames to which flow leaves it."""
    leaving: list[list[int]] = [[] for _ in range(n_frames)]
    for i, j in pairs:
        leaving[i].append(j)
    return leaving


def measure(
    prior: Float[Tensor, "h w"],
    rgb: Float[Tensor, "3 h w"],
    frame: int,
    targets: list[int],
    flow: Flow,
    cameras: Cameras,
    moving: Bool[Tensor, "h w"],
    settings: TriangulateSettings,
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Measured z of one frame, spread to where nothing was measured, and its log-depth sigma."""
    known = prior > 0
    safe = torch.where(known, prior, prior[known].median())
    index = torch.tensor(targets, device=prior.device)
    found = triangulate_frame(safe, frame, index, flow, cameras, moving, settings.options)
    log_prior = safe.log()
    trusted = (found.agreement > settings.min_agreement) & ~moving
    error = torch.where(trusted, found.measured_sigma, torch.inf)
    correction = spread_correction(found.log_z - log_prior, error, log_prior, rgb, settings.spread)
    z = torch.where(known, torch.exp(log_prior + correction), 0.0)
    return z, torch.where(known, found.sigma, settings.options.prior_sigma)


def _to(flow: Flow, device: torch.device) -> Flow:
    return Flow(flow.displacement.to(device), flow.valid.to(device), flow.confidence.to(device))


def _save(workspace: Workspace, name: str, values: Tensor, dtype: type) -> None:
    with workspace.writing(name) as part:
        np.save(part, values.cpu().numpy().astype(dtype))


STAGE = Stage("triangulate", ("frames", "flow", "poses", "finetune"), run)
