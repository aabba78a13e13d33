"""Tileable patterns: per texel, how much of a material's second and third colour it shows."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

SIZE = 256  # texels along a pattern's side; it repeats beyond


def _stretch(x: Float[Tensor, "s s"]) -> Float[Tensor, "s s"]:
    """Values spread over [0, 1]: the 2nd percentile to 0, the 98th to 1."""
    low, high = torch.quantile(x, 0.02), torch.quantile(x, 0.98)
    return ((x - low) / (high - low)).clamp(0, 1)


def _spectrum(
    g: torch.Generator, slope: float, ratio: int = 1, low: int = 1
) -> Float[Tensor, "s s"]:
    """Noise of amplitude 1 / f^slope from `low` cycles a tile on; ratio draws it out along u."""
    f = torch.fft.fftfreq(SIZE, 1 / SIZE)
    radius = ((f[:, None] / math.sqrt(ratio)) ** 2 + (f[None] * math.sqrt(ratio)) ** 2).sqrt()
    gain = torch.where(radius < low, 0.0, radius.clamp(min=1) ** -slope)
    white = torch.fft.fft2(torch.randn(SIZE, SIZE, generator=g))
    return _stretch(torch.fft.ifft2(white * gain).real)


def _grid() -> tuple[Float[Tensor, "s s"], Float[Tensor, "s s"]]:
    """(v, u) of texel centres in [0, 1)."""
    a = (torch.arange(SIZE) + 0.5) / SIZE
    v, u = torch.meshgrid(a, a, indexing="ij")
    return v.contiguous(), u.contiguous()


def _cells(
    g: torch.Generator, rows: int, columns: int, shift: float = 0.0
) -> tuple[Float[Tensor, "s s"], Float[Tensor, "s s"], Float[Tensor, "s s"]]:
    """A value per cell of a brick lattice, and the distance to its sides (in v, in u; tiles)."""
    v, u = _grid()
    row = (v * rows).floor()
    along = (u + shift * (row % 2) / columns) % 1.0
    column = (along * columns).floor()
    value = torch.rand(rows, columns, generator=g)[row.long(), column.long() % columns]
    across = v * rows - row
    inner = along * columns - column
    to_v = torch.minimum(across, 1 - across) / rows
    to_u = torch.minimum(inner, 1 - inner) / columns
    return value, to_v, to_u


def _lines(to_v: Tensor, to_u: Tensor, width: float) -> Tensor:
    """1 on the joints of a lattice, 0 on its cells, a texel soft."""
    return (1 - (torch.minimum(to_v, to_u) - width / 2) * SIZE).clamp(0, 1)


def noise(g: torch.Generator) -> tuple[Tensor, Tensor]:
    return _spectrum(g, 1.2), 0.6 * _spectrum(g, 0.8, low=6)


def plaster(g: torch.Generator) -> tuple[Tensor, Tensor]:
    return 0.8 * _spectrum(g, 1.5), 0.7 * _spectrum(g, 0.5, low=10) ** 2


def speckle(g: torch.Generator) -> tuple[Tensor, Tensor]:
    return _spectrum(g, 0.5, low=8), _spectrum(g, 1.5) * 0.5


def grass(g: torch.Generator) -> tuple[Tensor, Tensor]:
    return _spectrum(g, 0.7, low=3), _spectrum(g, 1.4) * 0.8


def checks(g: torch.Generator) -> tuple[Tensor, Tensor]:
    v, u = _grid()
    odd = ((v * 6).floor() + (u * 6).floor()) % 2
    return odd * (0.7 + 0.3 * _spectrum(g, 1.0)), 0.5 * _spectrum(g, 1.0)


def stripes(g: torch.Generator) -> tuple[Tensor, Tensor]:
    _, u = _grid()
    edges = torch.rand(14, generator=g).sort().values
    band = torch.rand(15, 2, generator=g).round()[torch.bucketize(u, edges) % 14]
    return band[..., 0] * 0.9, band[..., 1] * 0.6 + 0.3 * _spectrum(g, 0.8)


def tiles(g: torch.Generator) -> tuple[Tensor, Tensor]:
    value, to_v, to_u = _cells(g, 5, 5)
    return 0.55 * value + 0.45 * _spectrum(g, 1.1), _lines(to_v, to_u, 0.012)


def bricks(g: torch.Generator) -> tuple[Tensor, Tensor]:
    value, to_v, to_u = _cells(g, 12, 4, shift=0.5)
    return 0.6 * value + 0.4 * _spectrum(g, 0.9), _lines(to_v, to_u, 0.012)


def planks(g: torch.Generator) -> tuple[Tensor, Tensor]:
    value, to_v, to_u = _cells(g, 10, 2, shift=0.5)
    grain = _spectrum(g, 0.8, ratio=12)
    return (0.5 * value + 0.6 * grain).clamp(0, 1), _lines(to_v, to_u, 0.008)


def wood(g: torch.Generator) -> tuple[Tensor, Tensor]:
    grain = _spectrum(g, 1.0, ratio=16)
    rings = 0.5 + 0.5 * torch.sin(18 * math.pi * grain)
    return (0.6 * grain + 0.4 * rings).clamp(0, 1), 0.4 * _spectrum(g, 1.3)


def marble(g: torch.Generator) -> tuple[Tensor, Tensor]:
    veins = 1 - (2 * _spectrum(g, 1.6) - 1).abs()
    return veins**6, 0.7 * _spectrum(g, 1.3)


def weave(g: torch.Generator) -> tuple[Tensor, Tensor]:
    v, u = _grid()
    thread = torch.sin(64 * math.pi * u) * torch.sin(64 * math.pi * v)
    return (0.25 + 0.25 * thread + 0.5 * _spectrum(g, 0.9)), 0.5 * _spectrum(g, 1.5)


def _nearest_points(g: torch.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Worley cells on the torus: owner, distance to the nearest and to the second point."""
    points = torch.rand(count, 2, generator=g)
    texels = torch.stack(_grid(), -1).reshape(-1, 1, 2)
    apart = (texels - points).abs()
    distance = torch.minimum(apart, 1 - apart).square().sum(-1).sqrt()
    two = distance.topk(2, largest=False)
    shape = (SIZE, SIZE)
    first, second = two.values.unbind(-1)
    return two.indices[:, 0].reshape(shape), first.reshape(shape), second.reshape(shape)


def cobbles(g: torch.Generator) -> tuple[Tensor, Tensor]:
    owner, first, second = _nearest_points(g, 90)
    value = torch.rand(90, generator=g)[owner]
    joint = (1 - (second - first - 0.008) * 120).clamp(0, 1)
    return 0.6 * value + 0.4 * _spectrum(g, 0.9), joint


def patches(g: torch.Generator) -> tuple[Tensor, Tensor]:
    owner, _, _ = _nearest_points(g, 40)
    values = torch.rand(40, 2, generator=g)[owner]
    return values[..., 0], values[..., 1] * 0.7 + 0.3 * _spectrum(g, 1.0)


def leaves(g: torch.Generator) -> tuple[Tensor, Tensor]:
    owner, first, _ = _nearest_points(g, 160)
    value = torch.rand(160, generator=g)[owner]
    return (value * (1.1 - 9 * first)).clamp(0, 1), 0.6 * _spectrum(g, 1.2)


def books(g: torch.Generator) -> tuple[Tensor, Tensor]:
    v, u = _grid()
    edges = torch.rand(36, generator=g).sort().values
    which = torch.bucketize(u, edges) % 36
    colour = torch.rand(36, 2, generator=g)[which]
    band = ((v - 0.3 - 0.2 * torch.rand(36, generator=g)[which]).abs() < 0.05).float()
    first = colour[..., 0] * (1 - band) + (1 - colour[..., 0]) * band
    return first, colour[..., 1]


def poster(g: torch.Generator) -> tuple[Tensor, Tensor]:
    v, u = _grid()
    picture = torch.zeros(2, SIZE, SIZE)
    for k in range(26):
        y, x, a, b, round_ = torch.rand(5, generator=g).tolist()
        shade = torch.rand(2, 1, generator=g)
        dy, dx = (v - y).abs() / (0.04 + 0.22 * a), (u - x).abs() / (0.04 + 0.22 * b)
        inside = (dy**2 + dx**2 < 1) if round_ < 0.4 else (torch.maximum(dy, dx) < 1)
        picture[:, inside] = shade if k % 3 else 1 - picture[:, inside]
    picture = 0.85 * picture + 0.15 * _spectrum(g, 1.0)
    return picture[0], picture[1]


def text(g: torch.Generator) -> tuple[Tensor, Tensor]:
    v, u = _grid()
    line = (v * 18).floor()
    letters = torch.rand(18, 64, generator=g)[line.long(), (u * 64).floor().long()] < 0.7
    ends = 0.55 + 0.4 * torch.rand(18, generator=g)[line.long()]
    ink = letters & (v * 18 - line < 0.6) & (u > 0.08) & (u < ends) & (line % 7 != 6)
    return ink.float(), 0.4 * _spectrum(g, 1.2)


def facade(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two storeys of four windows: second colour the panes, third the frames and the dirt."""
    v, u = _grid()
    y, x = (v * 2) % 1.0, (u * 4) % 1.0
    dy, dx = (y - 0.45).abs(), (x - 0.5).abs()
    pane = (dy < 0.27) & (dx < 0.26) & ((x - 0.5).abs() > 0.02) & ((y - 0.38).abs() > 0.015)
    frame = (dy < 0.31) & (dx < 0.3) & ~pane | ((y - 0.79).abs() < 0.02) & (dx < 0.34)
    lit = torch.rand(2, 4, generator=g)[(v * 2).long(), (u * 4).long()]
    dirt = 0.5 * _spectrum(g, 0.9)
    glass = pane * (0.55 + 0.45 * lit)
    return torch.where(pane, glass, 0.15 * _spectrum(g, 1.0)), torch.where(frame, 1.0, dirt * ~pane)


PATTERNS: dict[str, Callable[[torch.Generator], tuple[Tensor, Tensor]]] = {
    "noise": noise,
    "plaster": plaster,
    "speckle": speckle,
    "grass": grass,
    "checks": checks,
    "stripes": stripes,
    "tiles": tiles,
    "bricks": bricks,
    "planks": planks,
    "wood": wood,
    "marble": marble,
    "weave": weave,
    "cobbles": cobbles,
    "patches": patches,
    "leaves": leaves,
    "books": books,
    "poster": poster,
    "poster_2": poster,
    "poster_3": poster,
    "text": text,
    "facade": facade,
}
