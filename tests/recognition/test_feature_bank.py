"""The long-term feature bank: what it is before it has learned, what it adds, on a scene."""

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.detect.ava import read_ava
from rcvd.recognition.detect.train import (
    DetectorOptions,
    box_logits,
    pair_clips,
    train_detector,
)
from rcvd.recognition.motion.programmes import STILL
from rcvd.recognition.networks.action_detector import RoiHead, SlowFastDetector, toy_detector
from rcvd.recognition.networks.feature_bank import (
    KINDS,
    BankOperator,
    Kind,
    bank_named,
    bank_window,
)
from rcvd.recognition.shapes import parameters


@pytest.mark.parametrize("kind", ["average", "max"])
def test_pooled_bank_has_no_order_and_padding_is_absent(kind: Kind) -> None:
    operator = BankOperator(6, kind, 8).eval()
    short, bank = torch.rand(2, 6), torch.rand(2, 5, 6)
    asked = operator(short, bank)
    torch.testing.assert_close(operator(short, bank[:, torch.randperm(5)]), asked)
    padded = torch.cat([bank, torch.zeros(2, 3, 6)], 1)
    torch.testing.assert_close(operator(short, padded), asked)
    assert not operator(short, torch.zeros(2, 3, 6)).any()


def test_nonlocal_bank_starts_as_the_short_features_and_leaves_padding_out() -> None:
    operator = BankOperator(6, "nonlocal", 8).eval()
    short, bank = torch.rand(2, 6), torch.rand(2, 5, 6)
    assert torch.equal(operator(short, bank), operator.reduce_short(short))
    for name, parameter in operator.named_parameters():
        if name.endswith("out.weight"):
            nn.init.normal_(parameter)
    asked = operator(short, bank)
    assert not torch.allclose(asked, operator.reduce_short(short))
    padded = torch.cat([bank, torch.zeros(2, 3, 6)], 1)
    torch.testing.assert_close(operator(short, padded), asked)


def test_bank_of_the_clip_alone_is_self_attention() -> None:
    bank, frame = torch.rand(9, 6), torch.arange(9.0).repeat_interleave(1)
    window = bank_window(bank, frame, 4.0, 0.0, 3)
    assert torch.equal(window[0], bank[4])
    assert not window[1:].any()
    wide = bank_window(bank, frame, 4.0, 2.0, 20)
    assert int(wide.any(1).sum()) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_bank_tells_what_the_clip_does_not(kind: Kind) -> None:
    """Was the light ever on? Of 8 entries one may bear the sign; the box's own features never."""
    torch.manual_seed(0)
    head = RoiHead(6, 1, 0.0, BankOperator(6, kind, 16, dropout=0.0))
    short, bank = torch.randn(400, 6), torch.randn(400, 8, 6)
    label = torch.rand(400) < 0.5
    bank[label, torch.randint(8, (400,))[label], 2] = 12.0
    optimiser = torch.optim.AdamW(head.parameters(), 0.01)
    for _ in range(150):
        said = head(short[:300], bank[:300])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(said, label[:300].float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right = (head.eval()(short[300:], bank[300:])[:, 0] > 0) == label[300:]
    assert right.float().mean() > 0.9


def test_detectors_with_a_bank_are_in_the_table() -> None:
    plain = parameters(registry.build_on_meta("slowfast_ava"))
    for kind in KINDS:
        network = registry.build_on_meta(f"slowfast_ava_{kind}")
        assert isinstance(network, SlowFastDetector)
        assert network.head.bank is not None
        more = 2 * (2304 * 512 + 512) + 512 * 80  # to 512 numbers, and their say
        layers = 2 * (4 * (512 * 512 + 512) + 2 * 512) if kind == "nonlocal" else 0
        assert parameters(network) == plain + more + layers
    toy, clip = toy_detector(4, "nonlocal").eval(), torch.rand(1, 3, 10, 32, 32)
    boxes, which = torch.tensor([[2.0, 2, 20, 30]]), torch.zeros(1, dtype=torch.int64)
    itself = toy.box_features(clip, boxes, which)[:, None]
    assert torch.equal(toy(clip, boxes, which), toy(clip, boxes, which, itself))
    with pytest.raises(UserError, match="choose average, max, nonlocal"):
        bank_named("mean")


def test_a_bank_is_of_three_clips_and_learns_nothing_itself() -> None:
    options = DetectorOptions(batch=2, frames=10, side=32, bank="average")
    clips, network = pair_clips(2, 0, options, "cpu"), toy_detector(STILL, "average").eval()
    assert clips.rgb.shape[2] == 16
    assert network.head.bank is not None
    kept = network.head.bank.forward
    seen: list[torch.Tensor] = []

    def noted(short: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
        seen.extend([short, bank])
        return kept(short, bank)

    network.head.bank.forward = noted
    assert box_logits(network, clips, options).shape == (4, STILL)
    short, bank = seen
    assert bank.shape == (4, 6, short.shape[1])
    assert short.requires_grad
    assert not bank.requires_grad
    torch.testing.assert_close(bank[0], bank[1])  # both sprites of a clip look at the same
    torch.testing.assert_close(bank[::2, 2:4].flatten(0, 1), short)  # the clip itself is in it


def test_detect_looks_at_the_whole_scene(demo_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    args = ["detect", str(demo_scene), "-m", "toy_detector_nonlocal", "--demo", "-o", str(out)]
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"does{k}" for k in range(STILL)))
    args += ["--labels", str(names), "--overlay", str(tmp_path / "a.mp4")]
    done = CliRunner().invoke(app, [*args, "--least", "0"])
    assert done.exit_code == 0, done.output
    assert "tube 0: frames 2 to" in done.output
    assert ", does" in done.output
    assert (tmp_path / "a.mp4").stat().st_size > 0
    names.write_text("one\ntwo")
    failed = CliRunner().invoke(app, args)
    assert "2 labels for 6 classes" in str(failed.exception)
    assert {row.action for row in read_ava(out, scored=True)} == set(range(1, STILL + 1))


def test_a_detector_with_a_bank_learns() -> None:
    options = DetectorOptions(steps=40, batch=4, side=32, bank="nonlocal")
    network, losses = train_detector(options)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert network.head.bank is not None
