"""How good single-frame depth and two-frame flow are on real sequences, frame by frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import rankdata
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.depth import depth_metrics
from rcvd.evaluation.depth_alignment import median_scale
from rcvd.evaluation.files import read_picture
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.sintel import read_flo
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import induced_flow, inside, sample

RAMP = 2.0  # how many times farther the ramp's top row is than its bottom row
UNKNOWN_FLOW = 1e9  # Middlebury's mark of pixels without a true flow
SAME_SURFACE = 0.05  # relative difference of depth up to which the other frame shows the point

DepthOf = Callable[[Float[Tensor, "b 3 h w"]], Float[Tensor, "b h w"]]
FlowOf = Callable[[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 h w"]], Float[Tensor, "b h w 2"]]


@dataclass(frozen=True)
class FlowCase:
    """A pair of frames with its true flow in pixels, where that is known."""

    rgb_i: Float[Tensor, "1 3 h w"]
    rgb_j: Float[Tensor, "1 3 h w"]
    flow: Float[Tensor, "h w 2"]
    known: Bool[Tensor, "h w"]


def constant_depth(rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
    """Everything at one distance: what any prior has to beat."""
    return torch.ones_like(rgb[:, 0])


def ramp_depth(rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
    """Farther up is farther away, RAMP times from the bottom row to the top row."""
    rows = torch.linspace(1, 0, rgb.shape[2]).to(rgb)
    return (RAMP**rows)[:, None].expand_as(rgb[:, 0]).contiguous()


def farneback(
    rgb_i: Float[Tensor, "b 3 h w"], rgb_j: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b h w 2"]:
    """Farneback's polynomial expansion (2003) with OpenCV's usual settings."""
    flows = []
    for a, b in zip(rgb_i, rgb_j, strict=True):
        first, second = (
            cv2.cvtColor((x * 255).byte().movedim(0, -1).cpu().numpy(), cv2.COLOR_RGB2GRAY)
            for x in (a, b)
        )
        start = np.zeros((*first.shape, 2), np.float32)
        flows.append(cv2.calcOpticalFlowFarneback(first, second, start, 0.5, 5, 15, 3, 5, 1.1, 0))
    return torch.from_numpy(np.stack(flows)).to(rgb_i)


def frame_errors(z: Float[Tensor, "n"], true: Float[Tensor, "n"]) -> dict[str, float]:
    """Errors of one frame's depth, up to a scale, at pixels whose true depth is known.

    abs_rel, delta1: after the scale med(true) / med(z). affine_abs_rel, affine_delta1: after the
    least-squares line in log depth, whose slope may not be negative (a prior that has near and far
    the wrong way round is not made right). rank: Spearman's correlation, 0 for a constant.
    """
    z, true = z.double(), true.double()
    scaled = depth_metrics(median_scale(z, true).apply(z), true)
    x, y = z.log(), true.log()
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx @ dy) / (dx @ dx).clamp(min=1e-12))
    fitted = depth_metrics((max(slope, 0.0) * dx + y.mean()).exp(), true)
    return {
        "abs_rel": scaled["abs_rel"],
        "delta1": scaled["delta1"],
        "affine_abs_rel": fitted["abs_rel"],
        "affine_delta1": fitted["delta1"],
        "rank": rank_correlation(z, true),
    }


def rank_correlation(a: Float[Tensor, "n"], b: Float[Tensor, "n"]) -> float:
    """Spearman's: correlation of the ranks, ties sharing their mean rank."""
    ranks = [rankdata(x.numpy()) - (len(x) + 1) / 2 for x in (a, b)]
    norm = np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1])
    return float(ranks[0] @ ranks[1] / norm) if norm > 0 else 0.0


def picture(path: Path) -> Float[Tensor, "1 3 h w"]:
    """A frame in [0, 1]."""
    levels = np.ascontiguousarray(read_picture(path))
    return torch.from_numpy(levels).movedim(-1, 0)[None].float() / 255


@torch.no_grad()
def depth_errors(
    truth: TrueSequence,
    models: dict[str, DepthOf],
    every: int,
    device: torch.device,
) -> dict[str, dict[str, float]]:
    """Mean over frames of `frame_errors` of each model.

    Raises:
        UserError: the sequence has no depth.
    """
    if truth.depth is None:
        raise UserError(f"{truth.name}: no true depth (depth.txt) to compare with")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for k in range(0, len(truth), every):
        rgb, true = picture(truth.images[k]).to(device), truth.depth(k)
        known = true > 0
        if not bool(known.any()):
            continue
        for name, model in models.items():
            z = model(rgb)[0].float().cpu()
            found[name].append(frame_errors(z[known], true[known]))
    return {name: _mean(rows) for name, rows in found.items()}


def rigid_cases(truth: TrueSequence, gap: int, every: int) -> Iterator[FlowCase]:
    """Pairs of frames a gap apart, with the flow that depth and poses imply.

    Known where the depth is, nothing moves, and the other frame's depth shows the same surface.

    Raises:
        UserError: the sequence lacks depth or poses.
    """
    if truth.depth is None or truth.cameras is None:
        raise UserError(f"{truth.name}: true depth and poses are needed for the rigid flow")
    pose, k = truth.cameras.world_from_cam.double(), truth.cameras.intrinsics.double()
    for i in range(0, len(truth) - gap, every):
        j = i + gap
        z = torch.stack([truth.depth(n) for n in (i, j)]).double()
        flow, z_there = induced_flow(
            z[:1], pose[i : i + 1], pose[j : j + 1], k[i : i + 1], k[j : j + 1]
        )
        size = (z.shape[1], z.shape[2])
        landing = flow[0] + pixel_centres(size, z.device, z.dtype)
        within = inside(landing, size) & (z[0] > 0) & (z_there[0] > 0)
        shown = sample(z[1:, None], landing[None])[0, 0]
        same = (shown / z_there[0].clamp(min=1e-6) - 1).abs() < SAME_SURFACE
        moving = truth.moving(i) if truth.moving else None
        known = within & same & (torch.ones_like(within) if moving is None else ~moving)
        if bool(known.any()):
            first, second = (picture(truth.images[n]) for n in (i, j))
            yield FlowCase(first, second, flow[0].float(), known)


def flo_cases(folder: Path) -> Iterator[FlowCase]:
    """Each NAME.flo of a folder with NAME1.png and NAME2.png, as Middlebury has them."""
    for path in sorted(folder.glob("*.flo")):
        flow = read_flo(path)
        known = (flow.abs() < UNKNOWN_FLOW).all(-1)
        first, second = (picture(path.with_name(f"{path.stem}{n}.png")) for n in (1, 2))
        yield FlowCase(first, second, flow, known)


@torch.no_grad()
def flow_case_errors(
    cases: Iterator[FlowCase], models: dict[str, FlowOf], device: torch.device
) -> dict[str, dict[str, float]]:
    """Mean over pairs of each model's end-point error and share above 3 px, and of the motion."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for case in cases:
        true = case.flow[case.known]
        for name, model in models.items():
            flow = model(case.rgb_i.to(device), case.rgb_j.to(device))[0].float().cpu()
            error = (flow[case.known] - true).norm(dim=-1)
            row = {"epe": float(error.mean()), "above_3px": float((error > 3).float().mean())}
            found[name].append(row | {"moved": float(true.norm(dim=-1).mean())})
    return {name: _mean(rows) for name, rows in found.items()}


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    names = rows[0] if rows else {}
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}
