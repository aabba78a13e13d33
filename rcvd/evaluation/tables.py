"""Results as text: Markdown (also for the terminal), LaTeX, CSV, JSON."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from rcvd.evaluation.results import Result, refuse_mixed

HEADLINES = (
    *("ate", "ate_percent", "rpe_t", "rpe_r_deg", "auc30", "focal_percent"),
    *("abs_rel", "delta1"),
    *("median.abs_rel", "median.delta1", "scale.abs_rel", "scale.delta1"),
    *("s&s-adam.abs_rel", "s&s-adam.delta1"),
    *("lad.abs_rel", "lad.delta1", "lad_scale.abs_rel", "lad_scale.delta1"),
    *("lad_scale.static.abs_rel", "lad_scale.moving.abs_rel", "disparity.abs_rel"),
    *("j", "f", "j&f", "jr", "fr"),
    *("epe", "epe_matched", "epe_unmatched", "epe_s0_10", "epe_s10_40", "epe_s40"),
    *("epe_trusted", "trusted", "outliers"),
    *("reprojection_1", "reprojection_4", "reprojection_16"),
    *("log_ratio_1", "log_ratio_4", "log_ratio_16", "under_1_percent_1", "visible_1", "tae"),
    "flicker",
)
Grid = tuple[list[str], list[list[str]]]
"""Header and rows of a table."""


def number(value: float) -> str:
    """Four significant digits; a dash where there is no value."""
    return f"{value:.4g}" if math.isfinite(value) else "-"


def sequence_grid(result: Result, every: bool = False) -> Grid:
    """A row per sequence, then the means. every: all metrics.

    Marked `!`: failures; `*`: the intrinsics were given to the system.
    """
    present = dict.fromkeys(name for row in result.rows for name in row.metrics)
    names = list(present) if every else [name for name in HEADLINES if name in present]
    rows = []
    for row in result.rows:
        mark = (" *" if row.known_k else "") + (" !" if row.failures else "")
        values = [number(row.metrics.get(name, math.nan)) for name in names]
        rows.append([row.sequence + mark, *values])
    for how, means in result.means.items():
        label = f"mean over {how}"
        rows.append([label, *(number(means.get(name, math.nan)) for name in names)])
    return [f"{result.system}, {result.profile}", *names], rows


def comparison_grid(results: Sequence[Result]) -> Grid:
    """A row per system: its means under one profile, by the first of its averagings.

    Raises:
        UserError: the results are of different profiles.
    """
    refuse_mixed([result.profile for result in results])
    present = {name for result in results for means in result.means.values() for name in means}
    names = [name for name in HEADLINES if name in present]
    rows = []
    for result in results:
        means = next(iter(result.means.values()))
        failed = f"{len(result.failures)}/{len(result.rows)}"
        mark = " *" if any(row.known_k for row in result.rows) else ""
        values = (number(means.get(n, math.nan)) for n in names)
        rows.append([result.system + mark, failed, *values])
    return [results[0].profile, "failed", *names], rows


def notes(result: Result) -> list[str]:
    """What a reader of the table must know: failures, missing sequences and depth, divisors."""
    lines = [f"! {name}: {'; '.join(why)}" for name, why in result.failures.items()]
    if result.missing:
        lines.append(f"incomplete: {len(result.missing)} of the profile's sequences left out")
    if any(row.known_k for row in result.rows):
        lines.append("* intrinsics were given")
    covered = {row.sequence: row.notes.get("coverage", 1.0) for row in result.rows}
    holes = {
        name: f"{100 * (1 - share):.1f} %"
        for name, share in covered.items()
        if share < 0.9995 and name not in result.failures
    }
    divisors = {
        row.sequence: number(row.notes["divisor"]) for row in result.rows if "divisor" in row.notes
    }
    for text, values in (
        ("no depth there, scored at the sequence's median", holes),
        ("true translations were divided by", divisors),
    ):
        if values:
            lines.append(f"{text}: {', '.join(f'{k} {v}' for k, v in values.items())}")
    if result.profile == "davis":
        lines.append("DAVIS labels objects, not motion: one that stands still counts all the same")
    if result.profile.startswith("A"):
        units = ", ".join(sorted({row.unit for row in result.rows}))
        lines.append(f"s&s-adam is a compatibility fit that depends on the unit; fed: {units}")
    return lines


def markdown(grid: Grid) -> str:
    """A Markdown table with aligned columns."""
    header, rows = grid
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(n) if k == 0 else cell.rjust(n)
            for k, (cell, n) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join("-" * (n + 1) + ("-" if k == 0 else ":") for k, n in enumerate(widths))
    return "\n".join([line(header), rule + "|", *(line(row) for row in rows)]) + "\n"


def latex(grid: Grid) -> str:
    """A LaTeX tabular with booktabs rules."""
    header, rows = grid
    special = str.maketrans({c: "\\" + c for c in "&%_#$"})

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cell.translate(special) for cell in cells) + r" \\"

    body = [line(row) for row in rows]
    columns = "l" + "r" * (len(header) - 1)
    top = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(header), r"\midrule"]
    return "\n".join([*top, *body, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comma_separated(grid: Grid) -> str:
    """CSV with a header line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([grid[0], *grid[1]])
    return text.getvalue()


STYLES: MappingProxyType[str, tuple[str, Callable[[Grid], str]]] = MappingProxyType(
    {"markdown": (".md", markdown), "latex": (".tex", latex), "csv": (".csv", comma_separated)}
)
"""File suffix and writer by style."""


def as_json(results: Sequence[Result]) -> str:
    """All results with every row, mean, failure and provenance; what is not finite is null."""
    return json.dumps([_plain(result.document()) for result in results], indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
