"""The family of mask backends: one protocol, one table."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import unknown
from rcvd.flow.chain import FlowOf
from rcvd.masks.evidence import FrameOf
from rcvd.masks.motion import MotionMasks
from rcvd.masks.none import NoMasks
from rcvd.masks.verify import FoundOf
from rcvd.types import Instances, PairGraph


@runtime_checkable
class MaskModel(Protocol):
    """Which pixels of each frame show a surface that moves in the world, and which things.

    That is the one meaning of the family: what a backend finds by its looks is asked by the flow
    whether it moves (`rcvd.masks.verify`). looks: `detect` runs a network on the frame.
    """

    looks: bool

    def detect(self, rgb: Float[Tensor, "3 h w"]) -> Instances:
        """What one frame (RGB in [0, 1]) shows by its looks, without verdict and tracks; none for
        a backend that does not look.
        """
        ...

    def __call__(
        self, frame_of: FrameOf, flow_of: FlowOf, graph: PairGraph, found_of: FoundOf
    ) -> Iterator[tuple[Bool[Tensor, "h w"], Instances]]:
        """Moving pixels and instances of each frame in turn.

        frame_of, flow_of: read one frame or one directed pair of `graph`, found_of: what `detect`
        found in a frame; each is called more than once, so that memory does not grow with the clip.
        """
        ...


MASK_MODELS: dict[str, Callable[[], MaskModel]] = {
    "motion": MotionMasks,
    "none": NoMasks,
}


def load_masks(name: str) -> MaskModel:
    """The mask backend of that name.

    Raises:
        UserError: no such backend.
    """
    if name not in MASK_MODELS:
        raise unknown("mask model", name, MASK_MODELS)
    return MASK_MODELS[name]()
