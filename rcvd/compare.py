"""Scenes side by side, against ground truth or against the first of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from rcvd.errors import UserError
from rcvd.evaluate import commit, make_folder
from rcvd.evaluation import report, tables
from rcvd.evaluation.comparison import as_truth
from rcvd.evaluation.datasets import READERS
from rcvd.evaluation.importers.formats import read_prediction
from rcvd.evaluation.profiles import PROFILES
from rcvd.evaluation.results import Result, evaluate
from rcvd.evaluation.sequence import Prediction, TrueSequence
from rcvd.outputs import with_run
from rcvd.running import refusals

PROFILES_COMPARED = ("strict", "consistency")


@dataclass(frozen=True)
class Comparison:
    """results: by profile, one a system."""

    truth: TrueSequence
    results: dict[str, list[Result]]


def compare(
    paths: Sequence[Path],
    formats: Sequence[str | None] = (),
    truth: TrueSequence | None = None,
    out: Path | None = None,
) -> Comparison:
    """Aligns each output to the truth, or to the first output, and scores it.

    formats: of the paths, None or missing to detect. out: a folder for the table and the plots.

    Raises:
        UserError: an output is missing, unrecognised or damaged, or nothing can be compared.
    """
    if len(paths) < (1 if truth else 2):
        raise UserError("name at least two outputs, or one and --gt")
    if len(formats) > len(paths):
        raise UserError(f"{len(formats)} formats for {len(paths)} outputs: name one of each")
    if out is not None:
        make_folder(out)
    kinds = [*formats, *[None] * (len(paths) - len(formats))]
    poses = truth.cameras.world_from_cam if truth is not None and truth.cameras else None
    read: list[Prediction] = []
    for path, kind in zip(paths, kinds, strict=True):
        read.append(_read(path, kind, poses))
        poses = read[0].world_from_cam if truth is None else poses
    systems = label(read, paths)
    reference, compared = truth, systems
    if reference is None:
        reference, compared = as_truth(systems[0]), systems[1:]
    results: dict[str, list[Result]] = {}
    for name in PROFILES_COMPARED:
        whole = [s for s in systems if s.depth is not None and s.intrinsics is not None]
        chosen = compared if name == "strict" else whole
        if chosen:
            results[name] = [_score(name, reference, system) for system in chosen]
    if out is not None:
        with refusals(out):
            _write(out, reference, results, systems)
    return Comparison(reference, results)


def read_truth(data: str, root: Path, sequence: str | None) -> TrueSequence:
    """The one sequence of a data set to compare with.

    Raises:
        UserError: unknown data set, wrong path, or several sequences and none named.
    """
    if data not in READERS:
        raise UserError(f"data set '{data}': choose from {', '.join(READERS)}")
    truths = READERS[data](root, [sequence] if sequence else None)
    if len(truths) != 1:
        raise UserError(f"{root} holds {len(truths)} sequences; name one with --sequence")
    return truths[0]


def label(systems: Sequence[Prediction], paths: Sequence[Path]) -> list[Prediction]:
    """Systems with names that differ: equal ones get their path's."""
    names = [system.system for system in systems]
    return [
        replace(s, system=f"{s.system} {p.name}") if names.count(s.system) > 1 else s
        for s, p in zip(systems, paths, strict=True)
    ]


def _read(path: Path, kind: str | None, poses: Float[Tensor, "t 4 4"] | None) -> Prediction:
    return with_run(read_prediction(path, kind, poses), path)


def _score(name: str, truth: TrueSequence, system: Prediction) -> Result:
    """What the system does give; unlike in `evaluate`, not having depth or poses is no failure."""
    if name == "strict":
        truth = replace(
            truth,
            depth=None if system.depth is None else truth.depth,
            cameras=None if system.world_from_cam is None else truth.cameras,
        )
    return evaluate(
        PROFILES[name], [truth], lambda _: system, system.system, None, {"commit": commit()}
    )


def _write(
    out: Path, truth: TrueSequence, results: dict[str, list[Result]], systems: list[Prediction]
) -> None:
    every = [result for found in results.values() for result in found]
    (out / "comparison.json").write_text(tables.as_json(every))
    for name, found in results.items():
        grid = tables.comparison_grid(found)
        for suffix, render in tables.STYLES.values():
            (out / f"comparison_{name}{suffix}").write_text(render(grid))
    report.write_trajectories(out, truth, {s.system: s for s in systems})
