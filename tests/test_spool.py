"""Tensors left on disk between two passes come back as they were."""

from pathlib import Path

import pytest
import torch

from rcvd.spool import Spool


def test_what_is_left_comes_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool[12], spool[3] = torch.rand(2, 3, 4), torch.ones(3, 4, dtype=torch.bool)
    first = spool[12].clone()
    spool[12] = spool[12].double()
    assert list(spool) == [3, 12]
    assert spool[12].dtype == torch.float64
    assert torch.equal(spool[12].float(), first)
    assert spool[3].dtype == torch.bool
    del spool[3]
    assert len(spool) == 1
    with pytest.raises(KeyError):
        spool[3]
