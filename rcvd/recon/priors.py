"""Weak priors of the joint solve."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.free import Free
from rcvd.recon.linear import System
from rcvd.recon.state import State
from rcvd.recon.sums import sum_rows


@dataclass(frozen=True)
class WeakPriors:
    """Standard deviations, of natural logarithms where the unknown is one.

    log_focal: the expected value and sigma_focal how sure. sigma_zoom: second difference of the log
    focal between frames. sigma_k1, sigma_shift: around zero. sigma_path: second difference of the
    camera centres, in units of the scene's median prior depth.
    """

    log_focal: float
    sigma_focal: float
    sigma_zoom: float
    sigma_k1: float
    sigma_shift: float
    sigma_path: float

    def cost(self, state: State, free: Free) -> Float[Tensor, ""]:
        """Squared whitened residuals."""
        cost = _second_difference(state.world_from_cam[:, :3, 3]).square().sum()
        cost = cost / self.sigma_path**2
        if free.focal == "shared":
            cost = cost + ((state.log_focal[0] - self.log_focal) / self.sigma_focal).square()
        if free.focal == "zoom":
            off = (state.log_focal - self.log_focal) / self.sigma_focal
            cost = cost + off.square().mean()
            bend = _second_difference(state.log_focal[:, None])
            cost = cost + bend.square().sum() / self.sigma_zoom**2
        if free.k1:
            cost = cost + (state.k1 / self.sigma_k1).square()
        if free.shift:
            cost = cost + state.shift.square().sum() / self.sigma_shift**2
        return cost

    def add_to(self, system: System, state: State, free: Free) -> System:
        """The system with the priors' rows added."""
        t, b = len(state.log_scale), free.block
        gradient = system.gradient.clone()
        weight = torch.zeros_like(gradient)
        if free.shift:
            shift = torch.arange(t, device=gradient.device) * b + free.scale + 1
            weight[shift] = self.sigma_shift**-2
            gradient[shift] += state.shift * self.sigma_shift**-2
        if free.cameras:
            self._focal(weight, gradient, state, free)
        system = replace(system, hessian=system.hessian.plus_diagonal(weight), gradient=gradient)
        return self._with_bends(system, state, free) if free.cameras and t > 2 else system

    def _focal(self, weight: Tensor, gradient: Tensor, state: State, free: Free) -> None:
        """Adds the priors of focal and distortion, which touch one unknown each."""
        t, b = len(state.log_scale), free.block
        if free.focal == "shared":
            weight[t * b] = self.sigma_focal**-2
            gradient[t * b] += (state.log_focal[0] - self.log_focal) * self.sigma_focal**-2
        if free.zooms:
            own = slice(b - 1, t * b, b)
            weight[own] = self.sigma_focal**-2 / t
            gradient[own] += (state.log_focal - self.log_focal) * self.sigma_focal**-2 / t
        if free.k1:
            weight[-1] = self.sigma_k1**-2
            gradient[-1] += state.k1 * self.sigma_k1**-2

    def _with_bends(self, system: System, state: State, free: Free) -> System:
        """Second differences; a centre moves by R_i times its frame's translation."""
        t, b = len(state.log_scale), free.block
        middle = torch.arange(1, t - 1, device=state.log_scale.device)
        frames = torch.stack([middle - 1, middle, middle + 1], 1)
        factor = state.log_scale.new_tensor([1.0, -2.0, 1.0])
        rows = factor.new_zeros(t - 2, 3 + free.zooms, 3, b)
        turned = state.world_from_cam[frames, :3, :3] * (factor / self.sigma_path)[:, None, None]
        rows[:, :3, :, :3] = turned.transpose(1, 2)
        bend = _second_difference(state.world_from_cam[:, :3, 3]) / self.sigma_path
        if free.zooms:
            rows[:, 3, :, -1] = factor / self.sigma_zoom
            change = _second_difference(state.log_focal[:, None]) / self.sigma_zoom
            bend = torch.cat([bend, change], 1)
        flat = rows.flatten(2)
        local = torch.nn.functional.pad(flat.transpose(1, 2) @ flat, (0, free.shared) * 2)
        pull = (flat.transpose(1, 2) @ bend[..., None]).reshape(-1)
        block = torch.arange(b, device=frames.device)
        index = (frames[..., None] * b + block).reshape(-1)
        return replace(
            system,
            hessian=system.hessian.plus((frames, local)),
            gradient=system.gradient + sum_rows(pull, index, len(system.gradient)),
        )


def _second_difference(values: Float[Tensor, "t n"]) -> Float[Tensor, "r n"]:
    return values[:-2] - 2 * values[1:-1] + values[2:]
