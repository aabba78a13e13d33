"""The bundled network's function is pinned by a small fingerprint of its output."""

import torch

from rcvd.depth.bundled import BundledDepth
from rcvd.depth.network import DepthNetwork
from rcvd.geometry.camera import pixel_centres


def picture(h: int, w: int) -> torch.Tensor:
    """A fixed analytic picture: stripes on a gradient."""
    x, y = (pixel_centres((h, w)) / torch.tensor([w, h])).unbind(-1)
    wave = 0.5 + 0.5 * torch.sin(40 * x + 9 * y)
    return torch.stack([wave, 0.3 + 0.5 * y, 0.2 + 0.6 * x * wave])[None]


def test_fingerprint_of_the_bundled_weights() -> None:
    with torch.no_grad():
        y = BundledDepth().network(picture(128, 160))[0]
    expected = torch.tensor(FINGERPRINT)
    torch.testing.assert_close(y[16::48, 16::48], expected, atol=2e-3, rtol=0)


def test_size_and_no_batch_statistics() -> None:
    network = DepthNetwork()
    assert sum(p.numel() for p in network.parameters()) == 5_389_380
    kinds = {type(m).__name__ for m in network.modules()}
    assert not any("BatchNorm" in kind for kind in kinds)


FINGERPRINT = [[-1.831, -1.851, -1.835], [-1.831, -1.834, -1.811], [-1.813, -1.8, -1.781]]
