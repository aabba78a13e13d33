"""How each kind of item lies in a run folder: one file (a flow: two) per frame or pair.

flow: int16 .npy h w 2 in 1/64 px beside a .png of the confidence (0 = not valid); masks: .png,
non-zero = moving; instances: .json with masks as COCO run lengths; depth and confidence: float32
.npy; frames: 8-bit RGB .png.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.arrays import read_npy
from rcvd.errors import UserError
from rcvd.types import Flow, Instances, PairGraph

FLOW_STEP = 1 / 64  # pixels; int16 then reaches 512 px
PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"


@contextmanager
def _made_by_us() -> Iterator[None]:
    """What to do about a damaged item that a stage wrote."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; delete its folder to have it made again") from error


def frame_name(k: int) -> str:
    return f"{k:06d}.png"


def array_name(k: int) -> str:
    return f"{k:06d}.npy"


def instances_name(k: int) -> str:
    return f"{k:06d}.json"


def pair_name(i: int, j: int) -> str:
    """Stem of a directed pair's files, as in `--flow-dir`."""
    return f"{i:06d}_{j:06d}"


def write_png(path: Path, image: np.ndarray) -> None:
    """8- or 16-bit PNG; three channels are RGB. Raises OSError where the disk refuses."""
    bgr = image[..., ::-1] if image.ndim == 3 else image
    done, buffer = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 2])
    if not done:
        raise OSError(f"{path}: PNG encoding failed")
    path.write_bytes(buffer.tobytes())


def read_png(path: Path, *, colour: bool = False) -> np.ndarray:
    """A PNG (or other image) as h w, or h w 3 RGB if `colour`; bit depth as stored.

    Raises:
        UserError: missing or damaged.
    """
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    if data[:8].tobytes() == PNG_BEGIN and PNG_END not in data[-64:].tobytes():
        raise UserError(f"{path} is missing or damaged")  # OpenCV would make up the rest
    flag = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    image = cv2.imdecode(data, flag) if data.size else None
    if image is None:
        raise UserError(f"{path} is missing or damaged")
    return np.ascontiguousarray(image[..., ::-1]) if colour else image


def read_array(path: Path) -> np.ndarray:
    """A .npy array; pickled objects are refused.

    Raises:
        UserError: missing or damaged.
    """
    with _made_by_us():
        return read_npy(path)


def write_npy(path: Path, values: Tensor) -> None:
    """A .npy of a tensor in its own type.

    Raises:
        OSError: the disk refuses, with its reason, which np.save to a file would not tell.
    """
    content = io.BytesIO()
    np.save(content, values.cpu().numpy())
    path.write_bytes(content.getbuffer())


def write_array(path: Path, values: Tensor) -> None:
    """A float32 .npy of a tensor."""
    write_npy(path, values.float())


def read_rgb(path: Path) -> Float[Tensor, "3 h w"]:
    """A frame in [0, 1]."""
    with _made_by_us():
        return torch.from_numpy(read_png(path, colour=True)).permute(2, 0, 1).float() / 255


def write_mask(path: Path, mask: Bool[Tensor, "h w"]) -> None:
    write_png(path, mask.cpu().numpy().astype(np.uint8) * 255)


def read_mask(path: Path) -> Bool[Tensor, "h w"]:
    with _made_by_us():
        return torch.from_numpy(read_png(path) > 0)


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a bool h w mask, column by column, the first of zeros (COCO's RLE)."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    if mask.T.ravel()[-1]:
        edges = edges[:-1]
    return np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()


def mask_of_runs(counts: list[int], size: tuple[int, int]) -> np.ndarray:
    """The bool h w mask of such runs."""
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(size[::-1]).T


def write_instances(path: Path, found: Instances) -> None:
    """A frame's instances as JSON; segmentations as in COCO results, not compressed."""
    h, w = found.masks.shape[1:]
    masks, boxes = found.masks.cpu().numpy(), found.boxes.tolist()
    rows = [
        {
            "track": int(found.tracks[n]),
            "label": found.labels[n],
            "score": round(float(found.scores[n]), 4),
            "box": [round(x, 2) for x in boxes[n]],
            "moving": bool(found.moving[n]),
            "reason": found.reasons[n],
            "segmentation": {"size": [h, w], "counts": run_lengths(masks[n])},
        }
        for n in range(len(found))
    ]
    path.write_text(json.dumps({"size": [h, w], "instances": rows}))


def read_instances(path: Path) -> Instances:
    """Raises UserError where the file is missing or damaged."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        rows, (h, w) = content["instances"], content["size"]
        masks = [mask_of_runs(row["segmentation"]["counts"], (h, w)) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} is missing or damaged; delete its folder to have it made again"
        ) from error
    return Instances(
        masks=torch.from_numpy(np.stack(masks) if masks else np.zeros((0, h, w), bool)),
        boxes=torch.tensor([row["box"] for row in rows], dtype=torch.float32).reshape(-1, 4),
        labels=tuple(row["label"] for row in rows),
        scores=torch.tensor([row["score"] for row in rows], dtype=torch.float32),
        moving=torch.tensor([row["moving"] for row in rows], dtype=torch.bool),
        tracks=torch.tensor([row["track"] for row in rows], dtype=torch.int64),
        reasons=tuple(row["reason"] for row in rows),
    )


def write_flow(confidence_png: Path, flow_npy: Path, flow: Flow) -> None:
    """Store a flow h w 2; vectors that do not fit the format become invalid."""
    steps = (flow.displacement / FLOW_STEP).round()
    fits = torch.isfinite(steps).all(-1) & (steps.abs() < 2**15).all(-1)
    level = (flow.confidence * 255).ceil().clamp(0, 255) * (flow.valid & fits)
    write_png(confidence_png, level.byte().cpu().numpy())
    stored = torch.where(fits[..., None], steps, torch.zeros_like(steps))
    write_npy(flow_npy, stored.short())


def read_flow(folder: Path, i: int, j: int) -> Flow:
    """The stored flow of a directed pair, h w 2 in pixels of the working size.

    Raises:
        UserError: missing or damaged.
    """
    stem = pair_name(i, j)
    steps = torch.from_numpy(read_array(folder / f"{stem}.npy"))
    with _made_by_us():
        level = torch.from_numpy(read_png(folder / f"{stem}.png"))
    return Flow(steps.float() * FLOW_STEP, level > 0, level.float() / 255)


def read_valid(folder: Path, i: int, j: int) -> Bool[Tensor, "h w"]:
    """Where the stored flow of a directed pair is valid.

    Raises:
        UserError: missing or damaged.
    """
    return read_mask(folder / f"{pair_name(i, j)}.png")


def write_pairs(path: Path, graph: PairGraph) -> None:
    """The pair graph as text: how many there are, then a line `i j` for each directed pair."""
    lines = [f"# pairs: {len(graph.pairs)}", *(f"{i} {j}" for i, j in graph.pairs.tolist())]
    path.write_text("\n".join(lines) + "\n")


def read_pairs(path: Path, n_frames: int) -> PairGraph:
    """The pair graph of a clip of so many frames.

    Raises:
        UserError: missing or damaged.
    """
    try:
        text = path.read_text()
        lines = text.splitlines()
        head = lines.pop(0) if lines and lines[0].startswith("#") else f"# pairs: {len(lines)}"
        rows = [[int(x) for x in line.split()] for line in lines]
        pairs = torch.tensor(rows, dtype=torch.int64)
        # a file that is cut short says so by its first line; scenes of before have none
        whole = head == f"# pairs: {len(rows)}" and text.endswith("\n")
        if not rows or not whole or pairs.shape[1] != 2:
            raise ValueError("lines are missing")
        if int(pairs.min()) < 0 or int(pairs.max()) >= n_frames:
            raise ValueError("no pairs of the clip's frames")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is missing or damaged; delete its folder to have it made again"
        ) from error
    return PairGraph(pairs, n_frames)
