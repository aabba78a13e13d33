"""The small problem of the solver's benchmark as cost functions of Ceres (pyceres)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyceres  # pyright: ignore[reportMissingImports]
import torch
from torch import Tensor

from rcvd.geometry.pose import invert, j_from_i, se3_exp, se3_log
from rcvd.recon.jacobians import jacobians_of, relative_adjoint
from rcvd.recon.residuals import camera_points, sight
from rcvd.recon.state import BY_PAIR, Data, State

WIDE = 1e3


class PairCost(pyceres.CostFunction):
    """(e_u, e_v, e_z) of one pair by the twists of i and j, the log-scale of j, the depths of i."""

    def __init__(self, small, p: int) -> None:
        super().__init__()
        part = slice(p, p + 1)
        data: Data = small.problem.data
        self.data = replace(data, **{name: getattr(data, name)[part] for name in BY_PAIR})
        self.small, (self.t, self.s) = small, small.shape
        self.set_num_residuals(3 * self.s)
        self.set_parameter_block_sizes([6, 6, 1, self.s])
        root = self.data.confidence[0].sqrt()
        self.root_uv = root / small.noise.sigma_uv
        self.root_z = root * self.data.known_j[0] / small.noise.sigma_z

    def Evaluate(self, parameters, residuals, jacobians) -> bool:  # noqa: N802 (their name)
        x_i, x_j, scale, depth = (torch.from_numpy(np.array(x)) for x in parameters)
        i, j = int(self.data.i), int(self.data.j)
        state = _moved(self.small.start, i, j, x_i, x_j, scale, depth)
        seen = sight(self.data, state, camera_points(self.data, state))
        found = seen.residuals
        rows = torch.cat([found.uv[0] * self.root_uv, found.z * self.root_z])
        residuals[:] = rows.reshape(-1).numpy()
        if jacobians is None:
            return True
        rel = found.z.new_empty(1, 6, 3, self.s)
        roots = (self.root_uv[None], self.root_z[None])
        jac = jacobians_of(seen, state, roots, rel, free_k1=False)
        relative = j_from_i(state.world_from_cam[i], state.world_from_cam[j])[None]
        adjoint = relative_adjoint(relative[:, :3, :3], relative[:, :3, 3])[0]
        rel = rel[0].permute(1, 2, 0).reshape(-1, 6)
        by_scale = torch.cat([torch.zeros(2 * self.s).double(), -self.root_z])
        parts = (
            rel @ adjoint @ _right(x_i),
            -rel @ _right(x_j),
            by_scale,
            torch.diag_embed(jac.depth[0]).reshape(-1, self.s),
        )
        for out, part in zip(jacobians, parts, strict=True):
            if out is not None:
                out[:] = part.reshape(-1).numpy()
        return True


class PriorCost(pyceres.CostFunction):
    """The offsets of a frame's points from its prior, by its log-scale and its depths."""

    def __init__(self, small, frame: int) -> None:
        super().__init__()
        s = small.shape[1]
        data: Data = small.problem.data
        self.root = (data.valid_i[frame] / small.noise.sigma_prior).numpy()
        start = small.start.log_z[frame] - data.log_z_i[frame] - small.start.log_scale[frame]
        self.start = start.numpy()
        self.set_num_residuals(s)
        self.set_parameter_block_sizes([1, s])

    def Evaluate(self, parameters, residuals, jacobians) -> bool:  # noqa: N802 (their name)
        scale, depth = parameters
        residuals[:] = (self.start + depth - scale[0]) * self.root
        if jacobians is not None:
            for out, part in zip(jacobians, (-self.root, np.diag(self.root)), strict=True):
                if out is not None:
                    out[:] = part.ravel()
        return True


class GaugeCost(pyceres.CostFunction):
    """The mean log-scale of all frames."""

    def __init__(self, small) -> None:
        super().__init__()
        self.t = small.shape[0]
        self.mean = float(small.start.log_scale.mean())
        self.set_num_residuals(1)
        self.set_parameter_block_sizes([1] * self.t)

    def Evaluate(self, parameters, residuals, jacobians) -> bool:  # noqa: N802 (their name)
        residuals[0] = WIDE * (self.mean + sum(float(x[0]) for x in parameters) / self.t)
        for out in jacobians or ():
            if out is not None:
                out[:] = WIDE / self.t
        return True


def blocks_of(
    small, poses: np.ndarray, scales: np.ndarray, depths: np.ndarray
) -> Iterator[tuple[pyceres.CostFunction, list[np.ndarray]]]:
    """All cost functions with the parameters they depend on."""
    data: Data = small.problem.data
    for p, (i, j) in enumerate(zip(data.i.tolist(), data.j.tolist(), strict=True)):
        yield PairCost(small, p), [poses[i], poses[j], scales[j], depths[i]]
    for frame in range(small.shape[0]):
        yield PriorCost(small, frame), [scales[frame], depths[frame]]
    yield GaugeCost(small), list(scales)


def _moved(
    start: State, i: int, j: int, x_i: Tensor, x_j: Tensor, scale: Tensor, depth: Tensor
) -> State:
    poses, log_scale, log_z = (
        start.world_from_cam.clone(),
        start.log_scale.clone(),
        start.log_z.clone(),
    )
    poses[i], poses[j] = poses[i] @ se3_exp(x_i), poses[j] @ se3_exp(x_j)
    log_scale[j] += scale[0]
    log_z[i] += depth
    return replace(start, world_from_cam=poses, log_scale=log_scale, log_z=log_z)


def _right(x: Tensor) -> Tensor:
    """Derivative of the twist in the camera's own axes by the parameter at x."""
    back = invert(se3_exp(x))
    found = torch.autograd.functional.jacobian(lambda y: se3_log(back @ se3_exp(y)), x)
    assert isinstance(found, Tensor)
    return found
