"""Lists of labelled videos as data sets publish them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rcvd.errors import UserError

Kind = Literal["folder", "ucf101", "kinetics"]
UCF101_DAMAGED = ("v_Surfing_g07_c02.avi", "v_Surfing_g02_c03.avi")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")


@dataclass(frozen=True)
class LabelledVideo:
    """start, end: seconds of the part that counts; end None: to the end."""

    path: Path
    label: int
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class VideoList:
    """Videos and the names of their labels."""

    videos: tuple[LabelledVideo, ...]
    names: tuple[str, ...]


def folder_per_class(root: Path) -> VideoList:
    """root/CLASS/VIDEO; classes in alphabetical order; a video may be a folder of images.

    Raises:
        UserError: no class folder holds a video.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; it must hold one folder a class")
    names = tuple(sorted(path.name for path in root.iterdir() if path.is_dir()))
    videos = [
        LabelledVideo(path, label)
        for label, name in enumerate(names)
        for path in sorted((root / name).iterdir())
        if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES
    ]
    if not videos:
        raise UserError(f"{root}: no videos in its class folders ({', '.join(VIDEO_SUFFIXES)})")
    return VideoList(tuple(videos), names)


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return [line.split() for line in path.read_text().splitlines() if line.strip()]


def ucf101_split(root: Path, classes: Path, split: Path, skip: Sequence[str] = ()) -> VideoList:
    """UCF-101: classInd.txt and a trainlist or testlist; labels are counted from 0.

    A test list names the class by its folder only. skip: file names to leave out.

    Raises:
        UserError: a file is missing, or a class is not in classInd.txt.
    """
    index = {name: int(number) - 1 for number, name in _lines(classes)}
    videos = []
    for words in _lines(split):
        path = Path(words[0])
        if path.name in skip:
            continue
        if path.parts[0] not in index:
            raise UserError(f"{split}: class {path.parts[0]} is not in {classes}")
        videos.append(LabelledVideo(root / path, index[path.parts[0]]))
    return VideoList(tuple(videos), tuple(sorted(index, key=index.__getitem__)))


def kinetics_csv(root: Path, table: Path, names: Sequence[str] = ()) -> VideoList:
    """Kinetics: label,youtube_id,time_start,time_end,split; files ID_START_END.mp4 under
    root/LABEL/ or root/.

    Videos that are not there are left out, as many have vanished. names: of the labels, in the
    order of a training list; empty: those of this table, sorted.

    Raises:
        UserError: the table is missing or has other columns or classes, or none of its videos is
            there.
    """
    if not table.is_file():
        raise UserError(f"{table}: no such file")
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    needed = {"label", "youtube_id", "time_start", "time_end"}
    if not rows or not needed <= rows[0].keys():
        raise UserError(f"{table}: needs the columns {', '.join(sorted(needed))}")
    names = tuple(names) or tuple(sorted({row["label"] for row in rows}))
    if unknown := sorted({row["label"] for row in rows} - set(names)):
        raise UserError(f"{table}: class {unknown[0]} is not in the training list")
    videos = []
    for row in rows:
        start, end = int(float(row["time_start"])), int(float(row["time_end"]))
        file = f"{row['youtube_id']}_{start:06d}_{end:06d}.mp4"
        found = [path for path in (root / row["label"] / file, root / file) if path.is_file()]
        videos += [LabelledVideo(path, names.index(row["label"])) for path in found[:1]]
    if not videos:
        raise UserError(f"{root}: none of the {len(rows)} videos of {table.name} is there")
    return VideoList(tuple(videos), names)


def read_list(kind: Kind, root: Path, table: Path | None, names: Sequence[str] = ()) -> VideoList:
    """A labelled list of any kind. table: UCF-101's split (classInd.txt beside it), Kinetics' csv.

    Raises:
        UserError: the list is missing or broken.
    """
    if kind == "folder":
        return folder_per_class(root)
    if table is None:
        raise UserError(f"{kind}: name its list file as well as the folder of its videos")
    if kind == "ucf101":
        return ucf101_split(root, table.parent / "classInd.txt", table, UCF101_DAMAGED)
    return kinetics_csv(root, table, names)
