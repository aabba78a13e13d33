"""Following one box through a clip with SiamFC: several scales in one batch, a soft window."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from rcvd.recognition.track.crops import CONTEXT, box_centre, context_side, square_crops
from rcvd.recognition.track.siamfc import EXEMPLAR, SCORE, SEARCH, STRIDE, SiamFC


@dataclass(frozen=True)
class TrackerOptions:
    """scale_step: ratio between neighbouring scales. scales: how many, odd. penalty: factor on the
    response of other scales than the last. scale_rate: share of a change of scale that is taken
    over. window: share of the response that a cosine window around the last place has. finer:
    times the response is upsampled (bicubic). grown: bounds of the box's size to its first.
    """

    scale_step: float = 1.0375
    scales: int = 3
    penalty: float = 0.9745
    scale_rate: float = 0.59
    window: float = 0.176
    finer: int = 16
    grown: float = 5.0


@dataclass(frozen=True)
class Tracked:
    """box: x0 y0 x1 y1 in px. score: highest logit of the response at the chosen scale."""

    box: Float[Tensor, "4"]
    score: float


class Tracker:
    """One target. The exemplar is the box of the first frame and never changes."""

    @torch.no_grad()
    def __init__(
        self,
        network: SiamFC,
        rgb: Float[Tensor, "3 h w"],
        box: Float[Tensor, "4"],
        options: TrackerOptions | None = None,
    ) -> None:
        self.network, self.options = network.eval(), options or TrackerOptions()
        self.device = next(network.parameters()).device
        box = box.float()
        self.centre, self.size = box_centre(box), box[2:] - box[:2]
        self.first_size = self.size
        side = context_side(box, CONTEXT)
        crop = square_crops(rgb[None].to(self.device), *self._at(self.centre, side), EXEMPLAR)
        self.exemplar = network.features(crop)
        self.side = float(side) * SEARCH / EXEMPLAR  # of the square that is searched
        axis = torch.hann_window(SCORE * self.options.finer, periodic=False)
        window = axis[:, None] * axis[None]
        self.window = (window / window.sum()).to(self.device)

    def _at(
        self, centre: Float[Tensor, "2"], side: Float[Tensor, "*s"]
    ) -> tuple[Float[Tensor, "s 2"], Float[Tensor, "s"]]:
        sides = side.reshape(-1).to(self.device)
        return centre.to(self.device).expand(len(sides), 2), sides

    @torch.no_grad()
    def step(self, rgb: Float[Tensor, "3 h w"]) -> Tracked:
        """The box in the next frame."""
        o = self.options
        factors = o.scale_step ** (torch.arange(o.scales) - o.scales // 2).float()
        centres, sides = self._at(self.centre, self.side * factors)
        image = rgb[None].to(self.device).expand(o.scales, -1, -1, -1)
        features = self.network.features(square_crops(image, centres, sides, SEARCH))
        exemplar = self.exemplar.expand(o.scales, -1, -1, -1)
        response = self.network.respond(exemplar, features)
        k, offset, score = self._peak(response)
        factor = float(factors[k])
        self.centre = self.centre + offset * self.side * factor / SEARCH
        self._rescale(1 - o.scale_rate + o.scale_rate * factor)
        half = self.size / 2
        return Tracked(torch.cat([self.centre - half, self.centre + half]), score)

    def correct(self, box: Float[Tensor, "4"], share: float) -> Float[Tensor, "4"]:
        """The box drawn by `share` of the way to one that something else measured; it is kept."""
        centre = (1 - share) * self.centre + share * box_centre(box)
        size = (1 - share) * self.size + share * (box[2:] - box[:2])
        area = float((size.prod() / self.size.prod()).sqrt())
        self.side *= area
        self.centre, self.size = centre, size
        return torch.cat([centre - size / 2, centre + size / 2])

    def _peak(self, response: Float[Tensor, "s u v"]) -> tuple[int, Float[Tensor, "2"], float]:
        """Scale, (x, y) offset in px of the search image, and logit of the best match."""
        o = self.options
        side = SCORE * o.finer
        fine = interpolate(response[:, None], (side, side), mode="bicubic")[:, 0]
        penalty = torch.full((o.scales,), o.penalty, device=fine.device)
        penalty[o.scales // 2] = 1.0
        above = fine - fine.amin()  # a factor means less only of what is positive
        k = int((above.amax((1, 2)) * penalty).argmax())
        score = float(fine[k].amax())
        one = fine[k] - fine[k].amin()
        one = one / one.sum().clamp(min=1e-12)
        one = (1 - o.window) * one + o.window * self.window
        row, column = divmod(int(one.argmax()), side)
        # the upsampled map spans SCORE cells: its middle is the middle of the centre cell
        offset = (torch.tensor([column, row]) + 0.5 - side / 2) / o.finer * STRIDE
        return k, offset, score

    def _rescale(self, factor: float) -> None:
        grown = float((self.size * factor / self.first_size).mean())
        if 1 / self.options.grown < grown < self.options.grown:
            self.size, self.side = self.size * factor, self.side * factor


def follow(
    network: SiamFC,
    frames: Iterable[int],
    frame_of: Callable[[int], Float[Tensor, "3 h w"]],
    box: Float[Tensor, "4"],
    options: TrackerOptions | None = None,
) -> Iterator[Tracked]:
    """The box in each of the frames; in the first it is the given one, with score 0."""
    tracker: Tracker | None = None
    for k in frames:
        if tracker is None:
            tracker = Tracker(network, frame_of(k), box, options)
            yield Tracked(box.float(), 0.0)
        else:
            yield tracker.step(frame_of(k))
