"""The pipeline on one screen: settings, stages in order, and the run."""

import errno
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from rcvd import settings as settings_module
from rcvd.errors import UserError, unknown
from rcvd.licences import UsedModel, refuse_non_commercial, used_model
from rcvd.recipe import key_of
from rcvd.running import recipe_for, run_stage
from rcvd.scene import Scene
from rcvd.stages.depth import STAGE as DEPTH
from rcvd.stages.depth import DepthSettings
from rcvd.stages.export import STAGE as EXPORT
from rcvd.stages.export import ExportSettings
from rcvd.stages.filter import STAGE as FILTER
from rcvd.stages.filter import FilterSettings
from rcvd.stages.finetune import STAGE as FINETUNE
from rcvd.stages.finetune import FinetuneSettings
from rcvd.stages.flow import STAGE as FLOW
from rcvd.stages.flow import FlowSettings
from rcvd.stages.frames import STAGE as FRAMES
from rcvd.stages.frames import FramesSettings
from rcvd.stages.masks import STAGE as MASKS
from rcvd.stages.masks import MasksSettings, decided
from rcvd.stages.poses import STAGE as POSES
from rcvd.stages.report import STAGE as REPORT
from rcvd.stages.report import ReportSettings
from rcvd.stages.solving import PosesSettings
from rcvd.stages.triangulate import STAGE as TRIANGULATE
from rcvd.stages.triangulate import TriangulateSettings
from rcvd.store import SETTINGS, Progress, Stage, Store, no_progress, write_json

logger = logging.getLogger(__name__)

MOST_THREADS = 1024  # torch crashes where the system refuses it a thread


@dataclass(frozen=True)
class Settings:
    """One section per stage, named like it. device: auto, cpu, cuda or cuda:N. threads: of torch
    on the CPU (0: torch decides); with the same number a run repeats bit by bit. commercial_ok:
    models whose licence forbids commercial use are refused.
    """

    frames: FramesSettings
    flow: FlowSettings = field(default_factory=FlowSettings)
    depth: DepthSettings = field(default_factory=DepthSettings)
    masks: MasksSettings = field(default_factory=MasksSettings)
    poses: PosesSettings = field(default_factory=PosesSettings)
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)
    triangulate: TriangulateSettings = field(default_factory=TriangulateSettings)
    filter: FilterSettings = field(default_factory=FilterSettings)
    export: ExportSettings = field(default_factory=ExportSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    device: str = "auto"
    threads: int = 0
    seed: int = 0
    commercial_ok: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.threads <= MOST_THREADS:
            raise UserError(f"threads {self.threads}: give 0 (torch decides) to {MOST_THREADS}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed {self.seed}: give a whole number from 0 to 4294967295")


STAGES: tuple[Stage, ...] = (
    FRAMES, FLOW, DEPTH, MASKS, POSES, FINETUNE, TRIANGULATE, FILTER, EXPORT, REPORT,
)  # fmt: skip


def make_settings(video: Path, preset: str | None = None, *layers: dict[str, Any]) -> Settings:
    """Defaults, then the preset, then each layer of differences.

    Raises:
        UserError: unknown preset or setting, or a value of the wrong kind.
    """
    base = settings_module.read_preset(preset) if preset else {}
    source = {"frames": {"video": str(video)}}
    return settings_module.build(Settings, base, source, *layers)


def pick_device(name: str) -> str:
    """The torch device for a name; `auto` takes CUDA where there is one.

    Raises:
        UserError: unknown, or not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise UserError(f"device '{name}': choose auto, cpu, cuda or cuda:N")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device '{name}': this machine has {torch.cuda.device_count()} CUDA device(s); "
            "use --device cpu"
        )
    return name


def chosen_models(settings: Settings) -> list[UsedModel]:
    """The models a run with these settings would use."""
    flow, depth, masks = settings.flow, settings.depth, settings.masks
    detector = masks.detector
    chosen = [
        ("flow", flow.folder, flow.backend, flow.weights, None),
        ("depth", depth.folder, depth.backend, depth.weights, depth.hub),
        ("masks", masks.folder, masks.backend, detector.weights, detector.hub),
    ]
    return [
        used_model(family, backend if folder is None else "files", weights, hub)
        for family, folder, backend, weights, hub in chosen
    ]


def run(
    settings: Settings, out: Path, until: str | None = None, progress: Progress = no_progress
) -> Scene:
    """Bring every stage up to `until` (default: all) up to date.

    Raises:
        UserError: what the user has to mend; finished items are kept.
    """
    names = [stage.name for stage in STAGES]
    if until is not None and until not in names:
        raise unknown("stage", until, names)
    settings = replace(settings, masks=decided(settings.masks, settings.commercial_ok))
    if settings.commercial_ok:
        refuse_non_commercial(chosen_models(settings))
    store = Store(out, progress, pick_device(settings.device), settings.seed)
    video = settings.frames.video
    if not video.exists():
        raise UserError(f"{video} does not exist")
    if not (video.is_file() or video.is_dir()):
        raise UserError(f"{video} is neither a file nor a folder of images")
    is_new = store.open()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    logger.info("device: %s", store.device)
    try:
        with store.locked():
            write_json(store.run_folder / SETTINGS, settings_module.as_data(settings))
            stages = STAGES[: names.index(until) + 1 if until else None]
            whole = needed_whole(store, stages, settings, until)
            for stage in stages:
                torch.manual_seed(settings.seed)
                run_stage(store, stage, *_sections(settings, stage), whole=stage.name in whole)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"the disk of {out} is full; free some space and run again, nothing is lost"
            ) from error
        raise
    finally:
        if is_new and not store.done(names[0]):
            store.discard()  # an input that cannot be read leaves nothing behind
    return Scene.load(out)


def _sections(settings: Any, stage: Stage) -> list[Any]:
    return [getattr(settings, name) for name in (stage.name, *stage.also)]


def needed_whole(
    store: Store, stages: Sequence[Stage], settings: Any, until: str | None = None
) -> set[str]:
    """The stages that a run computes, with the cleaned ones whose items it will read: inputs of
    what has to be computed, and the stage it is told to stop after.
    """
    if not any(store.cleaned(stage.name) for stage in stages):
        return set()
    keys: dict[str, str | None] = {}
    compute = {until} if until is not None and store.cleaned(until) else set()
    for stage in stages:
        inputs = {name: keys[name] for name in stage.inputs}
        keys[stage.name] = key_of(recipe_for(store, stage, _sections(settings, stage), inputs))
        if keys[stage.name] != store.manifest(stage.name).get("key") or not store.done(stage.name):
            compute.add(stage.name)
    for stage in reversed(stages):
        if stage.name in compute:
            compute |= {name for name in stage.inputs if store.cleaned(name)}
    return compute
