"""How far a mailbox was read, and what is searched for because of it."""

from datetime import date

import msgspec
import pytest

from channels.mail.cursor import (
    Cursor,
    Search,
    at_opening,
    backlog_search,
    behind,
    is_another_life,
    load,
    searches,
    uid_set,
    uids_of,
    unreleased,
    waiting,
)

DAY = date(2026, 11, 1)
EARLIER = date(2026, 7, 1)
LATER = date(2026, 12, 1)
OLD = ("OR", "UNSEEN", "SINCE", "31-Oct-2026")


def test_a_cursor_is_read_as_it_was_written() -> None:
    """And before the first opening there is none."""
    cursor = Cursor(7, 12, 10, "since", DAY, (3, 5), 9, DAY, (12, 1000))
    assert load(cursor.dump()) == cursor
    assert load(None) is None


def test_what_is_no_cursor_is_not_taken_for_none() -> None:
    """Reading from the beginning would be the wrong answer to a broken database."""
    with pytest.raises(msgspec.DecodeError):
        load("{")


def test_the_first_opening_begins_with_the_backlog() -> None:
    """All that lies there now is the backlog, and nothing that comes later."""
    assert at_opening(None, 7, 10, "unseen", DAY) == Cursor(7, 0, 10, "unseen", DAY)
    assert at_opening(None, 7, 0, "all", DAY) == Cursor(7, 0, 0, "all", DAY)


def test_another_life_begins_anew_and_remembers_the_first_day() -> None:
    """What was read before that day is not ours."""
    before = Cursor(7, 12, 10, "unseen", DAY, last=9, oldest=EARLIER)
    assert at_opening(before, 8, 12, "unseen", LATER) == Cursor(8, 0, 12, "since", DAY)
    assert at_opening(before, 8, 12, "all", LATER) == Cursor(8, 0, 12, "all", DAY)


@pytest.mark.parametrize(
    ("before", "since"),
    [
        (Cursor(7, 8, 10, "unseen", DAY, last=9, oldest=EARLIER), EARLIER),
        (Cursor(7, 12, 10, "unseen", DAY, (3,), last=9, oldest=EARLIER), EARLIER),
        (Cursor(7, 8, 10, "unseen", DAY, last=9, oldest=LATER), DAY),
        (Cursor(7, 0, 10, "unseen", DAY), DAY),
    ],
)
def test_a_backlog_that_was_not_finished_reaches_back_to_its_oldest_mail(before: Cursor, since: date) -> None:
    """Who knows who has read it meanwhile."""
    assert at_opening(before, 8, 12, "unseen", LATER) == Cursor(8, 0, 12, "since", since)


@pytest.mark.parametrize(
    ("validity", "next_uid", "arrived", "another"),
    [
        (7, 13, 1000, False),
        (7, 13, None, False),
        (7, None, None, False),
        (7, 40, 0, False),
        (8, 40, None, True),
        (7, 12, None, True),
        (7, 40, 1001, True),
    ],
)
def test_a_mailbox_that_was_renumbered_or_put_back_is_another(
    validity: int,
    next_uid: int | None,
    arrived: int | None,
    another: bool,  # noqa: FBT001 - a table
) -> None:
    """By its UIDVALIDITY, by a UIDNEXT that goes back, or by another mail where one was known."""
    before = Cursor(7, 12, 10, "unseen", DAY, known=(11, 1000))
    assert is_another_life(before, validity, next_uid, arrived) is another


def test_a_mail_of_unknown_arrival_proves_nothing() -> None:
    """A server that gives no dates is not read again and again."""
    assert not is_another_life(Cursor(7, 12, 10, "unseen", DAY), 7, 13, 1000)


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
    ("cursor", "expected"),
    [
        (Cursor(7, 0, 10, "unseen", DAY), ("UNKEYWORD", "$L", "UNSEEN")),
        (Cursor(7, 0, 10, "all", DAY), ()),
        (Cursor(7, 0, 10, "since", DAY), OLD),
    ],
)
def test_what_the_backlog_is(cursor: Cursor, expected: tuple[str, ...]) -> None:
    """By its rule, up to the floor."""
    assert backlog_search(cursor, "flag:$L") == Search(("UID", "1:10", *expected), 1)


@pytest.mark.parametrize(
    ("cursor", "below", "expected"),
    [
        (Cursor(7, 0, 0, "unseen", DAY), True, [Search(("UID", "1:*"), 1)]),
        (Cursor(7, 0, 10, "unseen", DAY), True, [Search(("UID", "11:*"), 11)]),
        (
            Cursor(7, 4, 10, "unseen", DAY),
            True,
            [Search(("UID", "1:4", "UNKEYWORD", "$L"), 1), Search(("UID", "11:*"), 11)],
        ),
        (
            Cursor(7, 20, 10, "unseen", DAY),
            True,
            [Search(("UID", "1:20", "UNKEYWORD", "$L"), 1), Search(("UID", "21:*"), 21)],
        ),
        (Cursor(7, 20, 10, "unseen", DAY), False, [Search(("UID", "21:*"), 21)]),
    ],
)
def test_what_is_searched_for(cursor: Cursor, below: bool, expected: list[Search]) -> None:  # noqa: FBT001
    """Behind the floor everything; below the cursor what was not let go of."""
    assert searches(cursor, "flag:$L", below=below) == expected


@pytest.mark.parametrize(
    ("uid", "found", "expected"),
    [
        (0, [], {2, 5, 9}),
        (5, [11, 12], {9, 11, 12}),
        (5, [2, 3, 11], {2, 9, 11}),
        (12, [2, 3, 13], {2, 13}),
    ],
)
def test_what_is_left_of_the_backlog_is_taken_whoever_has_read_it(
    uid: int, found: list[int], expected: set[int]
) -> None:
    """And what was not in it is left alone."""
    cursor = Cursor(7, uid, 10, "unseen", DAY, last=9)
    assert waiting(cursor, frozenset({2, 5, 9}), found) == expected


def test_the_cursor_never_goes_back() -> None:
    """A mail from below it that is taken late does not let others be read again."""
    cursor = Cursor(7, 12, 10, "unseen", DAY, (3, 5))
    assert behind(cursor, [3], (5,)) == Cursor(7, 12, 10, "unseen", DAY, (5,))
    assert behind(cursor, [13, 14], (3, 5, 14)) == Cursor(7, 14, 10, "unseen", DAY, (3, 5, 14))
    assert behind(cursor, [], ()) == cursor


def test_the_cursor_knows_the_last_mail_that_was_taken() -> None:
    """And not one from below it."""
    cursor = Cursor(7, 12, 10, "unseen", DAY, known=(12, 1000))
    assert behind(cursor, [13], (), (13, 1500)).known == (13, 1500)
    assert behind(cursor, [3], (), (3, 500)).known == (12, 1000)
    assert behind(cursor, [14], (14,)).known == (12, 1000)


@pytest.mark.parametrize(
    ("uids", "text"), [([], ""), ([7], "7"), ([1, 2, 3, 7], "1:3,7"), ([1, 3, 4, 9, 10, 11], "1,3:4,9:11")]
)
def test_neighbours_are_named_together(uids: list[int], text: str) -> None:
    """A command line is short then."""
    assert uid_set(uids) == text
    assert uids_of(text) == frozenset(uids)
