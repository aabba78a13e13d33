"""Running a trained network: probabilities over views, and features of any layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from rcvd.errors import UserError
from rcvd.recognition.data.sampling import ClipShape, three_crops, uniform_clips
from rcvd.recognition.data.transforms import crop_clip
from rcvd.recognition.metrics import average_views
from rcvd.recognition.preprocessing import resize_clip, short_side_size
from rcvd.recognition.registry import ModelSpec


@dataclass(frozen=True)
class Views:
    """clips: at even distances through the video. crops: 1 (centre) or 3 along the long side."""

    clips: int = 10
    crops: int = 3


def prepare_views(
    rgb: Float[Tensor, "3 n h w"],
    flow: Float[Tensor, "2 n1 h w"] | None,
    spec: ModelSpec,
    views: Views,
) -> list[dict[str, Tensor]]:
    """Inputs of a network, one batch of one for each view of a video.

    flow: from every frame to the next; a clip then takes neighbouring frames (stride 1), as the
    stored flow joins those.

    Raises:
        UserError: the network takes flow and there is none, or views make no sense.
    """
    if views.crops not in (1, 3) or views.clips < 1:
        raise UserError(f"views {views.clips}x{views.crops}: give clips x 1 or clips x 3")
    if "flow" in spec.inputs and flow is None:
        raise UserError("this network takes flow; give a scene folder made by rcvd reconstruct")
    length, crop, _ = spec.clip
    stride = 1 if "flow" in spec.inputs else spec.preprocessing.stride
    shape = ClipShape(length, stride, "clamp")
    size = short_side_size((rgb.shape[2], rgb.shape[3]), max(spec.preprocessing.short_side, crop))
    places = three_crops(size, crop)
    made = []
    for index in uniform_clips(rgb.shape[1], shape, views.clips):
        clip = resize_clip(rgb[None, :, index], size)
        fields = None if flow is None else _fields(flow, index, size)
        for top, left in places if views.crops == 3 else places[1:2]:
            inputs = {"rgb": spec.preprocessing.colours(crop_clip(clip, top, left, crop))}
            if fields is not None:
                part = crop_clip(fields, top, left, crop)
                inputs["flow"] = spec.preprocessing.displacements(part)
            made.append({name: inputs[name] for name in spec.inputs})
    return made


def _fields(
    flow: Float[Tensor, "2 n1 h w"], index: Tensor, size: tuple[int, int]
) -> Float[Tensor, "1 2 t1 h2 w2"]:
    """Flow between the clip's frames; zero where the video has ended."""
    first, second = index[:-1], index[1:]
    chosen = flow[:, first.clamp(max=flow.shape[1] - 1)]
    chosen = chosen * (second > first).to(flow)[None, :, None, None]
    return resize_clip(chosen[None], size, is_flow=True)


@torch.no_grad()
def class_probabilities(
    network: nn.Module, views: Sequence[Mapping[str, Tensor]]
) -> Float[Tensor, "k"]:
    """Mean of the probabilities of all views."""
    network.eval()
    device = next(network.parameters()).device
    logits = [
        network(**{name: x.to(device) for name, x in inputs.items()})[0].float().cpu()
        for inputs in views
    ]
    return average_views(torch.stack(logits))


@torch.no_grad()
def layer_features(
    network: nn.Module, inputs: Mapping[str, Tensor], layer: str
) -> Float[Tensor, "b d"]:
    """What the named submodule puts out, averaged over time and space.

    Raises:
        UserError: no such submodule.
    """
    modules = dict(network.named_modules())
    if layer not in modules or not layer:
        shown = ", ".join(name for name in list(modules)[1:12])
        raise UserError(f"layer '{layer}': no such layer; there are {shown} ...")
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _args: object, out: Any) -> None:
        kept.append(next(x for x in tree_leaves(out) if isinstance(x, Tensor)))

    handle = modules[layer].register_forward_hook(keep)
    try:
        network.eval()(**inputs)
    finally:
        handle.remove()
    maps = kept[-1]
    batch = next(iter(inputs.values())).shape[0]
    by_clip = maps.reshape(batch, maps.shape[0] // batch, maps.shape[1], -1)
    return by_clip.mean((1, 3))
