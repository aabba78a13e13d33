"""Checkpoints load safely, and a wrong file is named in one line."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rcvd import weights
from rcvd.checkpoint_table import CHECKPOINTS
from rcvd.errors import UserError


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {"weight": torch.rand(3, 4), "bias": torch.rand(3)}


@pytest.mark.parametrize("name", [n for n, c in CHECKPOINTS.items() if c.file])
def test_bundled_files_are_what_the_table_says(name: str) -> None:
    path = weights.bundled_path(name)
    entry = CHECKPOINTS[name]
    assert weights.sha256(path) == entry.sha256
    assert path.stat().st_size == entry.size < 12e6
    assert weights.load_checkpoint(path)


def test_unknown_bundled_name_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"nothing: no such.*depth_bundled"):
        weights.bundled_path("nothing")


def test_round_trip(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "b.pt")
    torch.save({"state_dict": tensors}, tmp_path / "c.pth")
    for name in ("a.safetensors", "b.pt", "c.pth"):
        loaded = weights.load_checkpoint(tmp_path / name)
        assert loaded.keys() == tensors.keys()
        assert all(torch.equal(loaded[key], value) for key, value in tensors.items())


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
@pytest.mark.parametrize("kept", [0, 7, 150])
def test_truncated_and_missing(
    tmp_path: Path, tensors: dict[str, torch.Tensor], name: str, kept: int
) -> None:
    path = tmp_path / name
    with pytest.raises(UserError, match="no such file"):
        weights.load_checkpoint(path)
    if name.endswith("pt"):
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=name) as caught:
        weights.load_checkpoint(path)
    assert "\n" not in str(caught.value)


class _Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_hostile_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"weight": _Hostile(tmp_path / "owned")}, tmp_path / "bad.pt")
    with pytest.raises(UserError, match="refused"):
        weights.load_checkpoint(tmp_path / "bad.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {"weight": 3}, torch.rand(2)])
def test_not_a_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"save a state_dict"):
        weights.load_checkpoint(tmp_path / "x.pt")


def test_wrong_keys_are_named(tensors: dict[str, torch.Tensor]) -> None:
    network = nn.Linear(4, 3)
    weights.load_into(network, tensors, "file")
    assert torch.equal(network.weight, tensors["weight"])
    with pytest.raises(UserError, match=r"file: .*missing bias; unknown bia"):
        weights.load_into(network, {"weight": tensors["weight"], "bia": tensors["bias"]}, "file")
    with pytest.raises(UserError, match="wrong shape of weight"):
        weights.load_into(network, tensors | {"weight": torch.rand(4, 3)}, "file")
