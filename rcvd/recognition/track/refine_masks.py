"""Masks back to the reconstruction: each tracked instance moves or is still, all through the clip.

The solved cameras and the depth say how far every pixel's flow is its own; a track is judged by
all its frames together, which a mask of one frame cannot. Things that stand still are taken out,
and those that move are kept in every frame they are in, also where a frame's mask lost them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import sample
from rcvd.items import frame_name, write_mask
from rcvd.recognition.trajectories.clip_motion import scene_motion
from rcvd.scene import Scene
from rcvd.store import writing
from rcvd.types import Instances

Mask = Bool[Tensor, "h w"]


@dataclass(frozen=True)
class RefineOptions:
    """least: px a frame of own motion that counts, and so many times the rest of the frame's.

    fewest: pixels whose own flow is known that an instance is judged by. gap: frames for which a
    moving thing that no instance covers is carried on by the flow.
    """

    least: float = 0.5
    times: float = 2.0
    fewest: int = 20
    gap: int = 5


@dataclass(frozen=True)
class Verdict:
    """What a track was found to do. own: px a frame, median of its frames. frames: judged."""

    track: int
    label: str
    own: float
    frames: int
    moves: bool


def own_motion(
    found: Instances, own: Float[Tensor, "h w"], valid: Mask, options: RefineOptions
) -> list[float]:
    """px of own motion of each instance over the bound of its frame; NaN where too little is seen.

    1 or more: it moves, in this frame.
    """
    outside = valid & ~found.masks.any(0) if len(found) else valid
    rest = float(own[outside].median()) if bool(outside.any()) else 0.0
    bound = max(options.least, options.times * rest)
    rows = []
    for mask in found.masks:
        here = mask & valid
        enough = int(here.sum()) >= options.fewest
        rows.append(float(own[here].median()) / bound if enough else float("nan"))
    return rows


def judge(scene: Scene, options: RefineOptions | None = None) -> list[Verdict]:
    """Every track of a finished scene, moving or still by the median of its frames.

    A track that could never be judged keeps the scene's own verdict.
    """
    o = options or RefineOptions()
    motion_of = scene_motion(scene, "depth")
    seen: dict[int, list[float]] = {}
    told: dict[int, tuple[str, bool]] = {}
    for k in range(scene.n_frames - 1):
        found, motion = scene.instances(k), motion_of(k)
        shares = own_motion(found, motion.own.norm(dim=-1), motion.valid, o)
        for n, (track, share) in enumerate(zip(found.tracks.tolist(), shares, strict=True)):
            label, moves = told.get(track, (found.labels[n], False))
            told[track] = (label, moves or bool(found.moving[n]))
            seen.setdefault(track, [])
            if share == share:  # not NaN
                seen[track].append(share)
    verdicts = []
    for track, shares in sorted(seen.items()):
        middle = float(torch.tensor(shares).median()) if shares else float("nan")
        label, moves = told[track]
        verdicts.append(Verdict(track, label, middle, len(shares), middle > 1 if shares else moves))
    return verdicts


def carried(mask: Mask, backward: Float[Tensor, "h w 2"], valid: Mask) -> Mask:
    """A mask of one frame in the next, read along the flow from there back."""
    h, w = mask.shape
    at = pixel_centres((h, w)) + backward
    return (sample(mask[None, None].float(), at[None])[0, 0] > 0.5) & valid


def refined_masks(
    scene: Scene, verdicts: Sequence[Verdict], options: RefineOptions | None = None
) -> list[Mask]:
    """Moving pixels of every frame by the tracks' verdicts.

    What is masked and belongs to no instance stays masked: nothing was judged there.
    """
    o = options or RefineOptions()
    moves = {verdict.track: verdict.moves for verdict in verdicts}
    made: list[Mask] = []
    last: dict[int, tuple[int, Mask]] = {}
    for k in range(scene.n_frames):
        found, mask = scene.instances(k), scene.moving(k)
        here = _by_track(found)
        for track, pixels in here.items():
            mask = mask | pixels if moves.get(track, True) else mask & ~pixels
        for track, (since, pixels) in list(last.items()):
            if track in here or k - since > o.gap:
                continue
            back = scene.flow(k, k - 1)
            last[track] = since, carried(pixels, back.displacement, back.valid)
            mask = mask | last[track][1]
        last |= {t: (k, pixels) for t, pixels in here.items() if moves.get(t, False)}
        made.append(mask)
    return made


def _by_track(found: Instances) -> Mapping[int, Mask]:
    tracks = found.tracks.tolist()
    return {t: found.masks[[n for n, u in enumerate(tracks) if u == t]].any(0) for t in tracks}


def true_masks(path: Path, scene: Scene) -> Bool[Tensor, "t h w"]:
    """The array `moving` of an .npz, as `rcvd demo` writes it.

    Raises:
        UserError: the file is missing, damaged, or of another clip.
    """
    moving = torch.from_numpy(read_npz(path, ("moving",))["moving"])
    if moving.shape != (scene.n_frames, *scene.size):
        raise UserError(f"{path}: masks of shape {tuple(moving.shape)} are not this scene's")
    return moving


def mask_iou(found: Sequence[Mask], true: Bool[Tensor, "t h w"]) -> float:
    """Intersection over union of the moving pixels of all frames together."""
    stacked = torch.stack(list(found))
    return float((stacked & true).sum() / (stacked | true).sum().clamp(min=1))


def write_masks(folder: Path, masks: Sequence[Mask]) -> None:
    """000000.png ..., white where it moves: what `rcvd reconstruct --masks-dir` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, mask in enumerate(masks):
        with writing(folder / frame_name(k)) as part:
            write_mask(part, mask)
