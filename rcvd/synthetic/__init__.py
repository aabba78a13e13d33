"""Exact scenes: a batched ray-caster gives rgb, z, cameras, flow and moving masks, all true."""
