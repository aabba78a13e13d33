"""Weak priors of the joint solve, and the gauge."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.recon.linear import Free, System
from rcvd.recon.state import State
from rcvd.recon.sums import add_blocks


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
            cost = cost + ((state.log_focal.mean() - self.log_focal) / self.sigma_focal).square()
            bend = _second_difference(state.log_focal[:, None])
            cost = cost + bend.square().sum() / self.sigma_zoom**2
        if free.k1:
            cost = cost + (state.k1 / self.sigma_k1).square()
        if free.shift:
            cost = cost + state.shift.square().sum() / self.sigma_shift**2
        return cost

    def add_to(self, system: System, state: State, free: Free) -> System:
        """The system with the priors' and the gauge's rows added."""
        hessian, gradient = system.hessian.clone(), system.gradient.clone()
        t, b = len(state.log_scale), free.block
        block = torch.arange(t, device=hessian.device) * b
        if free.cameras:
            self._add_cameras(hessian, gradient, state, free, block)
        if free.shift:
            shift = block + free.scale + 1
            hessian[shift, shift] += self.sigma_shift**-2
            gradient[shift] += state.shift * self.sigma_shift**-2
        scale = block + free.scale
        pull = hessian[scale, scale].mean().clamp(min=1.0) / t
        hessian[scale[:, None], scale[None]] += pull
        return replace(system, hessian=hessian, gradient=gradient)

    def _add_cameras(
        self, hessian: Tensor, gradient: Tensor, state: State, free: Free, block: Tensor
    ) -> None:
        """The priors of path, focal and distortion."""
        t, b = len(block), free.block
        self._add_path(hessian, gradient, state, block)
        if free.focal == "shared":
            hessian[t * b, t * b] += self.sigma_focal**-2
            gradient[t * b] += (state.log_focal[0] - self.log_focal) * self.sigma_focal**-2
        if free.focal == "zoom":
            self._add_zoom(hessian, gradient, state, block + b - 1)
        if free.k1:
            hessian[-1, -1] += self.sigma_k1**-2
            gradient[-1] += state.k1 * self.sigma_k1**-2

    def _add_path(self, hessian: Tensor, gradient: Tensor, state: State, block: Tensor) -> None:
        """Second difference of centres; a centre moves by R_i times its frame's translation."""
        t = len(block)
        if t < 3:
            return
        middle = torch.arange(1, t - 1, device=block.device)
        frames = torch.stack([middle - 1, middle, middle + 1], 1)
        factor = state.log_scale.new_tensor([1.0, -2.0, 1.0]) / self.sigma_path
        rows = (state.world_from_cam[frames, :3, :3] * factor[:, None, None]).transpose(1, 2)
        rows = rows.flatten(2)
        axes = torch.arange(3, device=block.device)
        index = (block[frames][..., None] + axes).flatten(1)
        bend = _second_difference(state.world_from_cam[:, :3, 3]) / self.sigma_path
        add_blocks(hessian, index, rows.transpose(1, 2) @ rows)
        pull = (rows.transpose(1, 2) @ bend[..., None]).reshape(-1)
        gradient.index_put_((index.reshape(-1),), pull, accumulate=True)

    def _add_zoom(self, hessian: Tensor, gradient: Tensor, state: State, index: Tensor) -> None:
        t = len(index)
        rows = torch.zeros(t - 1, t, dtype=hessian.dtype, device=hessian.device)
        rows[0] = 1 / (t * self.sigma_focal)
        k = torch.arange(t - 2, device=index.device)
        for step, factor in enumerate((1.0, -2.0, 1.0)):
            rows[k + 1, k + step] = factor / self.sigma_zoom
        residual = rows @ state.log_focal
        residual[0] = (state.log_focal.mean() - self.log_focal) / self.sigma_focal
        hessian[index[:, None], index[None]] += rows.T @ rows
        gradient[index] += rows.T @ residual


def _second_difference(values: Float[Tensor, "t n"]) -> Float[Tensor, "r n"]:
    return values[:-2] - 2 * values[1:-1] + values[2:]
