"""A scene made again from what its folder says of its own making, and compared file by file."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rcvd import pipeline
from rcvd.arrays import read_npz
from rcvd.errors import UserError
from rcvd.items import read_array, read_png
from rcvd.leftovers import items
from rcvd.provenance import environment
from rcvd.recipe import changes, content_hash
from rcvd.scene import Scene
from rcvd.store import SETTINGS, Progress, Store, no_progress, read_json

logger = logging.getLogger(__name__)

CLOCK = frozenset(
    {
        *("seconds", "cpu_seconds", "stage_seconds", "fusion_cpu_seconds"),
        *("peak_memory_mb", "peak_vram_mb", "threads", "cleaned"),
    }
)
"""Keys of JSON files that a clock, the machine's memory or its cores decide, or `rcvd clean`."""
EXPORTS = "exports"  # made by a verb of its own


@dataclass(frozen=True)
class Difference:
    """A file that came out otherwise. share: largest |a - b| / (|a| + |b|); NaN: not numbers."""

    file: str
    share: float


@dataclass(frozen=True)
class Comparison:
    """files: compared. different: those whose content differs; missing: in one scene only."""

    files: int
    different: tuple[Difference, ...]
    missing: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.different and not self.missing


def reproduce(
    root: Path, out: Path, video: Path | None = None, progress: Progress = no_progress
) -> Comparison:
    """Run a finished scene again into `out`, with its own settings, device and threads; compare.

    video: where the video lies now, if it was moved.

    Raises:
        UserError: not a finished scene, the video is missing or another one, or its device is not
            on this machine.
    """
    scene = Scene.load(root)
    made_with = _made_with(scene)
    layer = read_json(scene.root / "run" / SETTINGS)
    source = video or Path(layer["frames"]["video"])
    if not source.exists():
        raise UserError(f"{source} does not exist; say with --video where the video is now")
    recipe = Store(scene.root).manifest("frames")["recipe"]
    if content_hash(source) != recipe["settings"]["video"]["content"]:
        raise UserError(f"{source} is not the video this scene was made from")
    layer |= {"device": made_with["device"], "threads": made_with["threads"]}
    pipeline.run(pipeline.make_settings(source, None, layer, _video(source)), out, None, progress)
    return compare_folders(scene.root, out)


def _video(source: Path) -> dict[str, Any]:
    return {"frames": {"video": str(source)}}


def _made_with(scene: Scene) -> dict[str, Any]:
    """The environment of the scene's stages; what differs from this one is logged."""
    reports = [scene.report(stage.name) for stage in pipeline.STAGES]
    here = environment(reports[-1]["device"])
    environments = [{key: report.get(key) for key in here} for report in reports]
    if any(one != environments[-1] for one in environments):
        logger.warning("its stages were made by different environments; bits may differ")
    for text in changes(environments[-1], {**here, "threads": environments[-1]["threads"]}):
        logger.warning("not as then: %s", text)
    return environments[-1]


def compare_folders(first: Path, second: Path) -> Comparison:
    """Every file of two scene folders, byte by byte; JSON without what a clock decides. Items that
    `rcvd clean` has removed of one are left out.
    """
    a, b = _files(first), _files(second)
    stores = Store(first), Store(second)
    cleaned = [s for s in pipeline.STAGES if any(store.cleaned(s.name) for store in stores)]
    gone = {
        str(path.relative_to(store.root))
        for store in stores
        for stage in cleaned
        for path in items(store, stage)
    }
    a, b = a - gone, b - gone
    different = [
        Difference(name, _share(first / name, second / name))
        for name in sorted(a & b)
        if not _equal(first / name, second / name)
    ]
    return Comparison(len(a & b), tuple(different), tuple(sorted(a ^ b)))


def _files(root: Path) -> set[str]:
    """The results and the items of the stages; not the lock, nor what says where the run was or, as
    the report, how long it took; nor exports and earlier attempts.
    """
    skipped = {".lock", SETTINGS, "report.html"}
    found = (path for path in root.rglob("*") if path.is_file() and path.name not in skipped)
    names = (path.relative_to(root) for path in found)
    others = (EXPORTS, ".old-")
    return {str(name) for name in names if not any(part.startswith(others) for part in name.parts)}


def _equal(a: Path, b: Path) -> bool:
    if a.suffix == ".json":
        return _timeless(json.loads(a.read_text())) == _timeless(json.loads(b.read_text()))
    return a.read_bytes() == b.read_bytes()


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _timeless(v) for k, v in content.items() if k not in CLOCK}
    return [_timeless(item) for item in content] if isinstance(content, list) else content


def _share(a: Path, b: Path) -> float:
    pairs = list(zip(_arrays(a), _arrays(b), strict=False))
    if not pairs or any(x.shape != y.shape for x, y in pairs):
        return float("nan")
    return max(_largest_share(x.astype(np.float64), y.astype(np.float64)) for x, y in pairs)


def _largest_share(x: np.ndarray, y: np.ndarray) -> float:
    total = np.abs(x) + np.abs(y)
    return float(np.max(np.abs(x - y) / np.where(total > 0, total, 1.0), initial=0.0))


def _arrays(path: Path) -> list[np.ndarray]:
    if path.suffix == ".npy":
        return [read_array(path)]
    if path.suffix == ".png":
        return [read_png(path)]
    if path.suffix == ".npz":
        content = read_npz(path)
        return [content[name] for name in sorted(content) if content[name].dtype.kind in "fiub"]
    return []
