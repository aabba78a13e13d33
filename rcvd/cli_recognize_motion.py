"""`rcvd recognize trajectories | fit-fisher | fisher`: motion that is not the camera's."""

from pathlib import Path
from typing import Annotated

import typer

from rcvd.cli_recognize import Demo, app, say
from rcvd.errors import UserError

SceneFolder = Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")]


@app.command()
def trajectories(
    scene: SceneFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz to write.")],
    camera: Annotated[
        str, typer.Option(help="What is taken out: by depth, by a homography, or none.")
    ] = "depth",
    overlay: Annotated[Path | None, typer.Option(help="An mp4 with the trajectories.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A network to pool along them (TDD).")
    ] = None,
    layer: Annotated[str, typer.Option(help="Its submodule.")] = "",
    weights: Annotated[Path | None, typer.Option("--weights", "-w", help="Its weights.")] = None,
    demo: Demo = False,
) -> None:
    """Follow what moves by itself; write HOG, HOF, MBH, shape and deep descriptors."""
    from rcvd.recognition.trajectories import clip_motion
    from rcvd.recognition.trajectories.compensation import pick_camera
    from rcvd.scene import Scene

    if (model is None) != (not layer):
        raise UserError("give --model and --layer together")
    opened = Scene.load(scene)
    made = clip_motion.scene_trajectories(opened, pick_camera(camera))
    if model is not None:
        from rcvd.recognition.sources import SceneFrames
        from rcvd.recognition.trained import open_network

        network, spec, _ = open_network(model, weights, demo)
        maps = clip_motion.frame_maps(network, spec, SceneFrames(opened), layer)
        deep = clip_motion.deep_descriptors(maps, made.found, opened.size, layer)
        made = clip_motion.ClipMotion(made.found, made.descriptors, deep)
    clip_motion.write_motion(out, made)
    if overlay is not None:
        from rcvd.export.video import write_video
        from rcvd.store import writing

        pictures = (
            clip_motion.draw_trajectories(opened.rgb(k), made.found, k)
            for k in range(opened.n_frames)
        )
        with writing(overlay) as part:
            write_video(part, pictures, opened.times)
    say(f"{out}: {len(made.found)} trajectories")


@app.command(name="fit-fisher")
def fit_fisher(
    folder: Annotated[
        Path, typer.Argument(help="One folder a class of what `trajectories` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz to write.")],
    gaussians: Annotated[int, typer.Option(help="Of the mixture of each descriptor.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the mixtures' start.")] = 0,
) -> None:
    """Fit PCA, Gaussian mixtures and a linear SVM on the trajectories of labelled clips."""
    from rcvd.recognition.trajectories import action_words
    from rcvd.recognition.trajectories.fisher import FisherOptions

    if gaussians < 1:
        raise UserError(f"--gaussians {gaussians}: give 1 or more")
    clips, label, names = action_words.read_examples(folder)
    words = action_words.fit_words(clips, label, names, FisherOptions(gaussians, seed=seed))
    action_words.save_words(out, words)
    right = sum(int(words.scores(c).argmax()) == k for c, k in zip(clips, label, strict=True))
    kinds = ", ".join(f"{kind} {e.length}" for kind, e in words.encoders.items())
    say(f"{out}: {', '.join(names)}; Fisher vectors of {kinds}")
    say(f"{right} of the {len(clips)} clips it was fitted on are named right")


@app.command()
def fisher(
    written: Annotated[Path, typer.Argument(help="The .npz that `trajectories` wrote of a clip.")],
    weights: Annotated[Path, typer.Option("--weights", "-w", help="What fit-fisher wrote.")],
) -> None:
    """Name the action of a clip by the Fisher vectors of its trajectories."""
    from rcvd.recognition.trajectories.action_words import load_words, read_described

    words, clip = load_words(weights), read_described(written)
    if len(clip["shape"]) == 0:
        raise UserError(f"{written}: no trajectory, so nothing to tell an action by")
    scores = words.scores(clip)
    for k in scores.argsort(descending=True).tolist():
        say(f"{float(scores[k]):7.3f}  {words.names[k]}")
