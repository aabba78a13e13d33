"""Videos of any length around known frames, made level by level with a short window."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.recognition.generate.diffusion import Condition, sample, to_rgb, to_signal
from rcvd.recognition.generate.frame_tasks import hierarchy
from rcvd.recognition.networks.video_unet import VideoUnet
from rcvd.recognition.preprocessing import resize_clip, short_side_size
from rcvd.recognition.sources import ClipSource

COARSEST = 4  # of whose multiple a side must be, for two levels of the U-Net


def known_frames(
    source: ClipSource, given: str, length: int, side: int
) -> dict[int, Float[Tensor, "3 h w"]]:
    """Frames of a source by number, as "0,16", with a short side of about `side` pixels.

    Raises:
        UserError: not numbers, or not of the source or of the new video.
    """
    try:
        numbers = sorted({int(part) for part in given.split(",")})
    except ValueError:
        raise UserError(f"--given {given!r}: write frame numbers, as in 0,16") from None
    last = min(source.n_frames, length) - 1
    if numbers[0] < 0 or numbers[-1] > last:
        raise UserError(f"--given {given}: frames 0 to {last} are there and are wanted")
    rgb = source.rgb(numbers)[None]
    h, w = short_side_size((rgb.shape[3], rgb.shape[4]), side)
    h, w = (COARSEST * max(1, round(s / COARSEST)) for s in (h, w))
    small = resize_clip(rgb, (h, w))[0]
    return {k: small[:, n] for n, k in enumerate(numbers)}


def make_video(
    network: VideoUnet,
    window: int,
    known: Mapping[int, Float[Tensor, "3 h w"]],
    length: int,
    size: tuple[int, int],
    steps: int = 16,
    seed: int = 0,
) -> Float[Tensor, "3 t h w"]:
    """A video in [0, 1] of any length around the known frames (in [0, 1]), level by level.

    Raises:
        UserError: the size does not suit the network.
    """
    if any(side % COARSEST for side in size):
        raise UserError(f"{size[1]}x{size[0]}: width and height must be multiples of {COARSEST}")
    device = next(network.parameters()).device
    frames = {k: to_signal(x.to(device)) for k, x in known.items()}
    blank = torch.zeros(3, *size, device=device)
    for number, call in enumerate(hierarchy(length, window, tuple(known))):
        clip = torch.stack([frames.get(k, blank) for k in call.frames], 1)[None]
        given = torch.tensor([[k in call.given for k in call.frames]], device=device)
        place = torch.tensor([[float(k) for k in call.frames]], device=device)
        made = sample(network, Condition(clip, given, place - place[:, :1]), steps, seed + number)
        frames |= {k: made[0, :, i] for i, k in enumerate(call.frames) if k in call.made}
    return to_rgb(torch.stack([frames[k] for k in range(length)], 1)).cpu()
