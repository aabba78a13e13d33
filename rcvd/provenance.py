"""What made a stage's output beside its settings: device, threads, machine, versions."""

import platform
from importlib import import_module
from typing import Any

import torch

from rcvd import __version__

LIBRARIES = ("torch", "numpy", "scipy", "cv2", "av")


def environment(device: str) -> dict[str, Any]:
    """Device, torch's threads on the CPU, processor kind, and the versions that decide numbers."""
    libraries = {name: import_module(name).__version__ for name in LIBRARIES}
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "versions": {"rcvd": __version__, "python": platform.python_version(), **libraries},
    }
