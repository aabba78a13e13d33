"""rcvd: consistent depth, camera poses and a point cloud from a casual video."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcvd.scene import Scene

__version__ = "0.1.0"
__all__ = ["load", "reconstruct"]


def reconstruct(
    video: str | Path,
    out: str | Path,
    preset: str | None = None,
    until: str | None = None,
    **sections: Any,
) -> "Scene":
    """Depth, cameras and points of a video; what is already done in `out` is not done again.

    preset: "fast", "paper", a YAML file, or None for the defaults. until: the last stage to run.
    sections: settings by stage, such as `poses={"hfov": 62}` or `device="cuda"`.

    Raises:
        rcvd.errors.UserError: what the caller has to mend, in one line.
    """
    from rcvd import pipeline

    return pipeline.run(pipeline.make_settings(Path(video), preset, sections), Path(out), until)


def load(scene: str | Path) -> "Scene":
    """A scene folder made before.

    Raises:
        rcvd.errors.UserError: not a scene folder.
    """
    from rcvd.scene import Scene

    return Scene.load(scene)
