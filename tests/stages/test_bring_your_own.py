"""Files from elsewhere are checked one by one, and every fault is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd import items
from rcvd.errors import UserError
from rcvd.stages import bring_your_own as own

SIZES = own.Sizes(working=(36, 48), source=(72, 96))


def test_depth_at_either_size(tmp_path: Path) -> None:
    z = np.arange(1, 72 * 96 + 1, dtype=np.float64).reshape(72, 96)
    np.save(tmp_path / "000000.npy", z)
    np.save(tmp_path / "000001.npy", z[:36, :48])
    assert own.read_depth_file(tmp_path, 0, SIZES).shape == (36, 48)
    assert torch.equal(
        own.read_depth_file(tmp_path, 1, SIZES), torch.from_numpy(z[:36, :48]).float()
    )


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.full((36, 48), np.nan), "NaN or infinite"),
        (np.full((36, 47), 1.0), "has shape .36, 47.; expected"),
        (np.full((36, 48), -1.0), "positive, or 0 where unknown"),
        (np.zeros((36, 48)), "positive, or 0 where unknown"),
        (np.full((36, 48), "x"), "expected numbers"),
        (np.full((36, 48), 1j), "expected numbers"),
    ],
)
def test_bad_depth_is_named(tmp_path: Path, array: np.ndarray, text: str) -> None:
    np.save(tmp_path / "000000.npy", array)
    with pytest.raises(UserError, match=text):
        own.read_depth_file(tmp_path, 0, SIZES)
    with pytest.raises(UserError, match=r"000005\.npy does not exist"):
        own.read_depth_file(tmp_path, 5, SIZES)


def test_masks(tmp_path: Path) -> None:
    mask = np.zeros((36, 48), np.uint8)
    mask[3:9, 4:8] = 1
    items.write_png(tmp_path / "000000.png", mask)
    assert torch.equal(own.read_mask_file(tmp_path, 0, SIZES), torch.from_numpy(mask > 0))
    items.write_png(tmp_path / "000001.png", mask[1:])
    with pytest.raises(UserError, match="has shape"):
        own.read_mask_file(tmp_path, 1, SIZES)


def save_flow(folder: Path, i: int, j: int, size: tuple[int, int] = (36, 48)) -> None:
    np.save(folder / f"{items.pair_name(i, j)}.npy", np.full((*size, 2), 3.0, np.float32))


def test_the_pair_graph_is_what_the_folder_holds(tmp_path: Path) -> None:
    for i, j in ((0, 1), (1, 0), (1, 2), (2, 1), (0, 2)):
        save_flow(tmp_path, i, j)
    items.write_png(tmp_path / "000000_000002.png", np.ones((36, 48), np.uint8))
    graph = own.flow_folder_pairs(tmp_path, 3)
    assert graph.pairs.tolist() == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 1]]


def test_faulty_flow_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no flow"):
        own.flow_folder_pairs(tmp_path, 3)
    save_flow(tmp_path, 0, 1)
    save_flow(tmp_path, 1, 0)
    with pytest.raises(UserError, match=r"lacks 000001_000002\.npy"):
        own.flow_folder_pairs(tmp_path, 3)
    save_flow(tmp_path, 1, 2)
    with pytest.raises(UserError, match="no opposite direction"):
        own.flow_folder_pairs(tmp_path, 3)
    save_flow(tmp_path, 2, 1)
    save_flow(tmp_path, 2, 3)
    with pytest.raises(UserError, match="frames 0 to 2"):
        own.flow_folder_pairs(tmp_path, 3)
    (tmp_path / "000002_000003.npy").rename(tmp_path / "left.npy")
    with pytest.raises(UserError, match="name it after its frames"):
        own.flow_folder_pairs(tmp_path, 3)
    with pytest.raises(UserError, match="is not a folder"):
        own.flow_folder_pairs(tmp_path / "none", 3)


def test_flow_of_the_videos_size_is_scaled(tmp_path: Path) -> None:
    save_flow(tmp_path, 0, 1, (72, 96))
    flow = own.read_flow_file(tmp_path, 0, 1, SIZES)
    assert flow.shape == (36, 48, 2)
    assert flow.eq(1.5).all()
    np.save(tmp_path / "000001_000000.npy", np.zeros((36, 48), np.float32))
    with pytest.raises(UserError, match="expected height, width, 2"):
        own.read_flow_file(tmp_path, 1, 0, SIZES)


def test_validity_image(tmp_path: Path) -> None:
    assert own.read_validity_file(tmp_path, 0, 1, SIZES) is None
    image = np.zeros((36, 48), np.uint8)
    image[:, :10] = 255
    items.write_png(tmp_path / "000000_000001.png", image)
    valid = own.read_validity_file(tmp_path, 0, 1, SIZES)
    assert valid is not None
    assert torch.equal(valid, torch.from_numpy(image > 0))
