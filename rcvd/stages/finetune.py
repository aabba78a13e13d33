"""finetune: the depth network trained on the clip in alternation with the solver.

Writes the final cameras.npz, masks/ and z/ (the deformed prior), rounds.json with what each round
gained, and the trained weights of each kept round; with 0 rounds all follows from `poses`.
"""

import logging
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors.torch import save
from torch import Tensor

from rcvd.arrays import read_npz
from rcvd.depth.model import DepthModel, load_depth
from rcvd.depth.predict import predicted
from rcvd.export.cameras import read_cameras, write_cameras
from rcvd.flow.chain import stacked
from rcvd.items import array_name, frame_name, read_mask
from rcvd.recon.deform import deformed_depth
from rcvd.recon.finetune import finetune
from rcvd.recon.finetune_loss import FinetuneFrames, FinetuneOptions
from rcvd.recon.triangulate import triangulate_frame
from rcvd.recon.verdict import SOLVED
from rcvd.scene import Scene
from rcvd.spool import Spool
from rcvd.stages.depth import DepthSettings
from rcvd.stages.saving import save_array
from rcvd.stages.solving import ClipSolver, DepthOf, PosesSettings, Solved, link_file
from rcvd.stages.triangulate import targets_by_frame
from rcvd.store import REPORT, Stage, Workspace, read_json, write_json
from rcvd.types import Cameras
from rcvd.weights import load_checkpoint

logger = logging.getLogger(__name__)

CACHED_FRAMES = 64
WORSE = 1.1  # a round whose solve fits the flow this much worse than before is not kept


@dataclass(frozen=True)
class FinetuneSettings:
    """rounds: of fine-tuning and solving. minutes: of each round's fine-tuning. triangulated:
    whether triangulated depth is a third term of the loss, where at least min_agreement of a
    pixel's flow vectors agree on it.
    """

    rounds: int = 1
    minutes: float = 3.5
    triangulated: bool = True
    min_agreement: float = 0.6
    options: FinetuneOptions = field(default_factory=FinetuneOptions)


@dataclass(frozen=True)
class _Current:
    """The best so far. z: a frame's deformed depth; base: the network's depth it is a deformation
    of; residual: median of the solve in pixels; solved: the solve, None for that of `poses`.
    """

    z: DepthOf
    base: DepthOf
    cameras: Cameras
    residual: float
    solved: Solved | None


def run(
    workspace: Workspace, settings: FinetuneSettings, poses: PosesSettings, depth: DepthSettings
) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    verdict = read_json(workspace.input("poses") / REPORT)["verdict"]
    current, solver = _from_poses(workspace, scene), ClipSolver(scene, workspace, poses)
    rounds: list[dict[str, Any]] = []
    model = None
    if settings.rounds and verdict in SOLVED and depth.folder is None:
        model = load_depth(depth.backend, workspace.store.device, depth.weights, depth.hub)
    with workspace.scratch("predicted") as folder:
        if model is not None and model.trainable:
            current, rounds = _alternate(solver, model, current, settings, folder)
        else:
            logger.info("finetune: no round (%s)", _why_not(settings, verdict))
        _write(workspace, scene, current)
    write_json(workspace.folder / "rounds.json", rounds)
    return {"rounds": sum(r["kept"] for r in rounds), "tried": len(rounds)}


def _why_not(settings: FinetuneSettings, verdict: str) -> str:
    if not settings.rounds:
        return "0 rounds asked for"
    return f"verdict: {verdict}" if verdict not in SOLVED else "this depth prior cannot be trained"


def _from_poses(workspace: Workspace, scene: Scene) -> _Current:
    """Round 0: the prior as `poses` deforms it."""
    folder = workspace.input("poses")
    names = ("log_scale", "shift", "unit")
    data = read_npz(folder / "deformation.npz", names)
    log_scale, shift, unit = (torch.from_numpy(data[name]) for name in names)

    def z_of(k: int) -> Float[Tensor, "h w"]:
        prior = scene.prior(k)[None]
        return deformed_depth(prior, log_scale[k, None], shift[k, None], unit[k, None])[0].float()

    cameras, _ = read_cameras(folder / "cameras.npz")
    report = read_json(folder / "diagnostics.json")
    return _Current(z_of, scene.prior, cameras, _residual(report), None)


def _residual(report: dict[str, Any]) -> float:
    return report["residual_px"].get("p50", 0.0)


def _alternate(
    solver: ClipSolver,
    model: DepthModel,
    current: _Current,
    settings: FinetuneSettings,
    folder: Path,
) -> tuple[_Current, list[dict[str, Any]]]:
    """Rounds of training under fixed cameras and solving under fixed weights; the best is kept.

    folder: for what the trained networks predict.
    """
    scene, workspace = solver.scene, solver.workspace
    rounds: list[dict[str, Any]] = []
    for number in range(1, settings.rounds + 1):
        frames = _frames(solver, settings, current)
        row = _train(workspace, model, solver, frames, settings, number)
        rounds.append(row)
        if row["held_out"][-1] >= row["held_out"][0]:
            logger.info("round %d: held-out pairs no longer improve", number)
            break
        predicted = _predict_all(model, scene, folder / str(number))
        solved = solver.solve(predicted, partial(_moving, workspace))
        residual = _residual(solved.solution.report)
        if not solved.solution.verdict.solved or residual > WORSE * current.residual:
            logger.info("round %d: the solve fits worse, %.3f px; not kept", number, residual)
            break
        row["kept"] = True
        deformed = partial(_deformed, solved, predicted)
        current = _Current(deformed, predicted, solved.solution.cameras, residual, solved)
    return current, rounds


def _moving(workspace: Workspace, k: int) -> Bool[Tensor, "h w"]:
    return read_mask(workspace.input("poses") / "masks" / frame_name(k))


def _deformed(solved: Solved, z_of: DepthOf, k: int) -> Float[Tensor, "h w"]:
    return solved.depth(k, z_of(k)).float()


def _predict_all(model: DepthModel, scene: Scene, folder: Path) -> DepthOf:
    """The network's depth of every frame, left in a new folder."""
    device = next(iter(model.trainable_parameters("all"))).device
    folder.mkdir()
    kept = Spool(folder)
    for k, z in predicted(model, scene.rgb, range(scene.n_frames), device):
        kept[k] = z.float()
    return kept.__getitem__


def _train(
    workspace: Workspace,
    model: DepthModel,
    solver: ClipSolver,
    frames: FinetuneFrames,
    settings: FinetuneSettings,
    number: int,
) -> dict[str, Any]:
    """One round of training, or its weights where an interrupted run had finished it."""
    name = f"weights_{number:02d}.safetensors"
    report_name = f"round_{number:02d}.json"
    if not workspace.missing([name, report_name]):
        model.load_state_dict(load_checkpoint(workspace.folder / name))
        return read_json(workspace.folder / report_name)
    options = replace(settings.options, minutes=settings.minutes, seed=workspace.store.seed)
    with workspace.store.progress("fine-tuning", 100) as advance:
        report = finetune(model, solver.pairs, frames, options, workspace.store.device, advance)
    with workspace.writing(name) as part:
        part.write_bytes(save({k: v.contiguous() for k, v in model.state_dict().items()}))
    held_out = [report.losses[0], report.losses[report.best]] if report.losses else [0.0, 0.0]
    row = {"round": number, "held_out": held_out, "steps": report.at_steps, "kept": False}
    write_json(workspace.folder / report_name, row)
    return row


def _frames(solver: ClipSolver, settings: FinetuneSettings, current: _Current) -> FinetuneFrames:
    """What a round of training reads, item by item; the triangulated targets are made on demand."""
    scene, cameras = solver.scene, current.cameras
    window = solver.workspace.window(CACHED_FRAMES)
    moving = lru_cache(window)(partial(_moving, solver.workspace))
    z_of = lru_cache(window)(current.z)
    leaving = targets_by_frame(solver.pairs, scene.n_frames)

    @lru_cache(window)
    def target(k: int) -> tuple[Tensor, Tensor]:
        if not leaving[k]:
            return z_of(k).log(), torch.full_like(z_of(k), torch.inf)
        flow = stacked([solver.flow(k, j) for j in leaving[k]])
        found = triangulate_frame(z_of(k), k, torch.tensor(leaving[k]), flow, cameras, moving(k))
        trusted = (found.agreement > settings.min_agreement) & ~moving(k)
        return found.log_z, torch.where(trusted, found.measured_sigma, torch.inf)

    return FinetuneFrames(
        cameras=cameras,
        rgb=lru_cache(window)(scene.rgb),
        flow=lru_cache(window)(solver.flow),
        moving=moving,
        log_scale=lambda k: (z_of(k) / current.base(k)).log(),
        first=scene.prior,
        target=target if settings.triangulated else None,
    )


def _write(workspace: Workspace, scene: Scene, current: _Current) -> None:
    poses = workspace.input("poses")
    if current.solved is None:
        link_file(workspace, poses / "cameras.npz", "cameras.npz", read_cameras)
    else:
        with workspace.writing("cameras.npz") as part:
            write_cameras(part, current.cameras, scene.times)
    for k in range(scene.n_frames):
        name = f"masks/{frame_name(k)}"
        link_file(workspace, poses / name, name, read_mask)
        save_array(workspace, f"z/{array_name(k)}", current.z(k))


STAGE = Stage(
    "finetune",
    ("frames", "flow", "depth", "masks", "poses"),
    run,
    also=("poses", "depth"),
    keeps=("masks/*",),
)
