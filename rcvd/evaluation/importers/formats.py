"""Every format by name, and which one a path is in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluation.importers import (
    colmap,
    cut3r,
    depth_anything3,
    megasam,
    monst3r,
    rcvd_scene,
    tum,
    vipe,
)
from rcvd.evaluation.sequence import Prediction


@dataclass(frozen=True)
class Format:
    """recognises: whether a path looks like it. read: raises UserError."""

    recognises: Callable[[Path], bool]
    read: Callable[[Path], Prediction]


FORMATS: MappingProxyType[str, Format] = MappingProxyType(
    {
        name: Format(module.recognises, module.read)
        for name, module in (
            ("rcvd", rcvd_scene),
            ("monst3r", monst3r),
            ("cut3r", cut3r),
            ("megasam", megasam),
            ("vipe", vipe),
            ("da3", depth_anything3),
            ("colmap", colmap),
            ("tum", tum),
        )
    }
)
"""The order in which they are tried: ours first, a bare trajectory last."""


def read_prediction(
    path: Path, name: str | None = None, reference: Float[Tensor, "t 4 4"] | None = None
) -> Prediction:
    """A system's output of the named format, or of the first one that recognises it.

    reference: true poses of the same frames, for formats that leave something open.

    Raises:
        UserError: no such path or format, unrecognised, or damaged.
    """
    if name is not None and name not in FORMATS:
        raise UserError(f"format '{name}': choose from {', '.join(FORMATS)}")
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    name = name or next((n for n, f in FORMATS.items() if f.recognises(path)), None)
    if name is None:
        raise UserError(f"{path}: none of the known formats ({', '.join(FORMATS)})")
    return tum.read(path, reference) if name == "tum" else FORMATS[name].read(path)
