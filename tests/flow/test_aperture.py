"""What one image says about flow, and what one pixel says."""

import cv2
import numpy as np
import torch

from rcvd.flow.gradients import (
    EDGE,
    FLAT,
    TEXTURE,
    ApertureOptions,
    aperture,
    eigen,
    gradient,
    solvability,
    structure_tensor,
)
from rcvd.flow.normal_flow import brightness_residual, normal_flow
from rcvd.geometry.camera import pixel_centres


def wave(pixels: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """A smooth edge pattern that varies along one direction only, as an image b 1 h w."""
    return (0.5 + 0.4 * torch.sin(0.3 * (pixels * direction).sum(-1)))[None, None]


def test_gradient_of_a_plane_is_its_slope() -> None:
    x, y = torch.meshgrid(torch.arange(9.0), torch.arange(7.0), indexing="xy")
    slope = gradient((0.3 * x - 0.2 * y)[None, None])[0, 0, 1:-1, 1:-1]
    torch.testing.assert_close(slope, torch.tensor([0.3, -0.2]).expand_as(slope))


def test_residual_of_the_linear_equation_is_of_second_order() -> None:
    pixels = pixel_centres((40, 60), dtype=torch.float64)
    shift = torch.tensor([1.0, 0.6], dtype=torch.float64)

    def image(by: torch.Tensor) -> torch.Tensor:
        x, y = (pixels - by).unbind(-1)
        return (torch.sin(0.11 * x + 0.07 * y) + torch.cos(0.05 * x - 0.13 * y))[None, None]

    errors = []
    for size in (0.4, 0.2):
        u = (size * shift).expand(1, 40, 60, 2)
        # Scharr's kernel is exact for these waves up to a factor near 1: its share is taken out
        exact = brightness_residual(image(0 * shift), image(size * shift), u)
        linear = brightness_residual(
            image(0 * shift), image(1e-6 * shift), 1e-6 * shift.expand_as(u)
        )
        errors.append(float((exact - linear * size * 1e6)[0, 3:-3, 3:-3].abs().mean()))
    assert 3.8 < errors[0] / errors[1] < 4.2


def test_an_edge_tells_only_what_lies_across_it() -> None:
    """The barber pole: whatever moves, the flow found is (d . n) n."""
    pixels = pixel_centres((40, 60))
    angle = torch.tensor(0.7)
    n = torch.stack([angle.cos(), angle.sin()])
    for d in ([0.3, 0.0], [0.0, 0.4], [-0.2, 0.3], [-0.6442 * 0.5, 0.7648 * 0.5]):
        shift = torch.tensor(d)
        found = normal_flow(wave(pixels, n), wave(pixels - shift, n), 0.03)[0, 2:-2, 2:-2]
        known = found.norm(dim=-1) > 0
        expected = (shift @ n) * n
        strong = gradient(wave(pixels, n))[0, 0, 2:-2, 2:-2].norm(dim=-1) > 0.08
        error = (found[strong] - expected).norm(dim=-1)
        assert error.mean() < 0.03
        along = found[known] @ torch.stack([-n[1], n[0]])
        assert along.abs().max() < 1e-3  # never anything along the edge


def test_patches_are_told_apart_by_one_image() -> None:
    rgb = torch.full((1, 3, 48, 72), 0.5)
    rgb[..., 24:48] = torch.linspace(0, 1, 24)  # a ramp: an edge everywhere
    generator = torch.Generator().manual_seed(0)
    rgb[..., 48:] = torch.rand(1, 1, 48, 24, generator=generator)
    kind = aperture(rgb, ApertureOptions(window=9))[0]
    assert (kind[:, 5:19] == FLAT).all()
    assert (kind[:, 29:43] == EDGE).all()
    assert (kind[:, 53:67] == TEXTURE).all()
    map_ = solvability(rgb, 7)[0]
    assert map_[24, 10] == 0
    assert map_[24, 36] < 1e-6
    assert map_[24, 60] > 0.01


def test_colours_that_are_affine_to_each_other_stay_an_edge() -> None:
    grey = wave(pixel_centres((40, 60)), torch.tensor([0.6, 0.8]))
    rgb = torch.cat([grey, 0.5 * grey + 0.2, 1 - grey], 1)
    found = eigen(structure_tensor(gradient(rgb), 9))
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert (found.smaller[inner] < 1e-3 * found.larger[inner]).all()
    slope = torch.tensor([0.6, 0.8])
    across = (found.direction[inner] @ slope).abs()
    assert (across > 0.999).all()


def test_smaller_eigenvalue_is_opencvs_up_to_scale() -> None:
    generator = torch.Generator().manual_seed(1)
    grey = torch.rand(60, 80, generator=generator)
    theirs = cv2.cornerMinEigenVal(grey.numpy(), 7, ksize=cv2.FILTER_SCHARR)
    ours = solvability(grey.expand(1, 3, -1, -1), 7)[0]
    ratio = theirs[8:-8, 8:-8] / ours[8:-8, 8:-8].numpy()
    assert np.isfinite(ratio).all()
    assert ratio.std() / ratio.mean() < 1e-3


def test_eigenvectors_rebuild_the_tensor() -> None:
    a = torch.randn(1, 5, 6, 2, 2, dtype=torch.float64)
    tensor = a @ a.mT
    found = eigen(tensor)
    v = found.direction
    w = torch.stack([-v[..., 1], v[..., 0]], -1)
    rebuilt = (
        found.larger[..., None, None] * v[..., :, None] * v[..., None, :]
        + found.smaller[..., None, None] * w[..., :, None] * w[..., None, :]
    )
    torch.testing.assert_close(rebuilt, tensor)
