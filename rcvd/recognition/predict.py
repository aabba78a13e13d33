"""Running a trained network: probabilities over views, and features of any layer."""

from collections.abc import Iterable, Iterator, Mapping
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
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.motion.stacking import Stack, restack
from rcvd.recognition.networks.rgbd import depth_input
from rcvd.recognition.preprocessing import resize_clip, resize_depth, short_side_size
from rcvd.recognition.sources import ClipSource


@dataclass(frozen=True)
class Views:
    """clips: at even distances through the video. crops: 1 (centre) or 3 along the long side."""

    clips: int = 10
    crops: int = 3


def parse_views(text: str) -> Views:
    """Clips x crops, such as 10x3. Raises UserError: not of that form."""
    clips, _, crops = text.partition("x")
    if not clips.isdigit() or crops not in ("1", "3") or int(clips) < 1:
        raise UserError(f"views '{text}': give clips x crops, with 1 or 3 crops, such as 10x3")
    return Views(int(clips), int(crops))


def prepare_views(
    source: ClipSource, spec: ModelSpec, views: Views, stack: Stack = "flow"
) -> Iterator[dict[str, Tensor]]:
    """Inputs of a network, a batch of one for each view of a video, one at a time.

    stack: the flow at fixed pixels, along trajectories, or half of it backward from the middle. A
    network that takes flow gets neighbouring frames (stride 1), as the stored flow joins those;
    a video that is too short stands still at its end.

    Raises:
        UserError: the network takes flow or depth and there is none.
    """
    if "boxes" in spec.inputs:
        raise UserError("this network scores boxes; use it with: rcvd recognize detect")
    if "flow" in spec.inputs and not source.has_flow:
        raise UserError("this network takes flow; give a scene folder made by rcvd reconstruct")
    length, *window = spec.clip
    crop, short = (window[0], window[1]), max(spec.preprocessing.short_side, *window)
    stride = 1 if "flow" in spec.inputs else spec.preprocessing.stride
    shape = ClipShape(length, stride, "clamp", spec.spread)
    for index in uniform_clips(source.n_frames, shape, views.clips):
        clip = source.rgb(index.tolist())[None]
        size = short_side_size((clip.shape[3], clip.shape[4]), short)
        inputs = {"rgb": spec.preprocessing.colours(resize_clip(clip, size))}
        if "flow" in spec.inputs:
            flow = resize_clip(_stacked(source, index.tolist(), stack), size, is_flow=True)
            inputs["flow"] = spec.preprocessing.displacements(flow)
        if "depth" in spec.inputs:
            inputs["depth"] = depth_input(resize_depth(source.depth(index.tolist())[None], size))
        places = three_crops(size, crop)
        for place in places if views.crops == 3 else places[1:2]:
            yield {name: crop_clip(inputs[name], place, crop) for name in spec.inputs}


def _stacked(source: ClipSource, index: list[int], stack: Stack) -> Float[Tensor, "1 2 t h w"]:
    backward = source.backward(index) if stack == "bidirectional" else None
    return restack(stack, source.flow(index)[None], None if backward is None else backward[None])


@torch.no_grad()
def view_logits(
    network: nn.Module, views: Iterable[Mapping[str, Tensor]]
) -> Float[Tensor, "views k"]:
    """What the network says of each view."""
    network.eval()
    device = next(network.parameters()).device
    logits = [
        network(**{name: x.to(device) for name, x in inputs.items()})[0].float().cpu()
        for inputs in views
    ]
    return torch.stack(logits)


def class_probabilities(
    network: nn.Module, views: Iterable[Mapping[str, Tensor]]
) -> Float[Tensor, "k"]:
    """Mean of the probabilities of all views."""
    return average_views(view_logits(network, views))


def view_features(
    network: nn.Module, views: Iterable[Mapping[str, Tensor]], layer: str
) -> Iterator[Float[Tensor, "d"]]:
    """What a layer says of each view."""
    device = next(network.parameters()).device
    for inputs in views:
        on_device = {name: x.to(device) for name, x in inputs.items()}
        yield layer_features(network, on_device, layer)[0].cpu()


def layer_output(network: nn.Module, inputs: Mapping[str, Tensor], layer: str) -> Tensor:
    """What the named submodule puts out, with gradients, in the network's own mode.

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
        network(**inputs)
    finally:
        handle.remove()
    return kept[-1]


@torch.no_grad()
def layer_maps(network: nn.Module, inputs: Mapping[str, Tensor], layer: str) -> Tensor:
    """What the named submodule puts out: b c t h w, or frames folded into the batch, bt c h w.

    Raises:
        UserError: no such submodule.
    """
    return layer_output(network.eval(), inputs, layer)


def layer_features(
    network: nn.Module, inputs: Mapping[str, Tensor], layer: str
) -> Float[Tensor, "b d"]:
    """What the named submodule puts out, averaged over time and space.

    Raises:
        UserError: no such submodule.
    """
    maps = layer_maps(network, inputs, layer)
    batch = next(iter(inputs.values())).shape[0]
    by_clip = maps.reshape(batch, maps.shape[0] // batch, maps.shape[1], -1)
    return by_clip.mean((1, 3))
