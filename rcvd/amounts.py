"""Amounts: of memory in words, and settings that only make sense above 0."""

import math
from dataclasses import field
from typing import Any

from rcvd.errors import UserError

POSITIVE, SIGNED = "positive", "signed"  # in a field's metadata
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def positive(default: Any) -> Any:
    """A field of a settings dataclass that must be above 0 (each of its numbers, if several);
    `settings.build` refuses other values.
    """
    return field(default=default, metadata={POSITIVE: True})


def number_of_bytes(text: str, flag: str = "--memory") -> int:
    """`4G`, `500M` or a plain number of bytes. flag: that gave it.

    Raises:
        UserError: anything else.
    """
    upper = text.strip().upper().removesuffix("B").removesuffix("I")
    factor = UNITS.get(upper[-1:], 1)
    try:
        value = float(upper[:-1] if upper[-1:] in UNITS else upper)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise UserError(f"{flag} {text}: write an amount of memory as 4G or 500M")
    return int(value * factor)


def in_words(amount: float) -> str:
    """`1.5 GB`, `300 MB`; units of 1024."""
    for unit in ("TB", "GB"):
        size = UNITS[unit[0]]
        if amount >= size:
            return f"{amount / size:.1f} {unit}"
    return f"{math.ceil(amount / UNITS['M'])} MB"
