"""Non-local block: every position looks at every other in space and time (Wang et al. 2018)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from rcvd.recognition.networks.norms import Norm, norm_layer
from rcvd.recognition.networks.resnet3d import ResNet3d, Stage

Affinity = Literal["softmax", "gaussian", "dot"]
I3D_PLACES = {3: (1, 3), 4: (1, 3, 5)}  # in res3 and res4, counted from 0


class NonLocal(nn.Module):
    """x + norm(out(attention)); the last norm starts at zero, so the block starts as identity.

    affinity: softmax of theta . phi, softmax of x . x (gaussian; no theta and phi), or theta . phi
    over the number of positions (dot). pool: phi and g see (1, 2, 2)-pooled maps.
    """

    def __init__(
        self,
        channels: int,
        affinity: Affinity = "softmax",
        pool: bool = False,
        norm: Norm = "bn",
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.affinity = affinity
        self.pool = nn.MaxPool3d((1, 2, 2)) if pool else nn.Identity()
        if affinity != "gaussian":
            self.theta = nn.Conv3d(channels, inner, 1)
            self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1)
        self.norm = norm_layer(norm, channels)
        for parameter in (self.out if norm == "none" else self.norm).parameters():
            nn.init.zeros_(parameter)

    def weights(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b n m"]:
        """How much position n takes from position m."""
        seen = self.pool(x)
        if self.affinity == "gaussian":
            query, key = x, seen
        else:
            query, key = self.theta(x), self.phi(seen)
        scores = query.flatten(2).transpose(1, 2) @ key.flatten(2)
        return scores / scores.shape[2] if self.affinity == "dot" else scores.softmax(2)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        value = self.g(self.pool(x)).flatten(2).transpose(1, 2)
        taken = (self.weights(x) @ value).transpose(1, 2)
        return x + self.norm(self.out(taken.reshape(x.shape[0], -1, *x.shape[2:])))


def insert_nonlocal(
    network: ResNet3d,
    places: dict[int, tuple[int, ...]] | None = None,
    affinity: Affinity = "softmax",
    pool: bool = False,
) -> ResNet3d:
    """The network with non-local blocks after the named blocks; its output is unchanged.

    places: number of the stage (3: res3) -> blocks, counted from 0; default as in I3D-NLN.
    """
    stages = [block for block in network.blocks if isinstance(block, Stage)]
    for number, indices in (places or I3D_PLACES).items():
        blocks = stages[number - 2].res_blocks
        for index in indices:
            channels = stages[number - 2].channels
            blocks[index] = nn.Sequential(blocks[index], NonLocal(channels, affinity, pool))
    return network
