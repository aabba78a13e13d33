"""triangulate: depth measured by the flow under the solved cameras: z/, sigma/ 000000.npy."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rcvd.export.cameras import read_cameras
from rcvd.flow.chain import stacked
from rcvd.items import array_name, frame_name, read_array, read_flow, read_mask, read_pairs
from rcvd.recon.spread import SpreadOptions, spread_correction
from rcvd.recon.triangulate import TriangulationOptions, triangulate_frame
from rcvd.scene import Scene
from rcvd.store import REPORT, Stage, Workspace, read_json
from rcvd.types import Cameras, Flow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriangulateSettings:
    """enabled: False, or a clip without parallax, passes the deformed prior on."""

    enabled: bool = True
    options: TriangulationOptions = field(default_factory=TriangulationOptions)
    spread: SpreadOptions = field(default_factory=SpreadOptions)
