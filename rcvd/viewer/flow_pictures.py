"""Pictures of flow and of where it can be trusted. RGB uint8 out."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from rcvd.flow.consistency import round_trip
from rcvd.flow.gradients import EDGE, FLAT, TEXTURE, ApertureOptions, aperture
from rcvd.flow.normal_flow import normal_flow
from rcvd.types import Flow

Picture = UInt8[np.ndarray, "h w 3"]
KINDS = {FLAT: "flat", EDGE: "edge", TEXTURE: "texture"}
KIND_COLOURS = {FLAT: (70, 70, 200), EDGE: (230, 170, 40), TEXTURE: (60, 160, 80)}
WORST_RETURN = 2.0  # px of round-trip error that is full red
TITLE = 18  # px of height
SMALLEST_SPAN = 0.5  # px: shorter flow is not blown up to full colour


@dataclass(frozen=True)
class Inspection:
    """Flow of one pair of frames and what may be said against it.

    kind: FLAT, EDGE or TEXTURE of the first image. returned: px between a pixel and where it comes
    back to. trusted: both directions of motion are seen, and the round trip returns.
    """

    rgb: Float[Tensor, "3 h w"]
    flow: Flow
    normal: Float[Tensor, "h w 2"]
    kind: Int[Tensor, "h w"]
    returned: Float[Tensor, "h w"]

    @property
    def trusted(self) -> Bool[Tensor, "h w"]:
        return (self.kind == TEXTURE) & self.flow.valid


def inspect_flow(
    rgb_i: Float[Tensor, "3 h w"],
    rgb_j: Float[Tensor, "3 h w"],
    flow: Flow,
    backward: Float[Tensor, "h w 2"],
    options: ApertureOptions | None = None,
) -> Inspection:
    """What texture, aperture and round trip say about a flow from i to j."""
    grey_i, grey_j = (x.mean(0)[None, None] for x in (rgb_i, rgb_j))
    squared, _ = round_trip(flow.displacement[None], backward[None])
    return Inspection(
        rgb_i,
        flow,
        normal_flow(grey_i, grey_j, smallest=0.02)[0],
        aperture(rgb_i[None], options)[0],
        squared[0].sqrt(),
    )


def summary(seen: Inspection) -> list[str]:
    """The figures of an inspection, a line each."""
    lines = []
    for number, name in KINDS.items():
        here = seen.kind == number
        share, count = float(here.float().mean()), int(here.sum())
        middle = float(seen.returned[here].median()) if count else float("nan")
        valid = float(seen.flow.valid[here].float().mean()) if count else float("nan")
        lines.append(
            f"{name:8} {100 * share:5.1f} % of the pixels, {100 * valid:5.1f} % of them return, "
            f"median round trip {middle:.3f} px"
        )
    return [*lines, f"trusted  {100 * float(seen.trusted.float().mean()):5.1f} % of the pixels"]


def colour_wheel(displacement: Float[Tensor, "h w 2"], span: float) -> Picture:
    """Direction as hue, length as saturation, full at `span` px; white stands still."""
    x, y = displacement.detach().cpu().float().unbind(-1)
    hue = torch.rad2deg(torch.atan2(y, x)) % 360 / 2
    strength = ((x.square() + y.square()).sqrt() / span).clamp(max=1)
    hsv = torch.stack([hue, 255 * strength, torch.full_like(hue, 255)], -1)
    return cv2.cvtColor(hsv.round().clamp(0, 255).byte().numpy(), cv2.COLOR_HSV2RGB)


def _span(displacement: Float[Tensor, "h w 2"]) -> float:
    length = displacement.norm(dim=-1).flatten()[::7]
    return max(float(length.quantile(0.95)), SMALLEST_SPAN)


def _titled(picture: np.ndarray, title: str) -> Picture:
    bar = np.full((TITLE, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, title, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture])


def draw(seen: Inspection) -> Picture:
    """Six panels: frame, flow, normal flow, kinds of texture, round trip, what can be trusted."""
    frame = (seen.rgb * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    span = _span(seen.flow.displacement)
    kinds = np.zeros_like(frame)
    for number, colour in KIND_COLOURS.items():
        kinds[(seen.kind == number).numpy()] = colour
    worse = (seen.returned / WORST_RETURN).clamp(0, 1)[..., None].numpy()
    back = (255 * (1 - worse * np.array([0.15, 1.0, 1.0]))).astype(np.uint8)
    kept = frame.copy()
    doubtful = ~seen.trusted.numpy()
    kept[doubtful] = (kept[doubtful] * 0.25).astype(np.uint8)
    panels = [
        _titled(frame, "frame"),
        _titled(colour_wheel(seen.flow.displacement, span), f"flow, full colour at {span:.1f} px"),
        _titled(colour_wheel(seen.normal, span), "normal flow: what one pixel sees"),
        _titled(
            cv2.addWeighted(kinds, 0.6, frame, 0.4, 0), "flat blue, edge yellow, texture green"
        ),
        _titled(back, f"round trip, red at {WORST_RETURN:.0f} px"),
        _titled(kept, "bright: can be trusted"),
    ]
    return np.concatenate([np.concatenate(panels[k : k + 2], 1) for k in (0, 2, 4)])
