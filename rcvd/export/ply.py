"""Coloured point clouds as binary little-endian PLY."""

from pathlib import Path

import numpy as np
import torch

from rcvd.errors import UserError
from rcvd.types import PointCloud

VERTEX = np.dtype(
    [
        *((axis, "<f4") for axis in ("x", "y", "z")),
        *((axis, "<f4") for axis in ("nx", "ny", "nz")),
        *((channel, "u1") for channel in ("red", "green", "blue")),
        ("confidence", "<f4"),
        ("frame", "<i4"),
        ("moving", "u1"),
    ]
)
PLY_TYPES = {
    "<f4": ("float", "float32"),
    "<f8": ("double", "float64"),
    "|u1": ("uchar", "uint8"),
    "|i1": ("char", "int8"),
    "<i4": ("int", "int32"),
    "<u4": ("uint", "uint32"),
    "<i2": ("short", "int16"),
    "<u2": ("ushort", "uint16"),
}
DTYPES = {name: dtype for dtype, names in PLY_TYPES.items() for name in names}


def write_ply(path: Path, points: PointCloud) -> None:
    """One vertex a point: position, normal, colour, confidence, frame, moving (1 = moves)."""
    table = np.empty(len(points.xyz), dtype=VERTEX)
    for column, axis in enumerate(("x", "y", "z")):
        table[axis] = points.xyz[:, column].cpu().numpy()
        table[f"n{axis}"] = points.normal[:, column].cpu().numpy()
    rgb = (points.rgb.cpu() * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    for column, channel in enumerate(("red", "green", "blue")):
        table[channel] = rgb[:, column]
    table["confidence"] = points.confidence.cpu().numpy()
    table["frame"] = points.frame.cpu().numpy()
    table["moving"] = points.moving.cpu().numpy()
    properties = [f"property {PLY_TYPES[VERTEX[n].str][0]} {n}" for n in VERTEX.names or ()]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment world: x right, y down, z forward of the first camera",
        f"element vertex {len(table)}",
        *properties,
        "end_header",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode())
        file.write(table.view(np.uint8).data)  # tofile would not tell why the disk refuses


def read_ply(path: Path) -> PointCloud:
    """Points of a binary little-endian PLY whose first element is its vertices.

    Colours default to grey, normals to 0, confidence to 1, frame to 0 and moving to False where
    absent.

    Raises:
        UserError: no such file, not a PLY of this kind, or shorter than its header says.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with path.open("rb") as file:
        lines = []
        while not lines or lines[-1] != "end_header":
            line = file.readline()
            if not line or len(lines) > 1000:
                raise UserError(f"{path}: not a PLY file")
            lines.append(line.decode("ascii", errors="replace").strip())
        dtype, count = _vertex_layout(path, lines)
        table = np.fromfile(file, dtype=dtype, count=count)
    if len(table) < count:
        raise UserError(f"{path}: cut off after {len(table)} of {count} points")
    return _points(path, table)


def _vertex_layout(path: Path, lines: list[str]) -> tuple[np.dtype, int]:
    words = [line.split() for line in lines]
    if lines[0] != "ply" or ["format", "binary_little_endian", "1.0"] not in words:
        raise UserError(f"{path}: not a binary little-endian PLY file")
    starts = [i for i, w in enumerate(words) if w[:1] == ["element"]]
    if not starts or words[starts[0]][1] != "vertex":
        raise UserError(f"{path}: its first element is not `vertex`")
    stop = starts[1] if len(starts) > 1 else len(words)
    properties = [w for w in words[starts[0] : stop] if w[:1] == ["property"]]
    if any(len(w) != 3 or w[1] not in DTYPES for w in properties):
        raise UserError(f"{path}: vertices with list properties are not supported")
    dtype = np.dtype([(name, DTYPES[kind]) for _, kind, name in properties])
    return dtype, int(words[starts[0]][2])


def _points(path: Path, table: np.ndarray) -> PointCloud:
    names, n = table.dtype.names or (), len(table)
    if not {"x", "y", "z"} <= set(names):
        raise UserError(f"{path}: its vertices have no x, y, z")

    def column(name: str, default: int) -> torch.Tensor:
        values = table[name] if name in names else np.full(n, default)
        return torch.from_numpy(np.ascontiguousarray(values).astype(np.float64))

    return PointCloud(
        xyz=torch.stack([column(a, 0) for a in "xyz"], 1).float(),
        rgb=torch.stack([column(c, 128) for c in ("red", "green", "blue")], 1).float() / 255,
        normal=torch.stack([column(f"n{a}", 0) for a in "xyz"], 1).float(),
        confidence=column("confidence", 1).float(),
        frame=column("frame", 0).long(),
        moving=column("moving", 0) > 0,
    )
