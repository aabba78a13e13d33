"""Phone video: HDR, focal length by metadata, repeated and blurred frames."""

import json
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from rcvd.export.video import write_video
from rcvd.focal_metadata import EQUIVALENT, photo_focal_hint, quicktime_items, video_focal_hint
from rcvd.frame_quality import QualityMeter, spans
from rcvd.hdr import PEAK, WHITE, Transfer, hlg_scene, pq_light, pq_signal, rolled_off
from rcvd.scene import Scene
from rcvd.selection import FrameSource
from rcvd.stages.solving import ClipSolver, PosesSettings
from rcvd.store import MANIFEST, MARKER, Stage, Store, Workspace, write_json
from rcvd.synthetic import make_sequence
from rcvd.video import ReadCounts, read_frames

PATCHES = np.array([[0.3] * 3, [0.58] * 3, [0.75] * 3, [0.4, 0.5, 0.3], [0.5, 0.35, 0.3]])


def ten_bit_planes(signal: np.ndarray) -> np.ndarray:
    """R'G'B' in [0, 1] as limited-range BT.2020 yuv420p10 planes."""
    y = signal @ [0.2627, 0.6780, 0.0593]
    blue, red = (signal[..., 2] - y) / 1.8814, (signal[..., 0] - y) / 1.4746
    chroma = [np.round(512 + 896 * c[::2, ::2]) for c in (blue, red)]
    flat = np.concatenate([np.round(64 + 876 * y).ravel(), *(c.ravel() for c in chroma)])
    return flat.astype(np.uint16).reshape(-1, signal.shape[1])


def write_hdr(path: Path, transfer: int) -> None:
    """Three frames of the patches side by side, as a phone flags them."""
    signal = np.repeat(np.repeat(PATCHES[None], 64, 0), 32, 1)
    options = {"x265-params": "lossless=1:log-level=none"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=30, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 64, signal.shape[1], "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9
        context.color_range = 1
        for k in range(3):
            frame = av.VideoFrame.from_ndarray(ten_bit_planes(signal), format="yuv420p10le")
            frame.pts, frame.time_base = k, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def shown_on_sdr(transfer: Transfer) -> np.ndarray:
    """The patches by the standards' formulas, one at a time."""
    out = []
    for signal in PATCHES:
        if transfer is Transfer.PQ:
            light = pq_light(signal)
        else:
            scene = hlg_scene(signal)
            light = 1000 * (scene @ [0.2627, 0.6780, 0.0593]) ** 0.2 * scene
        to_xyz = np.array([[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0, 0.0281, 1.0610]])
        xyz_709 = np.array(
            [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
        )
        colour = np.maximum(np.linalg.solve(xyz_709, to_xyz @ light), 0)
        colour = colour * rolled_off(colour.max()[None])[0] / colour.max() / WHITE
        out.append(255 * np.clip(colour, 0, 1) ** (1 / 2.4))
    return np.array(out)


@pytest.mark.parametrize("transfer", list(Transfer))
def test_hdr_becomes_sdr_by_the_standards(
    tmp_path: Path, transfer: Transfer, caplog: pytest.LogCaptureFixture
) -> None:
    path, counts = tmp_path / "hdr.mp4", ReadCounts()
    write_hdr(path, transfer.value)
    with caplog.at_level("INFO", logger="rcvd"):
        frames = [rgb for rgb, _ in read_frames(path, FrameSource(), counts)]
    assert counts.hdr == transfer.name
    assert caplog.text.count(f"HDR ({transfer.name})") == 1
    seen = frames[0][32, 16::32].astype(float)
    np.testing.assert_allclose(seen, shown_on_sdr(transfer), atol=3)
    assert len(np.unique(seen)) > 6


def test_transfer_functions_meet_the_standards_own_figures() -> None:
    assert pq_signal(np.array([203.0]))[0] == pytest.approx(0.58, abs=1e-3)  # BT.2408
    light = np.linspace(0.01, 5000, 50)
    np.testing.assert_allclose(pq_light(pq_signal(light)), light, rtol=1e-9)
    assert 1000 * hlg_scene(np.array([0.75]))[0] ** 1.2 == pytest.approx(203, abs=0.5)
    curve = rolled_off(np.array([1.0, 50.0, 85.0, 203.0, PEAK, 4000.0]))
    np.testing.assert_allclose(curve[:3], [1, 50, 85], rtol=1e-6)
    assert 120 < curve[3] < WHITE
    np.testing.assert_allclose(curve[4:], WHITE, rtol=1e-6)


def plain_clip(path: Path, frames: np.ndarray) -> Path:
    write_video(path, iter(frames), torch.arange(len(frames), dtype=torch.float64) / 25)
    return path


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def with_track_metadata(path: Path, kind: int, value: bytes) -> None:
    """Puts an item into the first track of an mp4 whose moov box comes last, as phones write it."""
    data = path.read_bytes()
    name = EQUIVALENT.encode()
    keys = box(b"keys", struct.pack(">II", 0, 1), box(b"mdta", name))
    item = box(struct.pack(">I", 1), box(b"data", struct.pack(">II", kind, 0), value))
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    meta = box(b"meta", handler, keys, box(b"ilst", item))
    moov = data.index(b"moov") - 4
    trak = data.index(b"trak", moov) - 4
    (size,) = struct.unpack_from(">I", data, trak)
    grown = bytearray(data[: trak + size] + meta + data[trak + size :])
    for at in (moov, trak):
        (old,) = struct.unpack_from(">I", grown, at)
        struct.pack_into(">I", grown, at, old + len(meta))
    path.write_bytes(grown)


@pytest.mark.parametrize(
    ("kind", "value", "millimetres"),
    [
        (21, b"\x1b", 27),
        (1, b"50.00mm", 50),
        (22, b"\x00\x0d", 13),
        (23, struct.pack(">f", 77), 77),
    ],
)
def test_a_tracks_focal_length_is_found(
    tmp_path: Path, kind: int, value: bytes, millimetres: float
) -> None:
    path = plain_clip(tmp_path / "phone.mov", np.full((3, 48, 64, 3), 99, np.uint8))
    with_track_metadata(path, kind, value)
    assert len(list(read_frames(path, FrameSource(), ReadCounts()))) == 3
    hint = video_focal_hint(path, (1920, 1080))
    assert hint is not None
    assert hint.pixels == pytest.approx(millimetres / 36 * 1920)
    assert "QuickTime" in hint.source


def test_a_files_focal_length_is_found_too(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options) as container:
        container.metadata[EQUIVALENT] = "26"
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert quicktime_items(path)[EQUIVALENT] == "26"


def test_no_focal_length_and_no_quicktime(tmp_path: Path) -> None:
    path = plain_clip(tmp_path / "clip.mp4", np.zeros((2, 48, 64, 3), np.uint8))
    assert video_focal_hint(path, (48, 64)) is None
    rng = np.random.default_rng(0)
    for size in (0, 5, 300):
        (tmp_path / "noise").write_bytes(rng.bytes(size))
        assert quicktime_items(tmp_path / "noise") == {}
    with_track_metadata(path, 21, b"\x00")
    assert video_focal_hint(path, (48, 64)) is None


def test_exif_of_photographs(tmp_path: Path) -> None:
    path, image = tmp_path / "a.jpg", Image.new("RGB", (400, 300))
    exif = image.getexif()
    exif.get_ifd(0x8769)[0xA405] = 26
    image.save(path, exif=exif)
    hint = photo_focal_hint(path, (300, 400))
    assert hint is not None
    assert hint.pixels == pytest.approx(26 * 500 / 43.2666, rel=1e-4)
    values = {0x920A: 4.25, 0xA20E: 8000.0, 0xA210: 3, 0xA002: 4000, 0xA003: 3000}
    exif.get_ifd(0x8769).update(values)
    image.save(path, exif=exif)
    hint = photo_focal_hint(path, (300, 400))
    assert hint is not None
    assert hint.pixels == pytest.approx(4.25 * 8000 / 10 / 10, rel=1e-4)
    Image.new("RGB", (400, 300)).save(path)
    assert photo_focal_hint(path, (300, 400)) is None


def test_the_solver_expects_what_the_recording_tells(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "frames"
    write_json(tmp_path / "run" / MARKER, {})
    write_json(folder / MANIFEST, {"key": "", "done": True, "recipe": {}})
    hint = {"pixels": 1440.0, "sigma": 0.12, "source": "QuickTime"}
    clip = {"times": [0.0, 1.0], "size": [216, 384], "source_size": [1080, 1920]}
    write_json(folder / "clip.json", clip | {"focal_hint": hint})
    workspace = Workspace(Store(tmp_path), Stage("poses", ("frames",), lambda *_: {}))
    settings = PosesSettings()
    options = ClipSolver(Scene.load(tmp_path), workspace, settings)._options()
    assert 192 / np.tan(np.radians(options.hfov) / 2) == pytest.approx(1440 / 5)
    assert options.sigma_focal == 0.12
    plain = PosesSettings(metadata=False)
    assert ClipSolver(Scene.load(tmp_path), workspace, plain)._options() == plain.solver


def test_repeated_and_blurred_frames_are_named(tmp_path: Path) -> None:
    """Frames 5 and 9 repeat, frame 12 is smeared; all of it through a real encoder."""
    sequence = make_sequence("demo", 0, 16, (96, 160))
    frames = (sequence.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy().copy()
    frames[5], frames[9] = frames[4], frames[8]
    frames[12] = cv2.blur(frames[12], (9, 1))
    meter = QualityMeter()
    path = plain_clip(tmp_path / "clip.mp4", frames)
    for rgb, _ in read_frames(path, FrameSource(), ReadCounts()):
        meter.add(rgb)
    quality = meter.quality()
    assert quality.duplicates == [5, 9]
    assert quality.blurred == [12]
    assert len(quality.sharpness) == 16
    assert json.dumps(quality.sharpness)


def test_a_still_camera_is_not_called_repeated() -> None:
    rng, meter = np.random.default_rng(0), QualityMeter()
    scene = rng.integers(0, 255, (96, 128, 3))
    for _ in range(10):
        noisy = scene + rng.normal(0, 2, scene.shape)
        meter.add(noisy.clip(0, 255).astype(np.uint8))
    assert meter.quality().duplicates == []
    assert meter.quality().blurred == []


def test_spans_in_words() -> None:
    assert spans([3, 10, 11, 12, 20]) == "3, 10-12, 20"
    assert spans([]) == ""
