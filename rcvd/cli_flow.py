"""`rcvd flow ...`: looking at optical flow; each verb imports what it needs."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rcvd.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Look at optical flow.")


@app.callback()
def flow_verbs() -> None:
    """Look at optical flow."""


@app.command()
def inspect(
    source: Annotated[Path, typer.Argument(help="A scene folder, a video, or a folder of images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")],
    frame: Annotated[int, typer.Option(help="The first of the two frames.")] = 0,
    to: Annotated[int | None, typer.Option(help="The second; the next where not said.")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Estimate anew instead of reading a scene's."),
    ] = None,
    max_side: Annotated[int, typer.Option(help="Long side, of a video.")] = 640,
) -> None:
    """Show where flow can be trusted: texture, aperture, round trip."""
    import torch

    from rcvd.items import write_png
    from rcvd.store import writing
    from rcvd.viewer.flow_pictures import draw, inspect_flow, summary

    other = frame + 1 if to is None else to
    if min(frame, other) < 0 or frame == other:
        raise UserError(f"--frame {frame} --to {other}: give two different frames, from 0 on")
    scene = open_scene(source)
    if scene is not None and model is None:
        rgb_i, rgb_j = _scene_frames(scene, frame, other)
        if not {(frame, other), (other, frame)} <= set(map(tuple, scene.pairs.pairs.tolist())):
            raise UserError(f"the scene holds no flow between {frame} and {other}; add --model dis")
        flow, backward = scene.flow(frame, other), scene.flow(other, frame)
    else:
        from rcvd.flow.estimate import estimate_pair
        from rcvd.flow.model import load_flow

        frames = _scene_frames(scene, frame, other) if scene else None
        rgb_i, rgb_j = frames or _video_frames(source, frame, other, max_side)
        estimator = load_flow(model or "dis", torch.device("cpu"))
        flow, backward = (
            type(x)(x.displacement[0], x.valid[0], x.confidence[0])
            for x in estimate_pair(estimator, rgb_i[None], rgb_j[None])
        )
    seen = inspect_flow(rgb_i, rgb_j, flow, backward.displacement)
    with writing(out) as part:
        write_png(part, draw(seen))
    for line in summary(seen):
        sys.stdout.write(line + "\n")


def open_scene(source: Path) -> Any:
    """The scene of that folder; None for a video or a folder of images."""
    from rcvd.scene import Scene

    if not source.exists():
        raise UserError(f"{source} does not exist; give a scene folder or a video")
    return Scene.load(source) if (source / "run").is_dir() else None


def _scene_frames(scene: Any, i: int, j: int) -> Any:
    last = scene.n_frames - 1
    if max(i, j) > last:
        raise UserError(f"frame {max(i, j)}: the scene's last is {last}")
    return scene.rgb(i), scene.rgb(j)


def _video_frames(source: Path, i: int, j: int, max_side: int) -> Any:
    import cv2
    import torch

    from rcvd.selection import FrameSource
    from rcvd.video import ReadCounts, read_frames

    found = {}
    for k, (rgb, _) in enumerate(read_frames(source, FrameSource(), ReadCounts())):
        if k in (i, j):
            h, w = rgb.shape[:2]
            scale = min(1.0, max_side / max(h, w))
            size = (round(w * scale), round(h * scale))
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            found[k] = torch.from_numpy(small).permute(2, 0, 1).float() / 255
        if len(found) == 2:
            return found[i], found[j]
    raise UserError(f"{source} has no frame {max(i, j)}")
