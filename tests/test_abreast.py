"""Work side by side: in order, a few items at a time, and stopped as a loop would be."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rcvd.abreast import MOST, at_once, in_order, run_all
from rcvd.pipeline import make_settings, run
from rcvd.reproduce import compare_folders


@pytest.fixture(params=[1, 2, 3, 16])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def late(k: int) -> int:
        time.sleep(0.01 * (3 - k % 4))
        return k * k

    assert list(in_order(late, range(12))) == [k * k for k in range(12)]
    assert list(in_order(late, [])) == []


def test_so_many_at_once_and_no_more_ahead(threads: int) -> None:
    lock, now, most, begun = threading.Lock(), 0, 0, 0

    def work(k: int) -> int:
        nonlocal now, most, begun
        with lock:
            now, begun = now + 1, begun + 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1
        return k

    results = in_order(work, range(30))
    for taken in range(1, 6):
        next(results)
        time.sleep(0.03)
        assert begun <= taken + at_once(threads) + 1
    assert list(results) == list(range(5, 30))
    assert most == at_once(threads) <= MOST


def test_threads_are_shared_out_and_given_back(threads: int) -> None:
    inside = set(in_order(lambda _: torch.get_num_threads(), range(8)))
    assert inside == {threads // at_once(threads)}
    assert torch.get_num_threads() == threads
    asked: list[int] = []
    other = threading.Thread(target=lambda: asked.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert asked == [threads]


def test_an_error_comes_where_its_result_would_and_the_rest_is_left(threads: int) -> None:
    done: list[int] = []

    def work(k: int) -> int:
        if k == 5:
            raise ValueError("five")
        time.sleep(0.002)
        done.append(k)
        return k

    seen: list[int] = []
    with pytest.raises(ValueError, match="five"):
        seen.extend(in_order(work, range(100)))
    assert seen == [0, 1, 2, 3, 4]
    assert len(done) < 5 + 2 * MOST + 2
    assert torch.get_num_threads() == threads


def test_left_in_the_middle_nothing_goes_on(threads: int) -> None:
    done: list[int] = []

    def work(k: int) -> int:
        time.sleep(0.005)
        done.append(k)
        return k

    results = in_order(work, range(100))
    next(results)
    results.close()  # pyright: ignore[reportAttributeAccessIssue]
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count
    assert torch.get_num_threads() == threads


def test_the_same_bits_however_many_threads() -> None:
    images = torch.rand(12, 1, 3, 64, 96, generator=torch.Generator().manual_seed(0))

    def work(k: int) -> torch.Tensor:
        blurred = torch.nn.functional.avg_pool2d(images[k], 5, 1, 2)
        return (images[k] - blurred).square().sum(1).exp() / blurred.sum(1)

    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(torch.stack(list(in_order(work, range(12)))))
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_pieces_of_work_are_all_done(threads: int) -> None:
    done: list[str] = []
    run_all([lambda: done.append("a"), lambda: done.append("b"), lambda: done.append("c")])
    assert sorted(done) == ["a", "b", "c"]


def test_a_scene_is_the_same_with_two_threads(
    demo_folder: Path, demo_scene: Path, tmp_path: Path
) -> None:
    """From the same depth and poses: networks and the solver's sums may round otherwise."""
    scene = tmp_path / "scene"
    shutil.copytree(demo_scene, scene)
    for stage in ("flow", "masks", "triangulate", "filter", "export"):
        shutil.rmtree(scene / "run" / stage)
    for made in ("depth", "depth_png", "colmap"):
        shutil.rmtree(scene / made)
    before = torch.get_num_threads()
    settings = make_settings(demo_folder / "clip.mp4", "fast", {"device": "cpu", "threads": 2})
    run(settings, scene)
    torch.set_num_threads(before)
    comparison = compare_folders(demo_scene, scene)
    assert comparison.files > 100
    assert comparison.same, comparison
