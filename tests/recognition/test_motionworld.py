"""MotionWorld: its truth is true, its classes are each other's time reversals."""

import pytest
import torch

from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import sample
from rcvd.recognition.motion.motionworld import TASKS, Task, WorldOptions, classes, make_clips
from rcvd.recognition.networks.toy import Late, SingleFrame

OPTIONS = WorldOptions(frames=6, side=32, noise=0.0)


@pytest.mark.parametrize("task", TASKS)
def test_clips_of_every_task(task: Task) -> None:
    clips = make_clips(task, 64, 0, OPTIONS)
    assert clips.rgb.shape == (64, 3, 6, 32, 32)
    assert clips.flow.shape == (64, 2, 5, 32, 32)
    assert 0 <= clips.rgb.min() < 0.2
    assert 0.8 < clips.rgb.max() <= 1
    assert set(clips.label.tolist()) <= set(range(classes(task)))
    assert len(clips.label.unique()) > classes(task) // 2
    again, other = make_clips(task, 64, 0, OPTIONS), make_clips(task, 64, 1, OPTIONS)
    assert torch.equal(again.rgb, clips.rgb)
    assert not torch.equal(other.rgb, clips.rgb)


def test_true_flow_warps_a_frame_to_the_next() -> None:
    clips = make_clips("dir8", 32, 3, OPTIONS)
    inner = torch.zeros(32, 32, dtype=torch.bool)
    inner[4:-4, 4:-4] = True  # sampling does not wrap round
    landing = pixel_centres((32, 32)) + clips.flow[:, :, 0].movedim(1, -1)
    now, then = clips.rgb[:, :, 0], clips.rgb[:, :, 1]
    warped = (sample(then, landing) - now).abs()[..., inner].mean()
    unwarped = (then - now).abs()[..., inner].mean()
    shifted = (sample(then, landing + 1.0) - now).abs()[..., inner].mean()
    assert 0 < warped < 0.35 * unwarped
    assert shifted > 2 * warped


def test_boxes_fit_the_masks() -> None:
    clips = make_clips("look", 16, 5, WorldOptions(frames=2, side=96, noise=0.0))
    pixels = pixel_centres((96, 96))
    for box, moving in zip(clips.box[:, 0], clips.moving[:, 0], strict=True):
        centre = (box[:2] + box[2:]) / 2
        offset = (pixels - centre + 48) % 96 - 48  # the sprite may lie across the border
        inside = offset[moving]
        found = torch.cat([inside.amin(0), inside.amax(0)]) + centre.repeat(2)
        assert (found - box).abs().max() < 2.0  # tips are thinner than a pixel


def test_labels_of_dir8_say_how_the_sprite_moves() -> None:
    options = WorldOptions(frames=6, side=32, noise=0.0, pan=0.0)
    clips = make_clips("dir8", 200, 7, options)
    motion = clips.flow.flatten(2).sum(2)
    for label, (axis, sign) in enumerate([(0, 1), (0, -1), (1, 1), (1, -1)]):
        chosen = motion[clips.label == label]
        assert (chosen[:, axis] * sign > 0).all()
        assert (chosen[:, 1 - axis].abs() < 1e-3).all()
    size = clips.box[:, :, 2] - clips.box[:, :, 0]
    growth = size[:, -1] - size[:, 0]
    assert (growth[clips.label == 6] > 0).all()
    assert (growth[clips.label == 7] < 0).all()


def test_a_bag_of_frames_cannot_tell_a_clip_from_its_reversal() -> None:
    clips = make_clips("dir8", 8, 0, OPTIONS)
    network = Late(8).eval()
    difference = network(clips.rgb) - network(clips.rgb.flip(2))
    assert difference.abs().max() < 1e-6
    single = SingleFrame(network).eval()
    assert (single(clips.rgb) - single(clips.rgb.flip(2))).abs().max() < 1e-6
