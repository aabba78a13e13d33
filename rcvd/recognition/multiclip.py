"""Whole videos of a recipe's data, each seen in several clips and crops; SVMs on what is seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.recognition import registry
from rcvd.recognition.data.frame_store import FrameStore
from rcvd.recognition.metrics import average_views, hit_at
from rcvd.recognition.motion.motionworld import make_clips
from rcvd.recognition.networks.c3d import video_descriptor
from rcvd.recognition.predict import Views, prepare_views, view_features, view_logits
from rcvd.recognition.recipe import (
    Part,
    Prepared,
    Recipe,
    make_network,
    number_of_classes,
    read_card,
    set_path,
    video_list,
    world_of,
)
from rcvd.recognition.sources import ClipSource, StoredVideo, TensorSource, open_source
from rcvd.recognition.svm import fit_svm, stacked_scores


def of_weights(
    recipe: Recipe, weights: Path, device: torch.device | str
) -> tuple[Prepared, Recipe]:
    """The network of trained weights, and the recipe as the card beside them has it."""
    own, card = replace(recipe, weights=weights), read_card(weights)
    if card:
        data = replace(recipe.data, stack=card.stack)
        own = replace(own, model=card.model, norm=card.norm, data=data)
    return make_network(own, device), own


def sources(recipe: Recipe, part: Part) -> Iterator[tuple[ClipSource, int]]:
    """Every video of the training or the test set with its label, in the set's order."""
    data = recipe.data
    if data.kind == "motionworld":
        made = make_clips(data.task, *world_of(recipe, part))
        for k, label in enumerate(made.label.tolist()):
            yield TensorSource(made.rgb[k], made.flow[k]), label
    elif data.kind == "store":
        store = FrameStore(set_path(data, part))
        for k in range(len(store)):
            yield StoredVideo(store, k), store.label(k)
    else:
        for video in video_list(data, part).videos:
            yield open_source(video.path, "plain", video.start, video.end), video.label


def video_logits(
    network: Prepared, recipe: Recipe, part: Part, views: Views
) -> tuple[Float[Tensor, "videos views k"], Int[Tensor, "videos"]]:
    """Logits of every view of every video, and the labels."""
    spec, stack = registry.find(recipe.model), recipe.data.stack
    logits, labels = [], []
    for source, label in sources(recipe, part):
        logits.append(view_logits(network.network, prepare_views(source, spec, views, stack)))
        labels.append(label)
    return torch.stack(logits), torch.tensor(labels)


def descriptors(
    network: Prepared, recipe: Recipe, part: Part, views: Views, layer: str
) -> tuple[Float[Tensor, "videos d"], Int[Tensor, "videos"]]:
    """Mean of a layer's features over the views of each video, to unit length."""
    spec, stack = registry.find(recipe.model), recipe.data.stack
    rows, labels = [], []
    for source, label in sources(recipe, part):
        made = prepare_views(source, spec, views, stack)
        rows.append(
            video_descriptor(torch.stack(list(view_features(network.network, made, layer))))
        )
        labels.append(label)
    return torch.stack(rows), torch.tensor(labels)


def svm_on_features(
    recipe: Recipe, weights: Sequence[Path], layer: str, views: Views, device: torch.device | str
) -> float:
    """Test hit@1 of a linear SVM on a layer's descriptors, of several networks side by side."""
    sides: dict[Part, list[Tensor]] = {"train": [], "test": []}
    labels: dict[Part, Tensor] = {}
    for path in weights:
        network, own = of_weights(recipe, path, device)
        for part, side in sides.items():
            rows, labels[part] = descriptors(network, own, part, views, layer)
            side.append(rows)
    machine = fit_svm(torch.cat(sides["train"], 1), labels["train"], number_of_classes(recipe))
    return hit_at(machine.scores(torch.cat(sides["test"], 1)), labels["test"], 1)


def svm_on_scores(
    recipe: Recipe, weights: Sequence[Path], views: Views, device: torch.device | str
) -> list[tuple[str, float]]:
    """Test hit@1 of each network, of their average, and of a linear SVM on their scores.

    The SVM takes the softmax of each network to unit length (Simonyan and Zisserman 2014).
    """
    sides: dict[Part, list[Tensor]] = {"train": [], "test": []}
    labels: dict[Part, Tensor] = {}
    found: list[tuple[str, float]] = []
    for path in weights:
        network, own = of_weights(recipe, path, device)
        for part, side in sides.items():
            logits, labels[part] = video_logits(network, own, part, views)
            side.append(torch.stack([average_views(each) for each in logits]))
        found.append((str(path), hit_at(sides["test"][-1], labels["test"], 1)))
    average = hit_at(torch.stack(sides["test"]).mean(0), labels["test"], 1)
    known, new = (stacked_scores([p.log() for p in side]) for side in sides.values())
    machine = fit_svm(known, labels["train"], number_of_classes(recipe))
    fused = hit_at(machine.scores(new), labels["test"], 1)
    return [*found, ("average", average), ("svm", fused)]
