"""Plots, stages, settings and provenance of a scene, as the report carries them."""

import math
import platform
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import yaml

from rcvd.check.measures import PIXEL_RANGE, RATIO_RANGE, Measures
from rcvd.check.text import where
from rcvd.check.verdict import Verdict
from rcvd.evaluation.consistency import GAPS
from rcvd.scene import Scene
from rcvd.store import MANIFEST, REPORT, read_json
from rcvd.types import Cameras


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Level, summary and findings in words."""
    findings = [
        {"level": f.level, "text": where(f) + f.reason, "advice": f.advice}
        for f in verdict.findings
    ]
    return {"verdict": verdict.level, "summary": verdict.summary, "findings": findings}


def map_document(cameras: Cameras) -> dict[str, Any]:
    """The camera path from above: across and ahead, seen from the first camera."""
    centres = cameras.world_from_cam[:, :3, 3]
    return {
        "title": "Camera path from above",
        "note": "scene units, +X right and +Z ahead of the first camera; click to go there",
        "points": [[round(x, 5), round(z, 5)] for x, _, z in centres.tolist()],
    }


def curve_documents(cameras: Cameras, measures: Measures) -> list[dict[str, Any]]:
    """What changes from frame to frame."""
    x, y, z = cameras.world_from_cam[:, :3, 3].T.tolist()
    scale = [math.exp(value) for value in measures.log_scale]
    focal = cameras.intrinsics[:, 0].tolist()
    moving = [100 * value for value in measures.moving]
    failing = [None if v is None else 100 * v for v in measures.cycle_failure]
    ratio = [None if v is None else 100 * v for v in measures.depth_ratio]
    curves = [
        _curve("Camera centre", "scene units, along the first camera's axes", x=x, y=y, z=z),
        _curve("Scale of the depth prior", "by frame; a slope is drift, jumps are the prior's",
               scale=scale),
        _curve("Reprojection", "px, median: how far still points miss the flow", 0.0,
               distance=measures.reprojection_px),
        _curve("Depth of neighbouring frames", "%, median difference of still points", 0.0,
               difference=ratio),
        _curve("Parallax", "px, motion of the matches beyond the camera's rotation", 0.0,
               parallax=measures.parallax_px),
        _curve("Moving, and flow that fails", "% of the pixels; % of the flow to neighbours that "
               "does not return", 0.0, moving=moving, failing=failing),
        _curve("Blur", "px, sigma of the sharpest edges", 0.0, sigma=measures.blur_px),
    ]  # fmt: skip
    if max(focal) - min(focal) > 1e-3:
        curves.append(_curve("Focal length", "px of the working size", focal=focal))
    return curves


def _curve(
    title: str, note: str, floor: float | None = None, **series: Sequence[float | None]
) -> dict[str, Any]:
    rounded = [
        {"name": name, "values": [None if v is None else float(f"{v:.5g}") for v in values]}
        for name, values in series.items()
    ]
    return {"title": title, "note": note, "floor": floor, "series": rounded}


def histogram_documents(measures: Measures) -> list[dict[str, Any]]:
    return [
        {
            "title": "Reprojection residuals",
            "note": "% of the still pixels by px; the last bar holds all beyond",
            "counts": measures.pixel_counts,
            "range": PIXEL_RANGE,
        },
        {
            "title": "Depth residuals",
            "note": "% of the still pixels by % of difference; the last bar holds all beyond",
            "counts": measures.ratio_counts,
            "range": 100 * RATIO_RANGE,
        },
    ]


def over_time(measures: Measures) -> list[tuple[str, str]]:
    """What still surfaces look like from other frames, a line a distance, and their flicker."""
    found, rows = measures.over_time, list[tuple[str, str]]()
    for gap in GAPS:
        told = [found.get(f"{kind}_{gap}") for kind in ("reprojection", "log_ratio")]
        near = found.get(f"under_1_percent_{gap}")
        if near is None or None in told:
            continue
        px, ratio = (value or 0.0 for value in told)
        text = f"{px:.2f} px off, depth {100 * ratio:.2g} % apart, {100 * near:.0f} % within 1 %"
        rows.append((f"seen from {gap} frame{'s' if gap > 1 else ''} away", text))
    flicker = found.get("flicker")
    if flicker is not None:
        rows.append(("depth along the flow", f"changes by {100 * flicker:.2g} % a frame (flicker)"))
    return rows


def stage_documents(scene: Scene, stages: Iterable[str]) -> list[dict[str, Any]]:
    """Seconds, peak memory and device of each stage."""
    reports = {name: read_json(scene.folder(name) / REPORT) for name in stages}
    return [
        {
            "name": name,
            "seconds": report["seconds"],
            "memory": report["peak_memory_mb"],
            "device": report["device"],
        }
        for name, report in reports.items()
    ]


def settings_text(scene: Scene, stages: Iterable[str]) -> str:
    """The settings that every stage ran with, as YAML."""
    ran = {name: read_json(scene.folder(name) / MANIFEST)["recipe"]["settings"] for name in stages}
    return yaml.safe_dump(ran, sort_keys=False, allow_unicode=True)


def provenance(scene: Scene, measures: Measures) -> list[tuple[str, str]]:
    """Who made the scene, of what."""
    document = scene.document
    source, h, w = document["source"], *scene.size
    lens = "given" if measures.focal_known else f"solved, ± {100 * measures.focal_std:.1f} %"
    backends = ", ".join(f"{kind}: {name}" for kind, name in document["backends"].items())
    return [
        ("made by", document["made_by"]),
        ("video", f"{source['name']}, {source['width']} x {source['height']}"),
        ("working size", f"{w} x {h}"),
        ("frames", str(scene.n_frames)),
        ("field of view", f"{measures.hfov:.1f} degrees across ({lens})"),
        ("scale", document["scale"]),
        ("points", f"{document['figures']['points']:,}"),
        ("backends", backends),
        ("device", document["device"]),
        ("seed", str(document["seed"])),
        ("machine", f"{platform.machine()}, {platform.system()}"),
        ("Python, torch", f"{platform.python_version()}, {torch.__version__}"),
        *((f"key of {name}", key) for name, key in _keys(scene)),
    ]


def _keys(scene: Scene) -> list[tuple[str, str]]:
    """Hashes of the video's and the result's recipes: equal keys mean an equal scene."""
    names = ("frames", "export")
    return [(name, read_json(scene.folder(name) / MANIFEST)["key"]) for name in names]


def conventions(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Those of scene.json that are one line each."""
    words = document["conventions"]
    return [(name, str(text)) for name, text in words.items() if not isinstance(text, dict)]
