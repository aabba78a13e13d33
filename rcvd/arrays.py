"""NumPy files from anywhere: nothing in them is executed, and no header is believed.

A .npy whose header claims more than the file holds, or an .npz that would unpack to far more than a
file of its size can mean, is refused before any memory is taken.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rcvd.errors import UserError

UNPACKED_LIMIT = 2**30  # bytes an archive of any size may unpack to
UNPACKED_SHARE = 20  # and so many times its own size; depth packs to a third at best


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file.

    Raises:
        UserError: missing, damaged, truncated, or holding Python objects.
    """
    try:
        with path.open("rb") as stream:
            shape, dtype = _header(stream)
            held = path.stat().st_size - stream.tell()
            if math.prod(shape) * dtype.itemsize > held:
                raise ValueError("it ends too early")
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged or no .npy array ({_line(error)})") from error


def read_npz(
    path: Path, names: Sequence[str] | None = None, limit: int = UNPACKED_LIMIT
) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name: all, or only `names`.

    Raises:
        UserError: missing, damaged, holding Python objects, without one of `names`, or a
            zip bomb: it would unpack to more than `limit` bytes and 20 times its size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if lacking := sorted(set(names or ()) - members.keys()):
                raise ValueError(f"it lacks {', '.join(lacking)}")
            wanted = {name: members[name] for name in names or members}
            most = max(limit, UNPACKED_SHARE * path.stat().st_size)
            if sum(member.file_size for member in wanted.values()) > most:
                raise ValueError(f"it would unpack to more than {most} bytes")
            return {name: _member(archive, member) for name, member in wanted.items()}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (
        OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile,
        zlib.error,
    ) as error:  # fmt: skip
        raise UserError(f"{path} is damaged or no .npz of arrays ({_line(error)})") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    stream = io.BytesIO(archive.read(member))
    shape, dtype = _header(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} ends too early")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _header(stream: io.BufferedIOBase) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array that follows."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version} of the .npy format is not known")
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, dtype


def _line(error: Exception) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
