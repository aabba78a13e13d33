"""A second start where the first one has left a joint that hardly holds, and which one is taken.

Two halves of a clip, each right by itself, may have been joined at a wrong scale, or a span may
have come out inside out; few matches cross the joint, so the clip's cost hardly tells and no step
leads out. The matches across it do.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.geometry.align import umeyama
from rcvd.recon.levenberg import total_cost
from rcvd.recon.restart import restart
from rcvd.recon.schedule import NO_GRID, Setting, camera_noise, settle
from rcvd.recon.state import State
from rcvd.recon.vote import static_points

MARGIN = 0.05  # of the cost, below which it does not decide between two starts
DIFFERENT = 0.01  # of the path: two starts farther apart tell different things

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """Cameras on thinned points. few: setting of those that stand still, which static names."""

    few: Setting
    state: State
    static: Bool[Tensor, "t s"]


@dataclass(frozen=True)
class Rival:
    """The start that was not taken. links: that were made anew; taken: whether with them.

    cost: of the rival, in units of the taken one's, over all points that stand still by either.
    apart: RMS distance of the two paths after Sim(3), as a share of the path.
    """

    links: list[int]
    taken: bool
    cost: float
    apart: float

    @property
    def undecided(self) -> bool:
        """Whether the cost hardly tells two paths apart that differ."""
        return self.cost < 1 + MARGIN and self.apart > DIFFERENT


def voted(
    setting: Setting, state: State, static: Bool[Tensor, "t s"], sigma_uv: float
) -> tuple[State, Bool[Tensor, "t s"]]:
    """Depths of all points for these cameras, and which points then stand still."""
    state = settle(setting, state, sigma_uv)
    data = setting.problem(NO_GRID, setting.free()).data
    return state, static_points(data, state, static)


def better_start(
    whole: Setting, first: Start, solve: Callable[[Setting, State, str], State]
) -> tuple[Start, Rival | None]:
    """The first start, or one with the joints that hardly hold made anew where that costs less.

    whole: the thinned points, moving ones too, which a wrong start may have mistaken. solve: the
    cameras on some of them, by name.
    """
    options = whole.options
    again = restart(first.few, first.state)
    if not again.links:
        return first, None
    state, static = voted(whole, again.state, first.static, options.sigma_uv)
    few = whole.keeping(static)
    second = Start(few, solve(few, state, "cameras, restarted"), static)
    judges = whole.keeping(first.static | second.static)
    costs = [_cost(judges, start.state) for start in (first, second)]
    taken = costs[1] < costs[0]
    rival = Rival(again.links, taken, max(costs) / min(costs), _apart(first.state, second.state))
    log.info("second start: %s", rival)
    return (second if taken else first), rival


def _cost(setting: Setting, state: State) -> float:
    """The robust cost of held cameras over all matches, every point at its best depth."""
    options = setting.options
    state = settle(setting, state, options.sigma_uv)
    noise = camera_noise(setting.matches, options, options.width_uv[1], options.sigma_uv)
    return float(total_cost(setting.problem(NO_GRID, setting.free(cameras=False)), state, noise))


def _apart(one: State, two: State) -> float:
    there: Float[Tensor, "t 3"] = one.world_from_cam[:, :3, 3]
    here = two.world_from_cam[:, :3, 3]
    scale, rotation, translation = umeyama(here, there)
    off = (scale * here @ rotation.T + translation - there).square().sum(1).mean().sqrt()
    return float(off / there.diff(dim=0).norm(dim=1).sum().clamp(min=1e-12))
