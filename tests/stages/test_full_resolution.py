"""Export at the video's size, and the mesh, from a finished run."""

import pytest
import torch

import rcvd
from rcvd.export.cameras import read_cameras
from rcvd.export.depth_images import read_depth
from rcvd.export.video import write_video
from rcvd.geometry.camera import resize_intrinsics
from rcvd.scene import Scene
from rcvd.synthetic import make_sequence


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("full")
    shots = make_sequence("demo", 0, 5, (108, 192))
    pictures = (shots.rgb * 255).round().byte().permute(0, 2, 3, 1).numpy()
    write_video(folder / "clip.mp4", iter(pictures), shots.times)
    return rcvd.reconstruct(
        folder / "clip.mp4",
        folder / "scene",
        "fast",
        device="cpu",
        frames={"max_side": 96},
        export={"full_resolution": True, "mesh": {"enabled": True}},
    )


def test_depth_and_intrinsics_at_the_videos_size(scene: Scene) -> None:
    assert scene.size == (54, 96)
    cameras, times = read_cameras(scene.root / "full" / "cameras.npz")
    assert cameras.size == scene.source_size == (108, 192)
    torch.testing.assert_close(
        cameras.intrinsics, resize_intrinsics(scene.cameras.intrinsics, scene.size, (108, 192))
    )
    torch.testing.assert_close(cameras.world_from_cam, scene.cameras.world_from_cam)
    torch.testing.assert_close(times, scene.times)
    for k in range(scene.n_frames):
        z, confidence = read_depth(scene.root / "full" / "depth" / f"{k:06d}.npz")
        small, _ = scene.depth(k)
        assert z.shape == confidence.shape == (108, 192)
        # each full-size pixel has a depth of its neighbourhood at the working size
        below = z.reshape(54, 2, 96, 2).movedim(1, 2).flatten(2).median(-1).values
        assert float((below / small).log().abs().median()) < 0.01
        assert float(z.min()) >= 0.99 * float(small.min())
        assert float(z.max()) <= 1.01 * float(small.max())


def test_mesh_is_written_beside_the_points(scene: Scene) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    mesh = open3d.io.read_triangle_mesh(str(scene.root / "mesh.ply"))
    assert len(mesh.triangles) > 50  # few frames of so small a clip confirm each other
    assert mesh.has_vertex_colors()
