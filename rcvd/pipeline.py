"""The pipeline on one screen: settings, stages in order, and the run."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from rcvd import settings as settings_module
from rcvd.abreast import at_once
from rcvd.amounts import in_words, number_of_bytes
from rcvd.device import limit_vram, out_of_memory, pick_device
from rcvd.errors import UserError, unknown
from rcvd.leftovers import free
from rcvd.licences import UsedModel, refuse_non_commercial, used_model
from rcvd.optional import opencv_packages
from rcvd.plan import Plan, check_disk, clip_of, make_plan
from rcvd.recipe import key_of, refuse_missing
from rcvd.running import recipe_for, refusals, run_stage
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
from rcvd.stages.flow import decided as decided_flow
from rcvd.stages.frames import STAGE as FRAMES
from rcvd.stages.frames import FramesSettings
from rcvd.stages.masks import STAGE as MASKS
from rcvd.stages.masks import MasksSettings
from rcvd.stages.masks import decided as decided_masks
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
    models whose licence forbids commercial use are refused. max_memory, max_vram: what a run may
    take, as 8G; None: no limit. keep: all, or results: what `rcvd clean` removes goes at the end.
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
    max_memory: str | None = None
    max_vram: str | None = None
    keep: Literal["all", "results"] = "all"

    def __post_init__(self) -> None:
        for flag, amount in (("--max-memory", self.max_memory), ("--max-vram", self.max_vram)):
            if amount is not None and not number_of_bytes(amount, flag):
                raise UserError(f"{flag} {amount}: write an amount of memory as 4G or 500M")
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


def decided_models(settings: Settings) -> Settings:
    """The settings with every `auto` replaced by what it stands for on this machine.

    Raises:
        UserError: no such device, or a model whose licence --commercial-ok refuses.
    """
    flow = decided_flow(settings.flow, torch.device(pick_device(settings.device)))
    masks = decided_masks(settings.masks, settings.commercial_ok)
    settings = replace(settings, flow=flow, masks=masks)
    if settings.commercial_ok:
        refuse_non_commercial(chosen_models(settings))
    return settings


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
    if len(found := opencv_packages()) > 1:
        logger.warning("%s are installed and overwrite each other; keep one", " and ".join(found))
    settings = decided_models(settings)
    store = Store(out, progress, pick_device(settings.device), settings.seed)
    stages = STAGES[: names.index(until) + 1 if until else None]
    with refusals(out):
        plan = plan_run(settings, stages)
        check_disk(plan, out)
        for stage in stages:  # before hours of work for the stages ahead of it
            refuse_missing(dataclasses.asdict(getattr(settings, stage.name)), stage.name)
        _bring_up_to_date(replace(store, window_share=plan.share), settings, stages, until)
    return Scene.load(out)


def _bring_up_to_date(
    store: Store, settings: Settings, stages: Sequence[Stage], until: str | None
) -> None:
    is_new = store.open()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.max_vram is not None:
        limit_vram(store.device, number_of_bytes(settings.max_vram))
    logger.info("device: %s", store.device)
    try:
        with store.locked():
            write_json(store.run_folder / SETTINGS, settings_module.as_data(settings))
            whole = needed_whole(store, stages, settings, until)
            for stage in stages:
                torch.manual_seed(settings.seed)
                _run_within_limits(store, stage, settings, whole=stage.name in whole)
            if settings.keep == "results" and until is None:
                freed = sum(part.bytes for part in free(store, STAGES))
                logger.info("--keep results: freed %s of run/", in_words(freed))
    finally:
        if is_new and not store.done(stages[0].name):
            store.discard()  # an input that cannot be read leaves nothing behind


def _run_within_limits(store: Store, stage: Stage, settings: Settings, *, whole: bool) -> None:
    try:
        run_stage(store, stage, *_sections(settings, stage), whole=whole)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(stage.name) from error
    took = store.report(stage.name)["peak_memory_mb"] * 2**20
    if settings.max_memory is not None and took > number_of_bytes(settings.max_memory):
        logger.warning("%s took %s, over --max-memory", stage.name, in_words(took))


def plan_run(settings: Settings, stages: Sequence[Stage]) -> Plan:
    """What the stages will take, told in one log line; nothing has been decoded by then.

    Raises:
        UserError: no video, or it does not fit --max-memory.
    """
    finetune = settings.finetune
    training = 0.0 if settings.depth.folder else 60 * finetune.minutes * finetune.rounds
    clip = clip_of(settings.frames, settings.flow.rule, training, settings.export.full_resolution)
    limit = None if settings.max_memory is None else number_of_bytes(settings.max_memory)
    on_gpu = pick_device(settings.device).startswith("cuda")
    together = 1 if on_gpu else at_once(settings.threads or torch.get_num_threads())
    plan = make_plan(clip, [stage.name for stage in stages], limit, settings.keep, together)
    logger.info("%s", plan.words())
    return plan


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
