"""What a stage costs is its own, not that of the stages before it."""

import sys

import numpy as np
import pytest

from rcvd.usage import Usage, peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="peaks begin anew on Linux only")
def test_peak_is_that_of_the_stage() -> None:
    large = np.ones(2**25)  # 256 MB
    before = peak_memory()
    del large
    usage = Usage()
    assert usage.figures()["peak_memory_mb"] < (before >> 20) - 200
    again = np.ones(2**25)
    assert usage.figures()["peak_memory_mb"] >= (again.nbytes >> 20)


def test_seconds_of_the_processor_are_counted() -> None:
    usage = Usage()
    total = sum(k * k for k in range(10**6))
    figures = usage.figures()
    assert total > 0
    assert 0.01 < figures["cpu_seconds"] <= 60
    assert 0.01 < figures["seconds"] <= 600
