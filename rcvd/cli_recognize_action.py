"""`rcvd recognize detect | localize | fit-detector | fit-localizer`: who does what, and when."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import (
    Classes,
    Demo,
    Device,
    Labels,
    Model,
    Source,
    Weights,
    app,
    class_names,
    say,
)
from rcvd.errors import UserError

SceneFolder = Annotated[Path, typer.Argument(help="A scene folder.")]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the weights.")]
Steps = Annotated[int, typer.Option(help="Batches to train on.")]
Seed = Annotated[int, typer.Option(help="Other seeds give other clips and weights.")]


@app.command()
def detect(
    source: SceneFolder,
    model: Model = "slowfast_ava",
    weights: Weights = None,
    demo: Demo = False,
    classes: Classes = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="An AVA csv to write.")] = None,
    every: Annotated[int, typer.Option(help="Frames from key frame to key frame.")] = 4,
    least: Annotated[float, typer.Option(help="Lowest score to write.")] = 0.05,
    truth: Annotated[Path | None, typer.Option(help="An AVA csv to measure against.")] = None,
    labels: Labels = None,
    overlay: Annotated[Path | None, typer.Option(help="An mp4 with the tubes.")] = None,
    device: Device = "auto",
) -> None:
    """Say what each moving thing and each person of a scene does, and where it is meanwhile."""
    from rcvd.export.video import write_video
    from rcvd.pipeline import pick_device
    from rcvd.recognition.detect import ava, on_scene, tubes
    from rcvd.recognition.networks.action_detector import BoxNetwork
    from rcvd.recognition.trained import open_network
    from rcvd.scene import Scene
    from rcvd.store import writing

    network, spec, card = open_network(model, weights, demo, classes, pick_device(device))
    if not isinstance(network, BoxNetwork):
        raise UserError(f"{model} does not score boxes; give slowfast_ava, slow_ava, toy_detector")
    names = class_names(labels, card.names, network.head.proj.out_features)
    true = ava.read_ava(truth) if truth else []
    scene = Scene.load(source)
    frames = on_scene.detect_actions(scene, network, spec, every)
    linked = tubes.link(frames)
    for number, tube in enumerate(linked):
        say(on_scene.tube_line(number, tube, names))
    if not frames:
        say("nothing moves and no person is named in this scene's masks")
    if overlay:
        drawn = (on_scene.draw_tubes(scene.rgb(k), linked, k, names) for k in range(scene.n_frames))
        with writing(overlay) as part:
            write_video(part, drawn, scene.times)
    rows = list(on_scene.as_ava(scene, frames, least))
    if out:
        ava.write_ava(out, rows)
        say(f"{out}: {len(rows)} rows")
    if truth:
        say(f"frame mAP@0.5 {ava.frame_map(rows, true):.3f}")


@app.command(name="fit-detector")
def fit_detector(
    out: OutFolder,
    steps: Steps = 300,
    bank: Annotated[
        str, typer.Option(help="A long-term feature bank: average, max or nonlocal.")
    ] = "",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train toy_detector on MotionWorld clips in which two sprites act."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.checkpoints import save_weights
    from rcvd.recognition.detect.train import DetectorOptions, measure_detector, train_detector
    from rcvd.recognition.motion.programmes import ACTIONS
    from rcvd.recognition.networks.feature_bank import bank_named
    from rcvd.recognition.recipe import Card, save_card

    kind = bank_named(bank) if bank else None
    options = DetectorOptions(steps=steps, seed=seed, bank=kind)
    network, losses = train_detector(options, pick_device(device))
    name = f"toy_detector_{kind}" if kind else "toy_detector"
    save_card(out, Card(name, len(ACTIONS), ACTIONS), asdict(options))
    save_weights(network, out / "weights.pt")
    say(f"{steps} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; weights in {out}")
    right, apart = measure_detector(network, options)
    say(f"new clips: {right:.3f} of the boxes right, {apart:.3f} of different pairs told apart")


@app.command()
def localize(
    source: Source,
    model: Model = "c3d_rnn",
    weights: Weights = None,
    demo: Demo = False,
    classes: Classes = None,
    threshold: Annotated[float, typer.Option(help="Probability from which it happens.")] = 0.5,
    smooth: Annotated[int, typer.Option(help="Clips either side to average over.")] = 0,
    proposals: Annotated[
        Path | None, typer.Option(help="proposals.pt of fit-localizer: segments by proposals.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A JSON to write.")] = None,
    truth: Annotated[Path | None, typer.Option(help="ActivityNet JSON to measure against.")] = None,
    labels: Labels = None,
    device: Device = "auto",
) -> None:
    """Say from when to when each action lasts in an untrimmed scene or video."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.localise import montes, on_source, proposed, segments
    from rcvd.recognition.networks.clip_rnn import ClipRnn
    from rcvd.recognition.sources import open_source
    from rcvd.recognition.trained import open_network

    network, spec, card = open_network(model, weights, demo, classes, pick_device(device))
    if not isinstance(network, ClipRnn):
        raise UserError(f"{model} does not answer clip by clip; give c3d_rnn or toy_rnn")
    actions = network.fc.out_features - 1
    names = class_names(labels, card.names, actions)
    true = on_source.read_activitynet(truth, names) if truth else []
    opened = open_source(source)
    features = on_source.clip_features(network, opened, spec)
    seconds = spec.clip[0] * opened.frame_seconds
    if proposals:
        towers = proposed.load_proposals(proposals, actions)
        found = proposed.proposed_segments(towers, features, seconds, source.stem, threshold)
    else:
        likely = on_source.clip_probabilities(network, features)
        found = montes.to_segments(likely, seconds, threshold, smooth, source.stem)
    for s in found:
        name = names[s.label] if names else f"action {s.label}"
        say(f"{s.start:7.2f} s to {s.end:7.2f} s  {name} {s.score:.2f}")
    if not found:
        say(f"no action above {threshold}")
    if out:
        on_source.write_activitynet(out, found, names)
    if truth:
        here = [s for s in true if s.video == source.stem]
        say(f"mAP@0.5 {segments.segment_map(found, here):.3f}")


@app.command(name="fit-localizer")
def fit_localizer(
    out: OutFolder, steps: Steps = 600, seed: Seed = 0, device: Device = "auto"
) -> None:
    """Train toy_rnn on untrimmed MotionWorld videos."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.checkpoints import save_weights
    from rcvd.recognition.localise.proposed import save_proposals
    from rcvd.recognition.localise.train import (
        LocaliserOptions,
        feature_videos,
        measure_localiser,
        train_localiser,
        train_proposals,
    )
    from rcvd.recognition.motion.programmes import ACTIONS
    from rcvd.recognition.recipe import Card, save_card

    options = LocaliserOptions(steps=steps, seed=seed)
    network, losses = train_localiser(options, pick_device(device))
    save_card(out, Card("toy_rnn", len(ACTIONS) + 1, ACTIONS), asdict(options))
    save_weights(network, out / "weights.pt")
    say(f"{steps} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; weights in {out}")
    proposal = train_proposals(feature_videos(network.cpu(), 40, seed, 160), len(ACTIONS))
    say(f"proposal network: {save_proposals(proposal, out)}")
    by_clip, by_proposal = measure_localiser(network, proposal)
    say(f"new videos: mAP@0.5 {by_clip:.3f} by clips, {by_proposal:.3f} by proposals")
