"""YAML preset + key=value overrides -> frozen, validated settings dataclasses.

Defaults live in the dataclasses beside their users; a preset lists only differences.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from rcvd.amounts import POSITIVE, SIGNED
from rcvd.errors import UserError, unknown

S = TypeVar("S")


def preset_folder() -> Path:
    """configs/ of the source tree, or its copy in an installed package."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.exists() else package.parent / "configs"


def preset_names() -> list[str]:
    return sorted(path.stem for path in preset_folder().glob("*.yaml"))


def read_preset(name: str) -> dict[str, Any]:
    """The settings a preset changes: one of ours by name, or a YAML file by path.

    Raises:
        UserError: no such preset, or not a YAML mapping.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else preset_folder() / f"{name}.yaml"
    if not path.exists():
        raise UserError(
            f"preset '{name}': no such preset; known: {', '.join(preset_names())}, or a .yaml file"
        )
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except RecursionError as error:
        raise UserError(f"preset {path} is nested too deeply for settings") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = str(error).replace("\n", " ")
        raise UserError(f"preset {path} is not valid YAML: {text}") from error
    if not isinstance(content, dict):
        raise UserError(f"preset {path} must be a mapping of sections, such as 'flow: {{...}}'")
    return content


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """`a.b=value` texts as a nested mapping; values are YAML.

    Raises:
        UserError: not of that form.
    """
    nested: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {item}: write it as section.name=value")
        *parents, leaf = key.strip().split(".")
        section = nested
        for name in parents:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise UserError(f"--set {item}: '{name}' is a value, not a section")
        try:
            section[leaf] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {item}: the value is not valid YAML") from error
    return nested


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings joined, later ones winning value by value."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(old, dict) and isinstance(value, Mapping):
                merged[key] = merge(old, value)
            else:
                merged[key] = value
    return merged


def build(cls: type[S], *layers: Mapping[str, Any]) -> S:
    """An instance of the settings dataclass `cls`: its defaults, then each layer.

    Raises:
        UserError: unknown setting (with a suggestion) or a value of the wrong kind.
    """
    data = merge(*layers)
    _refuse_unknown(cls, data, "")
    try:
        settings = TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{key}: {first['msg']}, got {first['input']!r}") from error
    _refuse_impossible(settings, "")
    return settings


def _refuse_impossible(settings: Any, prefix: str) -> None:
    """Numbers are finite and 0 or more; above 0 where the field says so."""
    for entry in dataclasses.fields(settings):
        value, name = getattr(settings, entry.name), f"{prefix}{entry.name}"
        if dataclasses.is_dataclass(value):
            _refuse_impossible(value, f"{name}.")
            continue
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, (int, float)) or entry.metadata.get(SIGNED):
                continue
            if entry.metadata.get(POSITIVE) and not 0 < number < math.inf:
                raise UserError(f"{name} {number}: a number above 0 is expected")
            if not 0 <= number < math.inf:
                raise UserError(f"{name} {number}: a number of 0 or more is expected")


def _refuse_unknown(cls: Any, data: Mapping[str, Any], prefix: str) -> None:
    hints = typing.get_type_hints(cls)
    for name, value in data.items():
        if name not in hints:
            raise UserError(f"{prefix}{unknown('setting', str(name), hints)}")
        section = _dataclass_in(hints[name])
        if section is not None and value is not None:
            if not isinstance(value, Mapping):
                raise UserError(f"{prefix}{name} is a section; set {prefix}{name}.<name>=...")
            _refuse_unknown(section, value, f"{prefix}{name}.")


def _dataclass_in(hint: Any) -> Any:
    """The settings dataclass a type hint allows, if any."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((option for option in options if dataclasses.is_dataclass(option)), None)


def as_data(settings: Any) -> dict[str, Any]:
    """The settings as a layer of JSON values that builds them again; paths become absolute."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value.resolve())
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    return plain(dataclasses.asdict(settings))


def as_yaml(settings: Any, keys: Sequence[str] = ()) -> str:
    """The settings as YAML, whole or only the named sections."""
    content = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return yaml.safe_dump({k: content[k] for k in keys} if keys else content, sort_keys=False)
