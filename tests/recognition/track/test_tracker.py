"""Following a box, and training what follows it."""

from pathlib import Path

import pytest
import torch

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.geometry.camera import pixel_centres
from rcvd.items import write_png
from rcvd.recognition.motion.motionworld import WorldOptions
from rcvd.recognition.networks.roi import box_iou
from rcvd.recognition.track.boxed_clips import (
    BoxedClip,
    folder_clips,
    mask_box,
    read_boxes,
    sprite_clips,
)
from rcvd.recognition.track.crops import context_side, square_crops
from rcvd.recognition.track.siamfc import SiamFC
from rcvd.recognition.track.siamfc_train import SiamOptions, train_siamfc
from rcvd.recognition.track.siamfc_weights import load_siamfc, save_siamfc
from rcvd.recognition.track.tracker import Tracker, follow
from rcvd.recognition.track.world_tracks import is_whole
from rcvd.synthetic.sequence import Sequence


@pytest.fixture(scope="module")
def trained() -> SiamFC:
    """The bundled network."""
    return load_siamfc()


def ious(network: SiamFC, clip: BoxedClip) -> torch.Tensor:
    frames = range(len(clip.rgb))
    found = follow(network, frames, lambda k: clip.rgb[k].float() / 255, clip.box[0])
    boxes = torch.stack([seen.box for seen in found])
    return box_iou(boxes, clip.box).diagonal()[1:]


def test_sprites_of_another_seed_are_followed(trained: SiamFC) -> None:
    made = sprite_clips(30, 2000, WorldOptions(frames=10, side=112, pan=1.0))
    whole = [clip for clip in made if bool(clip.seen.all())][:4]
    assert len(whole) == 4
    means = torch.stack([ious(trained, clip).mean() for clip in whole])
    assert 0.6 < means.mean() < 1.0


def test_the_demo_clips_walker_is_followed_without_masks(
    trained: SiamFC, demo_sequence: Sequence
) -> None:
    walk = demo_sequence
    inner = [k for k in range(16) if is_whole(walk.moving[k]) and bool(walk.moving[k].any())]
    frames = range(inner[0], inner[-1] + 1)
    truth = torch.stack([mask_box(walk.moving[k]) for k in frames])
    found = follow(trained, frames, lambda k: walk.rgb[k], truth[0])
    boxes = torch.stack([seen.box for seen in found])
    assert len(frames) > 8
    assert 0.6 < box_iou(boxes, truth).diagonal()[1:].mean() < 1.0


def test_a_still_video_keeps_the_box(trained: SiamFC) -> None:
    clip = sprite_clips(20, 3, WorldOptions(frames=4, side=96))[0]
    rgb, box = clip.rgb[0].float() / 255, clip.box[0]
    found = list(follow(trained, range(6), lambda _: rgb, box))
    assert (found[-1].box - box).abs().max() < 1.0
    assert found[-1].score > 0


def test_a_crop_pasted_elsewhere_is_found(trained: SiamFC) -> None:
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(3, 30, 40, generator=generator)
    scene = torch.nn.functional.interpolate(scene[None], (120, 160), mode="bilinear")[0]
    thing = torch.rand(3, 6, 6, generator=generator)
    thing = torch.nn.functional.interpolate(thing[None], (30, 30), mode="bilinear")[0]
    first, second = scene.clone(), scene.clone()
    first[:, 40:70, 60:90], second[:, 48:78, 72:102] = thing, thing
    tracker = Tracker(trained, first, torch.tensor([60.0, 40.0, 90.0, 70.0]))
    seen = tracker.step(second)
    assert box_iou(seen.box[None], torch.tensor([[72.0, 48.0, 102.0, 78.0]]))[0, 0] > 0.7


def test_crops_are_squares_around_the_box() -> None:
    xy = pixel_centres((60, 80)) / 80
    rgb = torch.cat([xy, torch.zeros(60, 80, 1)], -1).movedim(-1, 0)[None]
    box = torch.tensor([[30.0, 20.0, 50.0, 40.0]])
    side = context_side(box)
    assert side.tolist() == [40.0]
    crop = square_crops(rgb, torch.tensor([[40.0, 30.0]]), side, 40)
    torch.testing.assert_close(crop, rgb[..., 10:50, 20:60], atol=1e-5, rtol=0)
    outside = square_crops(rgb, torch.tensor([[-200.0, 30.0]]), side, 8)
    torch.testing.assert_close(outside, rgb.mean((2, 3), keepdim=True).expand(1, 3, 8, 8))
    half = square_crops(rgb, torch.tensor([[40.0, 30.0]]), side, 13)  # shrunk by three
    torch.testing.assert_close(half[0, 0].mean(), rgb[0, 0, 10:50, 20:60].mean(), atol=2e-3, rtol=0)


def test_training_learns_and_repeats() -> None:
    clips = sprite_clips(20, 5, WorldOptions(frames=4, side=96))
    options = SiamOptions(steps=12, batch=4, width=0.0625, rate=4e-3)
    _, losses = train_siamfc(clips, options)
    _, again = train_siamfc(clips, options)
    assert losses == again
    assert sum(losses[-4:]) < sum(losses[:4])
    with pytest.raises(UserError, match="no clips"):
        train_siamfc([], options)


def test_weights_come_back_and_published_names_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SiamFC(0.125).eval()
    path = tmp_path / "w.safetensors"
    save_siamfc(network, path)
    z, x = torch.rand(1, 3, 127, 127), torch.rand(1, 3, 255, 255)
    with torch.no_grad():
        torch.testing.assert_close(load_siamfc(path)(z, x), network(z, x), atol=2e-2, rtol=2e-2)
    published = {f"backbone.{k}": v for k, v in SiamFC().backbone.state_dict().items()}
    torch.save(published, tmp_path / "siamfc_alexnet.pth")
    loaded = load_siamfc(tmp_path / "siamfc_alexnet.pth")
    assert torch.equal(
        loaded.state_dict()["backbone.conv5.0.weight"], published["backbone.conv5.0.weight"]
    )
    assert loaded.bias == 0
    published.pop("backbone.conv3.0.bias")
    torch.save(published, tmp_path / "bad.pth")
    with pytest.raises(UserError, match=r"missing backbone\.conv3\.0\.bias"):
        load_siamfc(tmp_path / "bad.pth")
    torch.save({"x": z}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not weights of SiamFC"):
        load_siamfc(tmp_path / "other.pth")


def test_mask_box() -> None:
    mask = torch.zeros(10, 12, dtype=torch.bool)
    mask[3:5, 2:9] = True
    assert mask_box(mask).tolist() == [2, 3, 9, 5]


def test_sequences_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = next(c for c in sprite_clips(20, 7, WorldOptions(frames=6, side=96)) if c.seen.all())
    folder = tmp_path / "data" / "ball"
    (folder / "img").mkdir(parents=True)
    lines = []
    for k, (rgb, box) in enumerate(zip(clip.rgb, clip.box, strict=True)):
        write_png(folder / "img" / f"{k:04d}.png", rgb.permute(1, 2, 0).contiguous().numpy())
        x, y, w, h = (*(box[:2] + 1).tolist(), *(box[2:] - box[:2]).tolist())
        lines.append(f"{x}\t{y}\t{w}\t{h}" if k % 2 else f"{x},{y},{w},{h}")
    truth = folder / "groundtruth_rect.txt"
    truth.write_text("\n".join(lines) + "\n")
    (read,) = folder_clips(tmp_path / "data", stride=1)
    assert torch.equal(read.rgb, clip.rgb)
    torch.testing.assert_close(read.box, clip.box, atol=1e-3, rtol=0)
    out = tmp_path / "w.safetensors"
    arguments = ["train-tracker", "-o", str(out), "--steps", "2", "--width", "0.0625", "--data"]
    app([*arguments, str(tmp_path / "data")], standalone_mode=False)
    assert "1 targets" in capsys.readouterr().out
    assert out.stat().st_size > 0
    truth.write_text("1,2,3\n")
    with pytest.raises(UserError, match=r"line 1: '1,2,3' is not x,y,w,h"):
        read_boxes(truth)
    with pytest.raises(UserError, match="no sequence"):
        folder_clips(folder)
