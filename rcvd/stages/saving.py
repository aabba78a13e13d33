"""Arrays and masks by frame as several stages write them, and the frames still to be written."""

from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.items import array_name, write_array, write_mask
from rcvd.store import Workspace


def frames_to_do(workspace: Workspace, n_frames: int, kind: str = "") -> list[int]:
    """Frames whose array is not yet in the stage's folder, or in its subfolder `kind`."""
    names = workspace.missing(str(Path(kind, array_name(k))) for k in range(n_frames))
    return [int(Path(name).stem) for name in names]


def save_array(workspace: Workspace, name: str, values: Float[Tensor, "h w"]) -> None:
    """An item of the stage, in float32."""
    with workspace.writing(name) as part:
        write_array(part, values)


def save_mask(workspace: Workspace, name: str, values: Bool[Tensor, "h w"]) -> None:
    """An item of the stage, as a PNG."""
    with workspace.writing(name) as part:
        write_mask(part, values)
