#!/usr/bin/env python3
"""Cameras of real clips by the solver alone, by variants of it, and by COLMAP: a Markdown table.

    tools/bench clips DATA SCENES --clips livingroom office room --variants default colmap
    tools/bench clips DATA SCENES --clips office --variants "true flow" --shakes 5

DATA holds clips in TUM's layout with the truth, SCENES finished scenes of the same names (`rcvd
reconstruct DATA/NAME/clip.mp4 --out SCENES/NAME`), whose frames, flow, depth prior and the masks
that the solver's residuals refined are used. Seconds are CPU seconds of what a variant does itself:
for the solver from matches to cameras, for COLMAP (pycolmap, SIFT, exhaustive matching, one unknown
focal) everything.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.trajectory import align_centres, path_length
from rcvd.evaluation.tum_rgbd import read_tum_sequence
from rcvd.geometry.warp import induced_flow, inside, sample_depth
from rcvd.recon.matches import Matches, MatchOptions, build_matches
from rcvd.recon.solver import SolverOptions, solve
from rcvd.scene import Scene
from rcvd.types import Flow

OCCLUDED = 0.05  # of a log depth between a point and what the other frame sees there


@dataclasses.dataclass(frozen=True)
class Row:
    """Frames that got a camera; errors in percent: ATE of the path, focal and its own deviation."""

    frames: int
    ate: float
    focal: float
    std: float
    seconds: float


def true_flows(scene: Scene, truth: TrueSequence) -> Iterator[tuple[int, int, Flow]]:
    """Flow of the still scene from true depth and poses, valid where both frames see the point."""
    assert truth.cameras is not None
    assert truth.depth is not None
    z = torch.stack([truth.depth(k) for k in range(len(truth))]).double()
    poses, intrinsics = truth.cameras.world_from_cam.double(), truth.cameras.intrinsics.double()
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in z.shape[1:]), indexing="ij")
    pixels = torch.stack([columns, rows], -1) + 0.5
    for i, j in scene.pairs.pairs.tolist():
        moved, depth = induced_flow(
            z[i][None], poses[i][None], poses[j][None], intrinsics[i][None], intrinsics[j][None]
        )
        target = pixels + moved[0]
        there, known = sample_depth(z[j][None], target.reshape(1, -1, 2))
        off = (depth[0] / there[0].reshape(depth[0].shape).clamp(min=1e-9)).clamp(min=1e-9).log()
        valid = known[0].reshape(off.shape) & (off.abs() < OCCLUDED) & (z[i] > 0)
        valid &= inside(target, (z.shape[1], z.shape[2])) & (depth[0] > 0)
        yield i, j, Flow(moved[0].float(), valid, valid.float())


def stored_flows(scene: Scene, _truth: TrueSequence) -> Iterator[tuple[int, int, Flow]]:
    for i, j in scene.pairs.pairs.tolist():
        yield i, j, scene.flow(i, j)


def true_prior(_scene: Scene, truth: TrueSequence) -> Float[Tensor, "t h w"]:
    assert truth.depth is not None
    return torch.stack([truth.depth(k) for k in range(len(truth))]).float()


def stored_prior(scene: Scene, _truth: TrueSequence) -> Float[Tensor, "t h w"]:
    return torch.stack([scene.prior(k) for k in range(scene.n_frames)])


def solved_masks(scene: Scene) -> Bool[Tensor, "t h w"]:
    """Those of the scene's own last solve; its newest ones are measured under its cameras."""
    return torch.stack([scene.solved_moving(k) for k in range(scene.n_frames)])


def no_masks(scene: Scene) -> Bool[Tensor, "t h w"]:
    return torch.zeros_like(solved_masks(scene))


@dataclasses.dataclass(frozen=True)
class Shake:
    """Matches moved at random, to see whether the solve ends elsewhere. pixels: standard deviation
    along an axis; left_out: share of the matches.
    """

    pixels: float
    left_out: float
    seed: int

    def of(self, matches: Matches) -> Matches:
        g = torch.Generator().manual_seed(self.seed)
        xy_j = matches.xy_j + self.pixels * torch.randn(matches.xy_j.shape, generator=g)
        keep = torch.rand(matches.confidence.shape, generator=g) >= self.left_out
        return dataclasses.replace(
            matches,
            xy_j=xy_j,
            confidence=matches.confidence * keep,
            z_known_j=matches.z_known_j & keep,
        )


@dataclasses.dataclass(frozen=True)
class Variant:
    """What a solve is given, and its settings."""

    flows: Callable[[Scene, TrueSequence], Iterator[tuple[int, int, Flow]]] = stored_flows
    prior: Callable[[Scene, TrueSequence], Float[Tensor, "t h w"]] = stored_prior
    masks: Callable[[Scene], Bool[Tensor, "t h w"]] = solved_masks
    sharpen: bool = True
    changes: dict[str, object] = dataclasses.field(default_factory=dict)
    known_focal: bool = False
    shake: Shake | None = None

    def __call__(self, scene: Scene, truth: TrueSequence) -> Row:
        z, moving = self.prior(scene, truth), self.masks(scene)
        frames = ((scene.rgb(k), z[k], moving[k]) for k in range(scene.n_frames))
        pictures = scene.rgb if self.sharpen else None
        flows = self.flows(scene, truth)
        matches = build_matches(
            frames, flows, z.__getitem__, moving.__getitem__, MatchOptions(), pictures
        )
        if self.shake is not None:
            matches = self.shake.of(matches)
        assert truth.cameras is not None
        known = truth.cameras.intrinsics[0].double() if self.known_focal else None
        began = time.process_time()
        options = dataclasses.replace(SolverOptions(grid=(12, 7)), **self.changes)
        solution = solve(matches, options, known)
        seconds = time.process_time() - began
        poses, focal = solution.cameras.world_from_cam, solution.cameras.intrinsics
        std = 100 * solution.report["focal_std_share"]
        return scored(truth, list(range(len(poses))), poses, focal, std, seconds)


def scored(
    truth: TrueSequence,
    frames: list[int],
    poses: Float[Tensor, "n 4 4"],
    intrinsics: Float[Tensor, "n 4"],
    std: float,
    seconds: float,
) -> Row:
    """Errors of the cameras of some frames, after Sim(3); ATE in percent of the whole true path."""
    assert truth.cameras is not None
    true = truth.cameras.world_from_cam[frames].double()
    scale, rotation, translation = align_centres(poses.double().cpu(), true)
    centres = scale * poses[:, :3, 3].double().cpu() @ rotation.T + translation
    error = (centres - true[:, :3, 3]).square().sum(1).mean().sqrt()
    path = path_length(truth.cameras.world_from_cam.double())
    focal = float(intrinsics[0, 0] / truth.cameras.intrinsics[0, 0] - 1)
    return Row(len(frames), 100 * float(error / path), 100 * focal, std, seconds)


def colmap(_scene: Scene, truth: TrueSequence) -> Row:
    """Incremental structure from motion by COLMAP (Schoenberger and Frahm 2016) on the pictures."""
    import pycolmap

    folder = truth.images[0].parent
    with tempfile.TemporaryDirectory() as made:
        database = Path(made) / "database.db"
        began = time.process_time()
        reader = pycolmap.ImageReaderOptions(camera_model="SIMPLE_PINHOLE")
        single = pycolmap.CameraMode.SINGLE
        pycolmap.extract_features(database, folder, camera_mode=single, reader_options=reader)
        pycolmap.match_exhaustive(database)
        models = pycolmap.incremental_mapping(database, folder, Path(made))
        seconds = time.process_time() - began
        model = max(models.values(), key=lambda m: m.num_reg_images(), default=None)
        if model is None:
            return Row(0, float("nan"), float("nan"), float("nan"), seconds)
        place = {image.name: k for k, image in enumerate(truth.images)}
        found = sorted((place[image.name], image) for image in model.images.values())
        poses = torch.eye(4, dtype=torch.float64).repeat(len(found), 1, 1)
        for pose, (_, image) in zip(poses, found, strict=True):
            pose[:3] = torch.from_numpy(image.cam_from_world().inverse().matrix())
        (camera,) = model.cameras.values()
        f = torch.tensor([[camera.focal_length_x, camera.focal_length_y, 0, 0]])
        return scored(truth, [k for k, _ in found], poses, f, float("nan"), seconds)


VARIANTS: dict[str, Callable[[Scene, TrueSequence], Row]] = {
    "default": Variant(),
    "without masks": Variant(masks=no_masks),
    "without free point depths": Variant(changes={"free_depths": False}),
    "matches not sharpened": Variant(sharpen=False),
    "true focal": Variant(known_focal=True),
    "true prior": Variant(prior=true_prior),
    "true flow": Variant(flows=true_flows, sharpen=False),
    "true flow and prior": Variant(flows=true_flows, sharpen=False, prior=true_prior),
    "colmap": colmap,
}


def chosen(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[Scene, TrueSequence], Row]]]:
    """The variants asked for, each solver's also of shaken matches."""
    for name in args.variants:
        variant = VARIANTS[name]
        yield name, variant
        if isinstance(variant, Variant):
            for seed in range(1, args.shakes + 1):
                shake = Shake(args.shake_px, args.left_out, seed)
                yield f"{name}, shaken {seed}", dataclasses.replace(variant, shake=shake)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--clips", nargs="+", default=["livingroom", "office", "room"])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--shakes", type=int, default=0, help="solves of matches moved at random")
    parser.add_argument("--shake-px", type=float, default=0.1, help="how far they are moved")
    parser.add_argument("--left-out", type=float, default=0.05, help="share of the matches")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| clip | variant | frames | ATE % | focal % (own std) | CPU s |\n|---|---|---|---|---|---|"
    )
    for name in args.clips:
        scene, truth = Scene.load(args.scenes / name), read_tum_sequence(args.data / name)
        for label, run in chosen(args):
            row = run(scene, truth)
            print(
                f"| {name} | {label} | {row.frames} of {len(truth)} | {row.ate:.3f} "
                f"| {row.focal:+.2f} ({row.std:.2f}) | {row.seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
