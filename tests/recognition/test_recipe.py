"""Recipes: which classes, which data, what is missing."""

import json
from pathlib import Path

import pytest
import torch

from rcvd.errors import UserError
from rcvd.recognition import recipe as recipes
from rcvd.recognition.recipe import DataOptions, Recipe


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def ucf101(root: Path) -> DataOptions:
    (root / "classInd.txt").write_text("1 Archery\n2 Surfing\n")
    (root / "train.txt").write_text("Archery/a.avi 1\nSurfing/b.avi 2\n")
    (root / "test.txt").write_text("Surfing/c.avi\nSurfing/v_Surfing_g07_c02.avi\n")
    return DataOptions("ucf101", root / "train.txt", root / "test.txt", root)


def test_classes_come_from_the_data(tmp_path: Path) -> None:
    assert recipes.number_of_classes(Recipe(data=DataOptions(task="joint"))) == 18
    assert recipes.number_of_classes(Recipe(classes=7)) == 7
    plan = Recipe(data=ucf101(tmp_path))
    assert recipes.number_of_classes(plan) == 2
    assert recipes.class_names(plan) == ("Archery", "Surfing")
    test = recipes.make_samples(plan, "test")
    assert len(test) == 1  # the damaged video is left out
    with pytest.raises(UserError, match="say how many the store has"):
        recipes.number_of_classes(Recipe(data=DataOptions("store")))


def test_kinetics_test_labels_are_those_of_the_training_list(tmp_path: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split\n"
    (tmp_path / "train.csv").write_text(head + "baking,a,0,10,train\nsurfing,b,0,10,train\n")
    (tmp_path / "test.csv").write_text(head + "surfing,c,0,10,test\n")
    for name in ("a", "b", "c"):
        touch(tmp_path / f"{name}_000000_000010.mp4")
    data = DataOptions("kinetics", tmp_path / "train.csv", tmp_path / "test.csv", tmp_path)
    (only,) = recipes.video_list(data, "test").videos
    assert only.label == 1
    (tmp_path / "test.csv").write_text(head + "dancing,c,0,10,test\n")
    with pytest.raises(UserError, match="dancing is not in the training list"):
        recipes.video_list(data, "test")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (DataOptions("store"), "data.train: say where the train set is"),
        (DataOptions("folder"), "data.train: say where the train set is"),
        (DataOptions("ucf101", Path("split.txt")), "data.root: say where the videos are"),
    ],
)
def test_what_a_recipe_lacks_is_named(data: DataOptions, text: str) -> None:
    with pytest.raises(UserError, match=text):
        recipes.make_samples(Recipe(data=data, classes=2), "train")


def test_motionworld_clips_have_the_networks_size() -> None:
    plan = Recipe(model="skip_rnn", data=DataOptions(clips=3, test_clips=2))
    sample = recipes.make_samples(plan, "train").sample(0, torch.Generator())
    assert sample.rgb.shape == (3, 12, 32, 32)
    assert sample.flow is not None
    assert sample.flow.shape == (2, 11, 32, 32)


def test_card_beside_the_weights(tmp_path: Path) -> None:
    assert recipes.read_card(tmp_path / "w.pt") is None
    plan = Recipe(model="early", norm="gn", data=DataOptions(stack="trajectory"))
    recipes.write_card(tmp_path, plan)
    card = recipes.read_card(tmp_path / "w.pt")
    assert card == recipes.Card("early", 8, (), "gn", "trajectory")
    (tmp_path / recipes.CARD).write_text(json.dumps({"model": "early"}))
    with pytest.raises(UserError, match="damaged"):
        recipes.read_card(tmp_path / "w.pt")
