"""flow: displacement, validity and confidence of every directed pair, and pairs.txt."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch

from rcvd.abreast import in_order
from rcvd.device import BatchSize
from rcvd.errors import UserError, unknown
from rcvd.flow.chain import unstacked
from rcvd.flow.consistency import ConsistencyOptions, check_flow
from rcvd.flow.covisible import CovisibilityOptions, covisible_pairs
from rcvd.flow.estimate import estimate_pair
from rcvd.flow.model import AUTO, FLOW_MODELS, FlowModel, auto_flow, load_flow
from rcvd.flow.pairs import (
    by_distance,
    drop_weak_pairs,
    make_pairs,
    pair_graph,
    route,
    valid_fraction,
)
from rcvd.flow.prealign import StartOptions, start_flow
from rcvd.geometry.camera import pixel_centres
from rcvd.geometry.warp import inside
from rcvd.items import pair_name, read_flow, read_valid, write_flow, write_pairs
from rcvd.scene import Scene
from rcvd.stages.bring_your_own import (
    Sizes,
    flow_folder_pairs,
    read_flow_file,
    read_validity_file,
)
from rcvd.store import Stage, Workspace
from rcvd.types import Flow, PairGraph

logger = logging.getLogger(__name__)

PAIRS = "pairs.txt"
CACHED_FRAMES = 32  # so many frames stay in memory; pairs of one distance are neighbours


@dataclass(frozen=True)
class FlowSettings:
    """backend: dis, bundled, lucas_kanade, raft_small, raft_large, flownet; auto: bundled on a GPU,
    dis on a CPU. weights: a checkpoint for it. folder: your own flow instead.

    rule: which pairs (method of Kopf et al. 2021, or denser). min_valid: share of valid pixels
    below which a pair that is no neighbour is dropped.
    """

    backend: str = AUTO
    weights: Path | None = None
    folder: Path | None = None
    rule: Literal["paper", "dense"] = "dense"
    min_valid: float = 0.2
    covisible: CovisibilityOptions = field(default_factory=CovisibilityOptions)
    check: ConsistencyOptions = field(default_factory=ConsistencyOptions)
    start: StartOptions = field(default_factory=StartOptions)

    def __post_init__(self) -> None:
        if self.backend not in (AUTO, *FLOW_MODELS):
            raise unknown("flow model", self.backend, (AUTO, *FLOW_MODELS))


def decided(settings: FlowSettings, device: torch.device) -> FlowSettings:
    """The settings with `auto` replaced by the backend it stands for on the device."""
    if settings.backend != AUTO or settings.folder is not None:
        return settings
    backend, reason = auto_flow(device)
    logger.info("flow: auto is %s (%s)", backend, reason)
    return replace(settings, backend=backend)


def run(workspace: Workspace, settings: FlowSettings) -> dict[str, Any]:
    scene = Scene(workspace.store.root)
    if settings.folder is not None:
        graph = flow_folder_pairs(settings.folder, scene.n_frames)
    else:
        graph = make_pairs(scene.n_frames, settings.rule)
        closures = covisible_pairs(scene.rgb, graph, settings.covisible)
        graph = pair_graph([*map(tuple, graph.pairs.tolist()), *closures], scene.n_frames)
    todo = [(i, j) for i, j in graph.pairs.tolist() if not _done(workspace, i, j)]
    if settings.folder is not None:
        sizes = Sizes(scene.size, scene.source_size)
        for i, j in workspace.track(todo, "flow"):
            _write(workspace, i, j, _own_flow(settings.folder, i, j, sizes, settings))
    else:
        model = load_flow(settings.backend, torch.device(workspace.store.device), settings.weights)
        _estimate(workspace, settings, scene, model, todo)
    kept = _drop_weak(workspace, graph, settings.min_valid)
    with workspace.writing(PAIRS) as part:
        write_pairs(part, kept)
    backend = "files" if settings.folder else settings.backend
    logger.info("flow: %s, %d directed pairs, %d kept", backend, len(graph.pairs), len(kept.pairs))
    weights = None if settings.weights is None else str(settings.weights)
    return {
        "backend": backend,
        "weights": weights,
        "pairs": len(graph.pairs),
        "kept": len(kept.pairs),
    }


def _done(workspace: Workspace, i: int, j: int) -> bool:
    """The array is written after the image, so it alone tells."""
    return not workspace.missing([f"{pair_name(i, j)}.npy"])


def _write(workspace: Workspace, i: int, j: int, flow: Flow) -> None:
    stem = pair_name(i, j)
    with workspace.writing(f"{stem}.npy") as array, workspace.writing(f"{stem}.png") as image:
        write_flow(image, array, flow)


def _estimate(
    workspace: Workspace,
    settings: FlowSettings,
    scene: Scene,
    model: FlowModel,
    todo: list[tuple[int, int]],
) -> None:
    device, folder = workspace.store.device, workspace.folder
    frame = lru_cache(workspace.window(CACHED_FRAMES))(lambda k: scene.rgb(k).to(device))
    flows = lru_cache(workspace.window(CACHED_FRAMES))
    flow_of = flows(lambda i, j: read_flow(folder, i, j).to(device))
    known = {(i, j) for i, j in make_pairs(scene.n_frames, settings.rule).pairs.tolist()}

    def starts(pairs: Sequence[tuple[int, int]]) -> torch.Tensor | None:
        found = [
            start_flow(frame(i), frame(j), _way(known, i, j), flow_of, settings.start)
            for i, j in pairs
        ]
        if all(start is None for start in found):
            return None
        still = torch.zeros(*scene.size, 2)
        return torch.stack([(still if s is None else s).to(device) for s in found])

    def estimate(ahead: Sequence[tuple[int, int]]) -> tuple[Flow, Flow]:
        back = [(j, i) for i, j in ahead]
        first, second = (torch.stack([frame(p[n]) for p in ahead]) for n in (0, 1))
        return estimate_pair(model, first, second, starts(ahead), starts(back), settings.check)

    order = by_distance(pair_graph(todo, scene.n_frames))
    size = BatchSize("flow", model.pairs_at_once)

    def made(batch: Sequence[tuple[int, int]]) -> int:
        for ahead, both in size.batches(batch, estimate):
            _write_both(workspace, ahead, both)
        return len(batch)

    with workspace.store.progress("flow", len(order)) as advance:
        # pairs of one distance together: longer ones start from shorter ones
        for _, same in groupby(order, key=lambda pair: pair[1] - pair[0]):
            pairs, n = list(same), model.pairs_at_once
            batches = [pairs[k : k + n] for k in range(0, len(pairs), n)]
            for done in in_order(made, batches):
                advance(done)


def _write_both(
    workspace: Workspace, ahead: Sequence[tuple[int, int]], both: tuple[Flow, Flow]
) -> None:
    back = [(j, i) for i, j in ahead]
    for pairs, flows in zip((ahead, back), both, strict=True):
        for (i, j), flow in zip(pairs, unstacked(flows), strict=True):
            _write(workspace, i, j, flow)


def _way(known: set[tuple[int, int]], i: int, j: int) -> list[int]:
    """Frames to chain flows along; pairs of the loop closure have nothing to chain."""
    return route(known, i, j) if (i, j) in known else [i, j]


def _own_flow(folder: Path, i: int, j: int, sizes: Sizes, settings: FlowSettings) -> Flow:
    """A flow from files: checked against its opposite, or by its own validity image."""
    forward = read_flow_file(folder, i, j, sizes)
    valid = read_validity_file(folder, i, j, sizes)
    if (folder / f"{pair_name(j, i)}.npy").exists():
        backward = read_flow_file(folder, j, i, sizes)
        checked = check_flow(forward[None], backward[None], settings.check)
        flow = Flow(forward, checked.valid[0], checked.confidence[0])
    else:
        within = inside(pixel_centres(sizes.working) + forward, sizes.working)
        flow = Flow(forward, within, within.float())
    if valid is None:
        return flow
    return Flow(forward, flow.valid & valid, flow.confidence * valid)


def _drop_weak(workspace: Workspace, graph: PairGraph, min_valid: float) -> PairGraph:
    pairs = [(i, j) for i, j in graph.pairs.tolist()]
    shares = [valid_fraction(read_valid(workspace.folder, i, j)) for i, j in pairs]
    kept = drop_weak_pairs(graph, torch.stack(shares), min_valid)
    for (i, j), share in zip(pairs, shares, strict=True):
        if abs(i - j) == 1 and share < min_valid:
            logger.warning("frames %d -> %d: little valid flow; kept, as neighbours are", i, j)
    if not any(share > 0 for share in shares):
        raise UserError("no flow is valid between any two frames: is this one continuous shot?")
    return kept


STAGE = Stage("flow", ("frames",), run)
