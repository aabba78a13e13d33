"""Video by diffusion: schedule, masks, hierarchy, the network's invariants, learning."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition.generate.diffusion import (
    Condition,
    alpha_sigma,
    loss,
    measure_spread,
    sample,
    to_rgb,
    to_signal,
)
from rcvd.recognition.generate.frame_tasks import TASKS, given_frames, hierarchy, task_named
from rcvd.recognition.generate.long_video import make_video
from rcvd.recognition.generate.train import (
    DiffusionOptions,
    measure_diffusion,
    positions,
    train_diffusion,
)
from rcvd.recognition.generate.weights import Card, load_generator, save_generator
from rcvd.recognition.motion.motionworld import WorldOptions
from rcvd.recognition.networks.video_unet import VideoUnet, fold_frames


def lively() -> VideoUnet:
    """A network whose last layer says something."""
    network = VideoUnet(8).eval()
    torch.nn.init.normal_(network.last.weight, std=0.1)
    return network


def condition(task: str = "interpolation", frames: int = 5, count: int = 2) -> Condition:
    given = given_frames(task_named(task), frames).expand(count, -1)
    return Condition(torch.randn(count, 3, frames, 8, 8), given, positions(count, frames))


def test_signal_and_noise_share_one_unit_of_variance() -> None:
    alpha, sigma = alpha_sigma(torch.linspace(0, 1, 33))
    torch.testing.assert_close(alpha.square() + sigma.square(), torch.ones(33))
    assert (alpha.diff() < 0).all()
    rgb = torch.rand(3, 4)
    torch.testing.assert_close(to_rgb(to_signal(rgb)), rgb)


def test_masks_of_the_four_tasks() -> None:
    masks = {task: "".join("X" if g else "." for g in given_frames(task, 5, 1)) for task in TASKS}
    assert masks == {
        "unconditional": ".....", "future": "X....", "past": "....X", "interpolation": "X...X",
    }  # fmt: skip
    assert given_frames("future", 5, 2).tolist() == [True, True, False, False, False]
    with pytest.raises(UserError, match="choose one of unconditional"):
        task_named("sideways")


@pytest.mark.parametrize("task", TASKS)
def test_given_frames_come_back_unchanged(task: str) -> None:
    known = condition(task)
    made = sample(lively(), known, 3)
    where = known.given[:, None, :, None, None].expand_as(made)
    assert torch.equal(made[where], known.clip[where])
    assert made.isfinite().all()


def test_frames_that_are_not_given_have_no_say() -> None:
    known = condition()
    other = Condition(known.put(torch.full_like(known.clip, 7.0)), known.given, known.frame)
    network = lively()
    torch.testing.assert_close(sample(network, known, 2), sample(network, other, 2))


def test_the_guess_blends_by_distance() -> None:
    """Frames at 0, 1, 4 of which the outer are given: the middle is a quarter of the way."""
    clip = torch.tensor([0.0, 9.0, 8.0]).reshape(1, 1, 3, 1, 1).expand(1, 3, 3, 4, 4)
    given, frame = torch.tensor([[True, False, True]]), torch.tensor([[0.0, 1.0, 4.0]])
    known = Condition(clip, given, frame)
    assert known.guess()[0, 0, :, 0, 0].tolist() == [0.0, 2.0, 8.0]
    assert known.sides().tolist() == [[2, 2, 2]]
    future = Condition(clip, torch.tensor([[True, False, False]]), frame)
    assert future.guess()[0, 0, :, 0, 0].tolist() == [0.0, 0.0, 0.0]
    assert future.sides().tolist() == [[2, 1, 1]]
    assert measure_spread(known).tolist() == [1.0, 1.0, 7.0]
    assert not Condition(clip, torch.zeros(1, 3) > 0, frame).guess().any()


def test_a_closed_gate_makes_it_a_network_on_every_frame() -> None:
    """Attention along time starts at zero: frames are then treated one by one, as images are."""
    network = lively()
    x, zero = torch.randn(2, 3, 5, 8, 8), torch.zeros(2, 3, 5, 8, 8)
    none, level = torch.zeros(2, 5), torch.tensor([0.3, -1.0])
    together = network(x, zero, zero, none, level, positions(2, 5))
    singly = network(
        fold_frames(x)[:, :, None], zero[:, :, :1].repeat_interleave(5, 0),
        zero[:, :, :1].repeat_interleave(5, 0), torch.zeros(10, 1),
        level.repeat_interleave(5), torch.zeros(10, 1),
    )  # fmt: skip
    torch.testing.assert_close(fold_frames(together), singly[:, :, 0], atol=1e-5, rtol=1e-4)
    for name, parameter in network.named_parameters():
        if name.endswith("gate"):
            torch.nn.init.ones_(parameter)
    opened = network(x, zero, zero, none, level, positions(2, 5))
    assert (opened - together).abs().max() > 1e-2


def test_a_network_that_says_nothing_costs_the_residuals_variance() -> None:
    known, network = condition("unconditional", count=64), VideoUnet(8)
    generator = torch.Generator().manual_seed(0)
    assert float(loss(network, known, generator).detach()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("length", "window"), [(5, 5), (17, 5), (40, 5), (23, 3), (3, 8)])
@pytest.mark.parametrize("given", [(), (0,), (0, 2)])
def test_the_hierarchy_makes_every_frame_once_from_existing_ones(
    length: int, window: int, given: tuple[int, ...]
) -> None:
    exist = set(given)
    for call in hierarchy(length, window, given):
        assert set(call.given) <= exist
        assert not set(call.made) & exist
        assert len(call.frames) <= window
        exist |= set(call.made)
    assert exist == set(range(length))


def test_hierarchy_errors() -> None:
    with pytest.raises(UserError, match="3 or more"):
        list(hierarchy(8, 2))
    with pytest.raises(UserError, match="frames 0 to 7"):
        list(hierarchy(8, 4, (9,)))
    with pytest.raises(UserError, match="multiples of 4"):
        make_video(VideoUnet(8), 3, {}, 3, (8, 10))


def test_training_lowers_the_loss() -> None:
    options = DiffusionOptions(WorldOptions(3, 8, 0.1), steps=240, batch=16, width=8)
    network, losses = train_diffusion(options)
    assert sum(losses[-60:]) < 0.9 * sum(losses[:60])
    assert not network.training
    unconditional, one, two = network.spread.tolist()
    assert unconditional > one > two > 0


@pytest.mark.slow
def test_interpolation_beats_frame_copying() -> None:
    options = DiffusionOptions(steps=400)
    network, _ = train_diffusion(options)
    found = measure_diffusion(network, options.world)
    assert max(found["sample"], found["mean"], found["expected"]) < found["copy"]


def test_the_verbs(tmp_path: Path, flow_scene: Path) -> None:
    save_generator(tmp_path / "net", lively(), Card(8, 3, 16))
    network, card = load_generator(tmp_path / "net")
    assert card == Card(8, 3, 16)
    assert torch.equal(network.spread, torch.ones(3))
    run = CliRunner().invoke
    args = ["generate", "-o", str(tmp_path / "v.mp4"), "-w", str(tmp_path / "net"), "--steps", "2"]
    given = ["--source", str(flow_scene), "--given", "0,7", "--frames", "8"]
    done = run(app, [*args, *given])
    assert done.exit_code == 0, done.output
    assert "8 frames of 16x16, 2 of them given" in done.output
    assert (tmp_path / "v.mp4").stat().st_size > 0
    for wrong, said in (
        ([*given[:3], "0,9"], "frames 0 to 7"),
        ([*given[:3], "a"], "write frame numbers"),
        (["--given", "1"], "say with --source"),
    ):
        failed = run(app, [*args, *wrong])
        assert isinstance(failed.exception, UserError)
        assert said in str(failed.exception)
    with pytest.raises(UserError, match="not a folder of rcvd recognize fit-generator"):
        load_generator(tmp_path)
    made = run(app, ["fit-generator", "-o", str(tmp_path / "f"), "--steps", "2", "--side", "8",
                     "--width", "8", "--frames", "3", "--device", "cpu"])  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "blend" in made.output
    odd = run(app, ["fit-generator", "-o", str(tmp_path / "f"), "--side", "10"])
    assert "give a width" in str(odd.exception)
