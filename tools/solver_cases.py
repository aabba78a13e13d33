"""Cases of the solver's benchmark: corrupted exact scenes as matches, and the errors of a solve."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.flow.covisible import covisible_pairs
from rcvd.flow.pairs import make_pairs, pair_graph
from rcvd.geometry.align import umeyama
from rcvd.geometry.grid import grid_to_image
from rcvd.masks.motion import MotionMasks
from rcvd.recon.filter import FilterOptions, filter_frame
from rcvd.recon.matches import Matches, MatchOptions, build_matches
from rcvd.recon.solver import Solution
from rcvd.stages.filter import chained_window
from rcvd.synthetic import Sequence, corrupt_depth, make_sequence
from rcvd.types import Cameras, Flow, PairGraph

NOISE_PX = 0.3
OUTLIER_PX = 20.0
OUTLIER_BLOCKS = (7, 12)  # rows, columns of the image's parts that move together
CACHED_FLOWS = 64


@dataclass(frozen=True)
class Recipe:
    """What a case is made of. masks: "true", "none" (movers are matched, too) or "motion" (found
    in the noisy flow by the mask backend of that name). closure: whether covisible frames are
    looked for. outliers: share of the picture, in blocks, that moves OUTLIER_PX together.
    """

    scene: str = "room"
    frames: int = 40
    seed: int = 0
    rule: str = "paper"
    outliers: float = 0.0
    masks: str = "true"
    closure: bool = False
    size: tuple[int, int] = (224, 384)

    @property
    def name(self) -> str:
        """A file name of its own."""
        h, w = self.size
        parts = (self.scene, self.frames, self.seed, self.rule, self.outliers, self.masks)
        return "-".join(str(x) for x in (*parts, self.closure, f"{w}x{h}"))


@dataclass(frozen=True)
class Case:
    """Matches with the truth behind them. prior: the corrupted depth."""

    cameras: Cameras
    z: Float[Tensor, "t h w"]
    moving: Bool[Tensor, "t h w"]
    prior: Float[Tensor, "t h w"]
    matches: Matches


@dataclass(frozen=True)
class Errors:
    """In percent: ATE of the path after Sim(3), focal, drift of scale from the first to the last
    fifth of the path. before, after: AbsRel of the static depth with one scale for the sequence.
    """

    ate: float
    focal: float
    drift: float
    before: float
    after: float


class NoisyFlows:
    """Exact flow plus pixel noise and outliers, the same every time a pair is asked for."""

    def __init__(self, sequence: Sequence, recipe: Recipe) -> None:
        self.sequence, self.recipe = sequence, recipe
        self.read = lru_cache(CACHED_FLOWS)(self._make)

    def _make(self, i: int, j: int) -> Flow:
        g = torch.Generator().manual_seed(hash((self.recipe.seed, i, j)) % 2**31)
        flow = self.sequence.flow(i, j)
        moved = flow.displacement + NOISE_PX * torch.randn(flow.displacement.shape, generator=g)
        (rows, columns), (h, w) = OUTLIER_BLOCKS, flow.valid.shape
        block = torch.rand(rows, columns, generator=g) < self.recipe.outliers
        bad = block.repeat_interleave(-(-h // rows), 0)
        bad = bad.repeat_interleave(-(-w // columns), 1)[:h, :w]
        angle = 2 * torch.pi * torch.rand(1, generator=g)
        moved[bad] += OUTLIER_PX * torch.cat([angle.cos(), angle.sin()])
        return Flow(moved, flow.valid, flow.confidence)


def make_case(recipe: Recipe, kept: Path) -> Case:
    """The case of a recipe. kept: folder in which cases and pictures are kept from run to run."""
    return _kept(kept / f"{recipe.name}.pickle", lambda: _made(recipe, kept))


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    if path.exists():
        return pickle.loads(path.read_bytes())
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(made))
    return made


def _sequence(recipe: Recipe, kept: Path) -> Sequence:
    h, w = recipe.size
    pictures = kept / f"pictures-{recipe.scene}-{recipe.frames}-{recipe.seed}-{w}x{h}.pickle"
    return _kept(
        pictures,
        lambda: make_sequence(recipe.scene, recipe.seed, recipe.frames, recipe.size),
    )


def _made(recipe: Recipe, kept: Path) -> Case:
    sequence = _sequence(recipe, kept)
    prior = corrupt_depth(sequence.z, torch.Generator().manual_seed(recipe.seed))
    graph = make_pairs(recipe.frames, recipe.rule)
    if recipe.closure:
        found = covisible_pairs(sequence.rgb.__getitem__, graph)
        graph = pair_graph([*map(tuple, graph.pairs.tolist()), *found], recipe.frames)
    flows = NoisyFlows(sequence, recipe)
    moving = _masks(recipe.masks, sequence, flows, graph)
    matches = build_matches(
        zip(sequence.rgb, prior, moving, strict=True),
        _in_order(flows, graph),
        prior.__getitem__,
        moving.__getitem__,
        MatchOptions(),
    )
    return Case(sequence.cameras, sequence.z, sequence.moving, prior, matches)


def _in_order(flows: NoisyFlows, graph: PairGraph) -> Iterator[tuple[int, int, Flow]]:
    for i, j in graph.pairs.tolist():
        yield i, j, flows.read(i, j)


def _masks(
    kind: str, sequence: Sequence, flows: NoisyFlows, graph: PairGraph
) -> Bool[Tensor, "t h w"]:
    if kind == "true":
        return sequence.moving
    if kind == "none":
        return torch.zeros_like(sequence.moving)
    model = MotionMasks()
    frame_of = sequence.rgb.__getitem__
    found = model(frame_of, flows.read, graph, lambda k: model.detect(frame_of(k)))
    return torch.stack([moving for moving, _ in found])


def errors_of(case: Case, solution: Solution) -> Errors:
    """What a solve got wrong."""
    truth = case.cameras.world_from_cam[:, :3, 3].double()
    centres = solution.cameras.world_from_cam[:, :3, 3].cpu().double()
    scale, rotation, translation = umeyama(centres, truth)
    error = (scale * centres @ rotation.T + translation - truth).square().sum(1).mean().sqrt()
    path = (truth[1:] - truth[:-1]).norm(dim=1).sum()
    focal = float(solution.cameras.intrinsics[0, 0] / case.cameras.intrinsics[0, 0] - 1)
    before, after = _abs_rel(case, case.prior), _abs_rel(case, solved_depth(case, solution))
    drift = 100 * _scale_drift(truth, centres)
    return Errors(100 * float(error / path), 100 * focal, drift, before, after)


def solved_depth(case: Case, solution: Solution) -> Float[Tensor, "t h w"]:
    """The prior as the solve deforms it."""
    field = grid_to_image(solution.deformation.log_scale.cpu().float(), case.cameras.size)
    return case.prior * field.exp()


def _abs_rel(case: Case, z: Float[Tensor, "t h w"]) -> float:
    """AbsRel of all static pixels under one scale for the sequence."""
    static = ~case.moving & (case.z > 0)
    true, z = case.z[static], z[static]
    return float(((z * (true / z).median() - true).abs() / true).mean())


def filtered_error(recipe: Recipe, kept: Path, case: Case, solution: Solution) -> float:
    """AbsRel of the solved depth after the filter over time, on the flow that was solved on."""
    flows, z = NoisyFlows(_sequence(recipe, kept), recipe), solved_depth(case, solution)
    options, filtered = FilterOptions(), []
    for k in range(len(z)):
        around, flow = chained_window(flows.read, k, options.radius, len(z))
        done = filter_frame(z[k], z[around], k, around, flow, solution.to("cpu").cameras, options)
        filtered.append(done.z)
    return _abs_rel(case, torch.stack(filtered))


def _scale_drift(truth: Float[Tensor, "t 3"], centres: Float[Tensor, "t 3"]) -> float:
    """Change of the solved scale from the first to the last fifth of the path, by steps."""
    true, solved = (x.diff(dim=0).norm(dim=1) for x in (truth, centres))
    fifth = max(len(true) // 5, 1)
    first, last = (
        solved[part].sum() / true[part].sum() for part in (slice(None, fifth), slice(-fifth, None))
    )
    return float(last / first - 1)
