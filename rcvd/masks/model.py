"""The family of mask backends: one protocol, one table."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from rcvd.errors import unknown
from rcvd.flow.chain import FlowOf
from rcvd.masks.evidence import FrameOf
from rcvd.masks.motion import MotionMasks
from rcvd.masks.none import NoMasks
from rcvd.types import Masks, PairGraph


@runtime_checkable
class MaskModel(Protocol):
    """Which pixels of each frame show a surface that moves in the world.

    That is the one meaning of the family: a backend that finds instances by their looks has to ask
    the flow whether they move (`MotionMasks.log_odds`) before it answers.
    """

    def __call__(self, frame_of: FrameOf, flow_of: FlowOf, graph: PairGraph) -> Masks:
        """Masks of all frames.

        frame_of, flow_of: read one frame or one directed pair of `graph`, each more than once, so
        that memory does not grow with the clip.
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
