"""Clips, transforms, readers, the frame store and the loader."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd.errors import UserError
from rcvd.export.video import write_video
from rcvd.recognition.data import readers, sampling
from rcvd.recognition.data.frame_store import FrameStore, PackedVideo, encode_flow, pack
from rcvd.recognition.data.loader import Loader
from rcvd.recognition.data.sets import ClipsInMemory, StoredClips, VideoClips, even_clips
from rcvd.recognition.data.transforms import Augmentation, Sample, augment
from rcvd.recognition.preprocessing import C3D_INPUT, I3D_INPUT, resize_clip, short_side_size

Shape = sampling.ClipShape


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_frames", [1, 3, 16, 50])
@pytest.mark.parametrize("short", ["loop", "clamp"])
def test_clips_always_have_their_length(n_frames: int, short: sampling.Short) -> None:
    shape = Shape(8, 2, short)
    one = sampling.random_clip(n_frames, shape, dice())
    many = sampling.uniform_clips(n_frames, shape, 10)
    sliding = sampling.sliding_clips(n_frames, shape, 4)
    for index in (one[None], many, sliding):
        assert index.shape[1] == 8
        assert index.min() >= 0
        assert index.max() < n_frames
    assert many.shape[0] == 10


def test_short_videos_loop_stay_or_are_named() -> None:
    assert sampling.frames_from(0, 3, Shape(5, 1, "loop")).tolist() == [0, 1, 2, 0, 1]
    assert sampling.frames_from(0, 3, Shape(5, 1, "clamp")).tolist() == [0, 1, 2, 2, 2]
    with pytest.raises(UserError, match="needs 5 frames from frame 0, the video has 3"):
        sampling.frames_from(0, 3, Shape(5, 1, "error"))


def test_ten_views_reach_both_ends_and_all_crops() -> None:
    views = sampling.uniform_clips(100, Shape(16, 2), 10)
    assert views[0, 0] == 0
    assert views[-1, -1] == 98 + 1
    assert sampling.uniform_clips(100, Shape(16, 2), 1)[0, 0] == 34
    assert sampling.three_crops((10, 20), (10, 10)) == [(0, 0), (0, 5), (0, 10)]
    assert sampling.three_crops((20, 10), (10, 10)) == [(0, 0), (5, 0), (10, 0)]


def test_segments() -> None:
    assert sampling.segment_frames(30, 3).tolist() == [5, 15, 25]
    drawn = sampling.segment_frames(30, 3, dice())
    assert (drawn // 10).tolist() == [0, 1, 2]


def test_storage_figures_of_the_lecture() -> None:
    assert 16 * 3 * 112 * 112 / 1024 == 588  # 3.2 s at 5 fps
    assert pytest.approx(1.545, abs=1e-3) == 640 * 480 * 3 * 30 * 60 / 2**30
    assert pytest.approx(10.43, abs=1e-2) == 1920 * 1080 * 3 * 30 * 60 / 2**30
    assert 1.3e6 * 30 * 24 == 936e6


def coded_clip(t: int = 4, h: int = 12, w: int = 20) -> torch.Tensor:
    """Channel 0 is x / w, so that what a transform did can be read off."""
    x = (torch.arange(w) + 0.5) / w
    return x.expand(3, t, h, w).clone()


def test_one_draw_for_the_whole_clip_and_its_flow() -> None:
    options = Augmentation(8, (12, 16), flip=True, mirrored={0: 1, 1: 0}, directional=True)
    flips = set()
    for seed in range(12):
        flow = torch.zeros(2, 3, 12, 20)
        flow[0] = 2.0
        out = augment(Sample(coded_clip(), flow, 0), options, dice(seed))
        assert out.rgb.shape == (3, 4, 8, 8)
        assert out.flow is not None
        assert out.flow.shape == (2, 3, 8, 8)
        assert torch.equal(out.rgb[:, :1].expand_as(out.rgb), out.rgb)  # every frame alike
        falling = bool(out.rgb[0, 0, 0, 0] > out.rgb[0, 0, 0, -1])
        assert out.label == int(falling)
        pixels = float(out.flow[0].mean())
        assert (pixels < 0) == falling
        assert 2.0 <= abs(pixels) <= 2.0 * 27 / 20 + 1e-5  # in the resized pixels
        assert not out.flow[1].any()
        flips.add(falling)
    assert flips == {True, False}


def test_flipping_directional_labels_needs_their_mirrors() -> None:
    with pytest.raises(UserError, match="give `mirrored`"):
        Augmentation(8, (8, 8), flip=True, directional=True)
    with pytest.raises(UserError, match="crop 9 is larger"):
        Augmentation(9, (8, 8))


def test_preprocessing_belongs_to_the_weights() -> None:
    rgb = torch.zeros(1, 3, 1, 1, 1)
    rgb[:, 0] = 1.0
    bgr = C3D_INPUT.colours(rgb)[0, :, 0, 0, 0]
    torch.testing.assert_close(bgr, torch.tensor([-90.25, -97.66, 255 - 101.41]))
    assert I3D_INPUT.colours(rgb)[0, :, 0, 0, 0].tolist() == [1, -1, -1]
    flow = torch.tensor([30.0, -10.0]).reshape(1, 2, 1, 1, 1)
    assert I3D_INPUT.displacements(flow).flatten().tolist() == [1, -0.5]
    assert short_side_size((240, 320), 128) == (128, 171)
    assert resize_clip(torch.rand(1, 3, 2, 10, 20), (5, 10)).shape == (1, 3, 2, 5, 10)


def frames(n: int, seed: int = 0, h: int = 24, w: int = 32) -> list[np.ndarray]:
    image = np.random.default_rng(seed).integers(0, 255, (h, w, 3), dtype=np.uint8)
    return [np.roll(image, k, axis=1) for k in range(n)]


def test_store_gives_back_what_was_packed(tmp_path: Path) -> None:
    flow = np.random.default_rng(1).normal(0, 30, (4, 24, 32, 2)).astype(np.float32)
    videos = [PackedVideo("a", 3, frames(5), flow), PackedVideo("b", 1, frames(2, 1))]
    assert pack(tmp_path / "raw.h5", videos, quality=None) == 2
    store = FrameStore(tmp_path / "raw.h5")
    assert len(store) == 2
    assert [store.name(k) for k in range(2)] == ["a", "b"]
    assert [store.label(k) for k in range(2)] == [3, 1]
    assert [store.n_frames(k) for k in range(2)] == [5, 2]
    assert np.array_equal(store.frame(0, 3), frames(5)[3])
    assert store.has_flow(0)
    assert not store.has_flow(1)
    back = store.flow(0, [1, 2])
    expected = torch.from_numpy(flow[1:3]).permute(3, 0, 1, 2)
    assert (back - expected).abs().max() <= 1 / 128
    assert encode_flow(np.array([1 / 64, 0.4 / 64, 1e6])).tolist() == [1, 0, 32767]


def test_jpeg_store_is_random_access_and_close(tmp_path: Path) -> None:
    smooth = [np.full((24, 32, 3), 30 * k, np.uint8) for k in range(4)]
    smooth[2][..., 0] = 200  # red
    pack(tmp_path / "jpeg.h5", [PackedVideo("a", 0, smooth)])
    with FrameStore(tmp_path / "jpeg.h5").opened() as store:
        for k in (2, 0, 3):
            difference = store.frame(0, k).astype(int) - smooth[k].astype(int)
            assert np.abs(difference).max() <= 4
    with pytest.raises(UserError, match="no such store"):
        FrameStore(tmp_path / "none.h5")


def test_a_killed_packing_leaves_no_store(tmp_path: Path) -> None:
    def broken():
        yield frames(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(tmp_path / "x.h5", [PackedVideo("a", 0, broken())])
    assert not (tmp_path / "x.h5").exists()


def memory(n: int = 7) -> ClipsInMemory:
    return ClipsInMemory(torch.rand(n, 3, 2, 4, 4), None, torch.arange(n))


def test_order_depends_on_seed_and_epoch_only() -> None:
    loader = Loader(memory(), 3, seed=5)
    labels = [batch.label.tolist() for batch in loader.batches(epoch=2)]
    assert [len(x) for x in labels] == [3, 3, 1]
    assert len(loader) == 3
    assert sorted(label for some in labels for label in some) == list(range(7))
    assert [b.label.tolist() for b in loader.batches(epoch=2, first=1)] == labels[1:]
    assert [b.label.tolist() for b in loader.batches(epoch=3)] != labels
    short = Loader(memory(), 3, drop_last=True, shuffle=False)
    assert [b.label.tolist() for b in short.batches()] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker:UserWarning")
def test_workers_change_nothing(tmp_path: Path) -> None:
    videos = [PackedVideo(str(k), k, frames(9, k)) for k in range(4)]
    pack(tmp_path / "s.h5", videos, quality=None)
    changes = Augmentation(16, (20, 24), flip=True)
    clips = StoredClips(FrameStore(tmp_path / "s.h5"), Shape(3, 2), changes)
    here, there = (list(Loader(clips, 2, seed=1, workers=workers).batches(1)) for workers in (0, 2))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.rgb, b.rgb)
        assert torch.equal(a.label, b.label)


def test_network_that_wants_flow_says_so() -> None:
    batch = next(Loader(memory(), 2).batches())
    with pytest.raises(UserError, match="takes flow"):
        batch.inputs(("rgb", "flow"))
    assert list(batch.inputs(("rgb",))) == ["rgb"]


def test_even_clips_of_a_video() -> None:
    video = torch.arange(20.0).reshape(1, 20, 1, 1).expand(3, 20, 2, 2)
    clips = even_clips(video, Shape(4, 2), 2)
    assert clips.shape == (2, 3, 4, 2, 2)
    assert clips[:, 0, :, 0, 0].tolist() == [[0, 2, 4, 6], [13, 15, 17, 19]]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_folder_per_class(tmp_path: Path) -> None:
    for name in ("wave/b.mp4", "wave/a.avi", "nod/c.mp4", "nod/notes.txt"):
        touch(tmp_path / name)
    found = readers.folder_per_class(tmp_path)
    assert found.names == ("nod", "wave")
    assert [(v.path.name, v.label) for v in found.videos] == [
        ("c.mp4", 0),
        ("a.avi", 1),
        ("b.mp4", 1),
    ]
    with pytest.raises(UserError, match="no videos"):
        readers.folder_per_class(touch(tmp_path / "empty/x/readme.txt").parents[1])


def test_ucf101(tmp_path: Path) -> None:
    classes, split = tmp_path / "classInd.txt", tmp_path / "trainlist01.txt"
    classes.write_text("1 ApplyEyeMakeup\n2 Surfing\n")
    split.write_text("Surfing/v_Surfing_g07_c02.avi 2\nSurfing/v_Surfing_g07_c03.avi 2\n")
    found = readers.ucf101_split(tmp_path, classes, split, skip=("v_Surfing_g07_c02.avi",))
    assert [(v.path.name, v.label) for v in found.videos] == [("v_Surfing_g07_c03.avi", 1)]
    split.write_text("Juggling/v_Juggling_g01_c01.avi\n")
    with pytest.raises(UserError, match="class Juggling is not in"):
        readers.ucf101_split(tmp_path, classes, split)


def test_kinetics(tmp_path: Path) -> None:
    table = tmp_path / "val.csv"
    table.write_text(
        "label,youtube_id,time_start,time_end,split\n"
        "surfing,abc,5,15,val\nbaking,def,0,10,val\nbaking,gone,0,10,val\n"
    )
    touch(tmp_path / "surfing/abc_000005_000015.mp4")
    touch(tmp_path / "def_000000_000010.mp4")
    found = readers.kinetics_csv(tmp_path, table)
    assert found.names == ("baking", "surfing")
    assert [v.label for v in found.videos] == [1, 0]
    table.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="needs the columns"):
        readers.kinetics_csv(tmp_path, table)


def test_frames_are_counted_in_decode_order(tmp_path: Path) -> None:
    shades = [np.full((32, 48, 3), 20 * k, np.uint8) for k in range(10)]
    path = tmp_path / "c" / "v.mp4"
    path.parent.mkdir()
    write_video(path, shades, torch.arange(10) / 10)
    clips = VideoClips(readers.folder_per_class(tmp_path), Shape(10))
    sample = clips.sample(0, dice())
    assert sample.rgb.shape == (3, 10, 32, 48)
    found = sample.rgb.mean((0, 2, 3)) * 255
    assert (found - torch.arange(10) * 20).abs().max() < 4
