"""Different scenes joined into one batch for the renderer."""

from dataclasses import fields

import torch
from torch import Tensor

from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.materials import Materials
from rcvd.synthetic.primitives import NOTHING, Primitives

SceneBatch = tuple[Primitives, Materials, Lights]
LAMPS = ("lamp_at", "lamp")
FILLER = {"kind": NOTHING, "half": 1, "tile": 1}  # of the solids that pad a scene; else 0


def join_scenes(some: list[SceneBatch], device: torch.device | None = None) -> SceneBatch:
    """One batch of all; scenes with fewer solids or lamps get some that do nothing."""
    n = max(primitives.kind.shape[1] for primitives, _, _ in some)

    def joined(parts: list, name: str, size: int) -> Tensor:
        padded = []
        for part in parts:
            x: Tensor = getattr(part, name)
            missing = (x.shape[0], size - x.shape[1], *x.shape[2:])
            padded.append(torch.cat([x, x.new_full(missing, FILLER.get(name, 0))], 1))
        return torch.cat(padded).to(device)

    primitives, materials, lights = (list(parts) for parts in zip(*some, strict=True))
    lamps = max(light.lamp.shape[1] for light in lights)
    plain = [f.name for f in fields(Lights) if f.name not in LAMPS]
    lit = {name: torch.cat([getattr(x, name) for x in lights]).to(device) for name in plain}
    lit |= {name: joined(lights, name, lamps) for name in LAMPS}
    return (
        Primitives(**{f.name: joined(primitives, f.name, n) for f in fields(Primitives)}),
        Materials(**{f.name: joined(materials, f.name, n) for f in fields(Materials)}),
        Lights(**lit),
    )
