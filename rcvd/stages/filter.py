"""filter: depth made consistent over neighbouring frames: z/000000.npy, confidence/000000.npy."""

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.export.cameras import read_cameras
from rcvd.flow.chain import FlowOf, batched, compose, single, stacked
from rcvd.items import array_name, read_array, read_flow
from rcvd.recon.filter import FilterOptions, filter_frame
from rcvd.scene import Scene
from rcvd.stages.saving import frames_to_do, save_array
from rcvd.store import Stage, Workspace
from rcvd.types import Flow

logger = logging.getLogger(__name__)

CACHED_FLOWS = 24  # links that the windows of neighbouring frames share


@dataclass(frozen=True)
class FilterSettings:
    """enabled: False passes the triangulated depth on. confidence_sigma: see
    `FilteredDepth.confidence`.
    """

    enabled: bool = True
    confidence_sigma: float = 0.05
    options: FilterOptions = field(default_factory=FilterOptions)


def chained_window(
    flow_of: FlowOf, frame: int, radius: int, n_frames: int
) -> tuple[Int[Tensor, "k"], Flow]:
    """Neighbours within `radius` frames and the flows chained to them, link by link."""
    neighbours: list[int] = []
    flows: list[Flow] = []
    for step in (-1, 1):
        total: Flow | None = None
        for distance in range(1, radius + 1):
            j = frame + step * distance
            if not 0 <= j < n_frames:
                break
            link = batched(flow_of(j - step, j))
            total = link if total is None else compose(total, link)
            neighbours.append(j)
            flows.append(single(total))
    return torch.tensor(neighbours), stacked(flows)


def run(workspace: Workspace, settings: FilterSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    device = workspace.store.device
    depth_folder, flow_folder = workspace.input("triangulate") / "z", workspace.input("flow")
    trust_folder = workspace.input("triangulate") / "confidence"
    cameras, _ = read_cameras(workspace.input("finetune") / "cameras.npz")

    def load_z(k: int) -> Float[Tensor, "h w"]:
        return torch.from_numpy(read_array(depth_folder / array_name(k))).to(device)

    z_of = lru_cache(workspace.window(2 * settings.options.radius + 2))(load_z)
    flows = lru_cache(workspace.window(CACHED_FLOWS))
    flow_of = flows(lambda i, j: read_flow(flow_folder, i, j).to(device))

    def one(k: int) -> None:
        z = z_of(k)
        confidence = torch.from_numpy(read_array(trust_folder / array_name(k))).to(device)
        if settings.enabled:
            neighbours, flow = chained_window(flow_of, k, settings.options.radius, scene.n_frames)
            around = torch.stack([z_of(int(j)) for j in neighbours])
            result = filter_frame(z, around, k, neighbours, flow, cameras, settings.options)
            z = result.z
            confidence = confidence * result.confidence(settings.confidence_sigma)
        save_array(workspace, f"confidence/{array_name(k)}", confidence)
        save_array(workspace, f"z/{array_name(k)}", z)

    workspace.each(frames_to_do(workspace, scene.n_frames, "z"), "filter", one)
    return {"frames": scene.n_frames, "enabled": settings.enabled}


STAGE = Stage("filter", ("frames", "flow", "finetune", "triangulate"), run, version=3)
