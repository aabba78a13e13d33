"""Which classes of a detector can move: chosen by name, whatever its own numbering."""

from collections.abc import Sequence

from rcvd.errors import unknown

GROUPS: dict[str, tuple[str, ...]] = {
    "person": ("person",),
    "animal": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    ),
    "vehicle": (
        "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    ),
}  # fmt: skip
OTHER_NAMES = {"motorbike": "motorcycle", "aeroplane": "airplane"}  # VOC's, as some models have


def common_name(name: str) -> str:
    """A class's COCO name."""
    return OTHER_NAMES.get(name, name)


def chosen_classes(wanted: Sequence[str], categories: Sequence[str]) -> dict[int, str]:
    """Index in the detector's categories -> COCO name, of the classes to keep.

    wanted: groups (person, animal, vehicle) and names of single classes.

    Raises:
        UserError: a name that is neither a group nor a class of the detector.
    """
    known = [common_name(name) for name in categories]
    names: set[str] = set()
    for name in wanted:
        members = GROUPS.get(name, (common_name(name),))
        if not set(members) & set(known):
            raise unknown("class of this detector", name, [*GROUPS, *dict.fromkeys(known)])
        names |= set(members)
    return {index: name for index, name in enumerate(known) if name in names}
