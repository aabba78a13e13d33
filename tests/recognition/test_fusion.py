"""Where frames meet: invariants of single-frame, late, early and slow fusion."""

import pytest
import torch
from torch import nn

from rcvd.recognition.networks import karpathy, toy


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.rand(2, 3, 8, 16, 16)


def test_late_pooling_is_blind_to_order(clip: torch.Tensor) -> None:
    network = toy.Late(4).eval()
    shuffled = clip[:, :, torch.randperm(8)]
    torch.testing.assert_close(network(shuffled), network(clip))
    torch.testing.assert_close(network(clip.flip(2)), network(clip))


@pytest.mark.parametrize("name", ["late_fc", "early", "3d"])
def test_the_others_see_order(name: str, clip: torch.Tensor) -> None:
    networks: dict[str, nn.Module] = {
        "late_fc": toy.Late(4, "fc", frames=8, side=16),
        "early": toy.Early(4, frames=8),
        "3d": toy.Toy3d(4),
    }
    network = networks[name]
    assert (network(clip.flip(2)) - network(clip)).abs().max() > 1e-4


def test_single_frame_learns_from_one_frame_and_is_asked_about_all(clip: torch.Tensor) -> None:
    network = toy.SingleFrame(toy.Late(4))
    answers = torch.stack([network.network(clip[:, :, k : k + 1]) for k in range(8)], 1)
    for _ in range(4):
        drawn = network(clip)
        assert all((row == rows).all(1).any() for row, rows in zip(drawn, answers, strict=True))
    torch.testing.assert_close(network.eval()(clip), answers.mean(1))


def test_late_fusion_of_a_pair_sees_the_ends_through_one_tower(clip: torch.Tensor) -> None:
    network = toy.LatePair(4)
    between = clip.clone()
    between[:, :, 1:-1] = 0.0
    assert torch.equal(network(clip), network(between))
    assert (network(clip.flip(2)) - network(clip)).abs().max() > 1e-4
    maps = network.tower.maps(clip[:, :, [0, -1]])
    assert torch.equal(maps.flip(1), network.tower.maps(clip[:, :, [-1, 0]]))


def test_late_fusion_with_fc_concatenates_frames(clip: torch.Tensor) -> None:
    network = toy.Late(4, "fc", frames=8, side=16, width=6, hidden=5)
    maps = network.conv2(network.pool1(network.conv1(toy.fold_frames(clip)).relu())).relu()
    by_frame = maps.reshape(2, 8 * 12 * 4 * 4)
    expected = network.fc(network.hidden(by_frame).relu())
    torch.testing.assert_close(network(clip), expected)


def test_receptive_field_by_gradient() -> None:
    network = toy.Toy3d(4, width=2, pool="avg")
    x = torch.rand(1, 3, 20, 24, 24, requires_grad=True)
    for layer in (network.conv1, network.conv2):  # no ReLU may switch a path off
        nn.init.uniform_(layer.weight, 0.1, 1.0)
    network.maps(x)[0, :, 2, 3, 3].sum().backward()
    assert x.grad is not None
    support = (x.grad[0].abs().sum(0) > 0).nonzero()
    assert (support.amax(0) - support.amin(0) + 1).tolist() == [14, 14, 14]


def test_3d_maps_move_with_the_clip_and_early_fusion_does_not() -> None:
    clip = torch.rand(1, 3, 32, 8, 8)
    network = toy.Toy3d(4, width=3)
    moved, still = network.maps(clip[:, :, 4:]), network.maps(clip[:, :, :-4])
    torch.testing.assert_close(moved[:, :, 2:4], still[:, :, 3:5])  # one step is four frames
    early = toy.Early(4, frames=28)
    assert (early(clip[:, :, 4:]) - early(clip[:, :, :-4])).abs().max() > 1e-4


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(karpathy, "FC", 8)


@pytest.mark.usefixtures("narrow")
def test_karpathy_single_frame_averages_frames() -> None:
    network = karpathy.Fusion(3, side=2).eval()
    clip = torch.rand(1, 3, 3, 51, 51)
    each = torch.stack([network(clip[:, :, k : k + 1]) for k in range(3)])
    torch.testing.assert_close(network(clip), each.mean(0))
    torch.testing.assert_close(network(clip.flip(2)), network(clip))


@pytest.mark.usefixtures("narrow")
def test_karpathy_late_fusion_sees_frames_0_and_15_through_one_tower() -> None:
    network = karpathy.LateFusion(3, side=2).eval()
    clip = torch.rand(1, 3, 16, 51, 51, requires_grad=True)
    network(clip).sum().backward()
    assert clip.grad is not None
    seen = (clip.grad.abs().sum((0, 1, 3, 4)) > 0).nonzero()[:, 0]
    assert seen.tolist() == [0, 15]
    assert len([name for name, _ in network.named_parameters() if "conv1.weight" in name]) == 1


def test_streams_of_two_resolutions() -> None:
    with torch.device("meta"):
        network = karpathy.Multiresolution(3)
    clip = torch.rand(1, 3, 1, 178, 178, requires_grad=True)
    context, fovea = network.streams(clip)
    assert context.shape == fovea.shape == (1, 3, 1, 89, 89)
    (gradient,) = torch.autograd.grad(fovea.sum(), clip, retain_graph=True)
    seen = gradient[0, 0, 0].nonzero()
    assert seen.amin(0).tolist() == [44, 44]
    assert seen.amax(0).tolist() == [132, 132]
    (gradient,) = torch.autograd.grad(context.sum(), clip)
    assert (gradient > 0).all()
    blank = clip.detach().clone()
    blank[..., 44:133, 44:133] = 0
    outside = torch.ones(89, 89, dtype=torch.bool)
    outside[22:67, 22:67] = False
    assert torch.equal(network.streams(blank)[0][..., outside], context[..., outside])


def test_slow_fusion_of_a_longer_clip_is_the_mean_of_its_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(karpathy, "FC", 8)
    network = karpathy.Fusion(3, karpathy.SLOW, frames=10, side=2).eval()
    clip = torch.rand(1, 3, 20, 51, 51)
    pieces = [network(clip[:, :, :10]), network(clip[:, :, 10:])]
    torch.testing.assert_close(network(clip), torch.stack(pieces).mean(0))
