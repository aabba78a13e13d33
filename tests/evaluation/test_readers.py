"""Each reader on small files in the published format, and its one-line errors."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from rcvd.errors import UserError
from rcvd.evaluation.datasets import READERS
from rcvd.evaluation.davis import read_davis, write_davis
from rcvd.evaluation.profiles import PROFILES
from rcvd.evaluation.results import choose_sequences
from rcvd.evaluation.sintel import read_flo
from rcvd.evaluation.tum_rgbd import read_tum_rgbd, write_tum_rgbd
from tests.evaluation import exact

POSE = "1 0 0 0.5\n0 0 -1 0.25\n0 1 0 2\n0 0 0 1\n"
MATRIX = torch.tensor([[1, 0, 0, 0.5], [0, 0, -1, 0.25], [0, 1, 0, 2], [0, 0, 0, 1]]).double()


def picture(path: Path, value: int = 0, size: tuple[int, int] = (4, 6), bits: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.full(size, value, np.uint8 if bits == 8 else np.uint16)
    path.write_bytes(cv2.imencode(path.suffix, levels)[1].tobytes())


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_wrong_path_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(UserError, match=path.name) as error:
            READERS[name](path)
        assert "\n" not in str(error.value)


def test_tum_round_trip(tmp_path: Path) -> None:
    scene = exact.make(4)
    folder = tmp_path / "seq"
    write_tum_rgbd(folder, scene.rgb, scene.z, scene.cameras, scene.times, scene.moving)
    (truth,) = read_tum_rgbd(tmp_path)
    assert truth.name == "seq"
    assert truth.cameras is not None
    assert truth.depth is not None
    assert truth.moving is not None
    torch.testing.assert_close(
        truth.cameras.world_from_cam, scene.cameras.world_from_cam, atol=1e-8, rtol=0
    )
    torch.testing.assert_close(truth.cameras.intrinsics, scene.cameras.intrinsics)
    torch.testing.assert_close(truth.depth(2), scene.z[2], atol=1.1e-4, rtol=0)
    mask = truth.moving(1)
    assert mask is not None
    assert torch.equal(mask, scene.moving[1])
    torch.testing.assert_close(truth.times, scene.times, atol=1e-6, rtol=0)


def test_tums_own_files(tmp_path: Path) -> None:
    """A stretch of freiburg1: jittered stamps, comments, a frame before the first pose."""
    folder = tmp_path / "rgbd_dataset_freiburg1_xyz"
    for stamp in ("1.000", "1.033", "1.067"):
        picture(folder / f"rgb/{stamp}.png", 9, (480, 640))
    picture(folder / "depth/1.040.png", 10000, (480, 640), bits=16)
    rgb = "# color images\n" + "".join(f"{t} rgb/{t}.png\n" for t in ("1.000", "1.033", "1.067"))
    (folder / "rgb.txt").write_text(rgb)
    (folder / "depth.txt").write_text("# depth maps\n1.040 depth/1.040.png\n")
    (folder / "groundtruth.txt").write_text(
        "# ground truth\n1.03 1.3 0.6 1.6 0.6574 0.6126 -0.2949 -0.3248\n"
        "1.07 1.4 0.6 1.6 0.6574 0.6126 -0.2949 -0.3248\n"
    )
    (truth,) = read_tum_rgbd(folder)
    assert [p.stem for p in truth.images] == ["1.033", "1.067"]
    assert truth.cameras is not None
    assert truth.depth is not None
    assert truth.cameras.intrinsics[0].tolist() == pytest.approx([517.3, 516.5, 319.1, 255.8])
    assert float(truth.depth(0)[0, 0]) == pytest.approx(2)
    assert float(truth.depth(1).max()) == 0
    assert truth.cameras.world_from_cam[1, 0, 3] == 1.4
    (folder / "rgb.txt").write_text("1.0 a b\n")
    with pytest.raises(UserError, match="timestamp filename"):
        read_tum_rgbd(folder)


def test_davis_round_trip(tmp_path: Path) -> None:
    scene = exact.make(3)
    write_davis(tmp_path, "camel", scene.rgb, scene.moving)
    (truth,) = read_davis(tmp_path)
    assert truth.moving is not None
    mask = truth.moving(2)
    assert mask is not None
    assert torch.equal(mask, scene.moving[2])
    assert truth.images[0] == tmp_path / "JPEGImages/480p/camel/00000.jpg"
    listing = (tmp_path / "ImageSets/480p/val.txt").read_text().splitlines()
    assert listing[1] == "/JPEGImages/480p/camel/00001.jpg /Annotations/480p/camel/00001.png"
    (tmp_path / "Annotations/480p/camel/00001.png").unlink()
    with pytest.raises(UserError, match="incomplete sequence: 3 images, 2 masks"):
        read_davis(tmp_path)


def test_davis_2017_objects_are_united(tmp_path: Path) -> None:
    """Annotations of 2017 are palette pictures of object numbers."""
    scene = exact.make(2)
    write_davis(tmp_path, "dogs-jump", scene.rgb, scene.moving)
    numbers = np.zeros(exact.SIZE, np.uint8)
    numbers[2:5, 3:9], numbers[10:12, 20:30] = 1, 2
    picture = Image.fromarray(numbers)
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(tmp_path / "Annotations/480p/dogs-jump/00001.png")
    (truth,) = read_davis(tmp_path, ["dogs-jump"])
    assert truth.moving is not None
    mask = truth.moving(1)
    assert mask is not None
    assert torch.equal(mask, torch.from_numpy(numbers > 0))


def test_bonn_cuts_and_pairs_by_position(tmp_path: Path) -> None:
    folder = tmp_path / "rgbd_bonn_crowd2"
    for k in range(35):
        picture(folder / f"rgb/15480{k:02d}.1.png", k, (480, 640))
        picture(folder / f"depth/15480{k:02d}.9.png", 5000 + k, (480, 640), bits=16)
    rows = [f"15480{k:02d}.5 {k} 0 0 0 0 0 1" for k in range(35)]
    (folder / "groundtruth.txt").write_text("\n".join(rows) + "\n")
    (truth,) = READERS["bonn"](tmp_path, ["crowd2"])
    assert truth.name == "crowd2"
    assert len(truth) == 5
    assert truth.cameras is not None
    assert truth.depth is not None
    assert truth.cameras.world_from_cam[:, 0, 3].tolist() == [30, 31, 32, 33, 34]
    assert float(truth.depth(4).max()) == pytest.approx(5034 / 5000)
    assert truth.cameras.intrinsics[0, 2] == pytest.approx(316.09352)


def test_bonn_is_cut_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "rgbd_bonn_crowd2"
    for k in range(33):
        picture(folder / f"rgb/15480{k:02d}.1.png", k)
        picture(folder / f"depth/15480{k:02d}.9.png", 5000 + k, bits=16)
    rows = [f"15480{k:02d}.5 {k} 0 0 0 0 0 1" for k in range(33)]
    (folder / "groundtruth.txt").write_text("\n".join(rows) + "\n")
    assert len(READERS["bonn"](tmp_path)[0]) == 3
    (folder / "depth/1548032.9.png").unlink()
    with pytest.raises(UserError, match="crowd2: an incomplete sequence: 3 images, 2 depths"):
        READERS["bonn"](tmp_path)
    with pytest.raises(UserError, match=r"holds no rgbd_bonn_\* folder"):
        READERS["bonn"](folder)


def test_kitti_odometry_moves_to_the_colour_camera(tmp_path: Path) -> None:
    sequence = tmp_path / "sequences/00"
    for k in range(2):
        picture(sequence / f"image_2/{k:06d}.png")
    (sequence / "times.txt").write_text("0.0\n0.1\n")
    (sequence / "calib.txt").write_text(
        "P0: 700 0 600 0 0 700 180 0 0 0 1 0\nP2: 700 0 600 42 0 700 180 0 0 0 1 0\n"
    )
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses/00.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 5\n")
    (truth,) = READERS["kitti"](tmp_path)
    assert truth.cameras is not None
    centres = truth.cameras.world_from_cam[:, :3, 3]
    torch.testing.assert_close(centres, torch.tensor([[-0.06, 0, 0], [-0.06, 0, 5]]).double())
    assert truth.cameras.intrinsics[0].tolist() == [700, 700, 600.5, 180.5]
    (tmp_path / "poses/00.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(UserError, match="incomplete sequence"):
        READERS["kitti"](tmp_path)


def test_kitti_depth_takes_the_first_110(tmp_path: Path) -> None:
    drive = "2011_09_26_drive_0002_sync"
    for k in range(112):
        path = f"val/{drive}/proj_depth/groundtruth/image_02/{k + 5:010d}.png"
        picture(tmp_path / path, 256 * 3, bits=16)
    (truth,) = READERS["kitti"](tmp_path)
    assert len(truth) == 110
    assert truth.depth is not None
    assert float(truth.depth(0)[0, 0]) == 3
    with pytest.raises(UserError, match="A-kitti needs 13 sequences; not there: 2011_09_26"):
        choose_sequences(PROFILES["A-kitti"], [truth])


def test_seven_scenes(tmp_path: Path) -> None:
    folder = tmp_path / "chess/seq-01"
    for k, level in enumerate((1500, 65535)):
        picture(folder / f"frame-{k:06d}.color.png", 5, (480, 640))
        picture(folder / f"frame-{k:06d}.depth.png", level, (480, 640), bits=16)
        (folder / f"frame-{k:06d}.pose.txt").write_text(POSE)
    (truth,) = READERS["7scenes"](tmp_path)
    assert truth.name == "chess/seq-01"
    assert truth.cameras is not None
    assert truth.depth is not None
    assert float(truth.depth(0)[0, 0]) == pytest.approx(1.5)
    assert float(truth.depth(1).max()) == 0
    torch.testing.assert_close(truth.cameras.world_from_cam[0], MATRIX)


def test_scannet_like_leaves_out_lost_frames(tmp_path: Path) -> None:
    folder = tmp_path / "scene0000_00"
    for k in (2, 10):
        picture(folder / f"color/{k}.jpg")
        picture(folder / f"depth/{k}.png", 2000, bits=16)
        (folder / "pose").mkdir(exist_ok=True)
    (folder / "pose/2.txt").write_text(POSE)
    (folder / "pose/10.txt").write_text("-inf -inf -inf -inf\n" * 4)
    (folder / "intrinsic").mkdir()
    (folder / "intrinsic/intrinsic_depth.txt").write_text(
        "577 0 3 0\n0 578 2 0\n0 0 1 0\n0 0 0 1\n"
    )
    (truth,) = READERS["scannet-like"](tmp_path)
    assert [p.name for p in truth.images] == ["2.jpg"]
    assert truth.cameras is not None
    assert truth.cameras.intrinsics[0].tolist() == [577, 578, 3.5, 2.5]


def test_plain_folder(tmp_path: Path) -> None:
    for k in range(2):
        picture(tmp_path / f"images/{k:04d}.png")
        (tmp_path / "depth").mkdir(exist_ok=True)
        np.save(tmp_path / f"depth/{k:04d}.npy", np.array([[1.0, np.nan], [2.0, np.inf]]))
        picture(tmp_path / f"moving/{k:04d}.png", 255 * k)
    (tmp_path / "groundtruth.txt").write_text("0 0 0 0 0 0 0 1\n1 1 0 0 0 0 0 1\n")
    (tmp_path / "camera.txt").write_text("5 5 3 2 6 4\n")
    (truth,) = READERS["folder"](tmp_path)
    assert truth.depth is not None
    assert truth.moving is not None
    assert truth.cameras is not None
    assert truth.depth(0).tolist() == [[1, 0], [2, 0]]
    assert bool(torch.as_tensor(truth.moving(1)).all())
    assert truth.cameras.size == (4, 6)
    np.save(tmp_path / "depth/0000.npy", np.zeros((2, 2, 2)))
    with pytest.raises(UserError, match="instead of a 2-D array"):
        truth.depth(0)
    (tmp_path / "groundtruth.txt").write_text("0 0 0 0 0 0 0 1\n")
    with pytest.raises(UserError, match="incomplete sequence"):
        READERS["folder"](tmp_path)


def test_middlebury_flow(tmp_path: Path) -> None:
    path = tmp_path / "a.flo"
    path.write_bytes(struct.pack("<fii4f", 202021.25, 2, 1, 1, 2, 3, 4))
    assert read_flo(path).tolist() == [[[1, 2], [3, 4]]]
    path.write_bytes(struct.pack("<fii3f", 202021.25, 2, 1, 1, 2, 3))
    with pytest.raises(UserError, match="damaged"):
        read_flo(path)
