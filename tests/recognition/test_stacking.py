"""Flow stacks: what they hold on fields whose motion is known."""

import torch

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import induced_flow
from rcvd.recognition.data.transforms import flip_flow, flip_rgb
from rcvd.recognition.motion import stacking
from rcvd.recognition.motion.sprites import Looks, Paths, render
from rcvd.recognition.networks.two_stream import TwoStream, average_streams, stack_channels


def uniform(t: int) -> torch.Tensor:
    return torch.rand(1, 2, t, 1, 1).expand(-1, -1, -1, 6, 8)


def test_trajectory_stack_is_the_plain_one_where_flow_is_uniform() -> None:
    flow = uniform(5)
    torch.testing.assert_close(
        stacking.trajectory_stack(flow, 1, 4), stacking.flow_stack(flow, 1, 4)
    )
    zero = torch.zeros(1, 2, 5, 6, 8)
    assert torch.equal(stacking.trajectory_stack(zero, 0, 5), zero)


def moving_sprite(speed: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Flow of a disc of radius 6 moving right over a still background, and its mask."""
    generator = torch.Generator().manual_seed(1)
    time = torch.arange(9.0)[None]
    centre = torch.stack([8 + speed * time, torch.full_like(time, 16.0)], -1)
    still = torch.zeros_like(time)
    paths = Paths(centre, still, still + 6, torch.zeros_like(centre))
    looks = Looks(torch.zeros(1, dtype=torch.long), torch.ones(1))
    made = render(paths, looks, 48, 0.0, generator)
    return made.flow, made.moving


def test_a_trajectory_stays_on_the_sprite_and_a_pixel_does_not() -> None:
    flow, moving = moving_sprite()
    plain, along = stacking.flow_stack(flow, 0, 8), stacking.trajectory_stack(flow, 0, 8)
    assert moving[0, 0, 16, 8]
    torch.testing.assert_close(along[0, 0, :, 16, 8], torch.full((8,), 3.0))
    assert plain[0, 0, 0, 16, 8] == 3
    assert plain[0, 0, -1, 16, 8] == 0  # the sprite has left


def test_trajectory_is_the_loop_of_equation_2() -> None:
    flow = torch.rand(1, 2, 4, 5, 6, dtype=torch.float64) - 0.5
    along = stacking.trajectory_stack(flow, 0, 4)
    p = torch.tensor([2.5, 3.5], dtype=torch.float64)
    for k in range(4):
        x, y = (p - 0.5).tolist()
        x0, y0 = int(x // 1), int(y // 1)
        fx, fy = x - x0, y - y0
        square = flow[0, :, k, y0 : y0 + 2, x0 : x0 + 2]
        rows = square[:, :, 0] * (1 - fx) + square[:, :, 1] * fx
        d = rows[:, 0] * (1 - fy) + rows[:, 1] * fy
        torch.testing.assert_close(along[0, :, k, 3, 2], d)
        p = p + d


def test_channels_run_dx_dy_dx_dy() -> None:
    flow = torch.arange(8.0).reshape(1, 2, 4, 1, 1)
    assert stack_channels(flow).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_time_reversal_swaps_the_halves_of_a_bidirectional_stack() -> None:
    forward, backward = torch.rand(2, 1, 2, 8, 4, 4)
    stack = stacking.bidirectional_stack(forward, backward, 4, 6)
    reversed_clip = stacking.bidirectional_stack(backward.flip(2), forward.flip(2), 4, 6)
    assert torch.equal(torch.cat([stack[:, :, 3:], stack[:, :, :3]], 2), reversed_clip)
    assert torch.equal(stack[:, :, 0], forward[:, :, 4])
    assert torch.equal(stack[:, :, 3], backward[:, :, 3])


def test_mean_subtraction_cancels_a_translating_camera() -> None:
    flow = torch.randn(2, 2, 3, 6, 8)
    centred = stacking.subtract_mean(flow)
    assert centred.mean((3, 4)).abs().max() < 1e-6
    torch.testing.assert_close(stacking.subtract_mean(flow + uniform(3)), centred)


def test_camera_subtraction_leaves_the_mover_and_mean_subtraction_leaves_parallax() -> None:
    z = torch.full((1, 12, 16), 4.0)
    z[:, :, 8:] = 2.0  # two walls
    eye = torch.eye(4)[None]
    moved = eye.clone()
    moved[:, 0, 3] = 0.2
    k = torch.tensor([[20.0, 20.0, 8.0, 6.0]])
    induced = induced_flow(z, eye, moved, k, k)[0].movedim(-1, 1)[:, :, None]
    flow = induced.clone()
    flow[..., 2:5, 2:5] += 1.5
    known = torch.ones(1, 1, 12, 16, dtype=torch.bool)
    residual = stacking.subtract_camera(flow, induced, known)
    assert (residual[0, :, 0].abs().amax(0) > 0.05).sum() == 9
    still = stacking.subtract_mean(induced)
    assert still.abs().max() > 0.3
    assert not stacking.subtract_camera(flow, induced, ~known).any()


def test_flipping_negates_dx_only() -> None:
    flow = torch.randn(1, 2, 3, 4, 6)
    rgb = torch.rand(1, 3, 4, 4, 6)
    flipped_rgb, flipped = flip_rgb(rgb), flip_flow(flow)
    assert torch.equal(flipped_rgb.flip(-1), rgb)
    assert torch.equal(flipped[:, 0], -flow[:, 0].flip(-1))
    assert torch.equal(flipped[:, 1], flow[:, 1].flip(-1))
    # a point that moved to p + d moves to its mirror image: the mirrored landing point
    pixels = pixel_centres((4, 6))
    landed = pixels[..., 0] + flow[0, 0, 0]
    mirrored = pixels[..., 0] + flipped[0, 0, 0]
    torch.testing.assert_close(mirrored.flip(-1), 6 - landed)


def test_streams_are_averaged_as_probabilities_and_alike() -> None:
    a, b = torch.randn(2, 3, 5)
    mean = (a.softmax(1) + b.softmax(1)) / 2
    torch.testing.assert_close(average_streams(a, b).softmax(1), mean)
    torch.testing.assert_close(average_streams(a, b), average_streams(b, a))


def test_two_stream_asks_each_stream_for_its_own_input() -> None:
    class Mean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3, 4))[:, :2]

    rgb, flow = torch.rand(1, 3, 4, 5, 5), torch.rand(1, 2, 3, 5, 5)
    network = TwoStream(Mean(), Mean())
    expected = average_streams(rgb.mean((2, 3, 4))[:, :2], flow.mean((2, 3, 4)))
    torch.testing.assert_close(network(rgb, flow), expected)
