"""Camera paths as .chan text, which Nuke, Houdini and Blender (with its add-on) read.

A line per frame: frame, tx ty tz, rx ry rz in degrees, vertical field of view in degrees. Axes +Y
up, looking along -Z; rotation order ZXY (about z first), the default of Nuke's camera. The format
has no principal point and no distortion.
"""

from pathlib import Path

import numpy as np

from rcvd.export.axes import y_up_poses
from rcvd.types import Cameras


def write_chan(path: Path, cameras: Cameras) -> None:
    """Frame numbers are those of the image files, from 0; angles are continuous."""
    from scipy.spatial.transform import Rotation

    poses = y_up_poses(cameras.world_from_cam.double().cpu()).numpy()
    z, x, y = np.unwrap(Rotation.from_matrix(poses[:, :3, :3]).as_euler("zxy"), axis=0).T
    fy = cameras.intrinsics[:, 1].double().cpu().numpy()
    field = 2 * np.arctan(cameras.size[0] / 2 / fy)
    rows = np.column_stack([poses[:, :3, 3], np.degrees(np.stack([x, y, z, field], 1))])
    lines = [f"{k} " + " ".join(f"{v:.10f}" for v in row) for k, row in enumerate(rows.tolist())]
    path.write_text("\n".join(lines) + "\n")
