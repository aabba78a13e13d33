"""FlowNet learns MotionWorld's exact flow."""

from pathlib import Path

from typer.testing import CliRunner

from rcvd.cli_recognize_verbs import app
from rcvd.recognition.flow_train import FlowTraining, measure_flownet, pairs, train_flownet
from rcvd.recognition.motion.motionworld import WorldOptions

SMALL = WorldOptions(3, 16, 2.0)


def test_pairs_are_neighbouring_frames_of_one_clip() -> None:
    first, second, flow = pairs(2, 0, SMALL)
    assert first.shape == second.shape == (4, 3, 16, 16)
    assert flow.shape == (4, 2, 16, 16)
    assert (first[1] == second[0]).all()


def test_a_trained_network_is_better_than_no_motion() -> None:
    options = FlowTraining(steps=160)
    network, losses = train_flownet(options)
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    error, still = measure_flownet(network, options.world, 50)
    assert error < 0.75 * still


def test_the_verb(tmp_path: Path) -> None:
    out = tmp_path / "net" / "f.safetensors"
    args = ["fit-flow", "-o", str(out), "--steps", "2", "--correlation", "--device", "cpu"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    assert "of no motion at all" in done.output
    assert out.exists()
