"""Other systems' files, written as those systems write them, read back to the same scene."""

import itertools
import logging
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
import torch
from scipy.spatial.transform import Rotation

from rcvd.errors import UserError
from rcvd.evaluation.importers.colmap import MODELS
from rcvd.evaluation.importers.exr import decode_exr
from rcvd.evaluation.importers.formats import FORMATS, read_prediction
from rcvd.export.cameras import write_cameras
from rcvd.export.colmap import write_colmap_binary, write_colmap_text
from rcvd.export.depth_images import write_depth
from rcvd.export.scene_json import scene_document, write_scene_json
from rcvd.export.tum import write_tum
from rcvd.types import PointCloud
from tests.evaluation import exact

SCENE = exact.make(4)
POSES, Z = SCENE.cameras.world_from_cam.numpy(), SCENE.z.numpy()
K = np.array([[52.8, 0, 24], [0, 52.8, 16], [0, 0, 1]])


def write_rcvd(root: Path) -> Path:
    write_cameras(root / "cameras.npz", SCENE.cameras, SCENE.times)
    write_scene_json(root / "scene.json", scene_document(SCENE.cameras, "metres", 0.001, {}))
    (root / "depth").mkdir()
    for k in range(4):
        write_depth(root / f"depth/{k:06d}.npz", SCENE.z[k], SCENE.z[k])
    return root


def write_monst3r(root: Path) -> Path:
    quaternions = Rotation.from_matrix(POSES[:, :3, :3]).as_quat()[:, [3, 0, 1, 2]]
    rows = np.concatenate([np.arange(4)[:, None], POSES[:, :3, 3], quaternions], 1)
    np.savetxt(root / "pred_traj.txt", rows)
    np.savetxt(root / "pred_intrinsics.txt", np.tile(K.reshape(1, 9), (4, 1)))
    for k in range(4):
        np.save(root / f"frame_{k:04d}.npy", Z[k])
        cv2.imwrite(str(root / f"dynamic_mask_{k}.png"), SCENE.moving[k].numpy() * np.uint8(255))
    return root


def write_cut3r(root: Path) -> Path:
    for kind in ("camera", "depth"):
        (root / kind).mkdir()
    for k in range(4):
        np.savez(root / f"camera/{k:06d}.npz", pose=POSES[k], intrinsics=K)
        np.save(root / f"depth/{k:06d}.npy", Z[k])
    return root


def write_megasam(root: Path) -> Path:
    path = root / "scene_sgd_cvd_hr.npz"
    images = np.zeros((4, 32, 48, 3), np.uint8)
    half = Z.astype(np.float16)
    np.savez(path, images=images, depths=half, intrinsic=K, cam_c2w=POSES)
    return path


def write_da3(root: Path) -> Path:
    folder = root / "exports/mini_npz"
    folder.mkdir(parents=True)
    inverse = np.linalg.inv(POSES)[:, :3]
    np.savez(folder / "results.npz", depth=Z, extrinsics=inverse, intrinsics=np.stack([K] * 4))
    return root


def write_vipe(root: Path) -> Path:
    for kind in ("pose", "intrinsics", "depth"):
        (root / kind).mkdir()
    np.savez(root / "pose/clip.npz", data=POSES.astype(np.float32), inds=np.arange(4))
    rows = np.tile([52.8, 52.8, 24, 16], (4, 1)).astype(np.float32)
    np.savez(root / "intrinsics/clip.npz", data=rows, inds=np.arange(4))
    with zipfile.ZipFile(root / "depth/clip.zip", "w") as file:
        for k in range(4):
            file.writestr(f"{k:05d}.exr", encode_exr({"Z": Z[k].astype(np.float16)}))
    return root


def write_colmap(root: Path, write: Callable[..., None]) -> Path:
    none = torch.zeros(0)
    rows = none.reshape(0, 3)
    empty = PointCloud(rows, rows, rows, none, none.long(), none.bool())
    (root / "sparse").mkdir()
    write(root / "sparse", SCENE.cameras, [f"{k:06d}.png" for k in range(4)], empty)
    return root


def write_trajectory(root: Path) -> Path:
    write_tum(root / "trajectory.txt", SCENE.cameras.world_from_cam, SCENE.times)
    return root / "trajectory.txt"


def encode_exr(channels: dict[str, np.ndarray], compress: bool = True) -> bytes:
    """A scan-line file as OpenEXR writes it, with ZIP in blocks of 16 lines."""
    h, w = next(iter(channels.values())).shape
    kinds = {np.dtype("f2"): 1, np.dtype("f4"): 2}
    names = sorted(channels)
    listing = b"".join(
        n.encode() + b"\0" + struct.pack("<iIii", kinds[channels[n].dtype], 0, 1, 1) for n in names
    )
    window = struct.pack("<4i", 0, 0, w - 1, h - 1)
    fields = {
        ("channels", "chlist"): listing + b"\0",
        ("compression", "compression"): bytes([3 if compress else 0]),
        ("dataWindow", "box2i"): window,
        ("displayWindow", "box2i"): window,
    }
    head = b"\x76\x2f\x31\x01" + struct.pack("<I", 2)
    for (name, kind), value in fields.items():
        head += name.encode() + b"\0" + kind.encode() + b"\0"
        head += struct.pack("<i", len(value)) + value
    head += b"\0"
    step = 16 if compress else 1
    blocks = []
    for y in range(0, h, step):
        lines = range(y, min(y + step, h))
        raw = b"".join(channels[n][line].tobytes() for line in lines for n in names)
        packed = zip_block(raw) if compress else raw
        data = packed if len(packed) < len(raw) else raw
        blocks.append(struct.pack("<ii", y, len(data)) + data)
    at = len(head) + 8 * len(blocks)
    offsets = b""
    for block in blocks:
        offsets += struct.pack("<Q", at)
        at += len(block)
    return head + offsets + b"".join(blocks)


def zip_block(raw: bytes) -> bytes:
    halves = raw[::2] + raw[1::2]
    steps = bytes([halves[0]]) + bytes((b - a + 128) & 255 for a, b in itertools.pairwise(halves))
    return zlib.compress(steps)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "rcvd": write_rcvd,
    "monst3r": write_monst3r,
    "cut3r": write_cut3r,
    "megasam": write_megasam,
    "vipe": write_vipe,
    "da3": write_da3,
    "colmap": lambda root: write_colmap(root, write_colmap_text),
    "tum": write_trajectory,
}


def test_every_format_is_tested() -> None:
    assert set(WRITERS) == set(FORMATS)


@pytest.mark.parametrize("name", WRITERS)
def test_a_system_is_recognised_and_read(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path)
    found = read_prediction(path)
    assert found.count == 4
    assert found.world_from_cam is not None
    torch.testing.assert_close(
        found.world_from_cam, SCENE.cameras.world_from_cam, atol=1e-6, rtol=0
    )
    if name == "tum":
        return
    assert found.intrinsics is not None
    assert found.size == exact.SIZE
    torch.testing.assert_close(found.intrinsics, SCENE.cameras.intrinsics, atol=1e-5, rtol=0)
    if name == "colmap":
        assert found.names == tuple(f"{k:06d}" for k in range(4))
        return
    assert found.depth is not None
    torch.testing.assert_close(found.depth(2), SCENE.z[2], atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path)
    victim = max(
        (p for p in tmp_path.rglob("*") if p.is_file() and p.suffix in {".npz", ".txt"}),
        key=lambda p: ("traj" in p.name, "images" in p.name, "pose" in str(p.parent), p.name),
    )
    victim.write_bytes(b"1 2 \xff three")
    with pytest.raises(UserError) as error:
        read_prediction(path, name)
    assert "\n" not in str(error.value)


def test_monst3r_masks(tmp_path: Path) -> None:
    moving = read_prediction(write_monst3r(tmp_path)).moving
    assert moving is not None
    assert torch.equal(torch.as_tensor(moving(1)), SCENE.moving[1])


def test_binary_colmap_and_partial_registration(tmp_path: Path) -> None:
    found = read_prediction(write_colmap(tmp_path, write_colmap_binary))
    assert found.world_from_cam is not None
    torch.testing.assert_close(found.world_from_cam, SCENE.cameras.world_from_cam)
    path = tmp_path / "sparse/images.bin"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="not a readable COLMAP model"):
        read_prediction(tmp_path)


def test_vggts_reconstruction(tmp_path: Path) -> None:
    """As VGGT leaves it: sparse/ in binary by pycolmap, a camera an image, any order of images."""
    model = pycolmap.Reconstruction()
    for k in (2, 0, 3, 1):
        fx, fy, cx, cy = SCENE.cameras.intrinsics[k].tolist()
        camera = pycolmap.Camera(
            model="PINHOLE", width=48, height=32, params=[fx, fy, cx, cy], camera_id=k + 1
        )
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=f"images/frame_{k:02d}.jpg", camera_id=k + 1, image_id=k + 1)
        pose = pycolmap.Rigid3d(np.linalg.inv(POSES[k])[:3])
        model.add_image_with_trivial_frame(image, pose)
    model.add_point3D(np.array([0.0, 0.0, 3.0]), pycolmap.Track(), np.zeros(3, np.uint8))
    (tmp_path / "sparse").mkdir()
    model.write_binary(str(tmp_path / "sparse"))
    found = read_prediction(tmp_path)
    assert found.names == tuple(f"frame_{k:02d}" for k in range(4))
    assert found.world_from_cam is not None
    assert found.intrinsics is not None
    torch.testing.assert_close(found.world_from_cam, SCENE.cameras.world_from_cam)
    torch.testing.assert_close(found.intrinsics, SCENE.cameras.intrinsics)
    assert found.size == exact.SIZE


@pytest.mark.parametrize("suffix", [".bin", ".txt"])
def test_the_camera_models_of_colmap(tmp_path: Path, suffix: str) -> None:
    model = pycolmap.Reconstruction()
    for k, (name, count, _) in enumerate(MODELS.values(), 1):
        values = [100.0 * k + n for n in range(count)]
        camera = pycolmap.Camera(model=name, width=48, height=32, params=values, camera_id=k)
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=f"{k:02d}.png", camera_id=k, image_id=k)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d())
    model.write_binary(str(tmp_path)) if suffix == ".bin" else model.write_text(str(tmp_path))
    found = read_prediction(tmp_path)
    assert found.intrinsics is not None
    for k, (_, _, places) in enumerate(MODELS.values(), 1):
        assert found.intrinsics[k - 1].tolist() == [100 * k + n for n in places]
    if suffix == ".bin":
        content = (tmp_path / "cameras.bin").read_bytes()
        (tmp_path / "cameras.bin").write_bytes(content[:12] + struct.pack("<i", 99) + content[16:])
        with pytest.raises(UserError, match="camera model 99"):
            read_prediction(tmp_path)


def test_colmaps_own_files_are_read(tmp_path: Path) -> None:
    """As COLMAP writes them: points on the second line, a name with a space, radial cameras."""
    (tmp_path / "cameras.txt").write_text("# c\n3 SIMPLE_RADIAL 48 32 50 24 16 0.1\n")
    (tmp_path / "images.txt").write_text(
        "# a\n# b\n7 1 0 0 0 0 0 0 3 b 2.png\n1.5 2.5 -1 3 4 9\n2 1 0 0 0 1 0 0 3 a.png\n\n"
    )
    found = read_prediction(tmp_path, "colmap")
    assert found.names == ("a", "b 2")
    assert found.world_from_cam is not None
    assert found.intrinsics is not None
    assert found.world_from_cam[:, 0, 3].tolist() == [-1, 0]
    assert found.intrinsics[0].tolist() == [50, 50, 24, 16]


def test_a_lost_vipe_frame_has_no_pose(tmp_path: Path) -> None:
    write_vipe(tmp_path)
    np.savez(tmp_path / "pose/clip.npz", data=POSES[[0, 1, 3]], inds=np.array([0, 1, 3]))
    found = read_prediction(tmp_path)
    assert found.world_from_cam is not None
    finite = torch.isfinite(found.world_from_cam).flatten(1).all(1)
    assert finite.tolist() == [True, True, False, True]


@pytest.mark.parametrize("compress", [True, False])
def test_exr_channels(compress: bool) -> None:
    rng = np.random.default_rng(0)
    a = np.linspace(0, 9, 37 * 21).reshape(37, 21).astype(np.float16)
    z = rng.normal(size=(37, 21)).astype(np.float32)
    content = encode_exr({"A": a, "Z": z}, compress)
    np.testing.assert_array_equal(decode_exr(content, "x", "Z"), z)
    np.testing.assert_array_equal(decode_exr(content, "x", "A"), a)
    with pytest.raises(UserError, match="no channel Q"):
        decode_exr(content, "x", "Q")
    for broken in (b"", content[:60], content[:-40]):
        with pytest.raises(UserError, match="x: not an OpenEXR"):
            decode_exr(broken, "x", "Z")


def test_the_quaternion_order_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_trajectory(tmp_path)
    rows = np.loadtxt(path)
    np.savetxt(path, rows[:, [0, 1, 2, 3, 7, 4, 5, 6]])
    with caplog.at_level(logging.INFO):
        found = read_prediction(path, reference=SCENE.cameras.world_from_cam)
    assert "qwxyz" in caplog.text
    assert found.world_from_cam is not None
    torch.testing.assert_close(
        found.world_from_cam, SCENE.cameras.world_from_cam, atol=1e-7, rtol=0
    )


def test_unknown_things_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        read_prediction(tmp_path / "nowhere")
    with pytest.raises(UserError, match="none of the known formats"):
        read_prediction(tmp_path)
    with pytest.raises(UserError, match="choose from rcvd, monst3r"):
        read_prediction(tmp_path, "slam")
