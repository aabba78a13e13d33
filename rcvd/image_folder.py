"""A folder of images as a video: each read only where its picture is wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from rcvd.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

Picture = Callable[[], np.ndarray]
"""Makes the frame's uint8 h w 3; costs time, so it is called for chosen frames only."""


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, by name.

    Raises:
        UserError: there are none.
    """
    files = (p for p in folder.iterdir() if p.is_file())
    names = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
    if not names:
        raise UserError(f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return names


def image_size(name: Path) -> tuple[int, int]:
    """(height, width) as stored: before any rotation.

    Raises:
        UserError: not an image.
    """
    with _opened(name) as image:
        return image.height, image.width


def folder_frames(folder: Path, fps: float) -> Iterator[tuple[Picture, float]]:
    """The images by name, `fps` to a second.

    Raises:
        UserError: there are none; and, by a picture: damaged, or of another size than the first.
    """
    first: list[tuple[int, ...]] = []
    for k, name in enumerate(image_files(folder)):
        yield partial(_picture, name, first), k / fps


def _picture(name: Path, first: list[tuple[int, ...]]) -> np.ndarray:
    """RGB, upright; first: the size of the first one read, empty before that."""
    from PIL import ImageOps

    with _opened(name) as image:
        rgb = _rgb(ImageOps.exif_transpose(image))
    first[:] = first or [rgb.shape[:2]]
    if rgb.shape[:2] != first[0]:
        h, w = first[0]
        raise UserError(
            f"{name} is {rgb.shape[1]}x{rgb.shape[0]}, the first image {w}x{h}; "
            "all images of a folder must have one size"
        )
    return rgb


@contextmanager
def _opened(name: Path):
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(name) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise UserError(f"{name} has too many pixels for a frame; make it smaller") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UserError(f"{name} cannot be read as an image; mend or remove it") from error


def _rgb(image) -> np.ndarray:
    """8-bit RGB; 16-bit greyscale is scaled, alpha is laid over black."""
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = (np.asarray(image).astype(np.float32) / 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA")).astype(np.uint16)
        return ((rgba[..., :3] * rgba[..., 3:] + 127) // 255).astype(np.uint8)
    return np.asarray(image.convert("RGB"))
