"""Files of data sets: listings and pictures, with one clear line where something is wrong."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError

IMAGES = (".png", ".jpg", ".jpeg")


def need_folder(path: Path, what: str) -> Path:
    """The folder. Raises UserError where it does not exist: `what` says what it should hold."""
    if not path.is_dir():
        raise UserError(f"{path}: no such folder ({what})")
    return path


def sorted_files(folder: Path, suffixes: Sequence[str], what: str) -> tuple[Path, ...]:
    """The folder's files with these suffixes, by name. Raises UserError where there are none."""
    need_folder(folder, what)
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    if not files:
        raise UserError(f"{folder}: holds no {' or '.join(suffixes)} files ({what})")
    return tuple(files)


def sequence_names(folder: Path, wanted: Sequence[str] | None, what: str) -> list[str]:
    """Names of the sequence folders: the wanted ones, or all.

    Raises:
        UserError: the folder or a wanted sequence is missing.
    """
    present = sorted(p.name for p in need_folder(folder, what).iterdir() if p.is_dir())
    if wanted is None:
        if not present:
            raise UserError(f"{folder}: holds no sequence ({what})")
        return present
    if missing := [name for name in wanted if name not in present]:
        raise UserError(f"{folder}: no sequence {', '.join(missing)}")
    return list(wanted)


def same_count(name: str, **files: Sequence[object] | None) -> None:
    """Raises UserError unless all listings that are given have one length."""
    counts = {kind: len(listing) for kind, listing in files.items() if listing is not None}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        raise UserError(f"{name}: an incomplete sequence: {found}")


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture."""
    h, w = _read(path, cv2.IMREAD_UNCHANGED).shape[:2]
    return h, w


def read_depth_picture(
    path: Path, unit: float, invalid: Sequence[int] = (0,)
) -> Float[Tensor, "h w"]:
    """z of a 16-bit grey picture: unit times its level, 0 for `invalid` levels.

    Raises:
        UserError: missing, unreadable, or not a 16-bit grey picture.
    """
    levels = _read(path, cv2.IMREAD_UNCHANGED)
    if levels.dtype != np.uint16 or levels.ndim != 2:
        raise UserError(f"{path}: not a 16-bit grey picture")
    z = levels.astype(np.float32) * np.float32(unit)
    z[np.isin(levels, invalid)] = 0
    return torch.from_numpy(z)


def read_mask(path: Path) -> Bool[Tensor, "h w"]:
    """True where the picture is not black.

    Raises:
        UserError: missing or unreadable.
    """
    levels = _read(path, cv2.IMREAD_COLOR)
    return torch.from_numpy((levels > 0).any(-1))


def read_picture(path: Path) -> np.ndarray:
    """RGB levels, h x w x 3 uint8.

    Raises:
        UserError: missing or unreadable.
    """
    return _read(path, cv2.IMREAD_COLOR)[..., ::-1]


def write_picture(path: Path, levels: np.ndarray) -> None:
    """PNG or JPEG by suffix; colour is RGB."""
    picture = levels[..., ::-1] if levels.ndim == 3 else levels
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


def _read(path: Path, flags: int) -> np.ndarray:
    data = np.frombuffer(path.read_bytes(), np.uint8) if path.is_file() else np.empty(0, np.uint8)
    levels = cv2.imdecode(data, flags) if len(data) else None
    if levels is None:
        raise UserError(f"{path}: {'not a readable picture' if path.is_file() else 'no such file'}")
    return np.asarray(levels)
