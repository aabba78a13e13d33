"""report: measures the finished scene, judges it, and writes report.html and check.json at the top
of the scene folder.

Writes measures.json.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

from rcvd.check.measure import MEASURES, measure
from rcvd.check.verdict import judge
from rcvd.scene import Scene
from rcvd.store import Stage, Workspace, write_json, writing
from rcvd.viewer.report import ReportOptions, write_report

logger = logging.getLogger(__name__)
INPUTS = (
    "frames",
    "flow",
    "depth",
    "masks",
    "poses",
    "finetune",
    "triangulate",
    "filter",
    "export",
)


@dataclass(frozen=True)
class ReportSettings:
    """How much of the scene the report carries."""

    options: ReportOptions = field(default_factory=ReportOptions)


def run(workspace: Workspace, settings: ReportSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    measures = measure(scene, workspace.store.progress)
    with workspace.writing(MEASURES) as part:
        write_json(part, measures.document())
    verdict = judge(measures)
    write_json(scene.root / "check.json", verdict.document())
    path = scene.root / "report.html"
    with writing(path) as part:
        write_report(part, scene, measures, verdict, INPUTS, settings.options)
    megabytes = path.stat().st_size / 1e6
    logger.info("report.html: %.1f MB; check: %s", megabytes, verdict.level)
    return {"verdict": verdict.level, "megabytes": round(megabytes, 2)}


STAGE = Stage("report", INPUTS, run, version=2)
