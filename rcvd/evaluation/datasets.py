"""Every data set by name."""

from collections.abc import Callable
from types import MappingProxyType

from rcvd.evaluation.bonn import read_bonn
from rcvd.evaluation.davis import read_davis
from rcvd.evaluation.folder import read_folder
from rcvd.evaluation.kitti import read_kitti
from rcvd.evaluation.sequence import TrueSequence
from rcvd.evaluation.seven_scenes import read_scannet_like, read_seven_scenes
from rcvd.evaluation.sintel import read_sintel
from rcvd.evaluation.tum_rgbd import read_tum_rgbd

READERS: MappingProxyType[str, Callable[..., list[TrueSequence]]] = MappingProxyType(
    {
        "sintel": read_sintel,
        "davis": read_davis,
        "tum": read_tum_rgbd,
        "bonn": read_bonn,
        "kitti": read_kitti,
        "7scenes": read_seven_scenes,
        "scannet-like": read_scannet_like,
        "folder": read_folder,
    }
)
"""Each takes the data's folder and the names of sequences (None: all) and raises UserError."""
