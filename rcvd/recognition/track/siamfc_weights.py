"""SiamFC's weights: the bundled ones, our own, or those of the public siamfc-pytorch."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.track.siamfc import CHANNELS, SiamFC
from rcvd.store import writing
from rcvd.weights import bundled_path, load_checkpoint, load_into

BUNDLED = "siamfc_bundled"
FIRST = "backbone.conv1.0.weight"
COUNTER = "num_batches_tracked"  # of batch normalisation: no part of the function


def load_siamfc(path: Path | None = None, device: torch.device | str = "cpu") -> SiamFC:
    """The network with weights from a file, None: the bundled ones; its width is theirs.

    Every key has to fit. Weights of siamfc-pytorch have no bias of the score: it is 0.

    Raises:
        UserError: the file is missing, damaged, or of another network.
    """
    path = bundled_path(BUNDLED) if path is None else path
    tensors = load_checkpoint(path)
    first = tensors.get(FIRST)
    if first is None or first.ndim != 4:
        raise UserError(f"{path}: not weights of SiamFC: {FIRST} is missing")
    network = SiamFC(len(first) / CHANNELS[0])
    own = network.state_dict()
    tensors.setdefault("bias", torch.zeros(()))
    for key in own:
        if key.endswith(COUNTER):
            tensors.setdefault(key, torch.zeros((), dtype=torch.long))
    load_into(network, {key: value.to(own[key]) if key in own else value
                        for key, value in tensors.items()}, str(path))  # fmt: skip
    return network.to(device).eval()


def save_siamfc(network: SiamFC, path: Path) -> None:
    """A .safetensors in half precision, read back by `load_siamfc`."""
    kept: dict[str, Tensor] = {
        key: value.detach().half().cpu().contiguous()
        for key, value in network.state_dict().items()
        if not key.endswith(COUNTER)
    }
    with writing(path) as part:
        save_file(kept, part)
