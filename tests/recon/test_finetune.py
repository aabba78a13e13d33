"""Fine-tuning: exact depth has no loss, a wrong one improves, and nothing ends worse."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from rcvd.depth.adapters import ADAPTERS, training, training_size
from rcvd.depth.bundled import BundledDepth
from rcvd.errors import UserError
from rcvd.recon.depth_losses import gradient_loss, reprojection_losses, target_loss
from rcvd.recon.finetune import Budget, finetune, split_pairs
from rcvd.recon.finetune_loss import FinetuneFrames, FinetuneOptions
from tests.recon.plane_scene import BACKDROP, PANEL, WALKER, PlaneScene, cameras

SIZE = (32, 48)
N = 5
PAIRS = [(i, j) for i in range(N) for j in range(N) if i != j]


class TinyDepth(nn.Module):
    """A few convolutions: fast, and bad at the start."""

    metric, trainable, free_disparity_shift = False, True, False
    log_sigma, learning_rate, group = 0.3, 3e-3, "all"

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(5, 16, 5, padding=2), nn.GELU(), nn.Conv2d(16, 16, 5, padding=2), nn.GELU()
        )
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        h, w = rgb.shape[-2:]
        y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        place = torch.stack([y, x]).expand(len(rgb), 2, h, w)
        return (self.head(self.features(torch.cat([rgb, place], 1)))[:, 0] + 1.2).exp()

    def trainable_parameters(self, group: str) -> list[nn.Parameter]:
        modules = {"decoder": [self.head], "all": [self]}[group]
        return [p for m in modules for p in m.parameters()]

    def backbone(self) -> list[nn.Module]:
        return []


def frames_of(scene: PlaneScene, model: TinyDepth, with_target: bool = False) -> FinetuneFrames:
    with torch.no_grad():
        first = {i: model(scene.rgb(i)[None])[0] for i in range(N)}

    def target(i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return scene.depth(i).log(), torch.full(SIZE, 0.01)

    return FinetuneFrames(
        cameras=scene.cameras,
        rgb=scene.rgb,
        flow=scene.flow,
        moving=scene.moving,
        log_scale=lambda _: torch.zeros(SIZE),
        first=first.__getitem__,
        target=target if with_target else None,
    )


@pytest.fixture(scope="module")
def scene() -> PlaneScene:
    return PlaneScene(cameras(N, SIZE, step=0.15), (BACKDROP, PANEL, WALKER))


def abs_rel(scene: PlaneScene, model: TinyDepth) -> float:
    with torch.no_grad():
        z = torch.stack([model(scene.rgb(i)[None])[0] for i in range(N)])
    truth = torch.stack([scene.depth(i) for i in range(N)])
    return float((z / truth - 1).abs().mean())


def test_losses_vanish_on_the_truth_only(scene: PlaneScene) -> None:
    z = torch.stack([scene.depth(0), scene.depth(1)])
    i, j = torch.tensor([0, 1]), torch.tensor([1, 0])
    flow = scene.flows(0, [1]), scene.flows(1, [0])
    both = replace(
        flow[0],
        displacement=torch.cat([f.displacement for f in flow]),
        valid=torch.cat([f.valid for f in flow]),
        confidence=torch.cat([f.confidence for f in flow]),
    )
    static = ~torch.stack([scene.moving(0), scene.moving(1)])
    spatial, ratio = reprojection_losses(z, z.flip(0), i, j, both, static, scene.cameras, 5.0)
    assert spatial < 2e-3
    assert ratio < 2e-3
    moving, _ = reprojection_losses(z, z.flip(0), i, j, both, static | True, scene.cameras, 5.0)
    assert moving > 2 * spatial
    wrong, off = reprojection_losses(1.1 * z, z.flip(0), i, j, both, static, scene.cameras, 5.0)
    assert wrong > 0.1
    assert off == pytest.approx(0.0953, rel=0.1)


def test_target_and_gradient_terms(scene: PlaneScene) -> None:
    z = scene.depth(0)[None]
    sigma = torch.full_like(z, 0.05)
    sigma[:, :, :10] = torch.inf
    assert target_loss(z, z.log(), sigma, 0.05) < 1e-6
    shifted = target_loss(z * 1.1, torch.where(sigma.isinf(), torch.nan, z.log()), sigma, 0.05)
    assert float(shifted) == pytest.approx(0.0953, rel=1e-3)
    moving = scene.moving(0)[None]
    assert gradient_loss(2 * z, z, moving, 0.1) < 1e-6
    tilted = z * torch.linspace(1, 2, SIZE[1])
    assert gradient_loss(tilted, z, moving, 0.1) > 1e-3


def test_gradients_of_the_losses() -> None:
    torch.manual_seed(0)
    scene = PlaneScene(cameras(2, (6, 8), step=0.15), (BACKDROP,))
    flow = scene.flows(0, [1])
    flow = replace(
        flow, displacement=flow.displacement.double() + 0.3, confidence=flow.confidence.double()
    )
    i, j, static = torch.tensor([0]), torch.tensor([1]), torch.ones(1, 6, 8, dtype=torch.bool)

    def total(log_i: torch.Tensor, log_j: torch.Tensor) -> torch.Tensor:
        args = (i, j, flow, static, scene.cameras, 5.0)
        return sum(reprojection_losses(log_i.exp(), log_j.exp(), *args), torch.zeros(()))

    noise = 0.01 * torch.rand(2, 1, 6, 8, dtype=torch.float64)
    start = [
        (scene.depth(k)[None].double().log() + 0.05 + noise[k]).requires_grad_() for k in (0, 1)
    ]
    assert torch.autograd.gradcheck(total, start)


def test_split_keeps_both_directions_together() -> None:
    generator = torch.Generator().manual_seed(0)
    train, held_out = split_pairs(PAIRS, 0.1, generator)
    assert sorted(train + held_out) == sorted(PAIRS)
    assert len(held_out) == 2
    assert {(j, i) for i, j in held_out} == set(held_out)
    assert split_pairs([(0, 1), (1, 0)], 0.1, generator)[1] == []


@pytest.mark.parametrize("with_target", [False, True])
def test_a_bad_start_improves(scene: PlaneScene, with_target: bool) -> None:
    torch.manual_seed(3)
    model = TinyDepth()
    before, first = abs_rel(scene, model), model.head.weight.detach().clone()
    steps: list[int] = []
    report = finetune(
        model,
        PAIRS,
        frames_of(scene, model, with_target),
        FinetuneOptions(steps=60, prior=0.02),
        advance=steps.append,
    )
    assert report.losses[report.best] < 0.7 * report.losses[0]
    assert not torch.equal(first, model.head.weight)
    assert 0 < abs_rel(scene, model) < 0.75 * before
    assert sum(steps) == 100  # percent of the budget
    assert all(p.requires_grad for p in model.parameters())


def test_decoder_group_leaves_the_rest_alone(scene: PlaneScene) -> None:
    torch.manual_seed(3)
    model = TinyDepth()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    finetune(model, PAIRS, frames_of(scene, model), FinetuneOptions(steps=10, group="decoder"))
    changed = {key for key, value in model.state_dict().items() if not value.equal(before[key])}
    assert changed == {"head.weight", "head.bias"}


def test_never_worse_than_the_start(scene: PlaneScene) -> None:
    torch.manual_seed(3)
    model = TinyDepth()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    options = FinetuneOptions(steps=12, learning_rate=3.0)
    report = finetune(model, PAIRS, frames_of(scene, model), options)
    assert report.best == 0
    assert report.losses[0] == min(report.losses)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


def test_same_seed_same_weights(scene: PlaneScene) -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        model = TinyDepth()
        finetune(model, PAIRS, frames_of(scene, model), FinetuneOptions(steps=8))
        results.append(model.head.weight.detach())
    assert torch.equal(*results)


def test_time_is_bounded_and_nothing_to_train_is_left_alone(scene: PlaneScene) -> None:
    torch.manual_seed(3)
    model = TinyDepth()
    report = finetune(model, PAIRS, frames_of(scene, model), FinetuneOptions(minutes=0.0))
    assert report.at_steps == (0, 1)
    alone = finetune(model, [(0, 1), (1, 0)], frames_of(scene, model))
    assert alone.losses == ()


class Linear(TinyDepth):
    """TinyDepth whose features pass two linear layers on their way to the head."""

    def __init__(self) -> None:
        super().__init__()
        self.mixer = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.features.append(Mixed(self.mixer))

    def backbone(self) -> list[nn.Module]:
        return [self.mixer]


class Mixed(nn.Module):
    """A perceptron over channels of an image."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mixer(x.movedim(1, -1)).movedim(-1, 1)


def test_adapters_change_the_backbone_by_low_rank_and_leave_its_names(scene: PlaneScene) -> None:
    torch.manual_seed(0)
    model = Linear()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = FinetuneOptions(steps=30, minutes=5, group="adapters", rank=2)
    parts: list[int] = []
    report = finetune(model, PAIRS, frames_of(scene, model, True), options, advance=parts.append)
    after = model.state_dict()
    assert report.losses[report.best] < report.losses[0]
    assert sum(parts) == 100
    assert list(after) == list(before)
    change = after["mixer.0.weight"] - before["mixer.0.weight"]
    assert torch.linalg.matrix_rank(change, atol=1e-5) == 2
    assert torch.equal(after["features.0.weight"], before["features.0.weight"])
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert all(p.requires_grad for p in model.parameters())


def test_adapters_need_linear_layers_and_groups_a_name() -> None:
    with pytest.raises(UserError, match="no linear layers"), training(BundledDepth(), ADAPTERS, 4):
        pass
    with pytest.raises(UserError, match="did you mean 'adapters'"):
        FinetuneOptions(group="adapter")


def test_training_size_counts_weights_gradients_and_moments() -> None:
    model = Linear()
    with training(model, "decoder", 4) as parameters:
        size = training_size(model, parameters)
    head = 16 * 9 + 1
    assert size.trained == head
    assert size.megabytes == pytest.approx(4 * (size.total + 3 * head) / 1e6)


def test_the_budget_says_what_it_buys() -> None:
    budget = Budget(steps=100, seconds=1e9, advance=lambda _: None)
    assert "the steps allowed buy about 100 steps" in budget.outlook(3, 2, 50)
    assert "each of the 50 pairs 4.0 times" in budget.outlook(3, 2, 50)
    assert not budget.spent(50)
    assert Budget(steps=100, seconds=0.0, advance=lambda _: None).spent(1)
