"""Green, amber or red: what the measures mean for whoever uses the scene, and what to do."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rcvd.check.limits import Limits
from rcvd.check.measures import Measures
from rcvd.recon.verdict import NO_PARALLAX, OK, TOO_FEW

GREEN, AMBER, RED = "green", "amber", "red"
WORST_FIRST = (RED, AMBER, GREEN)
DOUBTS = 5  # so many subjects in amber together are red
TOGETHER = {"still world": "flow"}  # flow that is lost fits no still world either: one doubt
SUMMARIES = {
    GREEN: "cameras and depth agree with the video throughout",
    AMBER: "usable, with care where the reasons below say so",
    RED: "do not trust this scene's geometry; see the reasons below",
}


@dataclass(frozen=True)
class Finding:
    """One thing the user should know. frames: (first, last) of each stretch; empty: the clip."""

    level: str
    subject: str
    frames: tuple[tuple[int, int], ...]
    reason: str
    advice: str


@dataclass(frozen=True)
class Verdict:
    """level: of the worst finding, or red for DOUBTS subjects in amber. findings: worst first; none
    for a green scene.
    """

    level: str
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        return SUMMARIES[self.level]

    def document(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {"verdict": self.level, "summary": self.summary} | asdict(self)


def judge(measures: Measures, limits: Limits | None = None) -> Verdict:
    """The verdict on a scene from its measures."""
    limits = limits or Limits()
    findings = [*_spans(measures), *_whole(measures, limits), *_by_frame(measures, limits)]
    findings.sort(key=lambda finding: WORST_FIRST.index(finding.level))
    level = findings[0].level if findings else GREEN
    if len({TOGETHER.get(one.subject, one.subject) for one in findings}) >= DOUBTS:
        level = RED
    return Verdict(level, tuple(findings))


def _spans(m: Measures) -> Iterable[Finding]:
    """Where the solver had to fall back."""
    turns = tuple((a, b) for a, b, name in m.spans if name == NO_PARALLAX)
    few = tuple((a, b) for a, b, name in m.spans if name == TOO_FEW)
    whole = m.solve != OK
    if turns:
        does = "stands still" if m.still else "only rotates"
        yield Finding(
            RED if whole else AMBER,
            "parallax",
            turns if not whole else (),
            f"the camera {does} here; depth comes from the prior",
            "walk sideways while filming: a step as long as a tenth of the distance is enough",
        )
    if few:
        yield Finding(
            RED if whole and m.solve == TOO_FEW else AMBER,
            "matches",
            few,
            "too little static texture is matched to place the camera; its poses are guesses",
            "film slower, in better light, with more of the still surroundings in view",
        )
    if m.unposed:
        yield Finding(
            AMBER,
            "poses",
            stretches(m.unposed, m.frames),
            "the flow gave no pose; the camera was carried on from its neighbours",
            "look for a cut, a flash or a hidden lens there; --start and --end leave frames out",
        )
    if m.doubtful and m.solve == OK:
        yield Finding(
            AMBER,
            "joints",
            tuple((max(k - 1, 0), k) for k in m.doubtful),
            "few matches hold the parts before and after together: one may be misplaced or of a "
            "wrong scale",
            "film slower there; --start and --end reconstruct the parts by themselves",
        )


def _whole(m: Measures, limits: Limits) -> Iterable[Finding]:
    """What concerns the clip as one."""
    if not m.focal_known:
        if level := _level(m.focal_std, limits.focal):
            yield Finding(
                level,
                "focal length",
                (),
                f"the focal length is certain to {100 * m.focal_std:.0f} % only",
                "give it, if you know it: --focal PIXELS or --hfov DEGREES",
            )
        if not limits.hfov[0] <= m.hfov <= limits.hfov[1]:
            yield Finding(
                AMBER,
                "focal length",
                (),
                f"the field of view came out as {m.hfov:.0f} degrees, which few cameras have",
                "give it, if you know it: --hfov DEGREES (phones: 60 to 75)",
            )
    if m.solve != OK:
        return
    fifth = max(1, len(m.log_scale) // 5)
    drift = (sum(m.log_scale[-fifth:]) - sum(m.log_scale[:fifth])) / fifth
    if level := _level(abs(drift), limits.drift):
        yield Finding(
            level,
            "scale drift",
            (),
            f"against the depth prior, the scale of the end is {2.718281828**drift:.2f} times "
            "that of the start",
            "compare a known length at both ends; split the clip where the place changes",
        )
    if level := _level(m.far_end, limits.far_end):
        yield Finding(
            level,
            "camera path",
            (),
            f"the last camera is certain to {100 * m.far_end:.0f} % of the path only",
            "return to where the clip began, or film more still surroundings",
        )


def _by_frame(m: Measures, limits: Limits) -> Iterable[Finding]:
    """What is wrong in single frames; said when more than a few are."""
    rows: tuple[tuple[str, tuple[float | None, ...], tuple[float, float], Callable, str], ...] = (
        (
            "reprojection",
            m.reprojection_px,
            limits.reprojection_px,
            lambda x: f"still points miss the video by {x:.1f} px (median)",
            "film slower and with less blur; look at the masks: is something moving unmasked?",
        ),
        (
            "depth",
            m.depth_ratio if m.solve == OK else (),
            limits.ratio,
            lambda x: f"the depths of neighbouring frames differ by {100 * x:.0f} % (median)",
            "a slower camera, or a larger --max-side, gives the flow more to measure",
        ),
        (
            "flow",
            m.cycle_failure,
            limits.cycle,
            lambda x: f"{100 * x:.0f} % of the flow does not find its way back",
            "film slower, or keep more frames (no --fps)",
        ),
        (
            "still world",
            m.unexplained,
            limits.unexplained,
            lambda x: f"{100 * x:.0f} % of the picture does not fit one still world",
            "too much moves, or its flow is lost: keep more of the still surroundings in view",
        ),
        (
            "moving things",
            m.moving,
            limits.moving,
            lambda x: (
                f"moving things cover {100 * x:.0f} % of the picture; "
                "little is left to place the camera by"
            ),
            "keep more of the still surroundings in view, or check the masks in the report",
        ),
        (
            "blur",
            m.blur_px,
            limits.blur_px,
            lambda x: f"the picture is blurred by {x:.1f} px",
            "film in better light or slower; clean the lens; check the focus",
        ),
    )
    for subject, values, limit, reason, advice in rows:
        yield from _frames_beyond(m.frames, subject, values, limit, reason, advice, limits.frames)


def _frames_beyond(
    n_frames: int,
    subject: str,
    values: tuple[float | None, ...],
    limit: tuple[float, float],
    reason: Callable[[float], str],
    advice: str,
    allowed: float,
) -> Iterable[Finding]:
    """At most one finding: the worst level that more than the allowed share of frames reaches."""
    known = [(k, value) for k, value in enumerate(values) if value is not None]
    for level, bound in ((RED, limit[1]), (AMBER, limit[0])):
        beyond = [(k, value) for k, value in known if value > bound]
        if len(beyond) > allowed * len(known):
            typical = sorted(value for _, value in beyond)[len(beyond) // 2]
            # red needs most of the clip; a bad stretch of a good clip is amber
            if level == RED and len(beyond) < 0.5 * len(known):
                level = AMBER
            frames = stretches([k for k, _ in beyond], n_frames)
            yield Finding(level, subject, frames, reason(typical), advice)
            return


def _level(value: float, limit: tuple[float, float]) -> str | None:
    return RED if value > limit[1] else AMBER if value > limit[0] else None


def stretches(frames: Iterable[int], n_frames: int, gap: int = 2) -> tuple[tuple[int, int], ...]:
    """(first, last) of frames that follow each other, bridging gaps; empty if it is all frames."""
    out: list[tuple[int, int]] = []
    for k in sorted(frames):
        if out and k - out[-1][1] <= gap:
            out[-1] = (out[-1][0], k)
        else:
            out.append((k, k))
    if out == [(0, n_frames - 1)]:
        return ()
    return tuple(out)
