"""One channel of a scan-line OpenEXR picture: no, ZIPS or ZIP compression, half or float.

OpenCV's wheels are built without OpenEXR, and ViPE stores depth in this form only. Layout: OpenEXR
file layout, version 2; ZIP data are deflated differences of bytes split into even and odd ones.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from rcvd.errors import UserError

MAGIC = b"\x76\x2f\x31\x01"
PIXEL_TYPES = (np.dtype("<u4"), np.dtype("<f2"), np.dtype("<f4"))  # by OpenEXR's number
LINES_PER_BLOCK = {0: 1, 2: 1, 3: 16}  # by compression: none, ZIPS, ZIP
UNSUPPORTED_FLAGS = 0x1A00  # tiles, deep data, several parts


@dataclass(frozen=True)
class Header:
    """channels: (name, type) in file order. start: where the offset table begins."""

    channels: tuple[tuple[str, np.dtype], ...]
    compression: int
    height: int
    width: int
    top: int
    start: int


def decode_exr(content: bytes, where: str, channel: str) -> np.ndarray:
    """The channel (or the only one, whatever its name) as h x w.

    Raises:
        UserError: not OpenEXR, of an unsupported kind, damaged, or without the channel.
    """
    try:
        header = _header(content)
        names = [name for name, _ in header.channels]
        if channel not in names and len(names) != 1:
            raise UserError(f"{where}: no channel {channel} among {', '.join(names)}")
        return _pixels(content, header, names.index(channel) if channel in names else 0)
    except (struct.error, ValueError, KeyError, IndexError, zlib.error) as error:
        raise UserError(f"{where}: not an OpenEXR file of a supported kind ({error})") from error


def _header(content: bytes) -> Header:
    (version,) = struct.unpack_from("<I", content, 4)
    if content[:4] != MAGIC or version & UNSUPPORTED_FLAGS:
        raise ValueError("tiled, deep, multi-part or not OpenEXR")
    fields: dict[str, bytes] = {}
    at = 8
    while content[at]:
        name, at = _text(content, at)
        _, at = _text(content, at)
        (size,) = struct.unpack_from("<i", content, at)
        fields[name] = content[at + 4 : at + 4 + size]
        at += 4 + size
    left, top, right, bottom = struct.unpack("<4i", fields["dataWindow"])
    compression = fields["compression"][0]
    if compression not in LINES_PER_BLOCK:
        raise ValueError(f"compression {compression}")
    channels = _channels(fields["channels"])
    return Header(channels, compression, bottom - top + 1, right - left + 1, top, at + 1)


def _text(content: bytes, at: int) -> tuple[str, int]:
    end = content.index(b"\0", at)
    return content[at:end].decode(), end + 1


def _channels(listing: bytes) -> tuple[tuple[str, np.dtype], ...]:
    found, at = [], 0
    while listing[at]:
        name, at = _text(listing, at)
        kind, _, x_step, y_step = struct.unpack_from("<iIii", listing, at)
        if (x_step, y_step) != (1, 1):
            raise ValueError("subsampled channels")
        found.append((name, PIXEL_TYPES[kind]))
        at += 16
    return tuple(found)


def _pixels(content: bytes, header: Header, index: int) -> np.ndarray:
    per_block = LINES_PER_BLOCK[header.compression]
    blocks = -(-header.height // per_block)
    offsets = struct.unpack_from(f"<{blocks}Q", content, header.start)
    before = sum(kind.itemsize for _, kind in header.channels[:index]) * header.width
    line_bytes = sum(kind.itemsize for _, kind in header.channels) * header.width
    kind = header.channels[index][1]
    out = np.empty((header.height, header.width), kind)
    for offset in offsets:
        y, size = struct.unpack_from("<ii", content, offset)
        row = y - header.top
        lines = min(per_block, header.height - row)
        data = content[offset + 8 : offset + 8 + size]
        if header.compression and size < lines * line_bytes:  # stored raw where it does not shrink
            data = _unzip(data)
        table = np.frombuffer(data, np.uint8).reshape(lines, line_bytes)
        part = table[:, before : before + kind.itemsize * header.width]
        out[row : row + lines] = np.ascontiguousarray(part).view(kind)
    return out


def _unzip(data: bytes) -> bytes:
    """Undoes ZIP: inflate, sum up the byte differences, weave the two halves."""
    raw = np.frombuffer(zlib.decompress(data), np.uint8)
    steps = raw.astype(np.int64)
    steps[1:] -= 128
    summed = np.cumsum(steps).astype(np.uint8)
    half = (len(summed) + 1) // 2
    woven = np.empty_like(summed)
    woven[::2], woven[1::2] = summed[:half], summed[half:]
    return woven.tobytes()
