"""Clips with a box of one target in each frame: exact scenes, MotionWorld, folders on disk."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from rcvd.errors import UserError
from rcvd.items import read_png
from rcvd.recognition.motion.motionworld import TASKS, WorldOptions, make_clips
from rcvd.synthetic.film import film_together
from rcvd.synthetic.random_shots import random_shots

SHOT_SIZE, SHOT_FRAMES, SHOTS_AT_ONCE = (160, 240), 6, 4
SPRITES = WorldOptions(frames=12, side=128, pan=1.0)
MIN_SHARE, MAX_SHARE = 0.004, 0.25  # of the picture that a target covers
MIN_FILL = 0.2  # share of its box that a target covers: less is scattered behind other things
PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class BoxedClip:
    """rgb: 8 bits. box: x0 y0 x1 y1 in px. seen: the target is there and inside the picture."""

    rgb: UInt8[Tensor, "t 3 h w"]
    box: Float[Tensor, "t 4"]
    seen: Bool[Tensor, "t"]


def mask_box(mask: Bool[Tensor, "h w"]) -> Float[Tensor, "4"]:
    """Smallest box x0 y0 x1 y1 around the True pixels, which span [0, w] x [0, h]."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()


def _bytes(rgb: Float[Tensor, "*b h w"]) -> UInt8[Tensor, "*b h w"]:
    return (rgb * 255).round().clamp(0, 255).byte()


def object_boxes(
    objects: Int[Tensor, "t h w"], number: int
) -> tuple[Float[Tensor, "t 4"], Bool[Tensor, "t"]]:
    """Box of an object in each frame, and where it makes a target: neither a speck, nor the whole
    picture, nor shreds behind other things.
    """
    boxes, seen = [], []
    for frame in objects == number:
        share = float(frame.float().mean())
        box = mask_box(frame) if share > 0 else torch.zeros(4)
        area = float((box[2] - box[0]) * (box[3] - box[1])) / frame.numel()
        boxes.append(box)
        seen.append(share > MIN_SHARE and area < MAX_SHARE and share > MIN_FILL * area)
    return torch.stack(boxes), torch.tensor(seen)


def shot_clips(shots: int, seed: int) -> list[BoxedClip]:
    """Every object of so many random shots of exact scenes, moving or not: the camera moves."""
    generator = torch.Generator().manual_seed(seed)
    clips: list[BoxedClip] = []
    for start in range(0, shots, SHOTS_AT_ONCE):
        drawn = random_shots(min(SHOTS_AT_ONCE, shots - start), generator)
        for sequence in film_together(drawn, SHOT_FRAMES, SHOT_SIZE):
            rgb = _bytes(sequence.rgb)
            for number in range(1, len(sequence.object_names)):
                box, seen = object_boxes(sequence.objects, number)
                if int(seen.sum()) >= 2:
                    clips.append(BoxedClip(rgb, box, seen))
    return clips


def sprite_clips(count: int, seed: int, options: WorldOptions = SPRITES) -> list[BoxedClip]:
    """MotionWorld's sprites in all its motions, as long as they are inside the picture."""
    clips = []
    for k, task in enumerate(TASKS):
        share = count * (k + 1) // len(TASKS) - count * k // len(TASKS)
        made = make_clips(task, share, seed + k, options)
        for rgb, box in zip(made.rgb, made.box, strict=True):
            seen = ((box[:, :2] >= 0) & (box[:, 2:] <= options.side)).all(1)
            clips.append(BoxedClip(_bytes(rgb.movedim(0, 1)), box, seen))
    return [clip for clip in clips if int(clip.seen.sum()) >= 2]


def read_boxes(path: Path) -> Float[Tensor, "t 4"]:
    """Boxes x0 y0 x1 y1 of a text file with a line x,y,w,h a frame, as of OTB and GOT-10k.

    Numbers are divided by commas, tabs or blanks; pixels are counted from 1, as in those sets.

    Raises:
        UserError: the file is missing, or a line holds something else.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; a sequence needs its boxes there, x,y,w,h a line")
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        parts = [part for part in re.split(r"[,\s]+", line.strip()) if part]
        if not parts:
            continue
        try:
            x, y, w, h = (float(part) for part in parts)
        except ValueError:
            raise UserError(f"{path}, line {number}: '{line}' is not x,y,w,h") from None
        rows.append([x - 1, y - 1, x - 1 + w, y - 1 + h])
    if not rows:
        raise UserError(f"{path}: holds no boxes")
    return torch.tensor(rows)


def _pictures(folder: Path) -> list[Path]:
    inner = folder / "img"
    place = inner if inner.is_dir() else folder
    return sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURES)


def folder_clips(root: Path, stride: int = 5, most: int = 20) -> list[BoxedClip]:
    """Sequences of OTB (img/0001.jpg, groundtruth_rect.txt) or GOT-10k (00000001.jpg,
    groundtruth.txt), each in a folder of its own; at most `most` frames of each, `stride` apart.

    Raises:
        UserError: no sequence is there, or boxes and pictures do not match.
    """
    clips = []
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        files = [folder / name for name in ("groundtruth.txt", "groundtruth_rect.txt")]
        found = [path for path in files if path.is_file()]
        if not found:
            continue
        boxes, pictures = read_boxes(found[0]), _pictures(folder)
        if len(boxes) != len(pictures):
            raise UserError(f"{folder}: {len(pictures)} pictures but {len(boxes)} boxes")
        chosen = range(0, min(len(boxes), stride * most), stride)
        rgb = [torch.from_numpy(read_png(pictures[k], colour=True)) for k in chosen]
        box = boxes[list(chosen)]
        seen = (box[:, 2:] - box[:, :2] > 1).all(1)
        clips.append(BoxedClip(torch.stack(rgb).permute(0, 3, 1, 2), box, seen))
    if not clips:
        raise UserError(f"{root}: no sequence; each needs a folder with its groundtruth.txt")
    return clips
