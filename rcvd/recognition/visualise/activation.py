"""Clips that a unit answers to most: gradient ascent on appearance and on flow.

Feichtenhofer, Pinz, Wildes, Zisserman, "What have we learned from deep representations for action
recognition?", CVPR 2018: the input itself is optimised, smooth in space and, by a weight chi of its
own, in time. A large chi finds slow motion, a small one fast motion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.predict import layer_output

Inputs = dict[str, Tensor]
MOVING = ("rgb", "flow")  # inputs that are optimised


@dataclass(frozen=True)
class AscentOptions:
    """steps: of ascent. rate: root mean square of a step, in the unit of the prepared input. kappa,
    chi: weights of squared differences in space and time. limit: size the input is kept within.
    start: deviation of the noise begun from.
    """

    steps: int = 64
    rate: float = 0.1
    kappa: float = 0.3
    chi: float = 0.3
    limit: float = 2.5
    start: float = 0.1
    seed: int = 0


def roughness(x: Float[Tensor, "b c t h w"], axis: int) -> Float[Tensor, ""]:
    """Sum of squared differences of neighbours along an axis; zero on constant input."""
    return x.diff(dim=axis).square().sum()


def smoother(count: int, weight: float) -> Float[Tensor, "n n"]:
    """The proximal step of weight / 2 x roughness along an axis of `count` entries.

    (I + weight D'D)^-1 with D the differences: a weight of 0 changes nothing, a very large one
    gives the mean; every row sums to 1.
    """
    differences = torch.eye(count, dtype=torch.float64).diff(dim=0)
    system = torch.eye(count, dtype=torch.float64) + weight * differences.T @ differences
    return torch.linalg.inv(system).float()


def smooth(x: Float[Tensor, "b c t h w"], kappa: float, chi: float) -> Float[Tensor, "b c t h w"]:
    """Proximal steps of the regularisers in time (chi) and along both axes of space (kappa)."""
    t, h, w = x.shape[2:]
    in_time, down, across = (
        smoother(n, weight).to(x) for n, weight in ((t, chi), (h, kappa), (w, kappa))
    )
    return torch.einsum("ts,bcsij,hi,wj->bcthw", in_time, x, down, across)


def random_inputs(
    spec: ModelSpec, options: AscentOptions, device: torch.device | str = "cpu"
) -> Inputs:
    """Faint noise of the network's input size.

    Raises:
        UserError: the network takes more than colours and flow.
    """
    unknown = sorted(set(spec.inputs) - set(MOVING))
    if unknown:
        raise UserError(
            f"this network takes {', '.join(unknown)}; only rgb and flow can be visualised"
        )
    t, h, w = spec.clip
    generator = torch.Generator().manual_seed(options.seed)
    shapes = {"rgb": (1, 3, t, h, w), "flow": (1, 2, t - 1, h, w)}
    return {
        name: (options.start * torch.randn(shapes[name], generator=generator)).to(device)
        for name in spec.inputs
    }


def unit_activation(
    network: nn.Module, inputs: Mapping[str, Tensor], layer: str, unit: int
) -> Float[Tensor, ""]:
    """Mean response of one channel of a layer: axis 1 of maps, the last one of vectors and rows.

    Raises:
        UserError: no such layer, or no such channel.
    """
    output = layer_output(network, inputs, layer)
    axis = 1 if output.ndim > 3 else -1
    count = output.shape[axis]
    if not 0 <= unit < count:
        raise UserError(f"unit {unit}: layer '{layer}' has units 0 to {count - 1}")
    return output.select(axis, unit).mean()


@dataclass(frozen=True)
class Found:
    """inputs: prepared clips by name. activation: of the unit, at the start and at every step."""

    inputs: Inputs
    activation: list[float]


def maximise(
    network: nn.Module, spec: ModelSpec, layer: str, unit: int, options: AscentOptions | None = None
) -> Found:
    """Appearance and flow that make a unit answer, by proximal gradient ascent.

    Each step goes uphill by a step of fixed size, then takes the regularisers' exact proximal step,
    which is stable for weights of any size, and is cut to the range inputs have. The best clip met
    is returned.
    """
    o = options or AscentOptions()
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    x = random_inputs(spec, o, next(network.parameters()).device)
    x = {name: smooth(value, o.kappa, o.chi) for name, value in x.items()}
    best, answers = x, list[float]()
    for _ in range(o.steps + 1):
        given = {name: value.detach().requires_grad_() for name, value in x.items()}
        answer = unit_activation(network, given, layer, unit)
        answers.append(float(answer.detach()))
        if answers[-1] >= max(answers):
            best = x
        slopes = torch.autograd.grad(
            answer, list(given.values()), materialize_grads=True, allow_unused=True
        )
        x = {
            name: _uphill(value.detach(), slope, o)
            for (name, value), slope in zip(given.items(), slopes, strict=True)
        }
    return Found(best, answers)


def _uphill(x: Tensor, slope: Tensor, options: AscentOptions) -> Tensor:
    step = options.rate * slope / slope.square().mean().sqrt().clamp(min=1e-12)
    return smooth(x + step, options.kappa, options.chi).clamp(-options.limit, options.limit)
