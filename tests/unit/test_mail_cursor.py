"""How far a mailbox was read, and what is searched for because of it."""

from datetime import date

import msgspec
import pytest

from channels.mail.cursor import Cursor, Search, at_opening, behind, load, searches, uid_set, unreleased

DAY = date(2026, 11, 1)
OLD = ("OR", "UNSEEN", "SINCE", "31-Oct-2026")


def test_a_cursor_is_read_as_it_was_written() -> None:
    """And before the first opening there is none."""
    cursor = Cursor(7, 12, 10, "since", DAY, (3, 5))
    assert load(cursor.dump()) == cursor
    assert load(None) is None


def test_what_is_no_cursor_is_not_taken_for_none() -> None:
    """Reading from the beginning would be the wrong answer to a broken database."""
    with pytest.raises(msgspec.DecodeError):
        load("{")


def test_the_first_opening_begins_with_the_backlog() -> None:
    """All that lies there now is the backlog, and nothing that comes later."""
    assert at_opening(None, 7, 11, "unseen", DAY) == Cursor(7, 0, 10, "unseen", DAY)
    assert at_opening(None, 7, 1, "all", DAY) == Cursor(7, 0, 0, "all", DAY)


def test_another_opening_goes_on() -> None:
    """As long as the UIDs are the same."""
    before = Cursor(7, 12, 10, "unseen", DAY, (3,))
    assert at_opening(before, 7, 40, "unseen", date(2026, 12, 1)) == before


def test_new_uids_begin_anew_and_remember_the_first_day() -> None:
    """What was read before that day is not ours."""
    before = Cursor(7, 12, 10, "unseen", DAY, (3,))
    assert at_opening(before, 8, 13, "unseen", date(2026, 12, 1)) == Cursor(8, 0, 12, "since", DAY)
    assert at_opening(before, 8, 13, "all", date(2026, 12, 1)) == Cursor(8, 0, 12, "all", DAY)


@pytest.mark.parametrize(
    ("release", "keys"),
    [
        ("seen", ["UNSEEN"]),
        ("flag:\\Flagged", ["UNFLAGGED"]),
        ("flag:$Lapor", ["UNKEYWORD", "$Lapor"]),
        ("move:Diambil", ["UNDELETED"]),
    ],
)
def test_what_was_not_let_go_of(release: str, keys: list[str]) -> None:
    """Each way has its search key."""
    assert unreleased(release) == keys


@pytest.mark.parametrize(
    ("cursor", "below", "expected"),
    [
        (Cursor(7, 0, 0, "unseen", DAY), True, [Search(("UID", "1:*"), 1)]),
        (
            Cursor(7, 0, 10, "unseen", DAY),
            True,
            [Search(("UID", "1:10", "UNKEYWORD", "$L", "UNSEEN"), 1), Search(("UID", "11:*"), 11)],
        ),
        (Cursor(7, 0, 10, "all", DAY), True, [Search(("UID", "1:10"), 1), Search(("UID", "11:*"), 11)]),
        (Cursor(7, 0, 10, "since", DAY), True, [Search(("UID", "1:10", *OLD), 1), Search(("UID", "11:*"), 11)]),
        (
            Cursor(7, 4, 10, "since", DAY),
            True,
            [
                Search(("UID", "1:4", "UNKEYWORD", "$L", *OLD), 1),
                Search(("UID", "5:10", *OLD), 5),
                Search(("UID", "11:*"), 11),
            ],
        ),
        (
            Cursor(7, 20, 10, "unseen", DAY),
            True,
            [
                Search(("UID", "1:10", "UNKEYWORD", "$L", "UNSEEN"), 1),
                Search(("UID", "11:20", "UNKEYWORD", "$L"), 11),
                Search(("UID", "21:*"), 21),
            ],
        ),
        (Cursor(7, 20, 10, "unseen", DAY), False, [Search(("UID", "21:*"), 21)]),
    ],
)
def test_what_is_searched_for(cursor: Cursor, below: bool, expected: list[Search]) -> None:  # noqa: FBT001
    """Above the cursor everything; in the backlog what its rule says; below what was not let go of."""
    assert searches(cursor, "flag:$L", below=below) == expected


def test_the_cursor_never_goes_back() -> None:
    """A mail from below it that is taken late does not let others be read again."""
    cursor = Cursor(7, 12, 10, "unseen", DAY, (3, 5))
    assert behind(cursor, [3], (5,)) == Cursor(7, 12, 10, "unseen", DAY, (5,))
    assert behind(cursor, [13, 14], (3, 5, 14)) == Cursor(7, 14, 10, "unseen", DAY, (3, 5, 14))
    assert behind(cursor, [], ()) == cursor


@pytest.mark.parametrize(
    ("uids", "text"), [([], ""), ([7], "7"), ([1, 2, 3, 7], "1:3,7"), ([1, 3, 4, 9, 10, 11], "1,3:4,9:11")]
)
def test_neighbours_are_named_together(uids: list[int], text: str) -> None:
    """A command line is short then."""
    assert uid_set(uids) == text
