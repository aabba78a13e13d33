"""How well depth and cameras of a finished scene agree with themselves over time.

The measures of `rcvd evaluate --profile consistency`, on some of the pairs of frames.
"""

import math
from functools import lru_cache

from rcvd.evaluation.consistency import View, flicker, sequence_consistency
from rcvd.scene import Scene

PAIRS = 16  # at each distance, evenly chosen: enough for a mean, in a few seconds


def over_time(scene: Scene) -> dict[str, float | None]:
    """Two-view errors of still pixels by gap (see `sequence_consistency`) and their flicker.

    None where nothing could be measured. The scene's `export` has finished.
    """
    cameras = scene.cameras

    @lru_cache(2)
    def view(k: int) -> View:
        return scene.depth(k)[0], ~scene.moving(k)

    found = sequence_consistency(view, cameras, at_most=PAIRS)
    found["flicker"] = flicker(
        lambda k: view(k)[0], lambda k: view(k)[1], scene.flow, cameras, PAIRS
    )
    return {name: round(v, 6) if math.isfinite(v) else None for name, v in found.items()}
