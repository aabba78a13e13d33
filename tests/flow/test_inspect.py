"""`rcvd flow inspect`: what it prints, draws and refuses."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rcvd.cli_flow import app
from rcvd.errors import UserError
from rcvd.flow.gradients import FLAT, TEXTURE
from rcvd.items import write_png
from rcvd.types import Flow
from rcvd.viewer.flow_pictures import colour_wheel, draw, inspect_flow

SIZE = (64, 96)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    app(["inspect", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def pair_with_blank_half(affine_pair: Callable) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rgb_i, rgb_j, truth = affine_pair(torch.eye(2), torch.tensor([1.5, 0.0]), SIZE)
    rgb_i[..., 48:], rgb_j[..., 48:] = 0.5, 0.5
    return rgb_i[0], rgb_j[0], truth[0]


def test_trust_needs_texture_and_a_round_trip(affine_pair: Callable) -> None:
    rgb_i, rgb_j, truth = pair_with_blank_half(affine_pair)
    valid = torch.ones(SIZE, dtype=torch.bool)
    valid[:20] = False
    seen = inspect_flow(rgb_i, rgb_j, Flow(truth, valid, valid.float()), -truth)
    assert seen.returned.max() < 1e-4
    assert (seen.kind[:, 64:] == FLAT).all()
    assert (seen.kind[:, 8:36] == TEXTURE).all()
    assert seen.trusted[24:, 8:36].all()
    assert not seen.trusted[:20].any()
    assert not seen.trusted[:, 64:].any()
    assert draw(seen).shape == (3 * (SIZE[0] + 18), 2 * SIZE[1], 3)


def test_opposite_directions_have_opposite_hues() -> None:
    field = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 0.0]])[None]
    colours = colour_wheel(field, 4.0)[0]
    hue = cv2.cvtColor(colours[None], cv2.COLOR_RGB2HSV)[0, :, 0].astype(int)
    assert abs(hue[0] - hue[1]) == 90
    assert (colours[2] == 255).all()


def test_inspects_a_folder_of_images(
    affine_pair: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "clip", tmp_path / "seen.png"
    folder.mkdir()
    for k, rgb in enumerate(pair_with_blank_half(affine_pair)[:2]):
        picture = np.ascontiguousarray((rgb * 255).byte().permute(1, 2, 0).numpy())
        write_png(folder / f"{k}.png", picture)
    printed = call(capsys, folder, "-o", out, "-m", "lucas_kanade")
    assert [line.split()[0] for line in printed.splitlines()] == [
        "flat", "edge", "texture", "trusted",
    ]  # fmt: skip
    assert out.stat().st_size > 0
    for arguments, text in (
        ((folder, "--frame", 1), "has no frame 2"),
        ((folder, "--frame", 1, "--to", 1), "two different frames"),
        ((folder, "-m", "lukas_kanade"), "did you mean 'lucas_kanade'"),
        ((tmp_path / "none",), "does not exist"),
    ):
        with pytest.raises(UserError, match=text):
            call(capsys, *arguments, "-o", out)


def test_inspects_the_stored_flow_of_a_scene(
    demo_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seen.png"
    printed = call(capsys, demo_scene, "-o", out, "--frame", 3)
    assert 20 < float(printed.splitlines()[-1].split()[1]) < 100
    with pytest.raises(UserError, match="holds no flow between 3 and 6; add --model"):
        call(capsys, demo_scene, "-o", out, "--frame", 3, "--to", 6)
