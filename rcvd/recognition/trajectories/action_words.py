"""Actions told by trajectories: a Fisher vector of each kind of descriptor, then a linear SVM.

Wang, Schmid, "Action recognition with improved trajectories", ICCV 2013, section 4. What
`rcvd recognize trajectories` wrote of a clip is one example.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.recognition.svm import LinearSvm, fit_svm
from rcvd.recognition.trajectories.fisher import COST, FisherEncoder, FisherOptions, fit_fisher
from rcvd.store import writing

HAND_MADE = ("shape", "hog", "hof", "mbh")
DEEP = "tdd_"  # how the names of trajectory-pooled deep descriptors begin
PARTS = ("centre", "axes", "weight", "mean", "sigma")  # of an encoder in the file
MOST = 100_000  # descriptors a mixture is fitted on

Described = dict[str, Float[Tensor, "_n _d"]]  # one clip's descriptors by kind


def fisher_vector(encoders: dict[str, FisherEncoder], clip: Described) -> Float[Tensor, "f"]:
    """Fisher vectors of all kinds, each of unit length (zero for a clip without motion).

    Raises:
        UserError: a kind of descriptor is missing, or of another length.
    """
    for kind, encoder in encoders.items():
        if kind not in clip or clip[kind].shape[1] != len(encoder.centre):
            raise UserError(
                f"these trajectories have no '{kind}' of {len(encoder.centre)} numbers; "
                "write them as those it was fitted on"
            )
    return torch.cat([encoder.encode(clip[kind]) for kind, encoder in encoders.items()])


@dataclass(frozen=True)
class ActionWords:
    """encoders: by kind of descriptor. svm: on their Fisher vectors. names: of the classes."""

    encoders: dict[str, FisherEncoder]
    svm: LinearSvm
    names: tuple[str, ...]

    def scores(self, clip: Described) -> Float[Tensor, "k"]:
        """How far a clip lies on each class's side of its plane."""
        return self.svm.scores(fisher_vector(self.encoders, clip)[None])[0]


def read_described(path: Path) -> Described:
    """Descriptors in a file of `rcvd recognize trajectories`.

    Raises:
        UserError: missing, damaged, or something else.
    """
    arrays = read_npz(path)
    kinds = [name for name in arrays if name in HAND_MADE or name.startswith(DEEP)]
    if not set(HAND_MADE) <= arrays.keys():
        raise UserError(f"{path}: not written by rcvd recognize trajectories")
    return {kind: torch.from_numpy(arrays[kind]).float() for kind in kinds}


def read_examples(folder: Path) -> tuple[list[Described], Int[Tensor, "n"], tuple[str, ...]]:
    """folder/CLASS/ANY.npz: descriptors, labels, names of the classes in alphabetical order.

    Raises:
        UserError: fewer than two classes have a file.
    """
    found = {path: path.parent.name for path in sorted(folder.glob("*/*.npz"))}
    names = tuple(sorted(set(found.values())))
    if len(names) < 2:
        raise UserError(
            f"{folder}: put what rcvd recognize trajectories wrote into one folder a class, "
            "of two classes or more"
        )
    label = torch.tensor([names.index(name) for name in found.values()])
    return [read_described(path) for path in found], label, names


def fit_words(
    clips: Sequence[Described], label: Int[Tensor, "n"], names: tuple[str, ...],
    options: FisherOptions | None = None,
) -> ActionWords:  # fmt: skip
    """Encoders and classifier of the kinds of descriptors that all clips have."""
    kinds = [kind for kind in clips[0] if all(kind in clip for clip in clips)]
    encoders = {}
    for kind in kinds:
        every = torch.cat([clip[kind] for clip in clips])
        step = -(-len(every) // MOST)
        encoders[kind] = fit_fisher(every[::step], options)
    x = torch.stack([fisher_vector(encoders, clip) for clip in clips])
    return ActionWords(encoders, fit_svm(x, label, len(names), COST), names)


def save_words(path: Path, words: ActionWords) -> None:
    """An .npz of arrays: KIND.PART of each encoder, svm.weight, svm.bias, names."""
    arrays = {"svm.weight": words.svm.weight, "svm.bias": words.svm.bias}
    for kind, encoder in words.encoders.items():
        arrays |= {f"{kind}.{part}": getattr(encoder, part) for part in PARTS}
    held: dict[str, Any] = {name: value.numpy() for name, value in arrays.items()}
    with writing(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, names=np.array(words.names), **held)


def load_words(path: Path) -> ActionWords:
    """Raises UserError: missing, damaged, or not of `save_words`."""
    arrays = read_npz(path)
    kinds = [name.removesuffix(".centre") for name in arrays if name.endswith(".centre")]
    needed = {f"{kind}.{part}" for kind in kinds for part in PARTS}
    if not kinds or not needed | {"names", "svm.weight", "svm.bias"} <= arrays.keys():
        raise UserError(f"{path}: not written by rcvd recognize fit-fisher")
    encoders = {
        kind: FisherEncoder(*(torch.from_numpy(arrays[f"{kind}.{part}"]) for part in PARTS))
        for kind in kinds
    }
    weight, bias = (torch.from_numpy(arrays[f"svm.{part}"]) for part in ("weight", "bias"))
    return ActionWords(encoders, LinearSvm(weight, bias), tuple(map(str, arrays["names"])))
