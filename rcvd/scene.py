"""A run folder as Python sees it: what has been computed so far, read item by item."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd import items
from rcvd.errors import UserError
from rcvd.export.cameras import read_cameras
from rcvd.export.depth_images import read_depth
from rcvd.export.ply import read_ply
from rcvd.export.scene_json import read_scene_json
from rcvd.store import MARKER, REPORT, Store, read_json
from rcvd.types import Cameras, Clip, Flow, Instances, PairGraph, PointCloud


@dataclass(frozen=True)
class Scene:
    """A scene made by `rcvd reconstruct`, finished or not. root: its top folder."""

    root: Path

    @classmethod
    def load(cls, root: str | Path) -> "Scene":
        """Raises UserError where the folder is not a scene of ours."""
        root = Path(root)
        if not (root / "run" / MARKER).exists():
            raise UserError(f"{root} is not a scene folder; make one with: rcvd reconstruct")
        return cls(root)

    def folder(self, stage: str) -> Path:
        """The folder of a finished stage.

        Raises:
            UserError: the stage has not finished.
        """
        store = Store(self.root)
        if not store.done(stage):
            raise UserError(
                f"{self.root}: stage '{stage}' has not finished; run rcvd reconstruct on it again"
            )
        return store.folder(stage)

    def _items(self, stage: str) -> Path:
        """The folder of a finished stage that still holds its items.

        Raises:
            UserError: the stage has not finished, or `rcvd clean` removed what it held.
        """
        if Store(self.root).cleaned(stage):
            raise UserError(
                f"{self.root}: rcvd clean removed what stage '{stage}' held; the same "
                f"rcvd reconstruct command with --until {stage} makes it again"
            )
        return self.folder(stage)

    def report(self, stage: str) -> dict[str, Any]:
        """Seconds, memory, device and key numbers of a finished stage."""
        return read_json(self.folder(stage) / REPORT)

    @cached_property
    def clip_info(self) -> dict[str, Any]:
        """times, size, source_size (height, width), source, counts."""
        return read_json(self.folder("frames") / "clip.json")

    @property
    def n_frames(self) -> int:
        return len(self.clip_info["times"])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the working size."""
        h, w = self.clip_info["size"]
        return h, w

    @property
    def source_size(self) -> tuple[int, int]:
        """(height, width) of the video's frames, upright."""
        h, w = self.clip_info["source_size"]
        return h, w

    @property
    def times(self) -> Float[Tensor, "t"]:
        """Seconds from the first frame."""
        return torch.tensor(self.clip_info["times"], dtype=torch.float64)

    def rgb(self, k: int) -> Float[Tensor, "3 h w"]:
        return items.read_rgb(self.folder("frames") / items.frame_name(k))

    def clip(self, start: int = 0, end: int | None = None) -> Clip:
        """Frames start..end-1 in memory."""
        chosen = range(self.n_frames)[start:end]
        return Clip(torch.stack([self.rgb(k) for k in chosen]), self.times[start:end])

    @cached_property
    def pairs(self) -> PairGraph:
        return items.read_pairs(self.folder("flow") / "pairs.txt", self.n_frames)

    def flow(self, i: int, j: int) -> Flow:
        return items.read_flow(self._items("flow"), i, j)

    def moving(self, k: int) -> Bool[Tensor, "h w"]:
        """The newest masks: by what other frames have measured, by the solver's residuals, or the
        first ones.
        """
        if self._moving_measured():
            folder = self.folder("triangulate") / "moving"
            return items.read_mask(folder / items.frame_name(k))
        return self.solved_moving(k) if Store(self.root).done("finetune") else self.first_moving(k)

    def _moving_measured(self) -> bool:
        """Whether `triangulate` has written masks and instances, as its versions from 6 on do."""
        folder = self.folder("triangulate") / "moving"
        return folder.is_dir() and Store(self.root).done("triangulate")

    def solved_moving(self, k: int) -> Bool[Tensor, "h w"]:
        """The masks by the solver's residuals, which its last solve left out."""
        return items.read_mask(self.folder("finetune") / "masks" / items.frame_name(k))

    def first_moving(self, k: int) -> Bool[Tensor, "h w"]:
        """The masks before any camera was known."""
        return items.read_mask(self._items("masks") / items.frame_name(k))

    def instances(self, k: int) -> Instances:
        """Separate things of frame k with masks, boxes, labels, scores, tracks and the verdict
        whether they move: the newest, as in `moving`.

        Without a detector they share out the moving mask by its connected regions.
        """
        solved = "poses" if Store(self.root).done("poses") else "masks"
        stage = "triangulate" if self._moving_measured() else solved
        return items.read_instances(self.folder(stage) / "instances" / items.instances_name(k))

    def prior(self, k: int) -> Float[Tensor, "h w"]:
        """The depth prior's z, up to scale."""
        return torch.from_numpy(items.read_array(self._items("depth") / items.array_name(k)))

    @property
    def cameras(self) -> Cameras:
        """Final cameras at the working size; world = camera of frame 0."""
        self.folder("export")
        return read_cameras(self.root / "cameras.npz")[0]

    def depth(self, k: int) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """Final z (0 = unknown) and confidence, in the unit of `cameras`."""
        self.folder("export")
        return read_depth(self.root / "depth" / f"{k:06d}.npz")

    @property
    def points(self) -> PointCloud:
        """The fused points, in the unit of `cameras`."""
        self.folder("export")
        return read_ply(self.root / "points.ply")

    @property
    def document(self) -> dict[str, Any]:
        """scene.json: conventions, backends, verdict, key figures."""
        self.folder("export")
        return read_scene_json(self.root / "scene.json")
