"""Layer sizes, receptive fields, multiply-adds and parameters, measured on the modules themselves.

The network runs once on meta tensors, which have shapes and no values: a whole SlowFast costs
milliseconds and no memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
POOLS = ("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d")
SILENT = (nn.ReLU, nn.Dropout, nn.Identity, nn.Flatten)  # nothing to tell of them
GLOBAL = ("_softmax", "bmm", "baddbmm", "_scaled_dot_product", "lstm", "gru")


@dataclass(frozen=True)
class Field:
    """Receptive field and stride of one output element, in input elements along (t, h, w)."""

    extent: tuple[int, int, int] = (1, 1, 1)
    stride: tuple[int, int, int] = (1, 1, 1)

    def window(
        self, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
    ) -> "Field":
        """After a sliding window over the last axes (3: t h w, 2: h w)."""
        skip = 3 - len(kernel)
        extent, jump = list(self.extent), list(self.stride)
        for i, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), skip):
            extent[i] += (k - 1) * d * jump[i]
            jump[i] *= s
        return Field((extent[0], extent[1], extent[2]), (jump[0], jump[1], jump[2]))

    def union(self, other: "Field") -> "Field":
        """Of an element that sees what both see."""
        extent = [max(a, b) for a, b in zip(self.extent, other.extent, strict=True)]
        stride = [max(a, b) for a, b in zip(self.stride, other.stride, strict=True)]
        return Field((extent[0], extent[1], extent[2]), (stride[0], stride[1], stride[2]))

    def whole(self, axes: Sequence[int], clip: tuple[int, int, int]) -> "Field":
        """After merging everything along some of the axes 0: t, 1: h, 2: w."""
        extent = [clip[i] if i in axes else self.extent[i] for i in range(3)]
        return Field((extent[0], extent[1], extent[2]), self.stride)


@dataclass(frozen=True)
class Row:
    """One line of a layer table. size: without the batch axis. macs: multiply-adds a clip."""

    name: str
    kind: str
    size: tuple[int, ...]
    field: Field
    macs: int
    parameters: int


class Trace(TorchDispatchMode):
    """Counts multiply-adds and carries receptive fields from operator to operator."""

    def __init__(self, clip: tuple[int, int, int]) -> None:
        super().__init__()
        self.clip = clip
        self.macs = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is aten.native_batch_norm.default:  # torch's own takes most of the time
            out = (torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0))
        else:
            out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            flops = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
            self.macs += flops // 2
        seen = [field_of(x) for x in tree_leaves(args) if isinstance(x, Tensor)]
        seen = [field for field in seen if field is not None]
        if seen:
            field = seen[0]
            for other in seen[1:]:
                field = field.union(other)
            field = self._after(func._overloadpacket.__name__, field, args, out)
            for x in tree_leaves(out):
                if isinstance(x, Tensor):
                    x.rcvd_field = field  # pyright: ignore[reportAttributeAccessIssue]
        return out

    def _after(self, name: str, field: Field, args: Sequence[Any], out: Any) -> Field:
        if name == "convolution":
            weight, stride, dilation = args[1], args[3], args[5]
            return field.window(weight.shape[2:], stride, dilation)
        if name in POOLS:
            n = 3 if "3d" in name else 2
            if n == 3 and args[0].shape[1] == 1 and tuple(args[1])[1:] == (1, 1):
                return field  # LocalResponseNorm averages over channels by way of this pooling
            stride = args[2] if len(args) > 2 and args[2] else args[1]
            return field.window(_each(args[1], n), _each(stride, n), (1,) * n)
        if name == "slice" and len(args) > 4 and args[1] == 2 and args[0].dim() == 5:
            return field.window((1, 1, 1), (args[4], 1, 1), (1, 1, 1))
        if name.startswith(GLOBAL):
            return field.whole((0, 1, 2), self.clip)
        if name.startswith(("mean", "_adaptive_avg_pool", "adaptive_max_pool", "amax", "sum")):
            return field.whole(_merged_axes(args[0], out), self.clip)
        if name in ("view", "_unsafe_view", "_reshape_copy"):
            return field.whole(_folded_axes(args[0], out), self.clip)
        return field


def field_of(x: Tensor) -> Field | None:
    """What a traced tensor's elements see of the input; none for a weight."""
    return getattr(x, "rcvd_field", None)


def _each(value: int | Sequence[int], n: int) -> Sequence[int]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n if len(values) == 1 else values


def _merged_axes(x: Tensor, out: Any) -> list[int]:
    """Axes of t h w that a pooling over the whole map has merged."""
    out = out[0] if isinstance(out, tuple) else out
    before = x.shape[2:]
    after = out.shape[2:] if out.dim() == x.dim() else (1,) * len(before)
    first = 3 - len(before)
    if x.dim() <= 3:  # tokens or frames: one axis, and nobody knows which
        return [0, 1, 2]
    return [first + i for i, (a, b) in enumerate(zip(before, after, strict=True)) if b < a]


def _folded_axes(x: Tensor, out: Tensor) -> list[int]:
    """Axes of t h w folded into the channels by a reshape that keeps the batch."""
    if x.dim() < 4 or out.dim() >= x.dim() or out.shape[0] != x.shape[0]:
        return []
    if out.dim() == 2:
        return [0, 1, 2] if x.dim() == 5 else [1, 2]
    return [0] if x.dim() == 5 and out.shape[2:] == x.shape[3:] else []


def layer_table(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    rows: Sequence[str] = (),
) -> list[Row]:
    """What each named submodule (default: every layer) puts out, in the order they finish.

    The network is moved to the meta device: build one for the purpose. inputs: forward's arguments
    by name, with a batch of one; only shapes matter. A module that runs several times has the sum
    of its multiply-adds and the last size.
    """
    network = network.to("meta").eval()
    wanted = {
        module: name
        for name, module in network.named_modules()
        if (name in rows if rows else _is_layer(module))
    }
    found: dict[str, Row] = {}
    begun: dict[nn.Module, int] = {}
    trace = Trace(_clip(inputs))

    def before(module: nn.Module, _args: object) -> None:
        begun[module] = trace.macs

    def after(module: nn.Module, _args: object, out: Any) -> None:
        tensor = _first_tensor(out)
        name, previous = wanted[module], found.pop(wanted[module], None)
        macs = trace.macs - begun[module] + (previous.macs if previous else 0)
        field = field_of(tensor) or Field()
        found[name] = Row(
            name, type(module).__name__, _size(tensor), field, macs, parameters(module)
        )

    handles = [module.register_forward_pre_hook(before) for module in wanted]
    handles += [module.register_forward_hook(after) for module in wanted]
    with torch.no_grad(), trace:
        network(**_on_meta(inputs))
    for handle in handles:
        handle.remove()
    return list(found.values())


def _is_layer(module: nn.Module) -> bool:
    return not list(module.children()) and not isinstance(module, SILENT)


def _on_meta(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    marked = {name: torch.empty_like(x, device="meta") for name, x in inputs.items()}
    for x in marked.values():
        x.rcvd_field = Field()  # pyright: ignore[reportAttributeAccessIssue]
    return marked


def _clip(inputs: Mapping[str, Tensor]) -> tuple[int, int, int]:
    shapes = [x.shape[-3:] for x in inputs.values() if x.dim() == 5]
    t, h, w = (max(sizes) for sizes in zip(*shapes, strict=True))
    return t, h, w


def _size(x: Tensor) -> tuple[int, ...]:
    """Without the batch of one; frames folded into the batch stand behind the channels."""
    frames, channels, *space = x.shape if x.dim() > 1 else (1, *x.shape)
    return (channels, *space) if frames == 1 else (channels, frames, *space)


def _first_tensor(out: Any) -> Tensor:
    return next(x for x in tree_leaves(out) if isinstance(x, Tensor))


def macs(network: nn.Module, inputs: Mapping[str, Tensor]) -> int:
    """Multiply-adds of one forward pass; what the literature's video tables call FLOPs."""
    trace = Trace(_clip(inputs))
    with torch.no_grad(), trace:
        network.to("meta").eval()(**_on_meta(inputs))
    return trace.macs


def parameters(network: nn.Module) -> int:
    """Number of learned values."""
    return sum(prod(p.shape) for p in network.parameters())
