"""The orders of the lectures' tables, by training on MotionWorld: minutes a table."""

import pytest

from rcvd.cli_recognize_verbs import app
from rcvd.errors import UserError
from rcvd.recognition.orders import ORDERS, holds, order_named, report_lines


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_the_lectures_order(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    app(["orders", "--only", name, "--device", "cpu"], standalone_mode=False)
    said = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{said}")  # noqa: T201  the table of README
    assert said.count("holds: +") == len(ORDERS[name].claims)


def test_what_is_said_of_an_order() -> None:
    order = ORDERS["rates"]
    scores = {"slow_only": [0.1, 0.2], "slowfast": [0.3, 0.1], "fast_only": [0.4, 0.4]}
    gap, error = holds(scores, "slow_only", "slowfast")
    assert (gap, error) == (pytest.approx(0.05), pytest.approx(0.15))  # of +0.2 and -0.1
    assert holds({"a": [0.1], "b": [0.3]}, "a", "b") == (pytest.approx(0.2), None)
    lines = report_lines("rates", order, scores)
    assert lines[1] == "| rates | slowfast | 0.200 ± 0.141 |"
    assert lines[-2] == "| rates | slow_only < slowfast | holds: +0.050 ± 0.150 |"
    assert lines[-1] == "| rates | fast_only < slowfast | FAILS: -0.200 ± 0.100 |"
    with pytest.raises(UserError, match="choose one of look, joint"):
        order_named("looks")
