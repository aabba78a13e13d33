"""DAVIS 2016 and 2017 in their published layout.

JPEGImages/480p/SEQ/00000.jpg, Annotations/480p/SEQ/00000.png, ImageSets/{480p,2016,2017}/val.txt.
Masks label objects, not motion: what stands still in them counts as moving all the same.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.files import (
    IMAGES,
    read_mask,
    same_count,
    sequence_names,
    sorted_files,
    write_picture,
)
from rcvd.evaluation.sequence import TrueSequence

RESOLUTIONS = ("480p", "Full-Resolution")
FPS = 24.0


def read_davis(root: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """Sequences with the union of their object masks as `moving`, all or the named ones.

    Raises:
        UserError: a folder, sequence or file is missing or damaged.
    """
    resolution = next((r for r in RESOLUTIONS if (root / "JPEGImages" / r).is_dir()), "480p")
    images = root / "JPEGImages" / resolution
    found = sequence_names(images, names, "DAVIS frames")
    return [_sequence(root, resolution, name) for name in found]


def _sequence(root: Path, resolution: str, name: str) -> TrueSequence:
    images = sorted_files(root / "JPEGImages" / resolution / name, IMAGES, "DAVIS frames")
    masks = sorted_files(root / "Annotations" / resolution / name, (".png",), "DAVIS masks")
    same_count(name, images=images, masks=masks)
    times = torch.arange(len(images), dtype=torch.float64) / FPS
    return TrueSequence(name, images, times, moving=lambda frame: read_mask(masks[frame]))


def write_davis(
    root: Path, name: str, rgb: Float[Tensor, "t 3 h w"], moving: Bool[Tensor, "t h w"]
) -> None:
    """Adds an exact sequence to a folder in DAVIS 2016's layout."""
    for frame, (picture, mask) in enumerate(zip(rgb, moving, strict=True)):
        levels = (picture * 255).round().to(torch.uint8).movedim(0, -1).numpy()
        write_picture(root / "JPEGImages/480p" / name / f"{frame:05d}.jpg", levels)
        labels = mask.numpy().astype(np.uint8) * 255
        write_picture(root / "Annotations/480p" / name / f"{frame:05d}.png", labels)
    listing = root / "ImageSets/480p/val.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"/JPEGImages/480p/{name}/{k:05d}.jpg /Annotations/480p/{name}/{k:05d}.png\n"
        for k in range(len(rgb))
    ]
    with listing.open("a") as file:
        file.writelines(lines)
