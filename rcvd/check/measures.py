"""What the verdict on a scene rests on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

BINS = 40
PIXEL_RANGE, RATIO_RANGE = 4.0, 0.2  # of the histograms; what is larger counts in the last bin


@dataclass(frozen=True)
class Measures:
    """Of one clip; lists by frame have one value a frame, None where nothing could be measured.

    solve: the solver's verdict. spans: (first frame, last frame, the solver's verdict there).
    unposed: frames whose first pose the flow did not give. doubtful: frames where the clip's parts
    before and after may not fit together. still: the camera neither moves nor
    turns. parallax_px: how far matches move beyond the camera's rotation, in the best pair.
    reprojection_px: median distance of the flow from what cameras and depth predict, static pixels.
    depth_ratio: median |log| of the depth carried to another frame over the depth there.
    cycle_failure: share of the flow to neighbours that does not return to where it came from.
    unexplained: share of what neighbours also show that the still world does not account for: it is
    masked as moving, its flow does not return, or it lands over a pixel from where it should.
    moving: share of the pixels. blur_px: sigma of a Gaussian that would blur the picture alike.
    log_scale: of the depth prior, as the solver found it. far_end: standard deviation of the last
    camera's centre as a share of the path. hfov: degrees across the picture.
    over_time: agreement of still pixels with other frames and flicker, see `rcvd.check.over_time`.
    pixel_counts, ratio_counts: histograms of reprojection and depth ratio over PIXEL_RANGE and
    RATIO_RANGE.
    """

    frames: int
    size: tuple[int, int]
    solve: str
    spans: tuple[tuple[int, int, str], ...]
    unposed: tuple[int, ...]
    doubtful: tuple[int, ...]
    still: bool
    parallax_px: tuple[float, ...]
    reprojection_px: tuple[float | None, ...]
    depth_ratio: tuple[float | None, ...]
    cycle_failure: tuple[float | None, ...]
    unexplained: tuple[float | None, ...]
    moving: tuple[float, ...]
    blur_px: tuple[float | None, ...]
    log_scale: tuple[float, ...]
    far_end: float
    hfov: float
    focal_known: bool
    focal_std: float
    over_time: Mapping[str, float | None]
    pixel_counts: tuple[int, ...]
    ratio_counts: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """Fit for JSON; `from_document` reads it."""
        return asdict(self)


def from_document(document: Mapping[str, Any]) -> Measures | None:
    """The measures of a `Measures.document` that went through JSON; None for those of another
    version of rcvd.
    """
    if set(document) != {field.name for field in fields(Measures)}:
        return None
    values: dict[str, Any] = {k: _frozen(v) for k, v in document.items()}
    return Measures(**values)


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
