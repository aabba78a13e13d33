"""Grids keep constant and linear fields at every resolution."""

import pytest
import torch

from rcvd.geometry import camera, grid

SIZE = (48, 80)


def linear_field(pixels: torch.Tensor) -> torch.Tensor:
    return 0.3 + 0.01 * pixels[..., 0] - 0.02 * pixels[..., 1]


def vertices(rows: int, columns: int) -> torch.Tensor:
    y = torch.linspace(0, SIZE[0], rows)
    x = torch.linspace(0, SIZE[1], columns)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


@pytest.mark.parametrize("shape", [(2, 2), (4, 6), (10, 17)])
def test_linear_field_survives_grid_and_resampling(shape: tuple[int, int]) -> None:
    values = linear_field(vertices(*shape))[None]
    expected = linear_field(camera.pixel_centres(SIZE))[None]
    torch.testing.assert_close(grid.grid_to_image(values, SIZE), expected)
    finer = grid.resample_grid(values, (7, 12))
    torch.testing.assert_close(finer[0], linear_field(vertices(7, 12)))


def test_one_by_one_grid_is_constant() -> None:
    image = grid.grid_to_image(torch.full((2, 1, 1), 0.7), SIZE)
    torch.testing.assert_close(image, torch.full((2, *SIZE), 0.7))
    assert grid.resample_grid(torch.full((2, 1, 1), 0.7), (4, 6)).eq(0.7).all()


def test_weights_sum_to_one_and_stay_on_the_border() -> None:
    pixels = torch.tensor([[0.0, 0.0], [80.0, 48.0], [80.0, 0.0], [13.0, 47.0]])
    index, weight = grid.bilinear_weights(pixels, SIZE, (4, 6))
    torch.testing.assert_close(weight.sum(1), torch.ones(4))
    corner = (index * (weight > 0.5)).sum(1)[:3]
    assert corner.tolist() == [0, 23, 5]


def test_portrait_is_the_mirror_of_landscape() -> None:
    assert grid.grid_size(17, 10, (224, 384)) == (10, 17)
    assert grid.grid_size(17, 10, (384, 224)) == (17, 10)


@pytest.mark.parametrize("shape", [(2, 2), (4, 6), (10, 17)])
def test_cubic_convolution_keeps_linear_fields_and_vertices(shape: tuple[int, int]) -> None:
    values = linear_field(vertices(*shape)).double()
    pixels = camera.pixel_centres(SIZE).reshape(-1, 2).double()
    index, weight = grid.bicubic_weights(pixels, SIZE, shape)
    torch.testing.assert_close(weight.sum(1), torch.ones(len(pixels), dtype=torch.float64))
    found = (values.reshape(-1)[index] * weight).sum(1)
    torch.testing.assert_close(found, linear_field(pixels), atol=1e-6, rtol=0)
    rough = torch.randn(1, *shape, dtype=torch.float64)
    torch.testing.assert_close(grid.refined_grid(rough, 4)[:, ::4, ::4], rough)


def test_cubic_convolution_is_smoother_than_bilinear() -> None:
    wave = torch.linspace(0, 6, 9, dtype=torch.float64).sin().expand(1, 9, 9)
    true = torch.linspace(0, 6, 33, dtype=torch.float64).sin()
    cubic = (grid.refined_grid(wave, 4)[0, 16] - true).abs().max()
    assert cubic < 0.3 * (grid.resample_grid(wave, (33, 33))[0, 16] - true).abs().max()
