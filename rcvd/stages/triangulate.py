"""triangulate: depth measured by the flow under the solved cameras: z/, sigma/ 000000.npy."""

import logging
from dataclasses import dataclass, field

from rcvd.recon.spread import SpreadOptions
from rcvd.recon.triangulate import TriangulationOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriangulateSettings:
    """enabled: False, or a clip without parallax, passes the deformed prior on."""

    enabled: bool = True
    options: TriangulationOptions = field(default_factory=TriangulationOptions)
    spread: SpreadOptions = field(default_factory=SpreadOptions)
