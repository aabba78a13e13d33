"""Where a measure of a scene becomes doubtful, and where it is too bad to be used."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """(amber, red) of each measure. A share of the frames may miss them: `frames`.

    reprojection_px, blur_px: of the working size. ratio: |log| of depths that should be equal.
    cycle: share of the flow that does not return. unexplained: red where less than half of the
    picture is a still world. moving: share of the pixels. focal: relative
    standard deviation. drift: difference of the prior's log scale between the ends of the clip.
    far_end: standard deviation of the last camera as a share of the path. hfov: the narrowest and
    the widest field of view, degrees, that an ordinary camera has.
    """

    reprojection_px: tuple[float, float] = (0.6, 2.0)
    blur_px: tuple[float, float] = (1.5, 4.0)
    ratio: tuple[float, float] = (0.02, 0.06)
    cycle: tuple[float, float] = (0.25, 0.5)
    unexplained: tuple[float, float] = (0.4, 0.5)
    moving: tuple[float, float] = (0.35, 0.7)
    focal: tuple[float, float] = (0.05, 0.2)
    drift: tuple[float, float] = (0.3, 0.7)
    far_end: tuple[float, float] = (0.1, 0.4)
    hfov: tuple[float, float] = (25.0, 110.0)
    frames: float = 0.1
