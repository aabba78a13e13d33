"""triangulate: depth measured by the flow and the pictures under the solved cameras.

Four passes, frame by frame: measured/ (log z of every pixel from its flows, sharpened against the
neighbouring pictures) and static/ (where this holds); completed/ and confidence/ (what other frames
confirm, spread over the rest); borrowed/ and hidden/ (what only other frames could measure: a
pixel's own surface, the one behind it), moving/ and instances/ (what moves, by this); z/ (moving
regions put where `movers` says they are).
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rcvd.export.cameras import read_cameras
from rcvd.items import (
    array_name,
    frame_name,
    instances_name,
    read_array,
    read_instances,
    read_pairs,
    write_instances,
)
from rcvd.masks.instances import with_moving
from rcvd.recon.borrow import Borrowed, BorrowOptions, borrow_depth, lenders
from rcvd.recon.complete import UNMEASURED, CompleteOptions, complete_frame
from rcvd.recon.fuse import view_agreement
from rcvd.recon.mover_course import CourseOptions
from rcvd.recon.mover_curve import CurveOptions
from rcvd.recon.mover_pixels import MoverPixelOptions, mover_pixels
from rcvd.recon.movers import MoverOptions
from rcvd.recon.refine import RefineOptions, appearance, refine_frame
from rcvd.recon.triangulate import TriangulationOptions, triangulate_frame
from rcvd.recon.verdict import SOLVED
from rcvd.scene import Scene
from rcvd.spool import Spool
from rcvd.stages.depth_clip import DepthClip
from rcvd.stages.movers import mover_depths, placed
from rcvd.stages.saving import frames_to_do, save_array, save_mask
from rcvd.store import REPORT, Stage, Workspace, read_json

logger = logging.getLogger(__name__)

CACHED_FRAMES = 24


@dataclass(frozen=True)
class TriangulateSettings:
    """enabled: False, or a clip without parallax, passes the deformed prior on."""

    enabled: bool = True
    options: TriangulationOptions = field(default_factory=TriangulationOptions)
    refine: RefineOptions = field(default_factory=RefineOptions)
    complete: CompleteOptions = field(default_factory=CompleteOptions)
    borrow: BorrowOptions = field(default_factory=BorrowOptions)
    pixels: MoverPixelOptions = field(default_factory=MoverPixelOptions)
    movers: MoverOptions = field(default_factory=MoverOptions)
    curve: CurveOptions = field(default_factory=CurveOptions)
    course: CourseOptions = field(default_factory=CourseOptions)


def run(workspace: Workspace, settings: TriangulateSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    cameras, _ = read_cameras(workspace.input("finetune") / "cameras.npz")
    clip = DepthClip(workspace, scene, cameras)
    verdict = read_json(workspace.input("poses") / REPORT)["verdict"]
    enabled = settings.enabled and verdict in SOLVED
    if enabled:
        _measure(clip, settings)
        confirmed = _complete(clip, settings)
        _borrow(clip, settings)
        _place_movers(clip, settings)
    else:
        reason = "switched off" if not settings.enabled else f"verdict: {verdict}"
        logger.info("triangulate: the deformed prior is kept (%s)", reason)
        confirmed = 0.0
        for k in range(scene.n_frames):
            z = clip.prior(k)
            save_array(workspace, f"confidence/{array_name(k)}", torch.full_like(z, UNMEASURED))
            _save_moving(clip, k, clip.moving(k))
            save_array(workspace, f"z/{array_name(k)}", z)
    return {"frames": scene.n_frames, "enabled": enabled, "confirmed_percent": confirmed}


def targets_by_frame(pairs: Iterable[Sequence[int]], n_frames: int) -> list[list[int]]:
    """For each frame, the frames to which flow leaves it."""
    leaving: list[list[int]] = [[] for _ in range(n_frames)]
    for i, j in pairs:
        leaving[i].append(j)
    return leaving


def _measure(clip: DepthClip, settings: TriangulateSettings) -> None:
    """measured/: log z from the flows, sharpened against the neighbouring pictures."""
    workspace, n = clip.workspace, clip.scene.n_frames
    graph = read_pairs(workspace.input("flow") / "pairs.txt", n)
    leaving = targets_by_frame(graph.pairs.tolist(), n)
    looks = lru_cache(workspace.window(CACHED_FRAMES))(lambda k: appearance(clip.rgb(k)))

    def measure(k: int) -> None:
        prior, static = clip.prior(k), ~clip.moving(k)
        log_z = prior.log()
        if leaving[k]:
            targets = torch.tensor(leaving[k], device=clip.device)
            flow = clip.flow(k, leaving[k])
            none = torch.zeros_like(static)
            found = triangulate_frame(prior, k, targets, flow, clip.cameras, none, settings.options)
            static = static | found.still
            log_z = torch.where(static, found.log_z, log_z)
        sources = clip.around(k, log_z, settings.refine.parallax)
        pictures = torch.stack([looks(j) for j in sources.tolist()])
        log_z = refine_frame(
            log_z, k, sources, clip.rgb(k), pictures, ~static, clip.cameras, settings.refine
        ).log_z
        save_mask(workspace, f"static/{frame_name(k)}", static)
        save_array(workspace, f"measured/{array_name(k)}", log_z)

    workspace.each(frames_to_do(workspace, n, "measured"), "triangulate", measure)


def _complete(clip: DepthClip, settings: TriangulateSettings) -> float:
    """completed/ and confidence/: what other frames confirm, spread; gives its percentage."""
    workspace, n = clip.workspace, clip.scene.n_frames
    static = lru_cache(workspace.window(CACHED_FRAMES))(clip.static_measured)

    def complete(k: int) -> None:
        witnesses = clip.around(k, clip.measured(k), settings.complete.parallax)
        agreement = view_agreement(
            static(k),
            k,
            torch.stack([static(j) for j in witnesses.tolist()]),
            witnesses,
            clip.cameras,
            settings.complete.tolerance,
        )
        done = complete_frame(
            clip.prior(k), clip.measured(k), agreement, len(witnesses), ~clip.static(k),
            clip.rgb(k), settings.complete,
        )  # fmt: skip
        save_array(workspace, f"confidence/{array_name(k)}", done.confidence)
        save_array(workspace, f"completed/{array_name(k)}", done.z)

    workspace.each(frames_to_do(workspace, n, "completed"), "completing", complete)
    confidences = (read_array(workspace.folder / "confidence" / array_name(k)) for k in range(n))
    return round(100 * float(np.mean([(c > UNMEASURED).mean() for c in confidences])), 1)


def _borrow(clip: DepthClip, settings: TriangulateSettings) -> None:
    """borrowed/ and hidden/: z of what only other frames have measured, 0 elsewhere; moving/."""
    workspace, n = clip.workspace, clip.scene.n_frames
    confirmed = lru_cache(workspace.window(CACHED_FRAMES))(clip.confirmed)
    rgb = lru_cache(workspace.window(CACHED_FRAMES))(clip.rgb)

    def borrow(k: int) -> None:
        sources = lenders(k, n, settings.borrow)
        none = torch.zeros_like(confirmed(k))
        found = Borrowed(none, none)
        if sources:
            found = borrow_depth(
                k,
                confirmed(k) == 0,
                rgb(k),
                torch.tensor(sources, device=clip.device),
                torch.stack([confirmed(j) for j in sources]),
                torch.stack([rgb(j) for j in sources]),
                clip.cameras,
                settings.borrow,
            )
        still = (confirmed(k) > 0) | (found.z > 0)
        moving = mover_pixels(clip.moving(k), still, found.hidden > 0, rgb(k), settings.pixels)
        _save_moving(clip, k, moving)
        save_array(workspace, f"hidden/{array_name(k)}", found.hidden)
        save_array(workspace, f"borrowed/{array_name(k)}", found.z)

    workspace.each(frames_to_do(workspace, n, "borrowed"), "borrowing", borrow)


def _place_movers(clip: DepthClip, settings: TriangulateSettings) -> None:
    """z/: completed/ and borrowed/ with the moving regions where they are."""
    workspace, n = clip.workspace, clip.scene.n_frames
    options = settings.movers
    depths: list[dict[int, float]] = [{} for _ in range(n)]
    with workspace.scratch("movers") as folder:
        labels = Spool(folder, clip.device)
        if options.enabled:
            depths = mover_depths(clip, labels, options, settings.curve, settings.course)

        def place(k: int) -> None:
            z = placed(clip, k, labels.pop(k, None), depths[k], options)
            save_array(workspace, f"z/{array_name(k)}", z)

        workspace.each(frames_to_do(workspace, n, "z"), "movers", place)


def _save_moving(clip: DepthClip, k: int, moving: Tensor) -> None:
    """moving/ and instances/ of a frame."""
    name = f"instances/{instances_name(k)}"
    save_mask(clip.workspace, f"moving/{frame_name(k)}", moving)
    found = read_instances(clip.workspace.input("poses") / name)
    with clip.workspace.writing(name) as part:
        write_instances(part, with_moving(found, moving.cpu()))


STAGE = Stage(
    "triangulate", ("frames", "flow", "poses", "finetune"), run, version=7, keeps=("moving/*.png",)
)
