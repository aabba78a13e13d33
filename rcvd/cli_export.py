"""The verbs that give a scene to other programs and free what it no longer needs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rcvd.errors import UserError


def export(
    scene: Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")],
    to: Annotated[
        str,
        typer.Option(
            help="Comma-separated: colmap, colmap-text, nerfstudio, tum, kitti, exr, png, npz, "
            "ply, glb, usd, chan, depth-mp4, side-by-side; or all."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Parent folder; none: SCENE/exports.")
    ] = None,
    size: Annotated[str, typer.Option(help="Pictures and pixels: original or working.")] = (
        "original"
    ),
    video: Annotated[Path | None, typer.Option(help="The video, if it has moved.")] = None,
) -> None:
    """Write a scene as other programs read it; each format gets a folder of its own."""
    from rcvd.cli import progress_bar, set_up_logging
    from rcvd.export_formats import FORMATS, export_scene
    from rcvd.resolution import SizedScene
    from rcvd.scene import Scene

    set_up_logging(verbose=False)
    found = Scene.load(scene)
    names = list(FORMATS) if to == "all" else [name for name in to.split(",") if name]
    if not names:
        raise UserError("--to names no format; write it as --to colmap,nerfstudio")
    sized = SizedScene(found, size, video, progress_bar)
    for folder in export_scene(sized, names, out or found.root / "exports"):
        sys.stdout.write(f"{folder}\n")
