"""What one pass over a clip leaves for the next one, as files: the clip is never held whole."""

from collections.abc import Iterator, MutableMapping
from pathlib import Path

import torch
from torch import Tensor

from rcvd.items import array_name, read_array, write_npy


class Spool(MutableMapping[int, Tensor]):
    """Tensors by frame, in a folder of files that the caller removes: what one pass over a clip
    leaves for the next one without holding the clip.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        self.folder, self.device = folder, device

    def __setitem__(self, k: int, values: Tensor) -> None:
        write_npy(self.folder / array_name(k), values)

    def __getitem__(self, k: int) -> Tensor:
        path = self.folder / array_name(k)
        if not path.exists():
            raise KeyError(k)
        return torch.from_numpy(read_array(path)).to(self.device)

    def __delitem__(self, k: int) -> None:
        (self.folder / array_name(k)).unlink()

    def __iter__(self) -> Iterator[int]:
        return (int(path.stem) for path in sorted(self.folder.glob("*.npy")))

    def __len__(self) -> int:
        return sum(1 for _ in self)
