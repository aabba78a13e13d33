"""What `rcvd recognize train` and `evaluate` do: a network, its data, its training."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rcvd.errors import UserError
from rcvd.recognition import registry
from rcvd.recognition.checkpoints import load_weights
from rcvd.recognition.data.frame_store import FrameStore
from rcvd.recognition.data.loader import Batch, Loader, Samples
from rcvd.recognition.data.readers import Kind, VideoList, read_list
from rcvd.recognition.data.sampling import ClipShape
from rcvd.recognition.data.sets import ClipsInMemory, StoredClips, VideoClips
from rcvd.recognition.data.transforms import Augmentation
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.motion.motionworld import Task, WorldOptions, classes, make_clips
from rcvd.recognition.motion.stacking import Stack, restack
from rcvd.recognition.networks.norms import Norm, renorm
from rcvd.recognition.train import TrainOptions

CARD = "model.json"
Part = Literal["train", "test"]


@dataclass(frozen=True)
class DataOptions:
    """kind: motionworld (made on the fly), store (a packed file), folder (one folder a class),
    ucf101 or kinetics (list files).

    train, test: the file, folder or list. root: the videos' folder where those are lists. task,
    clips, test_clips: of motionworld. flip: mirror half of the clips; not for labels with a left
    and a right. stack: how a temporal stream sees the flow.
    """

    kind: Literal["motionworld", "store"] | Kind = "motionworld"
    train: Path | None = None
    test: Path | None = None
    root: Path | None = None
    task: Task = "dir8"
    clips: int = 1000
    test_clips: int = 500
    flip: bool = False
    stack: Stack = "flow"


@dataclass(frozen=True)
class Recipe:
    """model: a name of the table. classes: of the data; motionworld knows its own. weights: to
    start from. norm: in place of every batch norm, as gn for tiny batches. batch, workers, seed: of
    the loader.
    """

    model: str = "toy_3d"
    classes: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    weights: Path | None = None
    replace_head: bool = False
    norm: Norm = "bn"
    batch: int = 32
    workers: int = 0
    seed: int = 0
    train: TrainOptions = field(default_factory=TrainOptions)


class Prepared(nn.Module):
    """A network behind its preprocessing: takes RGB in [0, 1] and flow in pixels."""

    def __init__(self, network: nn.Module, spec: ModelSpec, stack: Stack = "flow") -> None:
        super().__init__()
        self.network, self.preprocessing = network, spec.preprocessing
        self.stack: Stack = stack

    def forward(self, rgb: Tensor | None = None, flow: Tensor | None = None) -> Tensor:
        inputs = {}
        if rgb is not None:
            inputs["rgb"] = self.preprocessing.colours(rgb)
        if flow is not None:
            inputs["flow"] = self.preprocessing.displacements(restack(self.stack, flow))
        return self.network(**inputs)


def number_of_classes(recipe: Recipe) -> int:
    """What the recipe says, or what its data say.

    Raises:
        UserError: nobody says.
    """
    if recipe.classes:
        return recipe.classes
    data = recipe.data
    if data.kind == "motionworld":
        return classes(data.task)
    if data.kind == "store":
        raise UserError("classes: say how many the store has, as in --set classes=101")
    return len(video_list(data, "train").names)


def class_names(recipe: Recipe) -> tuple[str, ...]:
    """Names of the labels where the data have them."""
    if recipe.data.kind in ("motionworld", "store"):
        return ()
    return video_list(recipe.data, "train").names


def set_path(data: DataOptions, part: Part) -> Path:
    """Raises UserError: the recipe does not say where that set is."""
    path = data.train if part == "train" else data.test
    if path is None:
        raise UserError(f"data.{part}: say where the {part} set is")
    return path


def world_of(recipe: Recipe, part: Part) -> tuple[int, int, WorldOptions]:
    """Clips, seed and size of a MotionWorld set."""
    length, *window = registry.find(recipe.model).clip
    count = recipe.data.clips if part == "train" else recipe.data.test_clips
    seed = recipe.seed + (0 if part == "train" else 1_000_003)
    return count, seed, WorldOptions(length, min(window))


def video_list(data: DataOptions, part: Part) -> VideoList:
    """The videos of a set that is a folder or a list."""
    path = set_path(data, part)
    if data.kind == "folder":
        return read_list("folder", path, None)
    if data.root is None:
        raise UserError("data.root: say where the videos are")
    names = () if part == "train" else video_list(data, "train").names
    return read_list("ucf101" if data.kind == "ucf101" else "kinetics", data.root, path, names)


def make_network(recipe: Recipe, device: torch.device | str) -> Prepared:
    """The network behind its preprocessing, with weights where the recipe names them."""
    network = renorm(registry.build(recipe.model, number_of_classes(recipe)), recipe.norm)
    if recipe.weights:
        load_weights(network, recipe.model, recipe.weights, recipe.replace_head)
    return Prepared(network, registry.find(recipe.model), recipe.data.stack).to(device)


def make_samples(recipe: Recipe, part: Part) -> Samples:
    """The training or the test set, in clips of the network's size.

    Raises:
        UserError: the recipe does not say where it is.
    """
    spec, data = registry.find(recipe.model), recipe.data
    length, *window = spec.clip
    if data.kind == "motionworld":
        made = make_clips(data.task, *world_of(recipe, part))
        return ClipsInMemory(made.rgb, made.flow, made.label)
    stride = 1 if "flow" in spec.inputs else spec.preprocessing.stride
    shape = ClipShape(length, stride, spread=spec.spread)
    short = max(spec.preprocessing.short_side, *window)
    reach = (short, short * 5 // 4) if part == "train" else (short, short)
    changes = Augmentation(min(window), reach, flip=data.flip and part == "train")
    if data.kind != "store":
        return VideoClips(video_list(data, part), shape, changes)
    return StoredClips(FrameStore(set_path(data, part)), shape, changes)


def make_loader(recipe: Recipe, part: Part) -> Loader:
    """Shuffled batches to train on, or ordered ones to test on."""
    samples = make_samples(recipe, part)
    train = part == "train"
    return Loader(samples, recipe.batch, recipe.seed, train, recipe.workers, drop_last=False)


def write_card(folder: Path, recipe: Recipe) -> None:
    """model.json beside the weights: which network they belong to, and its labels."""
    card = Card(
        recipe.model,
        number_of_classes(recipe),
        class_names(recipe),
        recipe.norm,
        recipe.data.stack,
    )
    save_card(folder, card, asdict(recipe.train))


@dataclass(frozen=True)
class Card:
    """What model.json says. names: of the labels, may be empty. norm, stack: as in the recipe."""

    model: str
    classes: int
    names: tuple[str, ...]
    norm: Norm = "bn"
    stack: Stack = "flow"


def save_card(folder: Path, card: Card, train: dict[str, Any]) -> None:
    """model.json of a folder of weights. train: how they were trained."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).write_text(json.dumps(asdict(card) | {"train": train}, indent=1) + "\n")


def read_card(weights: Path) -> Card | None:
    """The card beside a weights file; none for published weights.

    Raises:
        UserError: it is damaged.
    """
    path = weights.parent / CARD
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        names = tuple(content["names"])
        return Card(
            content["model"], int(content["classes"]), names, content["norm"], content["stack"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it, or train again") from error


def loading_rate(loader: Loader, seconds: float) -> tuple[int, float]:
    """Clips read in about so many seconds, and how many a second that is."""
    import time

    start, clips = time.perf_counter(), 0
    epoch = 0
    while time.perf_counter() - start < seconds:
        batch: Batch
        for batch in loader.batches(epoch):
            clips += len(batch.label)
            if time.perf_counter() - start >= seconds:
                break
        epoch += 1
    return clips, clips / (time.perf_counter() - start)
