"""Flow by plain regression: FlowNet, simple or with a correlation layer (Dosovitskiy et al. 2015).

Two frames go in, flow comes out of the last of a few decoders; nothing is warped or iterated. The
network is small: an example to train in minutes and to compare with, not the flow to reconstruct
with.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from rcvd.errors import UserError
from rcvd.flow.correlation import local_costs
from rcvd.weights import load_checkpoint, load_into

LEVELS = 3  # halvings of the encoder; flow comes out at half the input's size
RADIUS = 4  # cells of a quarter of the size, of the correlation layer
KERNELS = (7, 5, 3)
CONTRAST = 4.0  # brings rgb - 0.5 to about unit deviation


@dataclass(frozen=True)
class FlowNetOptions:
    """width: channels of the first layer. correlation: frames meet in a correlation layer (C), else
    as the channels of one image (S).
    """

    width: int = 16
    correlation: bool = False


def _down(c_in: int, c_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, kernel, 2, kernel // 2), nn.LeakyReLU(0.1))


class FlowNet(nn.Module):
    """An encoder of three halvings and a decoder that refines its flow twice."""

    def __init__(self, options: FlowNetOptions | None = None) -> None:
        super().__init__()
        o = options or FlowNetOptions()
        self.options = o
        w = [o.width, 2 * o.width, 4 * o.width]
        first = 3 if o.correlation else 6
        self.one, self.two = _down(first, w[0], KERNELS[0]), _down(w[0], w[1], KERNELS[1])
        if o.correlation:
            self.carry = nn.Sequential(nn.Conv2d(w[1], w[0], 1), nn.LeakyReLU(0.1))
        meeting = (2 * RADIUS + 1) ** 2 + w[0] if o.correlation else w[1]
        self.three = _down(meeting, w[2], KERNELS[2])
        self.deep = nn.Sequential(nn.Conv2d(w[2], w[2], 3, 1, 1), nn.LeakyReLU(0.1))
        self.up2 = nn.Sequential(nn.ConvTranspose2d(w[2] + 2, w[1], 4, 2, 1), nn.LeakyReLU(0.1))
        self.up1 = nn.Sequential(nn.ConvTranspose2d(2 * w[1] + 2, w[0], 4, 2, 1), nn.LeakyReLU(0.1))
        self.flow3 = nn.Conv2d(w[2], 2, 3, 1, 1)
        self.flow2 = nn.Conv2d(2 * w[1], 2, 3, 1, 1)
        self.flow1 = nn.Conv2d(2 * w[0], 2, 3, 1, 1)

    def _encode(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at a half, a quarter and an eighth."""
        if not self.options.correlation:
            one = self.one(torch.cat([a, b], 1))
            two = self.two(one)
            return one, two, self.deep(self.three(two))
        ones = self.one(torch.cat([a, b]))
        twos = self.two(ones)
        (one, _), (two, other) = ones.chunk(2), twos.chunk(2)
        costs = local_costs(two, other, RADIUS)
        return one, two, self.deep(self.three(torch.cat([costs, self.carry(two)], 1)))

    def forward(
        self, rgb_i: Float[Tensor, "b 3 h w"], rgb_j: Float[Tensor, "b 3 h w"]
    ) -> list[Float[Tensor, "b 2 _h _w"]]:
        """Flow at an eighth, a quarter and a half of the size, in pixels of the given size.

        rgb: in [0, 1]; sides are multiples of 8.
        """
        one, two, three = self._encode(*(CONTRAST * (x - 0.5) for x in (rgb_i, rgb_j)))
        flow3 = self.flow3(three)
        x = torch.cat([self.up2(torch.cat([three, flow3], 1)), two], 1)
        flow2 = self.flow2(x) + _double(flow3)
        x = torch.cat([self.up1(torch.cat([x, flow2], 1)), one], 1)
        return [flow3, flow2, self.flow1(x) + _double(flow2)]


def _double(flow: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 2 h2 w2"]:
    return interpolate(flow, scale_factor=2, mode="bilinear")


def multiscale_loss(
    found: list[Float[Tensor, "b 2 _h _w"]], truth: Float[Tensor, "b 2 h w"]
) -> Float[Tensor, ""]:
    """Mean end-point error in px of every level, finer levels weighed more."""
    total = truth.new_zeros(())
    for level, flow in enumerate(found):
        small = interpolate(truth, size=flow.shape[2:], mode="area")
        total = total + 2.0 ** (level - len(found) + 1) * (flow - small).norm(dim=1).mean()
    return total


class FlowNetFlow:
    """Flow backend `flownet`: weights made by `rcvd recognize fit-flow`."""

    pairs_at_once = 4

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        if weights is None:
            raise UserError(
                "flow model 'flownet' is an example without weights of its own: train it with "
                "rcvd recognize fit-flow and give the file as the weights"
            )
        self.network = load_flownet(weights).to(device).eval()

    @torch.no_grad()
    def __call__(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        initial: Float[Tensor, "b h w 2"] | None = None,
    ) -> Float[Tensor, "b h w 2"]:
        """See `rcvd.flow.model.FlowModel`; a start is of no use to it."""
        h, w = rgb_i.shape[2:]
        size = 2**LEVELS
        margin = (0, -w % size, 0, -h % size)
        found = self.network(*(pad(x, margin, mode="replicate") for x in (rgb_i, rgb_j)))[-1]
        return _double(found)[..., :h, :w].movedim(1, -1)


def save_flownet(network: FlowNet, path: Path) -> None:
    """A .safetensors, read back by `load_flownet`; its shapes say which variant it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    save_file({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}, part)
    part.replace(path)


def load_flownet(path: Path) -> FlowNet:
    """Raises UserError: the file is missing, damaged, or of another network."""
    tensors = load_checkpoint(path)
    first = tensors.get("one.0.weight")
    if first is None or first.ndim != 4:
        raise UserError(f"{path}: not weights of flow model 'flownet': one.0.weight is missing")
    network = FlowNet(FlowNetOptions(len(first), first.shape[1] == 3))
    load_into(network, tensors, str(path))
    return network
