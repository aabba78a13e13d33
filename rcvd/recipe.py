"""What a stage's output depends on, its hash, and how two such recipes differ."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rcvd.errors import UserError


def content_hash(path: Path) -> str:
    """sha256 of a file's bytes, or of a folder's file names and bytes."""
    if path.is_dir():
        digest = hashlib.sha256()
        for item in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{item.relative_to(path)}\0{content_hash(item)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_missing(settings: Any, name: str = "") -> None:
    """Raises UserError where a file or folder of the settings does not exist. name: of these."""
    if isinstance(settings, Path) and not settings.exists():
        raise UserError(f"{name}: {settings} does not exist")
    if isinstance(settings, dict):
        for key, value in settings.items():
            refuse_missing(value, f"{name}.{key}" if name else key)


def _recipe_value(value: Any) -> Any:
    if isinstance(value, Path):
        return {"content": content_hash(value)}
    if isinstance(value, dict):
        return {key: _recipe_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_recipe_value(item) for item in value]
    return value


def recipe_of(
    stage_version: int,
    settings: dict[str, Any],
    seed: int,
    input_keys: dict[str, str | None],
) -> dict[str, Any]:
    """Everything a stage's output depends on, as JSON; files stand by their content.

    Raises:
        UserError: a file or folder of the settings does not exist.
    """
    refuse_missing(settings)
    recipe = {
        "version": stage_version,
        "settings": _recipe_value(settings),
        "seed": seed,
        "inputs": input_keys,
    }
    return json.loads(json.dumps(recipe))


def key_of(recipe: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """One text for each value that differs between two recipes."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += changes(a, b, "" if name in ("settings", "inputs") else f"{prefix}{name}.")
        elif a != b:
            label = f"{prefix}{name}"
            short = all(isinstance(x, (int, float, str, bool, type(None))) for x in (a, b))
            readable = short and not any(isinstance(x, str) and len(x) == 16 for x in (a, b))
            found.append(f"{label}: {a} -> {b}" if readable else label)
    return found
