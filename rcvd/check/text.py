"""The verdict as lines for a terminal."""

from collections.abc import Iterator

from rcvd.check.verdict import Finding, Verdict

MAX_STRETCHES = 4


def where(finding: Finding) -> str:
    """`frames 40-61, 70: ` or nothing for the whole clip."""
    if len(finding.frames) == 0:
        return ""
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in finding.frames[:MAX_STRETCHES]]
    more = len(finding.frames) - len(shown)
    shown += [f"{more} more stretches"] if more else []
    first, last = finding.frames[0][0], finding.frames[-1][1]
    return f"{'frame' if first == last else 'frames'} {', '.join(shown)}: "


def lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """(level, text) of the verdict, then of each finding with its advice."""
    yield verdict.level, f"{verdict.level.upper()}: {verdict.summary}"
    for finding in verdict.findings:
        yield finding.level, f"  {finding.level} · {where(finding)}{finding.reason}"
        yield "", f"      {finding.advice}"
