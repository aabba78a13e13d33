"""The focal length a recording says it was made with: QuickTime items of a video, EXIF of images.

Phones write the focal length that a 36 x 24 mm camera would need. For video it is told across the
36 mm of the picture's width (an iPhone's 26 mm camera says 27 in a 16:9 video, which is its width's
figure, not its diagonal's); for photographs across the diagonal (CIPA DC-008). Stabilisation crops
what it likes, so both are a strong hint, not a calibration.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EQUIVALENT = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
FILM = (36.0, 24.0)  # millimetres
LARGEST_HEADER = 1 << 28  # bytes of a moov box that are still read
VIDEO_SIGMA, PHOTO_SIGMA = 0.12, 0.05  # of the focal's logarithm
CONTAINERS = (b"moov", b"trak", b"udta")
EXIF, FOCAL, EQUIVALENT_TAG = 0x8769, 0x920A, 0xA405
SIDE_TAGS, RESOLUTION, UNIT = (0xA002, 0xA003), 0xA20E, 0xA210
MILLIMETRES = {2: 25.4, 3: 10.0}  # of EXIF's resolution units: inch, centimetre


@dataclass(frozen=True)
class FocalHint:
    """pixels: focal length for pictures of the file's own size. sigma: of its logarithm."""

    pixels: float
    sigma: float
    source: str


def video_focal_hint(path: Path, size: tuple[int, int]) -> FocalHint | None:
    """What a video says of its focal length, for frames of (height, width); None if nothing."""
    equivalent = quicktime_items(path).get(EQUIVALENT)
    found = re.match(r"\s*([0-9.]+)", equivalent) if equivalent else None
    if found is None or not 1 < float(found[1]) < 2000:
        return None
    millimetres = float(found[1])
    pixels = millimetres * max(size) / FILM[0]
    return FocalHint(pixels, VIDEO_SIGMA, f"QuickTime: {millimetres:g} mm equivalent")


def photo_focal_hint(path: Path, size: tuple[int, int]) -> FocalHint | None:
    """The same of a photograph's EXIF data: the sensor's own resolution before the equivalent."""
    from PIL import Image

    with Image.open(path) as image:
        exif = image.getexif().get_ifd(EXIF)
    focal, resolution = float(exif.get(FOCAL, 0)), float(exif.get(RESOLUTION, 0))
    unit = MILLIMETRES.get(exif.get(UNIT, 2))
    side = max(int(exif.get(tag, 0)) for tag in SIDE_TAGS)
    if focal > 0 and resolution > 0 and unit is not None and side > 0:
        pixels = focal * resolution / unit * max(size) / side
        return FocalHint(pixels, PHOTO_SIGMA, f"EXIF: {focal:g} mm and the sensor's resolution")
    equivalent = float(exif.get(EQUIVALENT_TAG, 0))
    if not 1 < equivalent < 2000:
        return None
    diagonal = (size[0] ** 2 + size[1] ** 2) ** 0.5
    pixels = equivalent * diagonal / (FILM[0] ** 2 + FILM[1] ** 2) ** 0.5
    return FocalHint(pixels, PHOTO_SIGMA, f"EXIF: {equivalent:g} mm equivalent")


def quicktime_items(path: Path) -> dict[str, str]:
    """Metadata items (mdta keys) of the file and of its tracks; empty where there are none.

    FFmpeg shows only those of the file; phones store what belongs to the lens with the track.
    """
    return {name: value for box in _movie_headers(path) for name, value in _items(box)}


def _movie_headers(path: Path) -> Iterator[bytes]:
    """The moov boxes of a file of QuickTime's family."""
    end = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= end:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            head = 8
            if size == 1:
                size, head = struct.unpack(">Q", file.read(8))[0], 16
            size = size or end - at
            if size < head or not kind.isascii():
                return
            if kind == b"moov" and size < LARGEST_HEADER:
                yield file.read(size - head)
            at += size


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        size = size or len(data) - at
        if size < 8:
            return
        yield kind, data[at + 8 : at + size]
        at += size


def _items(data: bytes) -> Iterator[tuple[str, str]]:
    for kind, inner in _boxes(data):
        if kind in CONTAINERS:
            yield from _items(inner)
        elif kind == b"meta":
            # QuickTime's box holds boxes at once, ISO's has four bytes of version before them
            parts = dict(_boxes(inner if inner[4:8] == b"hdlr" else inner[4:]))
            if b"keys" in parts and b"ilst" in parts:
                yield from _keyed(parts[b"keys"], parts[b"ilst"])


def _keyed(keys: bytes, values: bytes) -> Iterator[tuple[str, str]]:
    names = [name.decode(errors="replace") for _, name in _boxes(keys[8:])]
    for number, item in _boxes(values):
        index = int.from_bytes(number, "big") - 1
        for kind, data in _boxes(item):
            if kind == b"data" and 0 <= index < len(names) and len(data) >= 8:
                yield names[index], _value(int.from_bytes(data[:4], "big"), data[8:])


def _value(kind: int, data: bytes) -> str:
    """By the well-known types of QuickTime's metadata: numbers are big-endian."""
    if kind in (21, 65, 66, 67, 74):
        return str(int.from_bytes(data, "big", signed=True))
    if kind in (22, 75, 76, 77, 78):
        return str(int.from_bytes(data, "big"))
    if kind in (23, 24) and len(data) == 4 * (kind - 22):
        return str(struct.unpack(">f" if kind == 23 else ">d", data)[0])
    return data.decode(errors="replace")
