"""A described scene: placed objects with their motion, as tables of solids over time.

World frame: metres, +Y down, the ground at y = 0.
"""

import math
import random
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rcvd.geometry.pose import rigid, so3_exp
from rcvd.synthetic.lighting import Lights
from rcvd.synthetic.materials import FINISHES, Material, Materials, draw_material, material_table
from rcvd.synthetic.objects import FLAT, OBJECTS, SURROUNDINGS
from rcvd.synthetic.parts import Joint, Number, Part, Triple
from rcvd.synthetic.primitives import Primitives


class Place(NamedTuple):
    """An object standing somewhere, perhaps on its way.

    at: (x, height above the ground, z) of its origin. yaw: rad about +Y; 0 faces +X, pi/2 faces
    -Z. speed: m/s forward. turn: rad/s. gait: rad/s of the joints' swing. pose: its phase at 0 s.
    parts: its solids where the table of objects has them not. casts: shadows; where not said,
    everything but the surroundings' flat parts does.
    """

    name: str
    at: Triple
    yaw: float = 0.0
    stretch: Triple = (1.0, 1.0, 1.0)
    speed: float = 0.0
    turn: float = 0.0
    gait: float = 0.0
    pose: float = 0.0
    parts: tuple[Part, ...] = ()
    casts: bool | None = None


@dataclass(frozen=True)
class Scene:
    """n solids of k objects. centre, pivot: object frame, metres. owner: object of each solid.

    pivot: (x, y) of the outer and the inner joint. swing: bias, amplitude and lag of each.
    instance: number of each object, 0 for the surroundings. names: by number.
    """

    kind: Int[Tensor, "n"]
    half: Float[Tensor, "n 3"]
    centre: Float[Tensor, "n 3"]
    tilt: Float[Tensor, "n 3"]
    pivot: Float[Tensor, "n 2 2"]
    swing: Float[Tensor, "n 2 3"]
    shadows: Bool[Tensor, "n"]
    owner: Int[Tensor, "n"]
    materials: Materials
    at: Float[Tensor, "k 3"]
    yaw: Float[Tensor, "k"]
    motion: Float[Tensor, "k 4"]  # speed, turn, gait, pose
    instance: Int[Tensor, "k"]
    names: tuple[str, ...]
    lights: Lights


def _joint_row(joint: Joint, stretch: Triple) -> tuple[list[Number], ...]:
    pivot = [joint.forward * stretch[0], -joint.up * stretch[1]]
    return pivot, [joint.bias, joint.swing, joint.lag]


def _solid_row(part: Part, place: Place) -> tuple[list[Number], ...]:
    s = place.stretch
    half = [a * b for a, b in zip(part.half, s, strict=True)]
    x, up, z = (a * b for a, b in zip(part.centre, s, strict=True))
    return half, [x, -up, z], list(part.tilt)


def build_scene(
    places: list[Place], lights: Lights, rng: random.Random, lifelike: bool = False
) -> Scene:
    """Tables of the objects' solids; every object draws its own materials (see draw_material)."""
    solids, joints, casts, owners, kinds = [], [], [], [], []
    materials: list[Material] = []
    names, instance = ["surroundings"], []
    for number, place in enumerate(places):
        if place.name in SURROUNDINGS:
            instance.append(0)
        else:
            instance.append(len(names))
            names.append(place.name)
        drawn: dict[str, Material] = {}
        casting = place.name not in FLAT if place.casts is None else place.casts
        for part in place.parts or OBJECTS[place.name]:
            if part.finish not in drawn:
                drawn[part.finish] = draw_material(part.finish, rng, lifelike)
            kinds.append(part.kind)
            solids.append(_solid_row(part, place))
            joints.append([_joint_row(j, place.stretch) for j in (part.outer, part.inner)])
            casts.append(casting and FINISHES[part.finish].glow == 0)
            owners.append(number)
            materials.append(drawn[part.finish])
    half, centre, tilt = torch.tensor(solids, dtype=torch.float64).unbind(1)
    at = torch.tensor([p.at for p in places], dtype=torch.float64)
    motion = [(p.speed, p.turn, p.gait, p.pose) for p in places]
    return Scene(
        kind=torch.tensor(kinds),
        half=half,
        centre=centre,
        tilt=tilt,
        pivot=torch.tensor([[j[0] for j in row] for row in joints], dtype=torch.float64),
        swing=torch.tensor([[j[1] for j in row] for row in joints], dtype=torch.float64),
        shadows=torch.tensor(casts),
        owner=torch.tensor(owners),
        materials=material_table(materials),
        at=at * torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64),
        yaw=torch.tensor([p.yaw for p in places], dtype=torch.float64),
        motion=torch.tensor(motion, dtype=torch.float64),
        instance=torch.tensor(instance),
        names=tuple(names),
        lights=lights,
    )


def _about_y(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    zero = torch.zeros_like(angle)
    return so3_exp(torch.stack([zero, angle, zero], -1))


def world_from_object(scene: Scene, times: Float[Tensor, "t"]) -> Float[Tensor, "t k 4 4"]:
    """Where each object stands: on a straight line, or on an arc where it turns."""
    speed, turn, _, _ = scene.motion.unbind(1)
    t = times.double()[:, None]
    half_turn = turn * t / 2
    chord = speed * t * torch.sinc(half_turn / math.pi)
    heading = scene.yaw + half_turn
    zero = torch.zeros_like(chord)
    moved = torch.stack([chord * heading.cos(), zero, -chord * heading.sin()], -1)
    return rigid(_about_y(scene.yaw + turn * t), scene.at + moved)


def _joint_transform(
    pivot: Float[Tensor, "n 2"], angle: Float[Tensor, "t n"]
) -> Float[Tensor, "t n 4 4"]:
    """Rotation about the z axis through a pivot (x, y)."""
    zero = torch.zeros_like(angle)
    rotation = so3_exp(torch.stack([zero, zero, angle], -1))
    centre = torch.cat([pivot, torch.zeros_like(pivot[:, :1])], -1)
    return rigid(rotation, centre - (rotation @ centre[..., None])[..., 0])


def world_from_local(scene: Scene, times: Float[Tensor, "t"]) -> Float[Tensor, "t n 4 4"]:
    """Pose of every solid at every time, in double precision."""
    gait, pose = scene.motion[scene.owner, 2], scene.motion[scene.owner, 3]
    phase = gait * times.double()[:, None] + pose
    bias, swing, lag = scene.swing.unbind(-1)
    angle = bias + swing * torch.sin(phase[..., None] + lag)
    outer = _joint_transform(scene.pivot[:, 0], angle[..., 0])
    inner = _joint_transform(scene.pivot[:, 1], angle[..., 1])
    fixed = rigid(so3_exp(scene.tilt), scene.centre)
    pose = world_from_object(scene, times)[:, scene.owner] @ outer @ inner @ fixed
    # one pose for all times, to the last bit, where nothing moves
    return torch.where(moving_solids(scene)[:, None, None], pose, pose[:1])


def moving_solids(scene: Scene) -> Bool[Tensor, "n"]:
    """True for solids whose object travels or turns, or whose joints swing."""
    speed, turn, gait, _ = scene.motion[scene.owner].unbind(1)
    swings = (scene.swing[..., 1] != 0).any(1)
    return (speed != 0) | (turn != 0) | ((gait != 0) & swings)


def at_times(scene: Scene, times: Float[Tensor, "t"]) -> tuple[Primitives, Materials, Lights]:
    """The scene at each time, as a batch of t scenes for the renderer."""
    t = len(times)

    def repeat(x: Tensor) -> Tensor:
        return x.expand(t, *x.shape)

    primitives = Primitives(
        kind=repeat(scene.kind),
        half=repeat(scene.half),
        world_from_local=world_from_local(scene, times),
        shadows=repeat(scene.shadows),
    )
    made = Materials(
        **{f.name: repeat(getattr(scene.materials, f.name)) for f in fields(Materials)}
    )
    return primitives, made, scene.lights.pick(torch.zeros(t, dtype=torch.long))
