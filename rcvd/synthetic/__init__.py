"""Exact scenes: a batched ray-caster gives rgb, z, cameras, flow and moving masks, all true."""

from rcvd.synthetic.corruption import corrupt_depth
from rcvd.synthetic.sequence import Sequence
from rcvd.synthetic.shots import SEQUENCES, make_sequence

__all__ = ["SEQUENCES", "Sequence", "corrupt_depth", "make_sequence"]
