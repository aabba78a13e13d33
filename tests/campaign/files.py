"""Odd and hostile files beside the video: arrays, masks, settings, checkpoints, archives."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from rcvd.items import array_name, frame_name, pair_name, write_png
from tests.campaign.videos import N_FRAMES, SIZE

Spoil = Callable[[Path], object]
"""Makes a sound file of a sound folder odd."""


class Attack:
    """Unpickled, it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def depth_folder(folder: Path) -> Path:
    folder.mkdir()
    for k in range(N_FRAMES):
        np.save(folder / array_name(k), np.full(SIZE, 2.0, np.float32))
    return folder


def flow_folder(folder: Path) -> Path:
    folder.mkdir()
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[..., 0] = -2
    for k in range(N_FRAMES - 1):
        np.save(folder / f"{pair_name(k, k + 1)}.npy", flow)
        np.save(folder / f"{pair_name(k + 1, k)}.npy", -flow)
    return folder


def masks_folder(folder: Path) -> Path:
    folder.mkdir()
    for k in range(N_FRAMES):
        write_png(folder / frame_name(k), np.zeros(SIZE, np.uint8))
    return folder


def _arrays(shape: tuple[int, ...], mark: Path) -> dict[str, Spoil]:
    """Ways in which an array of this shape can be wrong."""
    sound = np.ones(shape, np.float32)
    nan, inf = sound.copy(), sound.copy()
    nan.flat[3], inf.flat[3] = np.nan, np.inf
    values = {
        "nan": nan,
        "inf": inf,
        "all_nan": np.full(shape, np.nan),
        "text": np.full(shape, "x"),
        "complex": np.full(shape, 1j),
        "times": np.full(shape, np.datetime64("2020-01-01")),
        "record": np.zeros(shape, np.dtype([("a", "f4"), ("b", "f4")])),
        "booleans": np.ones(shape, bool),
        "bytes": np.ones(shape, np.uint8),
        "doubles": np.ones(shape),
        "halves": np.ones(shape, np.float16),
        "huge_values": np.full(shape, 1e300),
        "tiny_values": np.full(shape, 1e-300),
        "fortran": np.asfortranarray(sound),
        "transposed": np.swapaxes(sound, 0, 1),
        "scalar": np.array(1.0),
        "one_less": sound[:-1],
        "empty_array": np.zeros((0, *shape[1:]), np.float32),
        "extra_axis": sound[None],
        "flat": sound.ravel(),
    }
    spoilers: dict[str, Spoil] = {
        name: (lambda path, value=value: np.save(path, value)) for name, value in values.items()
    }
    return spoilers | {
        "objects": lambda path: np.save(path, np.array([Attack(mark)]), allow_pickle=True),
        "pickle": lambda path: path.write_bytes(pickle.dumps(Attack(mark))),
        "npz": lambda path: path.write_bytes(_npz(sound)),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:200]),
        "zero_bytes": lambda path: path.write_bytes(b""),
        "claims_petabytes": lambda path: path.write_bytes(claim((2**25, 2**25))),
        "negative_shape": lambda path: path.write_bytes(claim((-1, 5))),
        "text_file": lambda path: path.write_text("1 2 3\n"),
        "missing": lambda path: path.unlink(),
        "directory": lambda path: (path.unlink(), path.mkdir()),
        "dangling": lambda path: (path.unlink(), path.symlink_to("nowhere.npy")),
    }


def _npz(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, array)
    return stream.getvalue()


def claim(shape: tuple[int, ...]) -> bytes:
    """A .npy header that claims an array of this shape, and nothing after it."""
    stream = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def depth_spoilers(mark: Path) -> dict[str, Spoil]:
    return _arrays(SIZE, mark) | {
        "negative": lambda path: np.save(path, np.full(SIZE, -1.0)),
        "zeros": lambda path: np.save(path, np.zeros(SIZE)),
    }


def flow_spoilers(mark: Path) -> dict[str, Spoil]:
    return _arrays((*SIZE, 2), mark) | {
        "far": lambda path: np.save(path, np.full((*SIZE, 2), 1e6, np.float32)),
        "three_channels": lambda path: np.save(path, np.zeros((*SIZE, 3), np.float32)),
        "bad_name": lambda path: path.with_name("zero_one.npy").write_bytes(path.read_bytes()),
        "frame_too_late": lambda path: path.with_name("000000_000099.npy").write_bytes(
            path.read_bytes()
        ),
        "to_itself": lambda path: path.with_name("000001_000001.npy").write_bytes(
            path.read_bytes()
        ),
    }


def mask_spoilers() -> dict[str, Spoil]:
    colour = np.zeros((*SIZE, 3), np.uint8)
    return {
        "colour": lambda path: write_png(path, colour),
        "sixteen_bits": lambda path: write_png(path, np.zeros(SIZE, np.uint16)),
        "all_moving": lambda path: write_png(path, np.full(SIZE, 255, np.uint8)),
        "other_size": lambda path: write_png(path, np.zeros((40, 64), np.uint8)),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:40]),
        "zero_bytes": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("mask"),
        "array": lambda path: path.write_bytes(claim(SIZE)),
        "missing": lambda path: path.unlink(),
        "directory": lambda path: (path.unlink(), path.mkdir()),
        "dangling": lambda path: (path.unlink(), path.symlink_to("nowhere.png")),
    }


def _laughs(levels: int) -> str:
    """Each level holds the one before ten times: 10^levels strings if it were written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for k in range(1, levels):
        lines.append(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]")
    return "\n".join(lines)


PRESETS: dict[str, bytes] = {
    "python_object": b"flow: !!python/object/apply:os.system ['touch rcvd-was-here']\n",
    "python_name": b"flow: !!python/name:os.system\n",
    "laughs": _laughs(30).encode(),
    "laughs_in_a_value": (_laughs(30) + "\nflow: {backend: *a29}\n").encode(),
    "deep": b"[" * 5000 + b"]" * 5000,
    "deep_mapping": b"{a: " * 2000 + b"1" + b"}" * 2000,
    "list": b"- a\n- b\n",
    "scalar": b"fast\n",
    "nothing": b"",
    "comment": b"# nothing\n",
    "binary": bytes(range(256)),
    "utf16": "flow: {backend: dis}".encode("utf-16"),
    "tabs": b"flow:\n\tbackend: dis\n",
    "two_documents": b"flow: {}\n---\ndepth: {}\n",
    "null_section": b"flow:\n",
    "number_section": b"flow: 5\n",
    "list_section": b"flow: [dis]\n",
    "number_key": b"5: 6\n",
    "null_key": b"? \n: 5\n",
    "list_key": b"? [a, b]\n: 5\n",
    "nan": b"poses: {hfov: .nan}\n",
    "inf": b"poses: {focal: .inf}\n",
    "overflow": b"poses: {focal: 1e400}\n",
    "negative_side": b"frames: {max_side: -5}\n",
    "zero_side": b"frames: {max_side: 0}\n",
    "big_side": b"frames: {max_side: 99999999999999999999999}\n",
    "text_number": b"frames: {max_side: many}\n",
    "fraction_side": b"frames: {max_side: 100.5}\n",
    "true_side": b"frames: {max_side: true}\n",
    "zero_fps": b"frames: {select: {fps: 0}}\n",
    "negative_fps": b"frames: {select: {fps: -3}}\n",
    "nan_fps": b"frames: {select: {fps: .nan}}\n",
    "end_before_start": b"frames: {select: {start: 2, end: 1}}\n",
    "no_frames": b"frames: {select: {max_frames: 0}}\n",
    "negative_frames": b"frames: {select: {max_frames: -1}}\n",
    "other_video": b"frames: {video: /etc/passwd}\n",
    "threads": b"threads: -4\n",
    "many_threads": b"threads: 100000000\n",
    "seed": b"seed: 99999999999999999999999999\n",
    "negative_seed": b"seed: -1\n",
    "unknown": b"flwo: {backend: dis}\n",
    "merge_key": b"a: &a {backend: dis}\nflow: {<<: *a}\n",
    "duplicate": b"flow: {backend: dis}\nflow: {backend: dis}\n",
}


def _state(mark: Path) -> dict[str, object]:
    return {"a": torch.zeros(2), "b": Attack(mark)}


def checkpoint_spoilers(mark: Path) -> dict[str, tuple[str, Spoil]]:
    """File suffix and writer of each."""
    huge = (2**62).to_bytes(8, "little")
    return {
        "code": (".pth", lambda path: torch.save(_state(mark), path)),
        "bare_pickle": (".pth", lambda path: path.write_bytes(pickle.dumps(Attack(mark)))),
        "other_keys": (".pth", lambda path: torch.save({"a": torch.zeros(2)}, path)),
        "numbers": (".pth", lambda path: torch.save({"a": 5}, path)),
        "list": (".pth", lambda path: torch.save([torch.zeros(2)], path)),
        "zero_bytes": (".pth", lambda path: path.write_bytes(b"")),
        "text": (".pth", lambda path: path.write_text("weights")),
        "cut": (".pth", _cut_checkpoint),
        "bomb": (".pth", _bomb_checkpoint),
        "safe_other_keys": (".safetensors", lambda path: save_file({"a": torch.zeros(2)}, path)),
        "safe_zero_bytes": (".safetensors", lambda path: path.write_bytes(b"")),
        "safe_text": (".safetensors", lambda path: path.write_text("weights")),
        "safe_huge_header": (".safetensors", lambda path: path.write_bytes(huge + b"{}")),
        "safe_bad_offsets": (".safetensors", _bad_offsets),
        "directory": (".pth", lambda path: path.mkdir()),
        "missing": (".pth", lambda path: None),
    }


def _cut_checkpoint(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:1500])


def _bomb_checkpoint(path: Path) -> None:
    """A zip whose one member unpacks a thousandfold."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**26))


def _bad_offsets(path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def archive_spoilers(mark: Path) -> dict[str, Spoil]:
    """Ways in which an .npz of a scene can be wrong."""
    return {
        "bomb": _bomb_archive,
        "claims": lambda path: _archive(path, claim((2**25, 2**25))),
        "objects": lambda path: np.savez(path, z=np.array([Attack(mark)], dtype=object)),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
        "zero_bytes": lambda path: path.write_bytes(b""),
        "no_arrays": lambda path: _archive(path, b"hello"),
        "other_names": lambda path: np.savez(path, other=np.zeros(3)),
        "text": lambda path: path.write_text("hello"),
    }


def _archive(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("z.npy", "confidence.npy"):
            archive.writestr(name, content)


def _bomb_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("z.npy", "confidence.npy"):
            with archive.open(name, "w", force_zip64=True) as stream:
                stream.write(claim((2**15, 2**14)))
                for _ in range(64):
                    stream.write(bytes(2**24))
