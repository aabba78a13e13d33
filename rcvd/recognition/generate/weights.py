"""A trained generator as a folder: its weights and the size of what it was trained on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from rcvd.errors import UserError
from rcvd.recognition.generate.long_video import COARSEST
from rcvd.recognition.networks.video_unet import GROUPS, VideoUnet
from rcvd.store import write_json, writing
from rcvd.weights import load_checkpoint, load_into

WEIGHTS, CARD = "generator.safetensors", "generator.json"


@dataclass(frozen=True)
class Card:
    """width: channels of the network. frames, side: of the clips it was trained on."""

    width: int
    frames: int
    side: int


def check_sizes(card: Card) -> None:
    """Raises UserError: no such network can be built, or not on such clips."""
    wrong = card.width < GROUPS or card.width % GROUPS or card.side < 8 or card.side % COARSEST
    if wrong or card.frames < 3:
        raise UserError(
            f"generator of width {card.width}, {card.frames} frames of {card.side} px: give a "
            f"width that {GROUPS} divides, 3 frames or more, and a side of 8 or more that "
            f"{COARSEST} divides"
        )


def save_generator(folder: Path, network: VideoUnet, card: Card) -> None:
    """generator.safetensors and generator.json."""
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / WEIGHTS) as part:
        save_file({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}, part)
    with writing(folder / CARD) as part:
        write_json(part, asdict(card))


def load_generator(folder: Path, device: torch.device | str = "cpu") -> tuple[VideoUnet, Card]:
    """The network ready to run, and what it was trained on.

    Raises:
        UserError: the folder is not one of `save_generator`, or is damaged.
    """
    try:
        card = Card(**json.loads((folder / CARD).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{folder}: not a folder of rcvd recognize fit-generator ({error})"
        ) from error
    check_sizes(card)
    network = VideoUnet(card.width)
    load_into(network, load_checkpoint(folder / WEIGHTS), str(folder / WEIGHTS))
    return network.to(device).eval(), card
