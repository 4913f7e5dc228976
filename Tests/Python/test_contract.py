"""Every method against the table of contract.py; the same file runs with upstream's module."""

import os
import subprocess
import sys

import pytest

from contract import ROWS, SAME, Dies, Like, Raises
from support import IS_UPSTREAM, Pair


@pytest.fixture(scope="module")
def shared():
    return Pair()


def expected(row):
    return row.upstream if IS_UPSTREAM and row.upstream is not SAME else row.expected


def judge(row, pair, wanted):
    if isinstance(wanted, Raises):
        with pytest.raises(wanted.kind):
            row.call(pair)
        return
    value = row.call(pair)
    if isinstance(wanted, Like):
        assert wanted.holds(value), f"{value!r} is not {wanted.words}"
    else:
        assert value == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_row(row, shared, tmp_path):
    wanted = expected(row)
    if isinstance(wanted, Dies):
        # In a process of its own: this one is to live.
        code = subprocess.run(
            [sys.executable, __file__, row.name], cwd=tmp_path, capture_output=True, timeout=60, env=os.environ
        ).returncode
        assert code < 0, f"it did not die of a signal, but ended with {code}"
        return
    judge(row, Pair() if row.alone else shared, wanted)


def test_differences_are_explained():
    assert [row.name for row in ROWS if row.upstream is not SAME and not row.why] == []
    assert len({row.name for row in ROWS}) == len(ROWS)


if __name__ == "__main__":
    name = sys.argv[1]
    row = next(row for row in ROWS if row.name == name)
    row.call(Pair())
    os._exit(0)
