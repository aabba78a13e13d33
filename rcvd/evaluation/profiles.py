"""The named protocols. A result carries its profile; different profiles never mix.

Published "Sintel" numbers follow incompatible protocols; each has a name here:

P14     poses; LEAP-VO, MonST3R, CUT3R, Pi3, Uni4D: 14 sequences, Sim(3), mean over sequences
A23 A14 depth; MonST3R --full_seq, CUT3R (23) and Pi3 (14): weighted by valid pixels
B       depth; DepthCrafter: clean pass, first 50 frames, disparity, mean over frames, then videos
C P18n  depth and poses; MegaSaM after CasualSAM's list of 18, mean over sequences
D       depth; Uni4D: every sequence present, disparity, weighted by valid pixels
A-bonn A-kitti   depth; profile A's fits on the Bonn and KITTI sequences of MonST3R, uncapped
B-bonn  depth; profile B on DepthCrafter's Bonn sequences: 110 frames, at most 10 m
strict  poses and depth of every sequence: nothing is dropped, fits are exact
davis   object masks by DAVIS's J and F, first and last frame left out
consistency   depth and poses against themselves over time, no truth needed
flow    stored flow from each frame to the next; Sintel's end-point errors, weighted by pixels
"""

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from rcvd.evaluation import depth_rules, flow_rules, other_rules, pose_rules
from rcvd.evaluation.score import Rule
from rcvd.evaluation.sequence import TrueSequence

SINTEL_23 = (
    *("alley_1", "alley_2", "ambush_2", "ambush_4", "ambush_5", "ambush_6", "ambush_7"),
    *("bamboo_1", "bamboo_2", "bandage_1", "bandage_2", "cave_2", "cave_4", "market_2"),
    *("market_5", "market_6", "mountain_1", "shaman_2", "shaman_3", "sleeping_1", "sleeping_2"),
    *("temple_2", "temple_3"),
)
SINTEL_14 = (
    *("alley_2", "ambush_4", "ambush_5", "ambush_6", "cave_2", "cave_4", "market_2", "market_5"),
    *("market_6", "shaman_3", "sleeping_1", "sleeping_2", "temple_2", "temple_3"),
)
SINTEL_18 = tuple(sorted((*SINTEL_14, "alley_1", "bamboo_1", "bamboo_2", "mountain_1")))
BONN_5 = ("balloon2", "crowd2", "crowd3", "person_tracking2", "synchronous")
BONN_5_B = ("balloon2", "crowd2", "crowd3", "person_tracking", "synchronous")
KITTI_13 = (
    *("2011_09_26_drive_0002_sync", "2011_09_26_drive_0005_sync", "2011_09_26_drive_0013_sync"),
    *("2011_09_26_drive_0020_sync", "2011_09_26_drive_0023_sync", "2011_09_26_drive_0036_sync"),
    *("2011_09_26_drive_0079_sync", "2011_09_26_drive_0095_sync", "2011_09_26_drive_0113_sync"),
    *("2011_09_28_drive_0037_sync", "2011_09_29_drive_0026_sync", "2011_09_30_drive_0016_sync"),
    "2011_10_03_drive_0047_sync",
)

Averaging = Literal["sequences", "pixels"]


@dataclass(frozen=True)
class Profile:
    """One protocol.

    data: the reader it belongs to, or None for any. sequences: None for all present. render: the
    image pass it was published for. averaging: of the mean; `strict` states both.
    scale_invariant: metrics do not change when the prediction is multiplied by a constant. needs:
    parts of the truth, one of which must be there; none where it compares with no truth.
    """

    id: str
    data: str | None
    sequences: tuple[str, ...] | None
    averaging: tuple[Averaging, ...]
    rules: tuple[Rule, ...]
    render: str | None = None
    scale_invariant: bool = True
    needs: tuple[Literal["cameras", "depth", "moving", "flow"], ...] = ()

    def applies(self, truth: TrueSequence) -> bool:
        """Whether the sequence has something it compares with."""
        return not self.needs or any(getattr(truth, part) is not None for part in self.needs)

    def lists(self, name: str) -> bool:
        """Whether the sequence is one of the protocol's."""
        return self.sequences is None or name in self.sequences


def _poses(name: str, sequences: tuple[str, ...], rule: Rule) -> Profile:
    return Profile(name, "sintel", sequences, ("sequences",), (rule,), needs=("cameras",))


def _depth(
    name: str,
    data: str,
    sequences: tuple[str, ...] | None,
    rule: Rule,
    render: str | None = None,
    averaging: Averaging = "pixels",
    scale_invariant: bool = True,
) -> Profile:
    return Profile(
        name, data, sequences, (averaging,), (rule,), render, scale_invariant, ("depth",)
    )


def _a(
    name: str,
    data: str,
    sequences: tuple[str, ...],
    render: str | None = None,
    rule: Rule = depth_rules.rule_a,
) -> Profile:
    """scale_invariant: s&s-adam is not, nor is a scale below the least one of `irls_scale`."""
    return _depth(name, data, sequences, rule, render, scale_invariant=False)


def _b(name: str, data: str, sequences: tuple[str, ...], rule: Rule, render: str | None) -> Profile:
    """scale_invariant: disparities are raised to a least one before the fit."""
    return _depth(name, data, sequences, rule, render, "sequences", False)


_A_SINTEL: Rule = partial(depth_rules.rule_a, cap=70.0)
_B_BONN: Rule = partial(depth_rules.rule_b, count=110, most=10.0)
_TABLE = (
    _poses("P14", SINTEL_14, pose_rules.rule_p14),
    _a("A23", "sintel", SINTEL_23, "final", _A_SINTEL),
    _a("A14", "sintel", SINTEL_14, "final", _A_SINTEL),
    _b("B", "sintel", SINTEL_23, depth_rules.rule_b, "clean"),
    # the prediction is clipped before the fit, so its scale matters
    _depth("C", "sintel", SINTEL_18, depth_rules.rule_c, None, "sequences", False),
    _poses("P18n", SINTEL_18, pose_rules.rule_p18n),
    _depth("D", "sintel", None, depth_rules.rule_d, "final"),
    _a("A-bonn", "bonn", BONN_5),
    _b("B-bonn", "bonn", BONN_5_B, _B_BONN, None),
    _a("A-kitti", "kitti", KITTI_13),
    Profile(
        "strict",
        None,
        None,
        ("sequences", "pixels"),
        (pose_rules.rule_strict_pose, depth_rules.rule_strict),
        needs=("cameras", "depth"),
    ),
    Profile("davis", "davis", None, ("sequences",), (other_rules.rule_masks,), needs=("moving",)),
    Profile("consistency", None, None, ("sequences",), (other_rules.rule_consistency,)),
    Profile("flow", None, None, ("pixels",), (flow_rules.rule_flow,), needs=("flow",)),
)
PROFILES = MappingProxyType({profile.id: profile for profile in _TABLE})

DEFAULTS = MappingProxyType(
    {
        "sintel": ("P14", "A23", "A14", "B", "C", "P18n", "D", "strict", "consistency"),
        "davis": ("davis", "consistency"),
        "bonn": ("A-bonn", "strict", "consistency"),
        "kitti": ("A-kitti", "strict", "consistency"),
    }
)
"""Profiles by data set; `strict` and `consistency` for the others."""
