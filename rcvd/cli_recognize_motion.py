"""`rcvd recognize trajectories`: motion that is not the camera's, followed and described."""

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

        pictures = (
            clip_motion.draw_trajectories(opened.rgb(k), made.found, k)
            for k in range(opened.n_frames)
        )
        write_video(overlay, pictures, opened.times)
    say(f"{out}: {len(made.found)} trajectories")
