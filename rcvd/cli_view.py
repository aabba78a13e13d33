"""The verb `view`: the window, a picture, a browser or a recording."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rcvd.errors import UserError

console = Console(stderr=True)


def view(
    scene: Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")],
    screenshot: Annotated[Path | None, typer.Option(help="Write a PNG; no display needed.")] = None,
    web: Annotated[bool, typer.Option("--web", help="In a browser instead (viser).")] = False,
    port: Annotated[int, typer.Option(help="Of --web.")] = 8080,
    rerun: Annotated[Path | None, typer.Option(help="Write a recording for rerun (.rrd).")] = None,
) -> None:
    """Look at points, cameras and frusta in Open3D or a browser, or write a picture of them."""
    from rcvd.scene import Scene

    if sum((screenshot is not None, web, rerun is not None)) > 1:
        raise UserError("give one of --screenshot, --web and --rerun")
    loaded = Scene.load(scene)
    loaded.folder("export")
    for wanted in (screenshot, rerun):
        if wanted is not None:
            wanted.parent.mkdir(parents=True, exist_ok=True)
    if screenshot is not None:
        from rcvd.viewer.screenshot import screenshot as take

        take(loaded.root, screenshot)
    elif rerun is not None:
        from rcvd.viewer.rerun_file import write_rerun

        write_rerun(loaded.root, rerun)
    elif web:
        from rcvd.viewer.web import serve

        console.print(f"http://localhost:{port} (Ctrl-C ends it)", markup=False)
        serve(loaded.root, port)
    else:
        from rcvd.viewer.window import view as open_window

        open_window(loaded.root)
    for written in (screenshot, rerun):
        if written is not None:
            console.print(f"wrote {written}", markup=False)
