"""A second start: the clip put together anew from its longest part that hangs together.

Around a joint that hardly holds frames are placed one by one on the points of those placed before,
and their own points are triangulated before the next one: by then depths are measured, where the
first start had the prior only. A whole span beside the joint may have been wrong: at a wrong scale,
or inside out, as a plane that is seen from afar looks almost the same (Longuet-Higgins 1986).
"""

import logging
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Bool
from torch import Tensor

from rcvd.geometry.pose import invert, rigid
from rcvd.recon.joints import REACH, broken_links, holding, runs, weak_joints
from rcvd.recon.keyframes import of_frames, state_of_frames
from rcvd.recon.placing import place
from rcvd.recon.schedule import NO_GRID, Setting, settle
from rcvd.recon.state import State

NEAR = 16  # frames apart, up to which placed frames place another

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restart:
    """The state with the frames around weak joints placed anew, and the first frames of these."""

    state: State
    links: list[int]


def restart(setting: Setting, state: State) -> Restart:
    """The clip grown anew from its longest part between joints; frames far from any move along."""
    data = setting.problem(NO_GRID, setting.free()).data
    held = holding(data, state)
    weak = weak_joints(data, held)
    weak[broken_links(data, held)] = True
    if not bool(weak.any()):
        return Restart(state, [])
    t = len(weak)
    cuts = [0, *weak.nonzero()[:, 0].tolist(), t]
    begin, end = max(pairwise(cuts), key=lambda part: part[1] - part[0])
    anew = torch.zeros_like(weak)
    for k in cuts[1:-1]:
        anew[max(0, k - REACH) : k + REACH] = True
    inner = [k for k in range(begin, end) if not bool(anew[k])]
    if inner:
        begin, end = inner[0], inner[-1] + 1
    growth = _Growth(setting, state, anew)
    growth.placed[begin:end] = True
    for k in range(end, t):
        growth.add(k, k - 1)
    for k in reversed(range(begin)):
        growth.add(k, k + 1)
    links = runs(weak)
    log.info("restart: the steps to frames %s were made anew", links)
    return Restart(growth.state, links)


class _Growth:
    """A state while its frames are placed one after the other."""

    def __init__(self, setting: Setting, state: State, anew: Bool[Tensor, "t"]) -> None:
        self.setting, self.old, self.anew = setting, state, anew
        self.data = setting.problem(NO_GRID, setting.free()).data
        self.apart = (self.data.i - self.data.j).abs()
        self.placed = torch.zeros_like(anew)
        own = ("world_from_cam", "log_scale", "log_z")
        self.state = replace(state, **{name: getattr(state, name).clone() for name in own})

    def add(self, k: int, beside: int) -> None:
        """Place frame k: along with a placed neighbour, and then by the points of all near ones."""
        state, old = self.state, self.old
        growth = state.log_scale[beside] - old.log_scale[beside]
        step = invert(old.world_from_cam[beside]) @ old.world_from_cam[k]
        moved = rigid(step[:3, :3], step[:3, 3] * growth.exp())
        state.world_from_cam[k] = state.world_from_cam[beside] @ moved
        state.log_scale[k] = old.log_scale[k] + growth
        state.log_z[k] = old.log_z[k] + growth
        if bool(self.anew[k]):
            self._resect(k)
            self._triangulate(k)
        self.placed[k] = True

    def _resect(self, k: int) -> None:
        """The pose and scale of frame k by points of placed frames, its own points at the prior."""
        near = (self.data.j == k) & self.placed[self.data.i] & (self.apart <= NEAR)
        lens, options = self.setting.lens, self.setting.options.initial
        found = place(self.data, self.state, k, near, lens, options)
        if found is not None:
            self.state.world_from_cam[k] = found[0]
            self.state.log_scale[k] += found[1]
            self.state.log_z[k] = self.data.log_z_i[k] + self.state.log_scale[k]

    def _triangulate(self, k: int) -> None:
        """The points of the new frames near k, by the frames placed so far and k itself."""
        window = torch.arange(len(self.placed), device=self.placed.device)
        window = window[(self.placed | (window == k)) & ((window - k).abs() <= NEAR)]
        part = replace(of_frames(self.setting, window), levels=[])
        settled = settle(part, state_of_frames(self.state, window), self.setting.options.sigma_uv)
        new = self.anew[window]
        self.state.log_z[window[new]] = settled.log_z[new]
        self.state.log_scale[window[new]] = settled.log_scale[new]
