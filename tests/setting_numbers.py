"""The numbers among the settings, for tests that try what each may be."""

from collections.abc import Iterator
from typing import Any


def zeros(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names of all settings that are numbers, and 0 in their form: one, or a list."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from zeros(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{name}", 0
        elif isinstance(value, list) and isinstance(value[0], (int, float)):
            yield f"{prefix}{name}", [0] * len(value)
