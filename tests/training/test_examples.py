"""What is fed to training: pairs stay true through every cut, and streams repeat themselves."""

import pickle
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from rcvd.flow.correlation import cell_centres, warped
from rcvd.geometry.warp import inside
from rcvd.synthetic.film import film_staged
from rcvd.training.buffer import Ring
from rcvd.training.command import throughput
from rcvd.training.crops import Window, cut, random_window
from rcvd.training.pairs import cut_flow, filmed_pairs, plain_pairs, true_pairs
from rcvd.training.scenes import SceneStream, draw_shares

SIZE = (48, 64)
STREAM = SceneStream(seed=9, size=SIZE, shots=2, frames=3)


def made_pairs() -> dict[str, Tensor]:
    return true_pairs(film_staged(STREAM.draw(0)))


def photometric_error(first: Tensor, second: Tensor, flow: Tensor, seen: Tensor) -> float:
    """Mean difference of colours where the other picture shows the point."""
    at = cell_centres(second) + flow
    there = warped(second, at)
    within = inside(at.movedim(1, -1), (second.shape[2], second.shape[3]))
    return float((there - first).abs().mean(1)[seen & within].mean())


def test_flow_of_a_window_still_leads_to_the_same_colour() -> None:
    examples = made_pairs()
    rgb, flow = examples["rgb"].float() / 255, examples["flow"].float()
    seen = examples["seen"][:, 0]
    whole = photometric_error(rgb[:, 0], rgb[:, 1], flow[:, 0], seen)
    still = photometric_error(rgb[:, 0], rgb[:, 1], 0 * flow[:, 0], seen)
    assert 0 < whole < 0.6 * still
    for mirrored in (False, True):
        window = Window(6, 8, 36, 48, SIZE, mirrored)
        first, second = (cut(rgb[:, k], window) for k in (0, 1))
        visible = cut(seen[:, None].float(), window, nearest=True)[:, 0] > 0.5
        moved = cut_flow(flow[:, 0], window)
        assert photometric_error(first, second, moved, visible) < 1.5 * whole
        still = photometric_error(first, second, 0 * moved, visible)
        assert photometric_error(first, second, moved, visible) < 0.7 * still


def test_backward_pairs_undo_forward_ones() -> None:
    examples = made_pairs()
    flow, seen = examples["flow"].float(), examples["seen"]
    n = len(flow)
    assert n == 2 * 3  # two scenes, three pairs each
    assert examples["rgb"].shape == (n, 2, 3, *SIZE)
    there = warped(flow[:, 1], cell_centres(flow[:, 1]) + flow[:, 0])
    trip = (flow[:, 0] + there).norm(dim=1)[seen[:, 0]]
    assert 0 < trip.median() < 0.1
    assert bool((seen <= examples["known"]).float().mean() > 0.99)


def test_filmed_pairs_keep_their_truth_and_look_worse() -> None:
    examples = made_pairs()
    g, pixels = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    pairs = filmed_pairs(examples, (40, 48), g, pixels)
    assert pairs.rgb_i.shape == (6, 3, 40, 48)
    assert pairs.rgb_i.min() >= 0
    assert pairs.rgb_i.max() <= 1
    assert pairs.flow.shape == (6, 2, 40, 48)
    found = photometric_error(pairs.rgb_i, pairs.rgb_j, pairs.flow, pairs.seen)
    assert found < photometric_error(pairs.rgb_i, pairs.rgb_j, 0 * pairs.flow, pairs.seen)
    plain = plain_pairs(examples)
    assert pairs.rgb_i.std() != plain.rgb_i.std()


def test_windows_have_the_asked_shape_and_stay_inside() -> None:
    g = torch.Generator().manual_seed(0)
    for size in ((96, 128), (128, 96), (40, 40)):
        for _ in range(20):
            w = random_window((100, 130), size, g)
            assert w.top >= 0
            assert w.left >= 0
            assert w.top + w.height <= 100
            assert w.left + w.width <= 130
            assert abs(w.zoom[0] / w.zoom[1] - 1) < 0.05
            assert cut(torch.zeros(1, 3, 100, 130), w).shape[2:] == size


def test_a_stream_repeats_itself_and_travels_between_processes() -> None:
    here, again = STREAM.draw(3), pickle.loads(pickle.dumps(STREAM.draw(3)))
    a, b = film_staged(here)[0], film_staged(again)[0]
    assert torch.equal(a.rgb, b.rgb)
    assert torch.equal(a.flow(0, 1).displacement, b.flow(0, 1).displacement)
    other = SceneStream(seed=6, size=SIZE, shots=2, frames=3).draw(3)
    assert other.scenes[0].kind.shape != here.scenes[0].kind.shape or not torch.equal(
        other.cameras.world_from_cam, here.cameras.world_from_cam
    )


def test_a_resumed_stream_goes_on_with_other_scenes() -> None:
    small = SceneStream(seed=5, size=(16, 24), shots=1, frames=2)
    later = next(iter(replace(small, first=2)))[0]
    assert torch.equal(later.rgb, film_staged(small.draw(2))[0].rgb)


def test_the_rate_of_a_stream_counts_scenes_and_pictures() -> None:
    small = SceneStream(seed=5, size=(16, 24), shots=1, frames=2)
    rate = throughput(iter(small), small, seconds=0.3)
    assert rate["scenes_per_second"] > 0
    assert rate["pictures_per_second"] == 2 * rate["scenes_per_second"]


def test_moments_lie_within_the_clip_and_apart() -> None:
    g = torch.Generator().manual_seed(0)
    shares = torch.stack([draw_shares(4, g) for _ in range(100)])
    assert shares.min() >= 0
    assert shares.max() <= 1
    gaps = shares[:, 1:] - shares[:, :1]
    assert gaps.min() < 0.03
    assert gaps.max() > 0.4
    assert draw_shares(1, g).shape == (1,)


def test_bare_walls_teach_nothing() -> None:
    sequence = film_staged(STREAM.draw(0))[0]
    assert true_pairs([replace(sequence, rgb=torch.full_like(sequence.rgb, 0.5))]) == {}


def test_ring_forgets_the_oldest() -> None:
    ring = Ring(4, torch.device("cpu"))
    for k in range(3):
        ring.add({"x": torch.tensor([2.0 * k, 2.0 * k + 1])})
    assert sorted(ring.tensors["x"].tolist()) == [2, 3, 4, 5]
    drawn = ring.draw(50, torch.Generator().manual_seed(0))["x"]
    assert set(drawn.tolist()) == {2.0, 3.0, 4.0, 5.0}


def test_rendered_pairs_are_kept_in_half_precision_to_a_fiftieth_of_a_pixel() -> None:
    sequence = film_staged(STREAM.draw(0))[0]
    exact = sequence.flow(0, 1).displacement.movedim(-1, 0)
    kept = made_pairs()["flow"][0, 0].float()
    near = exact.abs().amax(0) < 30
    assert functional.l1_loss(kept[:, near], exact[:, near]) < 0.02
