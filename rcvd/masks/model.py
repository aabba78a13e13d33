"""The family of mask backends: one protocol, one table."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from rcvd.errors import UserError
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
        close = get_close_matches(name, MASK_MODELS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose one of {', '.join(MASK_MODELS)}"
        raise UserError(f"mask model '{name}': no such backend; {hint}")
    return MASK_MODELS[name]()
