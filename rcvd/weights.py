"""Checkpoints: where they come from, under which licence, and how they are loaded safely."""

import hashlib
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from rcvd.errors import UserError

ASSETS = Path(__file__).parent / "assets"
LISTED_KEYS = 3  # so many keys are named in an error


@dataclass(frozen=True)
class Checkpoint:
    """What is known about one set of weights.

    source: where they come from. sha256: of the file; empty where the publisher's loader checks it.
    size: bytes. preprocessing: what the network expects. score: a published or measured figure.
    file: name under rcvd/assets/ where the weights are bundled, else empty.
    """

    source: str
    sha256: str
    licence: str
    size: int
    preprocessing: str
    score: str
    file: str = ""


CHECKPOINTS: dict[str, Checkpoint] = {
    "depth_bundled": Checkpoint(
        source="trained by this project on its procedural scenes",
        sha256="663027bf167894fcb96dc8bc1f34d55a8d80d1be590a4b74b0e7ec3510ccdc7e",
        licence="Apache-2.0",
        size=10_799_400,
        preprocessing="RGB in [0, 1], long side 256 to 384, multiples of 32; log-disparity out",
        score="own: AbsRel, one scale a frame, .185 livingroom, .199 room, .393 office",
        file="depth_bundled.safetensors",
    ),
    "siamfc_bundled": Checkpoint(
        source="trained by this project: rcvd recognize train-tracker --steps 450 --shots 16 "
        "--sprites 200 --width 0.25",
        sha256="bed554de525b74d422d923bedda3227e7bbb7a421ee4263deac810993a146b7e",
        licence="Apache-2.0",
        size=309_922,
        preprocessing="RGB in [0, 1]; crops of 127 and 255 px around the box with its context",
        score="own: mean IoU .82 on 58 MotionWorld sprites of another seed, first box given",
        file="siamfc_bundled.safetensors",
    ),
}


def bundled_path(name: str) -> Path:
    """File of the bundled checkpoint `name`.

    Raises:
        UserError: no checkpoint of this name is bundled, or its file is missing.
    """
    bundled = sorted(key for key, value in CHECKPOINTS.items() if value.file)
    if name not in bundled:
        raise UserError(f"{name}: no such bundled checkpoint; there are {', '.join(bundled)}")
    path = ASSETS / CHECKPOINTS[name].file
    if not path.is_file():
        raise UserError(f"{path}: bundled weights are missing; install rcvd again")
    return path


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_checkpoint(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a .safetensors file or a torch checkpoint, on the CPU.

    A torch file may hold its tensors under "state_dict", "model" or "model_state". Nothing in the
    file is ever executed (weights_only).

    Raises:
        UserError: the file is missing, truncated, or holds something else than tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a checkpoint")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UserError(f"{path}: damaged or truncated checkpoint ({error})") from error
    return _state_dict(_load_torch(path), path)


def _load_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused: not a checkpoint of tensors only (it may run code or be damaged); "
            "save its state_dict as .safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise UserError(f"{path}: damaged or truncated checkpoint ({reason})") from error


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model", "model_state"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: holds no tensors by name; save a state_dict")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) < len(content):
        other = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
        raise UserError(f"{path}: {_named(other)} are not tensors; save a state_dict")
    return tensors


def load_into(network: nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Copies tensors into a network's parameters and buffers; `origin` is named in errors.

    Raises:
        UserError: keys are missing or unknown, or shapes differ; the keys are named.
    """
    expected = network.state_dict()
    problems = []
    if missing := sorted(expected.keys() - tensors.keys()):
        problems.append(f"missing {_named(missing)}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        problems.append(f"unknown {_named(unknown)}")
    both = sorted(expected.keys() & tensors.keys())
    if wrong := [key for key in both if expected[key].shape != tensors[key].shape]:
        problems.append(f"wrong shape of {_named(wrong)}")
    if problems:
        raise UserError(f"{origin}: not a checkpoint of this network: {'; '.join(problems)}")
    network.load_state_dict(tensors)


def _named(keys: list[str]) -> str:
    more = len(keys) - LISTED_KEYS
    return ", ".join(keys[:LISTED_KEYS]) + (f" and {more} more" if more > 0 else "")
