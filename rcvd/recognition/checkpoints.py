"""Weights of video networks from a path, in the layouts they are published in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition.networks.rgbd import COLOURS, Rgbd, first_layer
from rcvd.recognition.registry import find
from rcvd.store import writing
from rcvd.weights import load_checkpoint, load_into

MMACTION_HEAD = "cls_head.fc_cls"


@dataclass(frozen=True)
class Layout:
    """How a publisher names weights. marker: a key only this layout has. rename: its key to ours;
    none where the key has no place in the network.
    """

    marker: str
    rename: Callable[[str], str | None]


def _same(key: str) -> str:
    return key


def _mmaction_c3d(key: str) -> str | None:
    if key.startswith(MMACTION_HEAD):
        return key.replace(MMACTION_HEAD, "fc8")
    name = key.removeprefix("backbone.").replace(".conv.", ".")
    for ours in ("conv1", "conv2"):
        name = name.replace(f"{ours}a.", f"{ours}.")
    return name


def _torchvision_wrapped(key: str) -> str:
    return f"network.{key}"


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "c3d": (Layout("conv1.weight", _same), Layout("backbone.conv1a.conv.weight", _mmaction_c3d)),
    "i3d": (Layout("Conv3d_1a_7x7.conv3d.weight", _same),),
    "i3d_flow": (Layout("Conv3d_1a_7x7.conv3d.weight", _same),),
    "vit": (Layout("conv_proj.weight", _same),),
    **{name: (Layout("stem.0.weight", _same),) for name in ("r3d", "mc3", "r2plus1d")},
    **{
        name: (Layout("blocks.0.conv.weight", _same),)
        for name in ("slow", "fast", "c2d", "i3d_r50", "nonlocal")
    },
    **{
        name: (Layout("blocks.0.multipathway_blocks.0.conv.weight", _same),)
        for name in ("slowfast", "slowfast_4x16", "slowfast_r101")
    },
    "s3d": (Layout("features.0.0.0.weight", _torchvision_wrapped),),
    "mvit_v1_b": (Layout("conv_proj.weight", _torchvision_wrapped),),
    "mvit_v2_s": (Layout("conv_proj.weight", _torchvision_wrapped),),
    "swin3d_t": (Layout("patch_embed.proj.weight", _torchvision_wrapped),),
}
HEADS = ("fc8", "logits.conv3d", "heads.head", "fc", "proj", "network.head", "network.classifier")


def to_our_keys(name: str, tensors: dict[str, Tensor], origin: str) -> dict[str, Tensor]:
    """A published state_dict under our names; weights saved by this program pass unchanged.

    Raises:
        UserError: no known layout of the network `name` has these keys.
    """
    layouts = LAYOUTS.get(name, ())
    for layout in layouts:
        if layout.marker in tensors:
            pairs = [(layout.rename(key), value) for key, value in tensors.items()]
            return {key: value for key, value in pairs if key is not None}
    if any(key.endswith("_b") and key.startswith("conv1_") for key in tensors):
        raise UserError(f"{origin}: caffe2 blobs; convert them to a PyTorch state_dict first")
    return tensors


def _inflated(network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an RGB network for the RGB-D network made of it; others as they are."""
    if not isinstance(network, Rgbd) or any(key.startswith("network.") for key in tensors):
        return tensors
    first = f"{first_layer(network.network, COLOURS + 1)}.weight"
    weight = tensors.get(first)
    if weight is not None and weight.ndim > 1 and weight.shape[1] == COLOURS:
        tensors = tensors | {first: torch.cat([weight, weight.mean(1, keepdim=True)], 1)}
    return {f"network.{key}": value for key, value in tensors.items()}


def load_weights(
    network: nn.Module, name: str, path: Path, replace_head: bool = False
) -> list[str]:
    """Loads a checkpoint into the network `name`; returns the keys left at random.

    Everything must fit; an RGB-D network also takes the weights of its RGB original. replace_head:
    the classifier may have another number of classes; it then stays random, and is returned.

    Raises:
        UserError: keys are missing or unknown or differ in shape; they are named.
    """
    find(name)
    tensors = _inflated(network, to_our_keys(name, load_checkpoint(path), str(path)))
    own = network.state_dict()
    head = [f"{head_name(network)}.{part}" for part in ("weight", "bias")]
    wrong = [k for k in head if k in own and k in tensors and tensors[k].shape != own[k].shape]
    if wrong and not replace_head:
        classes = tensors[wrong[0]].shape[0]
        raise UserError(
            f"{path}: its classifier has {classes} classes, this network {own[wrong[0]].shape[0]}; "
            f"build it with {classes}, or give --replace-head to train a new one"
        )
    load_into(network, tensors | {key: own[key] for key in wrong}, str(path))
    return wrong


def head_name(network: nn.Module) -> str:
    """The submodule that gives the logits; empty where no name tells."""
    names = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv3d)
        and any(name == head or name.endswith(f".{head}") for head in HEADS)
    ]
    return names[-1] if names else ""


def save_weights(network: nn.Module, path: Path) -> None:
    """The network's state_dict, read back by `load_weights`."""
    with writing(path) as part:
        torch.save({key: value.cpu() for key, value in network.state_dict().items()}, part)
