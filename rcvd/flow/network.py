"""The bundled flow network: recurrent matching of all pairs at 1/8, refined around it at 1/4.

After Teed, Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
Differs from the paper: narrower, and the recurrence goes on at 1/4 on a cost volume of warped
features (Sun et al., "PWC-Net", 2018), because matches at 1/8 alone stay rough below a pixel. Every
normalisation is per sample.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rcvd.flow.correlation import Pyramid, cell_centres, local_costs, warped

STRIDE = 8  # of the coarse features: input height and width are multiples of this
COARSE_STEPS, FINE_STEPS = 8, 3

FEATURES, FINE_FEATURES = 128, 64
HIDDEN, CONTEXT = 80, 64
FINE_HIDDEN, FINE_CONTEXT = 48, 48
LEVELS, RADIUS = 4, 3  # of the correlation pyramid at 1/8; the radius also at 1/4
WINDOW = (2 * RADIUS + 1) ** 2
RELATIVE_MASK = 0.25  # scales the logits of the upsampling weights' gradients, as the authors do


def _norm(channels: int, kind: str) -> nn.Module:
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.GroupNorm(8, channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, into: int, out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(into, out, 3, stride, 1)
        self.second = nn.Conv2d(out, out, 3, 1, 1)
        self.first_norm, self.second_norm = _norm(out, norm), _norm(out, norm)
        same = stride == 1 and into == out
        self.shortcut = nn.Identity() if same else nn.Conv2d(into, out, 1, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return functional.relu(self.shortcut(x) + y)


class Encoder(nn.Module):
    """Features at 1/8 and, with what those know, at 1/4."""

    def __init__(self, coarse: int, fine: int, norm: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 7, 2, 3),
            _norm(32, norm),
            nn.ReLU(),
            ResidualBlock(32, 32, 1, norm),
            ResidualBlock(32, 64, 2, norm),
        )
        self.deep = nn.Sequential(ResidualBlock(64, 96, 2, norm), ResidualBlock(96, 96, 1, norm))
        self.coarse = nn.Conv2d(96, coarse, 1)
        self.fine, self.fine_from_deep = nn.Conv2d(64, fine, 1), nn.Conv2d(96, fine, 1)

    def forward(
        self, rgb: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b c h8 w8"], Float[Tensor, "b d h4 w4"]]:
        shallow = self.stem(rgb)
        deep = self.deep(shallow)
        return self.coarse(deep), self.fine(shallow) + doubled(self.fine_from_deep(deep))


class UpdateBlock(nn.Module):
    """One step: correlation, flow and context enter a gated recurrent unit, a change comes out."""

    def __init__(self, costs: int, hidden: int, context: int, motion: int) -> None:
        super().__init__()
        self.from_costs = nn.Conv2d(costs, motion, 1)
        self.from_flow = nn.Sequential(
            nn.Conv2d(2, motion // 2, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(motion // 2, motion // 3, 3, padding=1),
        )
        self.join = nn.Conv2d(motion + motion // 3, motion - 2, 3, padding=1)
        entering = hidden + context + motion
        self.gates = nn.Conv2d(entering, 2 * hidden, 3, padding=1)
        self.candidate = nn.Conv2d(entering, hidden, 3, padding=1)
        self.head = nn.Sequential(
            nn.Conv2d(hidden, 96, 3, padding=1), nn.ReLU(), nn.Conv2d(96, 2, 3, padding=1)
        )

    def forward(
        self,
        hidden: Float[Tensor, "b c h w"],
        context: Float[Tensor, "b d h w"],
        costs: Float[Tensor, "b k h w"],
        flow: Float[Tensor, "b 2 h w"],
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 2 h w"]]:
        """The hidden state after the step, and the change of the flow."""
        flow = flow.to(hidden.dtype)
        motion = torch.cat([self.from_costs(costs), self.from_flow(flow)], 1).relu()
        entering = torch.cat([context, self.join(motion).relu(), flow], 1)
        keep, reset = self.gates(torch.cat([hidden, entering], 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat([reset * hidden, entering], 1)).tanh()
        hidden = (1 - keep) * hidden + keep * candidate
        return hidden, self.head(hidden).float()


class Upsampler(nn.Module):
    """Each fine pixel's flow as a convex mean of its cell's nine neighbours (Teed, Deng 2020)."""

    def __init__(self, hidden: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.weights = nn.Sequential(
            nn.Conv2d(hidden, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 9 * factor**2, 1)
        )

    def forward(
        self, hidden: Float[Tensor, "b c h w"], flow: Float[Tensor, "b 2 h w"]
    ) -> Float[Tensor, "b 2 H W"]:
        """The flow in pixels of the larger size."""
        b, _, h, w = flow.shape
        k = self.factor
        logits = RELATIVE_MASK * self.weights(hidden).float()
        share = logits.reshape(b, 1, 9, k, k, h, w).softmax(2)
        # the border's cells are repeated: zeros around it would bend the flow there
        around = functional.pad(k * flow, (1, 1, 1, 1), mode="replicate")
        near = functional.unfold(around, 3).reshape(b, 2, 9, 1, 1, h, w)
        return (share * near).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(b, 2, k * h, k * w)


class Steps(NamedTuple):
    """Flows after every step at 1/4 resolution, in its pixels, and the last one at full size."""

    quarter: list[Float[Tensor, "b 2 h4 w4"]]
    full: list[Float[Tensor, "b 2 h w"]]


class FlowNetwork(nn.Module):
    """Displacement of every pixel of image i in image j."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Encoder(FEATURES, FINE_FEATURES, "instance")
        self.context = Encoder(HIDDEN + CONTEXT, FINE_HIDDEN + FINE_CONTEXT, "group")
        self.update = UpdateBlock(LEVELS * WINDOW, HIDDEN, CONTEXT, 96)
        self.fine_update = UpdateBlock(WINDOW, FINE_HIDDEN, FINE_CONTEXT, 48)
        self.hand_down = nn.Conv2d(HIDDEN, FINE_HIDDEN, 1)
        self.to_quarter, self.to_full = Upsampler(HIDDEN, 2), Upsampler(FINE_HIDDEN, 4)

    def forward(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None = None,
    ) -> Float[Tensor, "b 2 h w"]:
        """(x, y) displacement in pixels; RGB in [0, 1]; start: where the search begins."""
        return self.steps(rgb_i, rgb_j, start, every=False).full[-1]

    def steps(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        start: Float[Tensor, "b 2 h w"] | None = None,
        every: bool = True,
    ) -> Steps:
        """What each step finds; not every: the last one only, at full size."""
        images = 2 * torch.cat([rgb_i, rgb_j]) - 1
        coarse, fine = self.features(images)
        context, fine_context = self.context(images[: len(rgb_i)])
        hidden, context = context.split([HIDDEN, CONTEXT], 1)
        hidden, context = hidden.tanh(), context.relu()
        first, second = coarse.float().chunk(2)
        pyramid = Pyramid(first, second, LEVELS, RADIUS)
        flow = torch.zeros_like(pyramid.here) if start is None else reduced(start, STRIDE)
        quarter = []
        for step in range(COARSE_STEPS):
            flow = flow.detach()
            costs = pyramid.costs(pyramid.here + flow).to(hidden.dtype)
            hidden, change = self.update(hidden, context, costs, flow)
            flow = flow + change
            if every or step == COARSE_STEPS - 1:
                quarter.append(self.to_quarter(hidden, flow))
        more, full = self._refine(fine, fine_context, hidden, quarter[-1], every)
        return Steps([*quarter, *more], full)

    def _refine(
        self,
        fine: Float[Tensor, "b2 c h w"],
        context: Float[Tensor, "b d h w"],
        coarse_hidden: Float[Tensor, "b e h8 w8"],
        flow: Float[Tensor, "b 2 h w"],
        every: bool,
    ) -> tuple[list[Float[Tensor, "b 2 h w"]], list[Float[Tensor, "b 2 H W"]]]:
        """The steps at 1/4 from the flow found at 1/8."""
        first, second = fine.float().chunk(2)
        hidden, context = context.split([FINE_HIDDEN, FINE_CONTEXT], 1)
        hidden = (hidden + doubled(self.hand_down(coarse_hidden))).tanh()
        context = context.relu()
        here = cell_centres(first)
        quarter, full = [], []
        for step in range(FINE_STEPS):
            flow = flow.detach()
            costs = local_costs(first, warped(second, here + flow), RADIUS).to(hidden.dtype)
            hidden, change = self.fine_update(hidden, context, costs, flow)
            flow = flow + change
            if every or step == FINE_STEPS - 1:
                quarter.append(flow)
                full.append(self.to_full(hidden, flow))
        return quarter, full


def doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def reduced(flow: Float[Tensor, "b 2 h w"], factor: int) -> Float[Tensor, "b 2 h2 w2"]:
    """A flow at a size smaller by a whole factor, in the pixels of that size."""
    return functional.avg_pool2d(flow, factor) / factor
