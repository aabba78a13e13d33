"""An animated camera and the points as USD, which Blender, Houdini, Maya and Unreal import.

Time code k is frame k, the number of its image file. Axes: +Y up, looking along -Z.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.export.axes import y_up, y_up_poses
from rcvd.types import Cameras, PointCloud

APERTURE = 36.0  # horizontal film width in millimetres that the focal length is told for


def usd() -> tuple[Any, Any, Any, Any]:
    """Gf, Usd, UsdGeom and Vt of OpenUSD. Raises UserError where it is not installed."""
    try:
        from pxr import Gf, Usd, UsdGeom, Vt
    except ImportError as error:
        raise UserError(
            "USD needs usd-core; install it with: pip install 'rcvd[export]'"
        ) from error
    return Gf, Usd, UsdGeom, Vt


def write_usd(
    path: Path,
    points: PointCloud,
    cameras: Cameras,
    times: Float[Tensor, "t"],
) -> None:
    """Prims /scene/camera, /scene/static and /scene/moving (the points of the current frame).

    The principal point becomes the aperture's offset; USD has no lens distortion. A scene unit is
    told as a metre. `path` must end in .usdc, .usda or .usd.

    Raises:
        UserError: usd-core is not installed.
    """
    _, Usd, UsdGeom, _ = usd()
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    t = len(cameras.world_from_cam)
    rate = 1 / float(times.double().diff().median()) if t > 1 else 24.0
    stage.SetTimeCodesPerSecond(rate)
    stage.SetFramesPerSecond(rate)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(t - 1)
    root = UsdGeom.Xform.Define(stage, "/scene")
    stage.SetDefaultPrim(root.GetPrim())
    _add_camera(stage, cameras)
    _add_points(stage, points, t)
    stage.GetRootLayer().Save()


def _add_camera(stage: Any, cameras: Cameras) -> None:
    Gf, _, UsdGeom, _ = usd()
    camera = UsdGeom.Camera.Define(stage, "/scene/camera")
    transform = camera.AddTransformOp()
    h, w = cameras.size
    poses = y_up_poses(cameras.world_from_cam.double().cpu()).numpy()
    for k, (fx, fy, cx, cy) in enumerate(cameras.intrinsics.double().tolist()):
        transform.Set(Gf.Matrix4d(*poses[k].T.ravel().tolist()), k)  # USD's vectors are rows
        focal = APERTURE * fx / w
        for attribute, value in (
            (camera.CreateFocalLengthAttr(), focal),
            (camera.CreateHorizontalApertureAttr(), APERTURE),
            (camera.CreateVerticalApertureAttr(), focal * h / fy),
            (camera.CreateHorizontalApertureOffsetAttr(), focal * (w / 2 - cx) / fx),
            (camera.CreateVerticalApertureOffsetAttr(), focal * (cy - h / 2) / fy),
        ):
            attribute.Set(value, k)
    camera.CreateClippingRangeAttr().Set(Gf.Vec2f(1e-3, 1e4))


def _add_points(stage: Any, points: PointCloud, t: int) -> None:
    _, _, UsdGeom, Vt = usd()
    width = 0.003 * float(points.xyz.double().norm(dim=1).median()) if len(points.xyz) else 0.01

    def define(name: str) -> tuple[Any, Any]:
        prim = UsdGeom.Points.Define(stage, f"/scene/{name}")
        prim.CreateWidthsAttr().Set(Vt.FloatArray([width]))
        prim.SetWidthsInterpolation(UsdGeom.Tokens.constant)
        return prim.CreatePointsAttr(), prim.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)

    def arrays(chosen: Tensor) -> tuple[Any, Any]:
        xyz = y_up(points.xyz[chosen].float().cpu()).numpy()
        rgb = points.rgb[chosen].float().cpu().numpy()
        return tuple(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(a)) for a in (xyz, rgb))  # pyright: ignore[reportReturnType]

    place, colour = define("static")
    xyz, rgb = arrays(~points.moving)
    place.Set(xyz)
    colour.Set(rgb)
    if not torch.any(points.moving):
        return
    place, colour = define("moving")
    for k in range(t):
        xyz, rgb = arrays(points.moving & (points.frame == k))
        place.Set(xyz, k)
        colour.Set(rgb, k)
