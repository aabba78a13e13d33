"""What a stage costs: seconds, CPU seconds, and its own peak of memory."""

import resource
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

PROCESS = Path("/proc/self")  # Linux
RESET_PEAK = "5"  # see proc(5), clear_refs


class Usage:
    """Counts from its construction on. The process's peak of memory begins anew where the system
    lets it (Linux); elsewhere it is that of the process's whole life.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._cuda = device.startswith("cuda")
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(device)
        self._device = device
        with suppress(OSError):  # another system, or not allowed: the peak is an upper bound then
            (PROCESS / "clear_refs").write_text(RESET_PEAK)
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def figures(self) -> dict[str, Any]:
        """seconds, cpu_seconds (those of threads and finished child processes included),
        peak_memory_mb, and on a GPU peak_vram_mb.
        """
        found: dict[str, Any] = {
            "seconds": round(time.perf_counter() - self._wall, 3),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 3),
            "peak_memory_mb": peak_memory() >> 20,
        }
        if self._cuda:
            found["peak_vram_mb"] = torch.cuda.max_memory_allocated(self._device) >> 20
        return found


def peak_memory() -> int:
    """Bytes of main memory that the process held at most, since the last `Usage` began."""
    status = PROCESS / "status"
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
