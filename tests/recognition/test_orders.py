"""The orders of the lectures' tables, by training on MotionWorld: minutes a table.

`rcvd recognize orders` prints the same figures.
"""

import pytest

from rcvd.errors import UserError
from rcvd.recognition.orders import ORDERS, holds, measure, order_named, report_lines


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_the_lectures_order(name: str) -> None:
    scores = measure(ORDERS[name], (0,))
    for lower, higher in ORDERS[name].claims:
        assert holds(scores, lower, higher)[0] > 0, scores


def test_what_is_said_of_an_order() -> None:
    order = ORDERS["rates"]
    scores = {"slow_only": [0.1, 0.2], "slowfast": [0.3, 0.1], "fast_only": [0.4, 0.4]}
    gap, wins = holds(scores, "slow_only", "slowfast")
    assert (round(gap, 3), wins) == (0.05, 1)
    lines = report_lines("rates", order, scores)
    assert lines[1] == "| rates | slowfast | 0.200 ± 0.141 |"
    assert lines[-2] == "| rates | slow_only < slowfast | holds: +0.050, 1 of 2 |"
    assert lines[-1] == "| rates | fast_only < slowfast | FAILS: -0.200, 0 of 2 |"
    with pytest.raises(UserError, match="choose one of look, joint"):
        order_named("looks")
