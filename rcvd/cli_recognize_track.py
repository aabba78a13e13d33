"""`rcvd recognize track | train-tracker | measure-tracker | masks`: things that move, followed."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rcvd.cli_recognize import Device, app, say
from rcvd.errors import UserError


@app.command()
def track(
    scene: Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")],
    init: Annotated[
        str, typer.Option(help="masks: everything that moves; or a box x,y,w,h.")
    ] = "masks",
    frame: Annotated[int, typer.Option(help="The frame of that box.")] = 0,
    weights: Annotated[
        Path | None, typer.Option("--weights", "-w", help="Of SiamFC; none: the bundled ones.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write; none: SCENE/tracks.")
    ] = None,
    overlay: Annotated[Path | None, typer.Option(help="An mp4 with the tracks.")] = None,
    device: Device = "auto",
) -> None:
    """Follow what moves: boxes, stable numbers, places and speeds in the world."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.track import report
    from rcvd.recognition.track.scene_tracks import follow_box, follow_instances, moving_instances
    from rcvd.recognition.track.siamfc_weights import load_siamfc
    from rcvd.scene import Scene

    opened = Scene.load(scene)
    network = load_siamfc(weights, pick_device(device))

    def instances_of(k: int) -> Any:
        return moving_instances(opened, k)

    if init == "masks":
        found = follow_instances(network, opened.n_frames, opened.rgb, instances_of)
    else:
        if not 0 <= frame < opened.n_frames:
            raise UserError(f"--frame {frame}: the scene's last frame is {opened.n_frames - 1}")
        box = parse_box(init, opened.size)
        frames = range(frame, opened.n_frames)
        found = follow_box(network, frames, opened.rgb, instances_of, box)
    made = report.in_world(opened, found)
    folder = out or scene / "tracks"
    report.write_tracks(folder, opened, made)
    if overlay is not None:
        from rcvd.export.video import write_video
        from rcvd.store import writing

        pictures = (report.draw_tracks(opened.rgb(k), made, k) for k in range(opened.n_frames))
        with writing(overlay) as part:
            write_video(part, pictures, opened.times)
    for one in made:
        first, last = one.track.frames[0], one.track.frames[-1]
        say(f"{one.track.number:3} {one.track.label:10} frames {first}-{last}  {one.speed:.3f}/s")
    say(f"{folder}: {len(made)} tracks; speeds in scene units a second")


def parse_box(text: str, size: tuple[int, int]) -> Any:
    """x0 y0 x1 y1 of x,y,w,h, a box that lies in a picture of (height, width).

    Raises:
        UserError: it is none, or lies outside.
    """
    import torch

    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--init {text}: write masks, or a box as x,y,w,h in pixels") from None
    if w < 4 or h < 4 or x < 0 or y < 0 or x + w > size[1] or y + h > size[0]:
        raise UserError(
            f"--init {text}: the box must lie in the {size[1]}x{size[0]} picture of the working "
            "size and be 4 pixels or more a side"
        )
    return torch.tensor([x, y, x + w, y + h])


@app.command(name="train-tracker")
def train_tracker(
    out: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Sequences of OTB or GOT-10k; none: rendered ones.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Batches of 8 pairs.")] = 1500,
    width: Annotated[float, typer.Option(help="Share of the published channels.")] = 0.375,
    shots: Annotated[int, typer.Option(help="Rendered shots to draw targets from.")] = 48,
    sprites: Annotated[int, typer.Option(help="MotionWorld clips beside them.")] = 300,
    seed: Annotated[int, typer.Option(help="Of data, weights and order.")] = 0,
    device: Device = "auto",
) -> None:
    """Train SiamFC on pairs of frames."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.track.boxed_clips import folder_clips, shot_clips, sprite_clips
    from rcvd.recognition.track.siamfc_train import SiamOptions, train_siamfc
    from rcvd.recognition.track.siamfc_weights import save_siamfc

    if steps < 2 or not 0 < width <= 4:
        raise UserError(f"--steps {steps} --width {width}: give 2 steps or more, a width up to 4")
    logging.basicConfig(level="INFO", format="%(message)s")
    options = SiamOptions(steps=steps, width=width, seed=seed)
    place = pick_device(device)
    clips = folder_clips(data) if data else shot_clips(shots, seed) + sprite_clips(sprites, seed)
    say(f"{len(clips)} targets")
    network, losses = train_siamfc(clips, options, place)
    save_siamfc(network, out)
    recent = losses[-100:]
    say(f"{out}: loss {sum(recent) / len(recent):.4f}")


@app.command(name="measure-tracker")
def measure_tracker(
    data: Annotated[
        Path | None, typer.Argument(help="Sequences of OTB or GOT-10k; none: MotionWorld.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", "-w", help="Of SiamFC; none: the bundled ones.")
    ] = None,
    sequences: Annotated[int, typer.Option(help="MotionWorld clips of 30 frames.")] = 20,
    seed: Annotated[int, typer.Option(help="Of those; not one that was trained on.")] = 2000,
    device: Device = "auto",
) -> None:
    """VOT's accuracy, failures and expected average overlap of SiamFC."""
    from rcvd.pipeline import pick_device
    from rcvd.recognition.motion.motionworld import WorldOptions
    from rcvd.recognition.track.boxed_clips import folder_clips, sprite_clips
    from rcvd.recognition.track.siamfc_weights import load_siamfc
    from rcvd.recognition.track.vot import judge_tracker, siamese

    if data:
        clips = folder_clips(data, 1, sys.maxsize)
    else:
        clips = sprite_clips(sequences, seed, WorldOptions(frames=30, side=128, pan=1.0))
    found = judge_tracker(siamese(load_siamfc(weights, pick_device(device))), clips)
    say(f"{found.sequences} sequences, {found.frames} frames")
    say(f"accuracy {found.accuracy:.3f}  failures {found.failures}  EAO {found.expected:.3f}")


@app.command()
def masks(
    scene: Annotated[Path, typer.Argument(help="A scene folder made by rcvd reconstruct.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the refined masks.")],
    truth: Annotated[
        Path | None, typer.Option(help="An .npz with array `moving`, as rcvd demo's truth.npz.")
    ] = None,
) -> None:
    """Judge each tracked instance by its own motion; write masks to reconstruct with anew.

    Use them with: rcvd reconstruct CLIP --masks-dir OUT. Nothing does so by itself.
    """
    from rcvd.recognition.track import refine_masks
    from rcvd.scene import Scene

    opened = Scene.load(scene)
    moving = refine_masks.true_masks(truth, opened) if truth else None
    verdicts = refine_masks.judge(opened)
    made = refine_masks.refined_masks(opened, verdicts)
    refine_masks.write_masks(out, made)
    for one in verdicts:
        says = "moves" if one.moves else "still"
        say(
            f"{one.track:3} {one.label:10} {says}, {one.own:.2f} x the bound in {one.frames} frames"
        )
    say(f"{out}: {len(made)} masks; use them with: rcvd reconstruct --masks-dir {out}")
    if moving is not None:
        before = [opened.moving(k) for k in range(opened.n_frames)]
        first, now = (refine_masks.mask_iou(some, moving) for some in (before, made))
        say(f"IoU with the truth: {first:.4f} before, {now:.4f} after")
