"""The report: one HTML file that needs neither a server nor the network."""

import html
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rcvd.amounts import positive
from rcvd.check.measures import Measures
from rcvd.check.verdict import Verdict
from rcvd.scene import Scene
from rcvd.viewer import report_facts as facts
from rcvd.viewer.report_cloud import camera_document, first_view, pack_cloud
from rcvd.viewer.report_strip import strip_document
from rcvd.viewer.scene import ViewScene

ASSETS = ("report.css", "math3d.js", "cloud.js", "orbit.js", "plots.js", "facts.js", "report.js")


@dataclass(frozen=True)
class ReportOptions:
    """still, moving: most points of each kind. frames: most frames in the video strip, evenly
    chosen. width: of each of its panels, pixels. quality: of its WebP pictures, percent.
    """

    still: int = 250_000
    moving: int = 150_000
    frames: int = 160
    width: int = positive(320)
    quality: int = 70


def write_report(
    path: Path,
    scene: Scene,
    measures: Measures,
    verdict: Verdict,
    stages: tuple[str, ...],
    options: ReportOptions = ReportOptions(),
) -> None:
    """Writes the report of a finished scene. stages: those whose times and settings it tells."""
    view = ViewScene(scene.points, scene.cameras)
    cloud = pack_cloud(view, options.still, options.moving)
    data = _document(scene, view, measures, verdict, stages, options)
    data["points"] = cloud.layout
    parts = {name: _asset(name) for name in ASSETS}
    parts |= {"data": embedded(data), "points": cloud.text, "title": html.escape(data["title"])}
    path.write_text(_fill(_asset("report.html"), parts), encoding="utf-8")


def _document(
    scene: Scene,
    view: ViewScene,
    measures: Measures,
    verdict: Verdict,
    stages: tuple[str, ...],
    options: ReportOptions,
) -> dict[str, Any]:
    document, (h, w) = scene.document, scene.size
    seconds = float(scene.times[-1] - scene.times[0])
    return {
        "title": f"{document['source']['name']}: rcvd report",
        "subtitle": f"{scene.n_frames} frames, {seconds:.1f} s, {w} x {h} pixels, "
        f"{document['figures']['points']:,} points; {document['made_by']}",
        "verdict": facts.verdict_document(verdict),
        "size": [h, w],
        "times": [round(t, 4) for t in scene.times.tolist()],
        "cameras": camera_document(view),
        "view": first_view(view),
        "strip": strip_document(scene, options.frames, options.width, options.quality),
        "map": facts.map_document(view.cameras),
        "curves": facts.curve_documents(view.cameras, measures),
        "histograms": facts.histogram_documents(measures),
        "over_time": facts.over_time(measures),
        "stages": facts.stage_documents(scene, stages),
        "settings": facts.settings_text(scene, stages),
        "provenance": facts.provenance(scene, measures),
        "conventions": facts.conventions(document),
    }


def embedded(data: dict[str, Any]) -> str:
    """JSON fit for a script element, where "</" and "<!--" may not stand."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (files("rcvd.viewer") / "assets" / name).read_text(encoding="utf-8")


def _fill(template: str, parts: dict[str, str]) -> str:
    """The template with each @name@ replaced; parts are not looked into."""
    pieces = template.split("@")
    return "".join(parts[piece] if k % 2 else piece for k, piece in enumerate(pieces))
