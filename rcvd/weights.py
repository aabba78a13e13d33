"""How checkpoints are loaded: safely, and with one line for what does not fit."""

import hashlib
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from rcvd.checkpoint_table import CHECKPOINTS, Checkpoint
from rcvd.checkpoints import place
from rcvd.errors import UserError

SHA256_DIGITS = 64
LISTED_KEYS = 3  # so many keys are named in an error


def bundled_path(name: str) -> Path:
    """File of the bundled checkpoint `name`.

    Raises:
        UserError: no checkpoint of this name is bundled, or its file is missing.
    """
    bundled = sorted(key for key, value in CHECKPOINTS.items() if value.file)
    if name not in bundled:
        raise UserError(f"{name}: no such bundled checkpoint; there are {', '.join(bundled)}")
    path = place(name)
    if not path.is_file():
        raise UserError(f"{path}: bundled weights are missing; install rcvd again")
    return path


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verified(entry: Checkpoint, path: Path) -> str:
    """What is wrong with a published file; empty where it is as published and can be opened.

    A file of the Hugging Face hub bears its own SHA-256 in the name of what it links to.
    """
    expected = entry.sha256
    if entry.hub and len(path.resolve().name) == SHA256_DIGITS:
        expected = path.resolve().name
    found = sha256(path)
    if not found.startswith(expected):
        return f"SHA-256 {found[: max(8, len(expected))]} in place of {expected}"
    try:
        load_array_pickle(path) if path.suffix == ".pkl" else load_checkpoint(path)
    except UserError as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


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
        raise UserError(f"{path}: {named(other)} are not tensors; save a state_dict")
    return tensors


def load_into(network: nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Copies tensors into a network's parameters and buffers; `origin` is named in errors.

    Names that a module knows from older versions of itself are taken (its own loading code renames
    them). On an error the network is left half loaded.

    Raises:
        UserError: keys are missing or unknown, or shapes differ; the keys are named.
    """
    problems = []
    try:
        found = network.load_state_dict(tensors, strict=False)
        missing, unknown = found.missing_keys, found.unexpected_keys
    except RuntimeError as error:
        wrong = re.findall(r"size mismatch for ([^\s:]+):", str(error))
        if not wrong:
            raise
        problems.append(f"wrong shape of {named(wrong)}")
        expected = network.state_dict().keys()
        missing, unknown = expected - tensors.keys(), tensors.keys() - expected
    if missing:
        problems.append(f"missing {named(sorted(missing))}")
    if unknown:
        problems.append(f"unknown {named(sorted(unknown))}")
    if problems:
        raise UserError(f"{origin}: not a checkpoint of this network: {'; '.join(problems)}")


class _ArraysOnly(pickle.Unpickler):
    """Reads what NumPy arrays in dictionaries need, and runs nothing else."""

    ALLOWED = {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("collections", "OrderedDict"),
        ("_codecs", "encode"),
    } | {
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("_reconstruct", "scalar")
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_array_pickle(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a pickle of NumPy arrays under "model", as detectron2's zoo has them.

    Raises:
        UserError: missing, truncated, or it holds more than arrays (nothing of it is run).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a checkpoint")
    try:
        with path.open("rb") as stream:
            content = _ArraysOnly(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: damaged or truncated, or it holds more than arrays: refused ({error})"
        ) from error
    except (EOFError, ValueError, OSError, AttributeError, IndexError, KeyError) as error:
        raise UserError(f"{path}: damaged or truncated checkpoint ({error})") from error
    arrays = content.get("model", content) if isinstance(content, dict) else {}
    tensors = {k: torch.from_numpy(v) for k, v in arrays.items() if isinstance(v, np.ndarray)}
    if not tensors:
        raise UserError(f"{path}: holds no arrays by name")
    return tensors


def named(keys: list[str]) -> str:
    """The first keys, and how many more there are."""
    more = len(keys) - LISTED_KEYS
    return ", ".join(keys[:LISTED_KEYS]) + (f" and {more} more" if more > 0 else "")
