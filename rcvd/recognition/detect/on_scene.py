"""An action detector on a scene folder: boxes of who may act, scored and joined to tubes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.detect.ava import ActionBox
from rcvd.recognition.detect.tubes import KeyBoxes, Tube
from rcvd.recognition.model_spec import ModelSpec
from rcvd.recognition.networks.action_detector import BoxNetwork
from rcvd.recognition.networks.feature_bank import bank_window
from rcvd.recognition.preprocessing import resize_clip, short_side_size
from rcvd.recognition.sources import SceneFrames
from rcvd.recognition.visualise.pictures import Picture, colour_of, draw_box, to_bytes
from rcvd.scene import Scene

MIN_SHARE = 0.002  # of the image: smaller things are left alone
PERSON = "person"
BANK_ENTRIES = 60  # of the long-term feature bank that one box sees


@dataclass(frozen=True)
class _Seen:
    """Things of one key frame: boxes in pixels of the scene, their tracks, what is in them."""

    frame: int
    boxes: Float[Tensor, "n 4"]
    tracks: tuple[int, ...]
    features: Float[Tensor, "n d"]


def scene_boxes(scene: Scene, k: int) -> tuple[Float[Tensor, "n 4"], tuple[int, ...]]:
    """x0, y0, x1, y1 of who may act in frame k in pixels, and their track numbers.

    What moves, and what a detector of the masks stage named a person: one who sits acts as well.
    """
    found = scene.instances(k)
    h, w = scene.size
    large = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1) >= MIN_SHARE * h * w
    person = torch.tensor([label == PERSON for label in found.labels], dtype=torch.bool)
    chosen = (large & (found.moving | person)).nonzero()[:, 0]
    return found.boxes[chosen], tuple(found.tracks[chosen].tolist())


def key_frames(n_frames: int, every: int) -> range:
    """Every so many frames, beginning half a step in. Raises UserError: `every` is below 1."""
    if every < 1:
        raise UserError(f"every {every} frames: give 1 or more")
    return range(min(every // 2, n_frames - 1), n_frames, every)


def _clip_around(k: int, n_frames: int, spec: ModelSpec) -> list[int]:
    length, stride = spec.clip[0], spec.preprocessing.stride
    start = k - length // 2 * stride
    return [min(max(start + i * stride, 0), n_frames - 1) for i in range(length)]


def _look(
    scene: Scene, network: BoxNetwork, spec: ModelSpec, frames: Sequence[int]
) -> Iterator[_Seen]:
    source, device = SceneFrames(scene), next(network.parameters()).device
    size = short_side_size(scene.size, spec.preprocessing.short_side)
    factor = torch.tensor([size[1] / scene.size[1], size[0] / scene.size[0]]).repeat(2)
    for k in frames:
        boxes, tracks = scene_boxes(scene, k)
        if len(boxes) == 0:
            continue
        rgb = resize_clip(source.rgb(_clip_around(k, scene.n_frames, spec))[None], size)
        rgb = spec.preprocessing.colours(rgb).to(device)
        clip = torch.zeros(len(boxes), dtype=torch.int64, device=device)
        yield _Seen(k, boxes, tracks, network.box_features(rgb, (boxes * factor).to(device), clip))


@torch.no_grad()
def detect_actions(
    scene: Scene, network: BoxNetwork, spec: ModelSpec, every: int = 4
) -> list[KeyBoxes]:
    """Probabilities of every action for who may act in every `every`-th frame.

    The clip around a key frame stands still at the ends of the video. A network with a long-term
    feature bank sees the whole scene's boxes around each key frame.
    """
    network.eval()
    seen = list(_look(scene, network, spec, key_frames(scene.n_frames, every)))
    if not seen:
        return []
    bank = torch.cat([each.features for each in seen])
    when = torch.cat([torch.full((len(each.boxes),), float(each.frame)) for each in seen])
    found = []
    for each in seen:
        window = None
        if network.head.bank is not None:
            window = bank_window(bank, when.to(bank.device), each.frame, torch.inf, BANK_ENTRIES)
            window = window.expand(len(each.boxes), -1, -1)
        scores = network.head(each.features, window).sigmoid().cpu()
        found.append(KeyBoxes(each.frame, each.boxes, scores, each.tracks))
    return found


def as_ava(scene: Scene, frames: Sequence[KeyBoxes], least: float) -> Iterator[ActionBox]:
    """Rows of an AVA csv: every action of every box that scores `least` or more."""
    h, w = scene.size
    size = torch.tensor([w, h, w, h])
    for key in frames:
        time = round(float(scene.times[key.frame]), 3)
        for n, k in (key.scores >= least).nonzero().tolist():
            x0, y0, x1, y1 = (key.boxes[n] / size).tolist()
            score = float(key.scores[n, k])
            yield ActionBox(scene.root.name, time, (x0, y0, x1, y1), k + 1, score, key.track[n])


def action_of(tube: Tube, names: Sequence[str]) -> str:
    """Its most likely action and how likely."""
    name = names[tube.action] if names else f"action {tube.action + 1}"
    return f"{name} {float(tube.scores[tube.action]):.2f}"


def tube_line(number: int, tube: Tube, names: Sequence[str]) -> str:
    """One line on a tube: when, and its most likely action."""
    return f"tube {number}: frames {min(tube.boxes)} to {max(tube.boxes)}, {action_of(tube, names)}"


def box_at(tube: Tube, frame: int) -> Float[Tensor, "4"] | None:
    """Where a tube is, on a straight way between its key frames; None before and after them."""
    before = [k for k in tube.boxes if k <= frame]
    after = [k for k in tube.boxes if k >= frame]
    if not before or not after:
        return None
    a, b = max(before), min(after)
    share = (frame - a) / max(b - a, 1)
    return (1 - share) * tube.boxes[a] + share * tube.boxes[b]


def draw_tubes(
    rgb: Float[Tensor, "3 h w"], tubes: Sequence[Tube], frame: int, names: Sequence[str]
) -> Picture:
    """The picture with box and action of every tube."""
    picture = to_bytes(rgb)
    for number, tube in enumerate(tubes):
        box = box_at(tube, frame)
        if box is not None:
            draw_box(picture, box, action_of(tube, names), colour_of(number))
    return picture
