#!/usr/bin/env python3
"""Training clips a second from every source, in one run: a Markdown table.

tools/bench io [--videos 12] [--frames 48] [--side 128] [--seconds 5] [--workers 0,2]

The same videos as mp4, as folders of PNG, packed as JPEG and as bytes, and as tensors in memory;
clips are 16 frames of 112x112, cropped anew each time.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from rcvd.items import write_png
from rcvd.recognition.data.frame_store import FrameStore, pack
from rcvd.recognition.data.loader import Loader, Samples
from rcvd.recognition.data.readers import read_list
from rcvd.recognition.data.sampling import ClipShape, random_clip
from rcvd.recognition.data.sets import StoredClips, VideoClips, read_video, to_clip
from rcvd.recognition.data.transforms import Augmentation, Sample, augment
from rcvd.recognition.packing import packed_videos, write_motionworld
from rcvd.recognition.recipe import loading_rate

SHAPE, SIDE, BATCH = ClipShape(16), 112, 8
CHANGES = Augmentation(SIDE, (SIDE, SIDE * 5 // 4), flip=False)


@dataclass(frozen=True)
class DecodedClips:
    """Whole videos in memory, cut as those on disk are."""

    videos: list[torch.Tensor]  # each 3 t h w

    def __len__(self) -> int:
        return len(self.videos)

    def sample(self, index: int, generator: torch.Generator) -> Sample:
        video = self.videos[index]
        chosen = random_clip(video.shape[1], SHAPE, generator)
        return augment(Sample(video[:, chosen], None, 0), CHANGES, generator)


def write_pictures(out: Path, videos: list[Path]) -> None:
    """Each video as a folder of PNG, in a folder of its class."""
    for path in videos:
        folder = out / path.parent.name / path.stem
        folder.mkdir(parents=True)
        for k, rgb in enumerate(read_video(path)):
            write_png(folder / f"{k:06d}.png", rgb)


def sources(
    folder: Path, videos: int, frames: int, side: int
) -> Iterator[tuple[str, Path | None, Samples]]:
    """Name, place on disk and set of each source."""
    clips = folder / "mp4"
    write_motionworld(clips, "dir8", videos, frames, side, 0)
    for path in clips.glob("*/*.npz"):  # the truth, which is not read here
        path.unlink()
    listed = read_list("folder", clips, None)
    yield "mp4 files", clips, VideoClips(listed, SHAPE, CHANGES)
    write_pictures(folder / "png", [video.path for video in listed.videos])
    pictures = read_list("folder", folder / "png", None)
    yield "folders of PNG", folder / "png", VideoClips(pictures, SHAPE, CHANGES)
    for name, quality in (("store, JPEG 95", 95), ("store, raw", None)):
        path = folder / f"{name}.h5"
        pack(path, packed_videos(listed, side, "plain"), quality)
        yield name, path, StoredClips(FrameStore(path), SHAPE, CHANGES)
    decoded = [to_clip(read_video(video.path)) for video in listed.videos]
    yield "memory", None, DecodedClips(decoded)


def megabytes(path: Path | None) -> str:
    if path is None:
        return "-"
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", default="0,2")
    o = parser.parse_args()
    workers = [int(n) for n in o.workers.split(",")]
    print("| source | MB | " + " | ".join(f"clips/s, {n} workers" for n in workers) + " |")
    print("|---" * (2 + len(workers)) + "|")
    with tempfile.TemporaryDirectory() as name:
        for source, path, samples in sources(Path(name), o.videos, o.frames, o.side):
            loaders = [Loader(samples, BATCH, workers=n) for n in workers]
            rates = " | ".join(f"{loading_rate(one, o.seconds)[1]:.1f}" for one in loaders)
            print(f"| {source} | {megabytes(path)} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
