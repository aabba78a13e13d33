"""Depth as OpenEXR pictures: one channel Z, float32."""

from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.export.depth_images import known_depth

CHANNEL = "Z"  # what Nuke calls depth.Z and Blender reads as depth


def openexr() -> ModuleType:
    """The OpenEXR library. Raises UserError where it is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise UserError("EXR needs OpenEXR; install it with: pip install 'rcvd[export]'") from error
    return OpenEXR


def write_depth_exr(path: Path, z: Float[Tensor, "h w"]) -> None:
    """z in scene units, 0 = unknown; ZIP compression, which loses nothing.

    Raises:
        UserError: OpenEXR is not installed.
    """
    library = openexr()
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    pixels = np.ascontiguousarray(known_depth(z).numpy())
    library.File(header, {CHANNEL: pixels}).write(str(path))
