"""Where the published weights lie on this machine, and their download."""

from pathlib import Path
from urllib.error import URLError

import torch

from rcvd.checkpoint_table import CHECKPOINTS, Checkpoint
from rcvd.errors import UserError, unknown

ASSETS = Path(__file__).parent / "assets"


def find(name: str) -> Checkpoint:
    """The checkpoint of that name. Raises UserError where there is none."""
    if name not in CHECKPOINTS:
        raise unknown("checkpoint", name, CHECKPOINTS)
    return CHECKPOINTS[name]


def place(name: str) -> Path:
    """Where a bundled or downloaded file lies, or would: torch's hub folder, as torchvision has it.

    Raises:
        UserError: the weights are in the hub's own cache; see `hub_files`.
    """
    entry = find(name)
    if entry.file:
        return ASSETS / entry.file
    if not entry.url:
        raise UserError(f"{name}: kept by the Hugging Face hub under the name {entry.source}")
    return Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[1]


def hub_files(entry: Checkpoint) -> list[Path]:
    """The weight files of a hub model in the hub's cache; none where it was never downloaded."""
    from rcvd.hub import cached_weights

    return cached_weights(entry.hub)


def files(name: str) -> list[Path]:
    """The checkpoint's files on this machine; none where it has to be downloaded."""
    entry = find(name)
    if entry.hub:
        return hub_files(entry)
    path = place(name)
    return [path] if path.is_file() else []


def fetched(name: str, setting: str) -> Path:
    """The checkpoint's file, downloaded into torch's hub folder if it is not there.

    setting: the user's way to name a file of theirs, for the error.

    Raises:
        UserError: no network, or what arrived is not the published file.
    """
    entry, path = find(name), place(name)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(entry.url, str(path), entry.sha256, progress=True)
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{name}: cannot download {entry.url} ({reason}); get it on another machine and put it "
            f"at {path}, or name your file with {setting}"
        ) from error
    return path
