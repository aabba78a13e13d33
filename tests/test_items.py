"""Items keep their values within the stated precision; damage is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rcvd import items
from rcvd.errors import UserError
from rcvd.flow.pairs import make_pairs
from rcvd.masks.instances import selected
from rcvd.types import Flow, Instances, PairGraph


def test_flow_round_trip_within_half_a_step(tmp_path: Path) -> None:
    displacement = torch.randn(20, 30, 2) * 40
    displacement[0, 0] = 600.0
    valid = torch.rand(20, 30) > 0.3
    flow = Flow(displacement, valid, torch.rand(20, 30) * valid)
    items.write_flow(tmp_path / "000003_000007.png", tmp_path / "000003_000007.npy", flow)
    back = items.read_flow(tmp_path, 3, 7)
    valid[0, 0] = False
    assert torch.equal(back.valid, valid)
    error = (back.displacement - displacement)[valid].abs().max()
    assert 0 < error <= items.FLOW_STEP / 2 + 1e-6
    assert (back.confidence - flow.confidence)[valid].abs().max() <= 1 / 255


def test_masks_pictures_and_pairs_round_trip(tmp_path: Path) -> None:
    mask = torch.rand(8, 9) > 0.5
    items.write_mask(tmp_path / "m.png", mask)
    assert torch.equal(items.read_mask(tmp_path / "m.png"), mask)
    rgb = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    items.write_png(tmp_path / "c.png", rgb)
    assert np.array_equal((items.read_rgb(tmp_path / "c.png") * 255).permute(1, 2, 0).numpy(), rgb)
    graph = PairGraph(torch.tensor([[0, 1], [1, 0], [0, 2]]), 3)
    items.write_pairs(tmp_path / "pairs.txt", graph)
    assert torch.equal(items.read_pairs(tmp_path / "pairs.txt", 3).pairs, graph.pairs)


def test_damaged_items_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"x\.png is missing or damaged"):
        items.read_png(tmp_path / "x.png")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(UserError, match=r"x\.npy is damaged .* delete its folder"):
        items.read_array(tmp_path / "x.npy")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"o\.npy"):
        items.read_array(tmp_path / "o.npy")


@pytest.mark.parametrize("fill", [0.0, 0.5, 1.0])
def test_run_lengths_are_coco_s(fill: float) -> None:
    mask = np.random.default_rng(0).random((7, 5)) < fill
    counts = items.run_lengths(mask)
    assert np.array_equal(items.mask_of_runs(counts, (7, 5)), mask)
    assert sum(counts) == mask.size
    assert sum(counts[1::2]) == mask.sum()
    # columns first, zeros first
    assert items.run_lengths(np.array([[0, 1, 0], [1, 1, 0]], bool)) == [1, 3, 2]
    assert items.run_lengths(np.ones((1, 2), bool)) == [0, 2]


def test_instances_round_trip_and_damage_is_named(tmp_path: Path) -> None:
    masks = torch.rand(2, 8, 9) > 0.5
    found = Instances(
        masks=masks,
        boxes=torch.tensor([[0, 0, 9, 8], [1.25, 2, 3, 4]]),
        labels=("person", "unknown"),
        scores=torch.tensor([0.75, 0.5]),
        moving=torch.tensor([True, False]),
        tracks=torch.tensor([3, 0]),
        reasons=("moves", ""),
    )
    for instances in (found, selected(found, [])):
        items.write_instances(tmp_path / "i.json", instances)
        back = items.read_instances(tmp_path / "i.json")
        assert (back.labels, back.reasons) == (instances.labels, instances.reasons)
        for name in ("masks", "boxes", "scores", "moving", "tracks"):
            assert torch.equal(getattr(back, name), getattr(instances, name)), name
    (tmp_path / "i.json").write_text('{"size": [8, 9]}')
    with pytest.raises(UserError, match=r"i\.json is missing or damaged"):
        items.read_instances(tmp_path / "i.json")


def test_pairs_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    items.write_pairs(path, make_pairs(5))
    text = path.read_text()
    for length in (0, 5, len(text) // 2, len(text) - 4, len(text) - 1):
        path.write_text(text[:length])
        with pytest.raises(UserError, match=r"pairs\.txt is missing or damaged"):
            items.read_pairs(path, 5)
    path.write_text(text.split("\n", 1)[1])  # of a scene made before the first line was written
    assert torch.equal(items.read_pairs(path, 5).pairs, make_pairs(5).pairs)
