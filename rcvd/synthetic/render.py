"""Pictures and depth of a batch of scenes, each through its own camera.

One ray through every pixel centre gives z, the surface and the colour; where a pixel differs from
a neighbour in surface, facing or shadow, four more rays average its colour. Textures are
prefiltered, so the rest needs one ray only.
"""

from dataclasses import dataclass, fields, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.geometry.camera import pixel_centres, rays
from rcvd.geometry.pose import invert
from rcvd.synthetic import cast
from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.materials import GAMMA, Materials
from rcvd.synthetic.primitives import Primitives
from rcvd.synthetic.shading import shade
from rcvd.synthetic.surfaces import Bundles, World
from rcvd.synthetic.textures import texture_bank
from rcvd.types import Cameras

TILE = 8
PACK = 8  # edge pixels of one tile that are refined together
RAYS_AT_ONCE = {"cpu": 100_000, "cuda": 4_000_000}
SUBPIXELS = torch.tensor([[-0.375, -0.125], [0.125, -0.375], [0.375, 0.125], [-0.125, 0.375]])


@dataclass(frozen=True)
class Render:
    """z: 0 on the sky. surface: number of the solid seen, -1 on the sky."""

    rgb: Float[Tensor, "b 3 h w"]
    z: Float[Tensor, "b h w"]
    surface: Int[Tensor, "b h w"]


def render(
    primitives: Primitives,
    materials: Materials,
    lights: Lights,
    cameras: Cameras,
    antialias: bool = True,
) -> Render:
    """Pictures of b scenes through b cameras (`cameras` has one a scene, in its t axis)."""
    h, w = cameras.size
    per_frame = h * w
    device = primitives.half.device
    step = max(1, RAYS_AT_ONCE.get(device.type, 100_000) // per_frame)
    parts = []
    for start in range(0, len(primitives.half), step):
        part = slice(start, start + step)
        parts.append(_render_part(primitives, materials, lights, cameras, part, antialias))
    return Render(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Render)))


def _render_part(
    primitives: Primitives,
    materials: Materials,
    lights: Lights,
    cameras: Cameras,
    part: slice,
    antialias: bool,
) -> Render:
    some = Primitives(**{f.name: getattr(primitives, f.name)[part] for f in fields(Primitives)})
    pose = cameras.world_from_cam[part]
    world = World(
        solids=cast.ready(some),
        materials=Materials(
            **{f.name: getattr(materials, f.name)[part].flatten(0, 1) for f in fields(Materials)}
        ),
        rotation=some.world_from_local[..., :3, :3].flatten(0, 1).float(),
        lights=lights.pick(part),
        eye=pose[:, :3, 3].float(),
        bank=texture_bank(some.half.device),
    )
    lenses = Cameras(pose, cameras.intrinsics[part], cameras.distortion[part], cameras.size)
    bundles = _tiles(some, lenses)
    seen = shade(world, bundles)
    b = len(pose)
    colour, t, surface, normal, shadow = (
        _untile(x, b, cameras.size)
        for x in (seen.colour, seen.t, seen.surface, seen.normal, seen.shadow)
    )
    if antialias:
        edge = _edges(surface, normal, shadow)
        if bool(edge.any()):  # a bare wall has none
            colour[edge] = _fine(world, lenses, replace(bundles, casters=seen.casters), edge)
    rgb = colour.clamp(0, 1) ** (1 / GAMMA)
    z = torch.where(surface >= 0, t, 0.0)
    return Render(rearrange(rgb, "b h w c -> b c h w"), z, surface)


def trace(
    primitives: Primitives, cameras: Cameras
) -> tuple[Float[Tensor, "b h w"], Int[Tensor, "b h w"]]:
    """z and surface as of `render`, without the picture: several times faster."""
    solids = cast.ready(primitives)
    tiles = _tiles(primitives, cameras)
    origin = cameras.world_from_cam[:, :3, 3].float()[tiles.scene][..., None]
    t, surface = cast.nearest(solids, tiles.scene, tiles.candidates, origin, tiles.direction)
    b = len(cameras.world_from_cam)
    surface = _untile(surface, b, cameras.size)
    return torch.where(surface >= 0, _untile(t, b, cameras.size), 0.0), surface


def _directions(
    cameras: Cameras, frame: Int[Tensor, "m"], pixels: Float[Tensor, "m r 2"]
) -> Float[Tensor, "m 3 r"]:
    """World directions of pixels, each with z = 1 in its own camera."""
    k = cameras.intrinsics[frame].double()[:, None]
    k1 = cameras.distortion[frame].double()[:, None]
    bent = bool((k1 != 0).any())
    local = rays(pixels.double(), k, k1.expand(pixels.shape[:2]) if bent else 0.0)
    rotation = cameras.world_from_cam[frame, :3, :3].double()
    return (rotation @ local.transpose(1, 2)).float()


def _tiles(primitives: Primitives, cameras: Cameras) -> Bundles:
    """The whole image in tiles, with the solids whose projected bounds meet each."""
    h, w = cameras.size
    rows, columns = -(-h // TILE), -(-w // TILE)
    b, device = len(cameras.world_from_cam), primitives.half.device
    grid = pixel_centres((rows * TILE, columns * TILE), device, torch.float64)
    tiles = rearrange(grid, "(i p) (j q) c -> (i j) (p q) c", p=TILE, q=TILE)
    frame = torch.arange(b, device=device).repeat_interleave(len(tiles))
    pixels = tiles.repeat(b, 1, 1)
    k = cameras.intrinsics.double()
    bent = bool((cameras.distortion != 0).any())
    k1 = cameras.distortion.double()[frame, None].expand(pixels.shape[:2]) if bent else 0.0
    flat = rays(pixels, k[frame, None], k1)[..., :2]
    angle = 1 / k[:, 0]
    margin = 1.5 * angle[frame, None]
    low, high = flat.amin(1) - margin, flat.amax(1) + margin
    bounds = cast.projected_bounds(primitives, invert(cameras.world_from_cam.double()))[frame]
    low, high = low[:, None], high[:, None]
    meet = (bounds[..., :2] <= high) & (bounds[..., 2:] >= low)
    candidates = meet.all(-1) & (primitives.kind >= 0)[frame]
    directions = _directions(cameras, frame, pixels)
    return Bundles(frame, directions, candidates, angle.float()[frame])


def _untile(values: Tensor, b: int, size: tuple[int, int]) -> Tensor:
    h, w = size
    i, j = -(-h // TILE), -(-w // TILE)
    image = rearrange(
        values, "(b i j) (p q) ... -> b (i p) (j q) ...", b=b, i=i, j=j, p=TILE, q=TILE
    )
    return image[:, :h, :w].contiguous()


def _edges(
    surface: Int[Tensor, "b h w"], normal: Float[Tensor, "b h w 3"], shadow: Int[Tensor, "b h w"]
) -> Bool[Tensor, "b h w"]:
    """Pixels that differ from a neighbour in surface, facing or shadow."""
    edge = torch.zeros_like(surface, dtype=torch.bool)
    for axis in (1, 2):
        size = surface.shape[axis] - 1
        a, b = (x.narrow(axis, 0, size) for x in (surface, shadow))
        c, d = (x.narrow(axis, 1, size) for x in (surface, shadow))
        alike = (normal.narrow(axis, 0, size) * normal.narrow(axis, 1, size)).sum(-1) > 0.9
        differs = (a != c) | (b != d) | ~alike
        edge.narrow(axis, 0, size).logical_or_(differs)
        edge.narrow(axis, 1, size).logical_or_(differs)
    return edge


def _fine(
    world: World, cameras: Cameras, tiles: Bundles, edge: Bool[Tensor, "b h w"]
) -> Float[Tensor, "e 3"]:
    """Mean linear colour of four rays through each edge pixel; pixels of a tile go in packs."""
    frame, y, x = edge.nonzero(as_tuple=True)
    per_frame = len(tiles.scene) // len(edge)
    tile = frame * per_frame + (y // TILE) * -(-edge.shape[2] // TILE) + x // TILE
    order = tile.argsort(stable=True)
    count = torch.bincount(tile, minlength=len(tiles.scene))
    place = torch.arange(len(tile), device=tile.device) - (count.cumsum(0) - count)[tile[order]]
    packs = (count + PACK - 1) // PACK  # of each tile
    pack = (packs.cumsum(0) - packs)[tile[order]] + place // PACK
    owner = torch.arange(len(packs), device=tile.device).repeat_interleave(packs)
    pixels = torch.full((len(owner), PACK, 2), 0.5, dtype=torch.float64, device=tile.device)
    pixels[pack, place % PACK] = torch.stack([x, y], -1)[order].double() + 0.5
    rays_of = (pixels[:, :, None] + SUBPIXELS.to(pixels)).flatten(1, 2)
    bundles = Bundles(
        scene=tiles.scene[owner],
        direction=_directions(cameras, tiles.scene[owner], rays_of),
        candidates=tiles.candidates[owner],
        pixel=tiles.pixel[owner] / 2,
        casters=tuple(per_light[owner] for per_light in tiles.casters),
    )
    mean = shade(world, bundles).colour.unflatten(1, (PACK, -1)).mean(2)
    colour = torch.empty(len(tile), 3, device=tile.device)
    colour[order] = mean[pack, place % PACK]
    return colour
