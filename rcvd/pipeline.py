"""The pipeline on one screen: settings, stages in order, and the run."""

import errno
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from rcvd import settings as settings_module
from rcvd.errors import UserError, unknown
from rcvd.licences import UsedModel, refuse_non_commercial, used_model
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
from rcvd.store import Progress, Stage, Store, no_progress, run_stage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """One section per stage, named like it. device: auto, cpu, cuda or cuda:N. commercial_ok:
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
    seed: int = 0
    commercial_ok: bool = False


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
    if not settings.frames.video.exists():
        raise UserError(f"{settings.frames.video} does not exist")
    is_new = store.open()
    logger.info("device: %s", store.device)
    try:
        with store.locked():
            for stage in STAGES[: names.index(until) + 1 if until else None]:
                torch.manual_seed(settings.seed)
                sections = (getattr(settings, name) for name in (stage.name, *stage.also))
                run_stage(store, stage, *sections)
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
