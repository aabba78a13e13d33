"""The scene as a recording of rerun (.rrd), for its viewer."""

from pathlib import Path

from rcvd.errors import UserError
from rcvd.scene import Scene
from rcvd.viewer.moments import Shown, moving_points, picture, still_points
from rcvd.viewer.scene import camera_path, load_view_scene

PICTURE_WIDTH = 320


def write_rerun(scene_dir: Path, out: Path) -> None:
    """Points, camera path, and by frame: camera, picture, depth and moving points.

    Raises:
        UserError: rerun is not installed, or the scene is not finished.
    """
    try:
        import rerun as rr  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError("--rerun needs rerun: pip install 'rcvd[rerun]'") from error
    scene, view = Scene(scene_dir), load_view_scene(scene_dir)
    record = rr.RecordingStream("rcvd")
    record.save(out)
    record.log("world", rr.ViewCoordinates.RDF, static=True)  # right, down, forward
    still = still_points(view, Shown())
    cloud = rr.Points3D(view.points.xyz[still].numpy(), colors=view.points.rgb[still].numpy())
    record.log("world/still", cloud, static=True)
    path = camera_path(view.cameras)
    centres = [*path.start.tolist(), *path.end[-1:].tolist()]
    record.log("world/path", rr.LineStrips3D([centres]), static=True)
    for k, seconds in enumerate(scene.times.tolist()):
        record.set_time("video", duration=seconds)
        pose = view.cameras.world_from_cam[k].double().numpy()
        where = rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
        record.log("world/camera", where)
        w = view.cameras.size[1]
        image = picture(scene, k, min(w, PICTURE_WIDTH))
        fx, fy, cx, cy = view.cameras.intrinsics[k].tolist()
        share = image.shape[1] / w
        lens = rr.Pinhole(
            focal_length=[fx * share, fy * share],
            principal_point=[cx * share, cy * share],
            resolution=[image.shape[1], image.shape[0]],
        )
        record.log("world/camera/image", lens, rr.Image(image).compress())
        record.log("depth", rr.DepthImage(scene.depth(k)[0].numpy()))
        now = moving_points(view, Shown(frame=k))
        moved = rr.Points3D(view.points.xyz[now].numpy(), colors=view.points.rgb[now].numpy())
        record.log("world/moving", moved)
    record.flush()
