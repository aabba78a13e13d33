"""What the passes of `triangulate` read: inputs of the stage, and what earlier passes wrote."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.flow.chain import stacked
from rcvd.items import array_name, frame_name, read_array, read_flow, read_mask
from rcvd.recon.complete import UNMEASURED
from rcvd.recon.refine import frames_by_parallax
from rcvd.scene import Scene
from rcvd.store import Workspace
from rcvd.types import Cameras, Flow


@dataclass(frozen=True)
class DepthClip:
    """The clip of one run of `triangulate`, read frame by frame, on the device."""

    workspace: Workspace
    scene: Scene
    cameras: Cameras

    @property
    def device(self) -> torch.device:
        return torch.device(self.workspace.store.device)

    def rgb(self, k: int) -> Float[Tensor, "3 h w"]:
        return self.scene.rgb(k).to(self.device)

    def prior(self, k: int) -> Float[Tensor, "h w"]:
        """Deformed prior; where it is unknown (files from elsewhere), its median."""
        z = self._array(self.workspace.input("finetune") / "z", k)
        return torch.where(z > 0, z, z[z > 0].median())

    def moving(self, k: int) -> Tensor:
        folder = self.workspace.input("finetune") / "masks"
        return read_mask(folder / frame_name(k)).to(self.device)

    def measured(self, k: int) -> Float[Tensor, "h w"]:
        return self._array(self.workspace.folder / "measured", k)

    def completed(self, k: int) -> Float[Tensor, "h w"]:
        return self._array(self.workspace.folder / "completed", k)

    def one_flow(self, i: int, j: int) -> Flow:
        return read_flow(self.workspace.input("flow"), i, j).to(self.device)

    def static_measured(self, k: int) -> Float[Tensor, "h w"]:
        """Measured z, 0 where pixels move."""
        return torch.where(self.static(k), self.measured(k).exp(), 0.0)

    def static(self, k: int) -> Bool[Tensor, "h w"]:
        """Outside the moving mask, or static after all by its flows."""
        folder = self.workspace.folder / "static"
        return read_mask(folder / frame_name(k)).to(self.device)

    def confirmed(self, k: int) -> Float[Tensor, "h w"]:
        """Completed z where other frames confirm it, 0 elsewhere."""
        confidence = self._array(self.workspace.folder / "confidence", k)
        return torch.where(confidence > UNMEASURED, self.completed(k), 0.0)

    def known(self, k: int) -> Float[Tensor, "h w"]:
        """Completed z, and what was borrowed of other frames in its place."""
        borrowed = self.borrowed(k)
        return torch.where(borrowed > 0, borrowed, self.completed(k))

    def borrowed(self, k: int) -> Float[Tensor, "h w"]:
        """z of what only other frames have measured, 0 elsewhere."""
        return self._array(self.workspace.folder / "borrowed", k)

    def hidden(self, k: int) -> Float[Tensor, "h w"]:
        """z of the static surface behind what a pixel shows, by other frames; 0 if unknown."""
        return self._array(self.workspace.folder / "hidden", k)

    def mover(self, k: int) -> Bool[Tensor, "h w"]:
        """The moving pixels, see `mover_pixels`."""
        return read_mask(self.workspace.folder / "moving" / frame_name(k)).to(self.device)

    def flow(self, k: int, targets: list[int]) -> Flow:
        flow = stacked([read_flow(self.workspace.input("flow"), k, j) for j in targets])
        return flow.to(self.device)

    def around(self, k: int, log_z: Tensor, parallax: tuple[float, ...]) -> Int[Tensor, "k"]:
        """Frames from which the things of frame k are seen displaced about that much."""
        depth = float(log_z.median().exp())
        return frames_by_parallax(k, depth, self.cameras, parallax).to(self.device)

    def _array(self, folder: Path, k: int) -> Tensor:
        return torch.from_numpy(read_array(folder / array_name(k))).to(self.device)
