"""The family of flow backends: one protocol, one table."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import unknown
from rcvd.flow.bundled import BundledFlow
from rcvd.flow.dis import DisFlow
from rcvd.flow.flownet import FlowNetFlow
from rcvd.flow.lucas_kanade import LucasKanadeFlow
from rcvd.flow.raft import raft


@runtime_checkable
class FlowModel(Protocol):
    """Dense displacement from frames i to frames j.

    pairs_at_once: how many pairs a call had best be given.
    """

    pairs_at_once: int

    def __call__(
        self,
        rgb_i: Float[Tensor, "b 3 h w"],
        rgb_j: Float[Tensor, "b 3 h w"],
        initial: Float[Tensor, "b h w 2"] | None = None,
    ) -> Float[Tensor, "b h w 2"]:
        """(x, y) displacement in pixels of the given size, on the device of the frames.

        rgb: in [0, 1], RGB order. initial: a start for the search, where one is known.
        """
        ...


# name -> constructor from a device and a path to weights (None: the model's own, or none needed)
FLOW_MODELS: dict[str, Callable[[torch.device, Path | None], FlowModel]] = {
    "dis": DisFlow,
    "bundled": BundledFlow,
    "lucas_kanade": LucasKanadeFlow,
    "raft_small": raft("raft_small"),
    "raft_large": raft("raft_large"),
    "flownet": FlowNetFlow,
}


AUTO = "auto"


def auto_flow(device: torch.device) -> tuple[str, str]:
    """The backend that `auto` stands for on a device, and why.

    The bundled network costs a GPU milliseconds a pair, but a CPU twenty times what DIS does.
    """
    if device.type == "cuda":
        return "bundled", "a GPU"
    return "dis", "no GPU"


def load_flow(name: str, device: torch.device, weights: Path | None = None) -> FlowModel:
    """The flow backend of that name.

    Raises:
        UserError: no such backend, or its weights or its package are not there.
    """
    if name not in FLOW_MODELS:
        raise unknown("flow model", name, FLOW_MODELS)
    return FLOW_MODELS[name](device, weights)
