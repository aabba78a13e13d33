"""Different scenes joined into one batch for the renderer."""

from dataclasses import fields

import torch
from torch import Tensor

from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.materials import Materials
from rcvd.synthetic.primitives import NOTHING, Primitives

SceneBatch = tuple[Primitives, Materials, Lights]
FILLER = {"kind": NOTHING, "half": 1, "tile": 1}  # of the solids that pad a scene; else 0


def join_scenes(some: list[SceneBatch]) -> SceneBatch:
    """One batch of all; scenes with fewer solids get solids that are never hit."""
    n = max(primitives.kind.shape[1] for primitives, _, _ in some)

    def joined(parts: list[Primitives] | list[Materials], name: str) -> Tensor:
        padded = []
        for part in parts:
            x: Tensor = getattr(part, name)
            size = (x.shape[0], n - x.shape[1], *x.shape[2:])
            padded.append(torch.cat([x, x.new_full(size, FILLER.get(name, 0))], 1))
        return torch.cat(padded)

    primitives = [scene[0] for scene in some]
    materials = [scene[1] for scene in some]
    return (
        Primitives(**{f.name: joined(primitives, f.name) for f in fields(Primitives)}),
        Materials(**{f.name: joined(materials, f.name) for f in fields(Materials)}),
        Lights(
            **{f.name: torch.cat([getattr(s[2], f.name) for s in some]) for f in fields(Lights)}
        ),
    )
