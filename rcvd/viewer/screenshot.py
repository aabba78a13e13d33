"""Pictures of a scene without window, GPU or graphics driver: points splatted by depth."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from rcvd.geometry.camera import project
from rcvd.geometry.pose import invert, transform_points
from rcvd.types import Cameras
from rcvd.viewer.scene import Segments, ViewScene, all_segments, load_view_scene
from rcvd.viewer.standpoint import first_viewer

BACKGROUND = (0.96, 0.96, 0.97)
NEAR = 1e-3
FRAMING_SAMPLES = 100_000
STRAY = 0.01  # share of the points on each side that framing does not heed
FILLED = 0.9  # of the picture, by what is framed
GAP = 4  # finer pixels between points that are filled
SIDE = 2.5 / 9  # of a pixel's surroundings: more is known beside a straight edge


@dataclass(frozen=True)
class ScreenshotOptions:
    """size: (height, width) of the picture. lines: draw frusta and path.

    oversample: each pixel is the mean of this many squared. splat: points cover a square of
    2 splat + 1 of the finer pixels, moving ones of 4 splat + 1.
    """

    size: tuple[int, int] = (720, 1280)
    lines: bool = True
    oversample: int = 2
    splat: int = 2


def screenshot(
    scene_dir: Path, out_png: Path, options: ScreenshotOptions = ScreenshotOptions()
) -> None:
    """Writes a picture of a scene folder's points, camera path and frusta.

    Raises:
        UserError: the folder lacks points.ply or cameras.npz.
    """
    picture = render(load_view_scene(scene_dir), options)
    levels = (picture * 255).round().to(torch.uint8).flip(-1).numpy()  # RGB to OpenCV's BGR
    out_png.write_bytes(cv2.imencode(".png", levels)[1].tobytes())


def render(scene: ViewScene, options: ScreenshotOptions) -> Float[Tensor, "h w 3"]:
    """The picture in [0, 1] from behind and above the middle camera."""
    fine = tuple(n * options.oversample for n in options.size)
    shown, moving = one_moment(scene), scene.points.moving
    viewer = framed(first_viewer(scene, (fine[0], fine[1])), scene, shown)
    canvas = Canvas((fine[0], fine[1]))
    # movers have the points of one frame only
    for part, radius in ((shown & ~moving, options.splat), (shown & moving, 2 * options.splat)):
        canvas.add(viewer, scene.points.xyz[part], scene.points.rgb[part], radius)
    for _ in range(GAP // 2):
        canvas.close_gaps()
    if options.lines:
        for xyz, rgb in line_points(viewer, all_segments(scene)):
            canvas.add(viewer, xyz, rgb, options.oversample // 2)
    picture = canvas.rgb.reshape(fine[0], fine[1], 3).movedim(-1, 0)[None]
    return avg_pool2d(picture, options.oversample)[0].movedim(0, -1)


def framed(viewer: Cameras, scene: ViewScene, shown: Bool[Tensor, "n"]) -> Cameras:
    """The viewer zoomed and shifted so that cameras and all but stray points fill the picture."""
    centres = scene.cameras.world_from_cam[:, :3, 3].float()
    points = scene.points.xyz[shown]
    points = points[:: max(1, len(points) // FRAMING_SAMPLES)]
    cam_from_world = invert(viewer.world_from_cam[0])
    edges = []
    for xyz, stray in ((points, STRAY), (centres, 0.0)):
        seen = transform_points(cam_from_world, xyz)
        pixels = project(seen[seen[:, 2] > NEAR], viewer.intrinsics[0])
        if len(pixels):
            share = torch.tensor([stray, 1 - stray])
            edges.append(torch.quantile(pixels, share, dim=0))
    if not edges:
        return viewer
    low = torch.stack([e[0] for e in edges]).amin(0)
    high = torch.stack([e[1] for e in edges]).amax(0)
    size = torch.tensor([viewer.size[1], viewer.size[0]], dtype=torch.float32)
    zoom = (FILLED * size / (high - low).clamp(min=1)).amin().clamp(0.3, 4)
    centre = viewer.intrinsics[0, 2:]
    moved = size / 2 + zoom * (centre - (low + high) / 2)
    intrinsics = torch.cat([zoom * viewer.intrinsics[0, :2], moved])
    return replace(viewer, intrinsics=intrinsics[None])


def one_moment(scene: ViewScene) -> Bool[Tensor, "n"]:
    """True for static points, and for moving ones of the frame nearest to the middle one.

    A mover of all frames at once would be a row of ghosts.
    """
    points = scene.points
    if not bool(points.moving.any()):
        return ~points.moving
    distance = (points.frame - len(scene.cameras.world_from_cam) // 2).abs()
    return ~points.moving | (distance == distance[points.moving].min())


class Canvas:
    """A picture with a depth per pixel; nearer points win, in any order of drawing."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.rgb = torch.tensor(BACKGROUND).repeat(size[0] * size[1], 1)
        self.z = torch.full((size[0] * size[1],), torch.inf)

    def add(
        self, viewer: Cameras, xyz: Float[Tensor, "n 3"], rgb: Float[Tensor, "n 3"], radius: int
    ) -> None:
        """Draws points as squares of 2 radius + 1 pixels."""
        h, w = self.size
        seen = transform_points(invert(viewer.world_from_cam[0]), xyz.float())
        front = seen[:, 2] > NEAR
        seen, rgb = seen[front], rgb[front]
        corner = project(seen, viewer.intrinsics[0]).floor()
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                x, y = corner[:, 0] + dx, corner[:, 1] + dy
                inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
                index = (y[inside] * w + x[inside]).long()
                z, colour = seen[inside, 2], rgb[inside]
                self.z.scatter_reduce_(0, index, z, "amin")
                wins = z == self.z[index]
                self.rgb[index[wins]] = colour[wins]

    def close_gaps(self) -> None:
        """Gives pixels between points the mean of their known neighbours; edges grow by a pixel."""
        h, w = self.size
        z, rgb = self.z.reshape(1, 1, h, w), self.rgb.T.reshape(1, 3, h, w)
        known = torch.isfinite(z)
        values = torch.cat([known.float(), torch.where(known, z, 0), torch.where(known, rgb, 0)], 1)
        share, *sums = avg_pool2d(values, 3, 1, 1, count_include_pad=False)[0].flatten(1)
        filled = ~known.flatten() & (share > SIDE)
        means = torch.stack(sums)[:, filled] / share[filled]
        self.z[filled], self.rgb[filled] = means[0], means[1:].T


def line_points(
    viewer: Cameras, segments: Segments
) -> list[tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]]:
    """Points along each segment in front of the viewer, at most one pixel apart."""
    cam_from_world = invert(viewer.world_from_cam[0])
    drawn = []
    for start, end, rgb in zip(segments.start, segments.end, segments.rgb, strict=True):
        ends = torch.stack([start, end])
        seen = transform_points(cam_from_world, ends)
        if bool((seen[:, 2] <= NEAR).any()):
            continue
        pixels = project(seen, viewer.intrinsics[0])
        count = int((pixels[1] - pixels[0]).abs().max().clamp(max=4 * max(viewer.size))) + 2
        share = torch.linspace(0, 1, count)[:, None]
        drawn.append((start + share * (end - start), rgb.expand(count, 3)))
    return drawn
