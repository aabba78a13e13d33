"""A CUDA device that is not there: tensors that compute on the CPU but refuse what CUDA refuses.

Code for GPUs is wrong most often in where its tensors lie. Here a tensor on "cuda" will not meet
one of the CPU, nor NumPy, so that a machine without a GPU finds such mistakes. Speed, memory,
streams, mixed precision and kernels' own rounding are not pretended.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

CUDA = torch.device("cuda:0")
DEVICE_OF = Tensor.device.__get__  # pyright: ignore[reportAttributeAccessIssue]
IS_CUDA = Tensor.is_cuda.__get__  # pyright: ignore[reportAttributeAccessIssue]
SAME_KIND = getattr(torch, "_has_compatible_shallow_copy_type")  # noqa: B009
INDEXING = (Tensor.__getitem__, Tensor.__setitem__, Tensor.index_put_, torch.index_put)
COPIES = (Tensor.copy_,)


class OnCuda(Tensor):
    """A tensor said to lie on the GPU. held: where its values are."""

    held: Tensor

    @staticmethod
    def of(held: Tensor) -> "OnCuda":
        with torch._C.DisableTorchFunctionSubclass():
            made = Tensor._make_subclass(OnCuda, held.detach())
        made.held = held
        return made

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == DEVICE_OF:
            return CUDA
        if func == IS_CUDA:
            return True
        if func is SAME_KIND:
            return isinstance(args[0], OnCuda) == isinstance(args[1], OnCuda)
        if func in (Tensor.numpy, Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        if func is Tensor.cpu:
            return bare(args[0])
        if func is Tensor.cuda:
            return args[0]
        if func in (Tensor.to, Tensor.type_as):
            return moved(args, kwargs)
        if func is Tensor.__repr__:
            return f"OnCuda({bare(args[0])!r})"
        must_meet(func, args, kwargs)
        target = kwargs.get("device")
        if target is not None:
            kwargs["device"] = "cpu"
        out = func(*each(bare, args), **each(bare, kwargs))
        if args and isinstance(args[0], OnCuda) and out is args[0].held:
            return args[0]  # done in place
        if target is not None and torch.device(target).type == "cpu":
            return out
        return each(on_cuda, out)


def each(change: Callable[[Any], Any], x: Any) -> Any:
    """The change made to all that an argument's lists, tuples and dictionaries hold."""
    if type(x) in (list, tuple):
        return type(x)(each(change, y) for y in x)
    if type(x) is dict:
        return {name: each(change, y) for name, y in x.items()}
    return tree_map(change, x) if isinstance(x, tuple) else change(x)


def tensors_in(x: Any) -> list[Tensor]:
    """All tensors that an argument holds."""
    if isinstance(x, Tensor):
        return [x]
    if isinstance(x, list | tuple):
        return [t for y in x for t in tensors_in(y)]
    return [t for y in x.values() for t in tensors_in(y)] if isinstance(x, dict) else []


def bare(x: Any) -> Any:
    """What an argument holds."""
    return x.held if isinstance(x, OnCuda) else x


def on_cuda(x: Any) -> Any:
    return OnCuda.of(x) if isinstance(x, Tensor) and not isinstance(x, OnCuda) else x


def must_meet(func: Any, args: Any, kwargs: Any) -> None:
    """Raises RuntimeError where CUDA would: tensors of both devices in one call."""
    if func in COPIES:
        return
    tensors = tensors_in((args, kwargs))
    if func in INDEXING and isinstance(args[0], OnCuda):
        index = tensors_in(args[1])
        tensors = [x for x in tensors if not any(x is k for k in index)]
    there = [x for x in tensors if isinstance(x, OnCuda)]
    here = [x for x in tensors if not isinstance(x, OnCuda) and x.dim() > 0]
    if there and here:
        name = getattr(func, "__name__", str(func))
        raise RuntimeError(
            f"{name}: expected all tensors to be on the same device, but found at least two "
            f"devices, cuda:0 and cpu (of shape {tuple(here[0].shape)})"
        )


def moved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Tensor.to and its kin: to another device, dtype or memory format."""
    first, given = args[0], [*args[1:], *kwargs.values()]
    there, dtype = isinstance(first, OnCuda), None
    for x in given:
        if isinstance(x, Tensor):
            there, dtype = isinstance(x, OnCuda), bare(x).dtype
        elif isinstance(x, str | torch.device):
            there = torch.device(x).type == "cuda"
        elif isinstance(x, torch.dtype):
            dtype = x
    held = bare(first)
    form = kwargs.get("memory_format", torch.preserve_format)
    out = held.to(dtype or held.dtype, memory_format=form)
    if out is held:
        if there == isinstance(first, OnCuda):
            return first
        out = held.clone()
    return OnCuda.of(out) if there else out


class _Factories(TorchFunctionMode):
    """Tensors made on, and moved to, the device that is not there."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in (Tensor.to, Tensor.type_as):
            return moved(args, kwargs)
        if func is Tensor.cuda:
            return moved((args[0], CUDA), {})
        if func is Tensor.pin_memory:
            return args[0]
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "cuda":
            kwargs["device"] = "cpu"
            return each(on_cuda, func(*each(bare, args), **each(bare, kwargs)))
        if OnCuda in types:
            return OnCuda.__torch_function__(func, types, args, kwargs)
        return func(*args, **kwargs)


class _Generator(torch.Generator):
    """A generator that names the device it was asked for."""

    asked: torch.device

    def __new__(cls, device: torch.device | str = "cpu") -> "_Generator":
        made = super().__new__(cls, "cpu")  # pyright: ignore[reportCallIssue]
        made.asked = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.asked


class _Properties:
    total_memory = 8 << 30
    name = "pretended"


@contextmanager
def pretended_cuda() -> Iterator[None]:
    """Inside, torch has one CUDA device."""

    def none(*_args: Any, **_kwargs: Any) -> None:
        return None

    changes: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "synchronize": none,
        "empty_cache": none,
        "reset_peak_memory_stats": none,
        "max_memory_allocated": lambda *_: 0,
        "set_per_process_memory_fraction": none,
        "get_device_properties": lambda *_: _Properties(),
        "get_device_name": lambda *_: _Properties.name,
    }

    def whole_precision(*_args: Any, **_kwargs: Any) -> Any:
        return nullcontext()

    with ExitStack() as stack:
        for name, change in changes.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, change))
        stack.enter_context(mock.patch.object(torch, "autocast", whole_precision))
        stack.enter_context(mock.patch.object(torch, "Generator", _Generator))
        stack.enter_context(_Factories())
        yield
