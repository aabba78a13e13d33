"""Tracks as files and pictures: tracks.json, MOT Challenge text, identity maps, an overlay."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rcvd.items import frame_name, write_png
from rcvd.recognition.track.scene_tracks import Track, identity_map, moving_instances
from rcvd.recognition.track.world_tracks import (
    is_whole,
    mean_speed,
    thing_pixels,
    velocities,
    world_point,
)
from rcvd.recognition.visualise.pictures import colour_of, draw_box, to_bytes
from rcvd.scene import Scene
from rcvd.store import write_json, writing

TRACKS, MOT, IDENTITIES = "tracks.json", "mot.txt", "identities"
CONVENTIONS = {
    "box": "x0 y0 x1 y1 in px of the working size; the centre of the top-left pixel is (0.5, 0.5)",
    "score": "logit of the tracker's response; 0 in a track's first frame",
    "point": "x y z in the world (the camera of frame 0), scene units; null where depth is unknown",
    "velocity": "scene units a second, slope of a line through the points of one second"
    " where the picture's sides cut nothing off; null where there are none",
    "speed": "mean length of the velocities, scene units a second",
}


@dataclass(frozen=True)
class WorldTrack:
    """A track with its points and velocities in the world; NaN where unknown."""

    track: Track
    points: Float[Tensor, "n 3"]
    velocity: Float[Tensor, "n 3"]

    @property
    def speed(self) -> float:
        return mean_speed(self.velocity)


def in_world(scene: Scene, tracks: Sequence[Track]) -> list[WorldTrack]:
    """Tracks of a finished scene with depth: where each thing is and how fast it goes."""
    cameras, placed = scene.cameras, {track.number: {} for track in tracks}
    for frame in sorted({k for track in tracks for k in track.frames}):
        z, moving = scene.depth(frame)[0], scene.moving(frame)
        for track in tracks:
            if frame in track.frames:
                box = track.box[track.frames.index(frame)]
                pixels = thing_pixels(box, moving, z)
                point = world_point(pixels, z, cameras, frame)
                placed[track.number][frame] = point, is_whole(pixels)
    made = []
    for track in tracks:
        seen = [placed[track.number][k] for k in track.frames]
        points = torch.stack([point for point, _ in seen])
        whole = torch.tensor([uncut for _, uncut in seen])
        velocity = velocities(scene.times[track.frames], points, whole)
        made.append(WorldTrack(track, points, velocity))
    return made


def _numbers(values: Tensor) -> list[float] | None:
    return [round(x, 5) for x in values.tolist()] if bool(values.isfinite().all()) else None


def _entry(made: WorldTrack, times: Tensor) -> dict[str, Any]:
    track = made.track
    speed = made.speed
    return {
        "number": track.number,
        "label": track.label,
        "speed": round(speed, 5) if np.isfinite(speed) else None,
        "frames": [
            {
                "frame": k,
                "time": round(float(times[k]), 6),
                "box": _numbers(track.box[n]),
                "score": round(track.score[n], 4),
                "point": _numbers(made.points[n]),
                "velocity": _numbers(made.velocity[n]),
            }
            for n, k in enumerate(track.frames)
        ],
    }


def write_tracks(folder: Path, scene: Scene, made: Sequence[WorldTrack]) -> None:
    """tracks.json, mot.txt (frame from 1, number, x, y, w, h, score, -1 -1 -1) and a PNG of the
    tracks' numbers for each frame.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = [_entry(track, scene.times) for track in made]
    with writing(folder / TRACKS) as part:
        write_json(part, {"conventions": CONVENTIONS, "tracks": entries})
    rows = []
    for track in (one.track for one in made):
        for k, box, score in zip(track.frames, track.box, track.score, strict=True):
            x, y, w, h = (*box[:2].tolist(), *(box[2:] - box[:2]).tolist())
            size = f"{x:.2f},{y:.2f},{w:.2f},{h:.2f}"
            rows.append((k + 1, track.number, f"{size},{score:.3f},-1,-1,-1"))
    lines = [f"{k},{number},{rest}\n" for k, number, rest in sorted(rows)]
    with writing(folder / MOT) as part:
        part.write_text("".join(lines))
    for k in range(scene.n_frames):
        ids = identity_map(
            [one.track for one in made], k, moving_instances(scene, k).masks, scene.size
        )
        with writing(folder / IDENTITIES / frame_name(k)) as part:
            write_png(part, ids.clamp(max=255).byte().numpy())


def draw_tracks(
    rgb: Float[Tensor, "3 h w"], made: Sequence[WorldTrack], frame: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with box, number and speed of each track, and where its box came from."""
    picture = to_bytes(rgb)
    for one in made:
        track = one.track
        if frame not in track.frames:
            continue
        n, colour = track.frames.index(frame), colour_of(track.number)
        way = np.array([((b[:2] + b[2:]) / 2).tolist() for b in track.box[: n + 1]])
        line = (way * 16).round().astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(picture, [line], False, colour, 1, cv2.LINE_AA, shift=4)
        speed = float(one.velocity[n].norm())
        text = f"{track.number}" + (f" {speed:.2f}/s" if np.isfinite(speed) else "")
        draw_box(picture, track.box[n], text, colour)
    return picture
