"""A localiser on a scene or a video: segments in seconds; annotations in ActivityNet's JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.localise.segments import Segment
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.networks.clip_rnn import ClipRnn
from rcvd.recognition.preprocessing import resize_clip, short_side_size
from rcvd.recognition.sources import ClipSource
from rcvd.store import write_json, writing


@torch.no_grad()
def clip_features(network: ClipRnn, source: ClipSource, spec: ModelSpec) -> Float[Tensor, "n d"]:
    """Features of every whole clip of a video, one clip in memory at a time.

    Raises:
        UserError: the video is shorter than one clip.
    """
    device = next(network.parameters()).device
    length, *window = spec.clip
    count = source.n_frames // length
    if count == 0:
        raise UserError(f"a video of {source.n_frames} frames is shorter than a clip of {length}")
    rows = []
    for k in range(count):
        rgb = source.rgb(list(range(k * length, (k + 1) * length)))[None]
        size = short_side_size((rgb.shape[3], rgb.shape[4]), min(window))
        top, left = (size[0] - window[0]) // 2, (size[1] - window[1]) // 2
        small = resize_clip(rgb, size)[..., top : top + window[0], left : left + window[1]]
        rows.append(network.encode(spec.preprocessing.colours(small).to(device))[0].cpu())
    return torch.cat(rows)


@torch.no_grad()
def clip_probabilities(network: ClipRnn, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k1"]:
    """Of every action and, last, of background, for each clip."""
    device = next(network.parameters()).device
    return network.from_features(features[None].to(device))[0].softmax(1).cpu()


def read_activitynet(path: Path, names: Sequence[str]) -> list[Segment]:
    """True segments of {"database": {video: {"annotations": [{"segment": [s, e], "label"}]}}}.

    THUMOS-14 is distributed in the same form. names: of the labels, in their order.

    Raises:
        UserError: missing, damaged, or with a label that is not among the names.
    """
    try:
        database: dict[str, Any] = json.loads(path.read_text())["database"]
        rows = [(video, a) for video, entry in database.items() for a in entry["annotations"]]
        found = [(video, *map(float, a["segment"]), str(a["label"])) for video, a in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not an ActivityNet JSON ({error})") from error
    unknown = sorted({label for *_, label in found} - set(names))
    if unknown:
        raise UserError(f"{path}: label '{unknown[0]}' is not one of the network's")
    return [Segment(s, e, names.index(label), 1.0, video) for video, s, e, label in found]


def write_activitynet(path: Path, found: Sequence[Segment], names: Sequence[str]) -> None:
    """Detections as ActivityNet's evaluation reads them."""
    results: dict[str, list[dict[str, Any]]] = {}
    for s in found:
        label = names[s.label] if names else str(s.label)
        row = {"label": label, "score": round(s.score, 4), "segment": [s.start, s.end]}
        results.setdefault(s.video, []).append(row)
    with writing(path) as part:
        write_json(part, {"version": "VERSION 1.3", "results": results})
