"""Measures a finished scene: its cameras and depth against its own flow, masks and pictures."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.abreast import in_order
from rcvd.check.blur import blur_sigma
from rcvd.check.measures import BINS, PIXEL_RANGE, RATIO_RANGE, Measures, from_document
from rcvd.check.over_time import over_time
from rcvd.errors import UserError
from rcvd.flow.consistency import landing
from rcvd.geometry.residual_flow import camera_flow
from rcvd.geometry.warp import inside, sample_depth
from rcvd.scene import Scene
from rcvd.store import Progress, Store, no_progress, read_json
from rcvd.types import Cameras

FAR = 8  # frames: the longest pair that is looked at beside the neighbours
CACHED_DEPTHS = 2 * FAR + 2
EXPLAINED_PX = 1.0  # pixels that flow may end from where cameras and depth put it
STILL = 1e-6  # entries of a pose that differ by less are the same
TOLD = {  # of a solve, by its diagnostics.json
    "verdict",
    "spans",
    "frames_without_first_pose",
    "doubtful_links",
    "frame_parallax_px",
    "log_scale",
    "centre_std_of_path",
    "focal_known",
    "focal_std_share",
}
MEASURES = "measures.json"


def stored_measures(scene: Scene) -> Measures:
    """Those of the finished `report` stage; measured now where it has not run, or another version
    of rcvd ran it.

    Raises:
        UserError: the scene is not finished.
    """
    scene.folder("export")
    if Store(scene.root).done("report"):
        found = from_document(read_json(scene.folder("report") / MEASURES))
        return measure(scene) if found is None else found
    return measure(scene)


def measure(scene: Scene, progress: Progress = no_progress) -> Measures:
    """The measures of a scene whose `export` has finished.

    Raises:
        UserError: it has not, or an older rcvd made it, whose solver told less.
    """
    solve = read_json(scene.folder("poses") / "diagnostics.json")
    if missing := TOLD.difference(solve):
        names = ", ".join(sorted(missing))
        raise UserError(
            f"{scene.root} was made by an older rcvd: its solve does not tell {names}; "
            "run rcvd reconstruct on its video again"
        )
    frames, cameras = range(scene.n_frames), scene.cameras
    found = _flows(scene, progress)
    focal = float(cameras.intrinsics[:, 0].mean())
    turns = cameras.world_from_cam - cameras.world_from_cam[0]
    return Measures(
        frames=scene.n_frames,
        size=scene.size,
        solve=solve["verdict"],
        spans=tuple((int(a), int(b), str(name)) for a, b, name in solve["spans"]),
        unposed=tuple(solve["frames_without_first_pose"]),
        doubtful=tuple(solve["doubtful_links"]),
        still=float(turns.abs().max()) < STILL,
        parallax_px=tuple(solve["frame_parallax_px"]),
        reprojection_px=tuple(found.reprojection),
        depth_ratio=tuple(found.ratio),
        cycle_failure=tuple(found.failure),
        unexplained=tuple(found.unexplained),
        moving=tuple(round(float(scene.moving(k).float().mean()), 4) for k in frames),
        blur_px=tuple(in_order(lambda k: blur_sigma(scene.rgb(k)), frames)),
        log_scale=tuple(solve["log_scale"]),
        far_end=float(solve["centre_std_of_path"][-1]),
        hfov=math.degrees(2 * math.atan(scene.size[1] / 2 / focal)),
        focal_known=bool(solve["focal_known"]),
        focal_std=float(solve["focal_std_share"]),
        over_time=over_time(scene),
        pixel_counts=tuple(found.pixel_counts.long().tolist()),
        ratio_counts=tuple(found.ratio_counts.long().tolist()),
    )


def chosen_pairs(pairs: list[tuple[int, int]], n_frames: int) -> list[list[int]]:
    """By frame: its neighbours in time, and its furthest partner within FAR frames."""
    leaving: list[list[int]] = [[] for _ in range(n_frames)]
    for i, j in pairs:
        if abs(i - j) <= FAR:
            leaving[i].append(j)
    chosen = []
    for i, partners in enumerate(leaving):
        furthest = sorted(partners, key=lambda j: (-abs(i - j), j))[:1]
        chosen.append(sorted({j for j in partners if abs(i - j) == 1} | set(furthest)))
    return chosen


@dataclass(frozen=True)
class _Flows:
    """What the flows say by frame, and the two histograms."""

    reprojection: list[float | None]
    ratio: list[float | None]
    failure: list[float | None]
    unexplained: list[float | None]
    pixel_counts: Float[Tensor, "bins"]
    ratio_counts: Float[Tensor, "bins"]


def _flows(scene: Scene, progress: Progress) -> _Flows:
    judge = _Witness(scene)
    pairs = [(i, j) for i, j in scene.pairs.pairs.tolist()]
    found = _Flows([], [], [], [], torch.zeros(BINS), torch.zeros(BINS))
    with progress("checking", scene.n_frames) as advance:
        chosen = chosen_pairs(pairs, scene.n_frames)
        for i, seen in enumerate(in_order(judge.pairs, enumerate(chosen))):
            pixels = torch.cat([torch.zeros(0), *(pair.pixels for pair in seen.values())])
            ratios = torch.cat([torch.zeros(0), *(pair.ratios for pair in seen.values())])
            near = [pair for j, pair in seen.items() if abs(i - j) == 1]
            found.reprojection.append(_median(pixels))
            found.ratio.append(_median(ratios))
            found.failure.append(_median(torch.tensor([pair.failure for pair in near])))
            found.unexplained.append(_median(torch.tensor([pair.unexplained for pair in near])))
            found.pixel_counts.add_(pixels.clamp(max=PIXEL_RANGE).histc(BINS, 0, PIXEL_RANGE))
            found.ratio_counts.add_(ratios.clamp(max=RATIO_RANGE).histc(BINS, 0, RATIO_RANGE))
            advance(1)
    return found


@dataclass(frozen=True)
class _Pair:
    """Static pixels of a pair: reprojection distances, |log| depth ratios; share of the flow,
    moving pixels included, that lands in the picture and does not return; and share of it that
    static pixels with right reprojection do not make up.
    """

    pixels: Float[Tensor, "n"]
    ratios: Float[Tensor, "m"]
    failure: float
    unexplained: float


@dataclass(frozen=True)
class _Witness:
    """Asks single pairs of a scene."""

    scene: Scene

    @cached_property
    def cameras(self) -> Cameras:
        return self.scene.cameras

    @cached_property
    def depth(self):
        return lru_cache(CACHED_DEPTHS)(lambda k: self.scene.depth(k)[0])

    def pairs(self, chosen: tuple[int, list[int]]) -> dict[int, _Pair]:
        """A frame with some of its partners, by partner."""
        i, partners = chosen
        return {j: self.pair(i, j) for j in partners}

    def pair(self, i: int, j: int) -> _Pair:
        flow, cameras = self.scene.flow(i, j), self.cameras
        poses, intrinsics = cameras.world_from_cam.float(), cameras.intrinsics.float()
        bend = cameras.distortion.float()
        lenses = intrinsics[[i]], intrinsics[[j]], bend[[i]], bend[[j]]
        predicted = camera_flow(self.depth(i)[None], poses[[i]], poses[[j]], *lenses)
        target = landing(flow.displacement[None])
        there, smooth = sample_depth(self.depth(j)[None], target)
        within = inside(target, self.scene.size)[0]
        static = flow.valid & predicted.in_front[0] & ~self.scene.moving(i)
        distance = (flow.displacement - predicted.displacement[0]).norm(dim=-1)
        compared = static & smooth[0]
        ratio = (predicted.z_there[0][compared] / there[0][compared]).log().abs()
        landed = max(1, int(within.sum()))
        failure = float((within & ~flow.valid).sum()) / landed
        explained = float((within & static & (distance < EXPLAINED_PX)).sum()) / landed
        return _Pair(distance[static], ratio, failure, 1 - explained)


def _median(values: Float[Tensor, "n"]) -> float | None:
    return round(float(values.median()), 4) if len(values) else None
