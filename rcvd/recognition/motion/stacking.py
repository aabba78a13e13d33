"""Stacks of flow for a temporal stream: plain, along trajectories, both ways (Simonyan, Zisserman
2014), with the camera's share taken out.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import sample

Stack = Literal["flow", "trajectory", "bidirectional"]
STACKS: tuple[Stack, ...] = ("flow", "trajectory", "bidirectional")


def flow_stack(
    flow: Float[Tensor, "b 2 t h w"], start: int, length: int
) -> Float[Tensor, "b 2 l h w"]:
    """Displacements d_start .. d_{start + length - 1} at each fixed pixel (eq. 1)."""
    return flow[:, :, start : start + length]


def trajectory_stack(
    flow: Float[Tensor, "b 2 t h w"], start: int, length: int
) -> Float[Tensor, "b 2 l h w"]:
    """Displacements met along the way: p_1 the pixel, p_k = p_{k-1} + d_{k-1}(p_{k-1}) (eq. 2)."""
    h, w = flow.shape[-2:]
    position = pixel_centres((h, w), flow.device, flow.dtype).expand(len(flow), h, w, 2)
    met = []
    for k in range(start, start + length):
        here = sample(flow[:, :, k], position)
        met.append(here)
        position = position + here.movedim(1, -1)
    return torch.stack(met, 2)


def bidirectional_stack(
    forward: Float[Tensor, "b 2 t h w"],
    backward: Float[Tensor, "b 2 t h w"],
    middle: int,
    length: int,
) -> Float[Tensor, "b 2 l h w"]:
    """Half the fields forward from frame `middle`, half backward from it.

    backward[:, :, k]: from frame k + 1 to frame k. The backward half runs away from the middle.
    """
    half = length // 2
    ahead = forward[:, :, middle : middle + half]
    behind = backward[:, :, middle - half : middle].flip(2)
    return torch.cat([ahead, behind], 2)


def stack_named(name: str) -> Stack:
    """Raises UserError: no such way to stack flow."""
    for kind in STACKS:
        if kind == name:
            return kind
    raise UserError(f"stack '{name}': choose {', '.join(STACKS)}")


def restack(
    kind: Stack,
    forward: Float[Tensor, "b 2 t h w"],
    backward: Float[Tensor, "b 2 t h w"] | None = None,
) -> Float[Tensor, "b 2 t h w"]:
    """A clip's flow fields as one stack of the same size.

    backward: from frame k + 1 to frame k; where it is not known it is estimated from `forward`.

    Raises:
        UserError: an odd number of fields has no two halves.
    """
    length = forward.shape[2]
    if kind == "trajectory":
        return trajectory_stack(forward, 0, length)
    if kind == "bidirectional":
        if length % 2:
            raise UserError(f"a bidirectional stack of {length} fields: give an even number")
        back = reverse_flow(forward) if backward is None else backward
        return bidirectional_stack(forward, back, length // 2, length)
    return forward


def reverse_flow(flow: Float[Tensor, "b 2 t h w"]) -> Float[Tensor, "b 2 t h w"]:
    """An estimate of the flow back, from k + 1 to k: -d_k found where the pixel came from.

    Two steps of the fixed point q(p) = -d(p + q); for stored backward flow use that.
    """
    h, w = flow.shape[-2:]
    pixels = pixel_centres((h, w), flow.device, flow.dtype)
    back = []
    for field in flow.unbind(2):
        guess = -field
        for _ in range(2):
            guess = -sample(field, pixels + guess.movedim(1, -1))
        back.append(guess)
    return torch.stack(back, 2)


def subtract_mean(flow: Float[Tensor, "b 2 t h w"]) -> Float[Tensor, "b 2 t h w"]:
    """Each field less its mean displacement: cancels a camera that only shifts the image."""
    return flow - flow.mean((3, 4), keepdim=True)


def subtract_camera(
    flow: Float[Tensor, "b 2 t h w"],
    induced: Float[Tensor, "b 2 t h w"],
    known: Bool[Tensor, "b t h w"],
) -> Float[Tensor, "b 2 t h w"]:
    """Flow less what the moving camera induces (geometry.warp.induced_flow); 0 where unknown."""
    return torch.where(known[:, None], flow - induced, torch.zeros_like(flow))


def drop_inconsistent(
    flow: Float[Tensor, "b 2 t h w"], valid: Bool[Tensor, "b t h w"]
) -> Float[Tensor, "b 2 t h w"]:
    """Zero where the forward-backward check failed."""
    return torch.where(valid[:, None], flow, torch.zeros_like(flow))
