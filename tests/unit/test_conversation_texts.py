"""What citizens read: short enough for one SMS, and in public nothing that was not said in public."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.sms.alphabet import GSM7
from channels.twitter.sender import LONGEST, weight
from gateway.conversation.texts import LONGEST_STATUS, Standing, Texts, shortened
from gateway.settings.model import AnswerSettings

EXTENSION = frozenset("^{}\\[~]|€")
ID = "1234567897"
AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
SETTINGS = AnswerSettings()


def standing(**fields: Any) -> Standing:
    """A public report that the core has not spoken of."""
    known: dict[str, Any] = {"tracking_id": ID, "visibility": "public", "at": AT}
    return Standing(**(known | fields))


def septets(text: str) -> int:
    """How long a text is in the default alphabet of GSM."""
    assert set(text) <= GSM7, "it would be sent as UCS-2"
    return sum(2 if sign in EXTENSION else 1 for sign in text)


def everything(texts: Texts) -> list[str]:
    """All that can be said, with the longest state."""
    return [
        texts.receipt(ID),
        texts.receipt(ID, repeats=True),
        texts.status(standing()),
        texts.status(standing(reply="question")),
        texts.status(standing(status="x" * LONGEST_STATUS, reply="progress")),
        texts.status(standing(withdrawn=True)),
        texts.status(standing(visibility="secret")),
        texts.unknown(),
        texts.no_report(),
        texts.help(),
        texts.stopped(),
        texts.started(),
    ]


@pytest.mark.parametrize("english", [False, True])
@pytest.mark.parametrize("public", [False, True])
def test_each_default_fits_one_sms_and_one_post(*, english: bool, public: bool) -> None:
    """160 septets, 280 on X."""
    for text in everything(Texts(SETTINGS, english=english, public=public)):
        assert septets(text) <= 160, text
        assert weight(text) <= LONGEST
        assert "{" not in text


def test_two_states_fit_one_sms() -> None:
    """As many as a STATUS without a number tells, in the gateway's own words."""
    for english in (False, True):
        texts = Texts(SETTINGS, english=english)
        assert 2 * septets(texts.status(standing(reply="question"))) + 1 <= 160


@pytest.mark.parametrize(
    ("fields", "indonesian", "english"),
    [
        ({}, "sudah diterima", "received"),
        ({"reply": "progress"}, "sedang ditindaklanjuti", "in progress"),
        ({"reply": "question"}, "menunggu jawaban Anda", "waiting for your answer"),
        ({"reply": "closed"}, "selesai", "closed"),
        (
            {"reply": "progress", "status": "Diteruskan ke Dinas PU."},
            "Diteruskan ke Dinas PU",
            "Diteruskan ke Dinas PU",
        ),
        ({"reply": "progress", "status": " \n"}, "sedang ditindaklanjuti", "in progress"),
        ({"reply": "closed", "withdrawn": True}, "ditarik kembali", "withdrawn"),
    ],
)
def test_a_status_is_the_last_known_one(fields: dict[str, Any], indonesian: str, english: str) -> None:
    """In the core's own words where it has said any."""
    assert Texts(SETTINGS).status(standing(**fields)) == f"Laporan #{ID} per 01-11-2026: {indonesian}."
    assert Texts(SETTINGS, english=True).status(standing(**fields)) == f"Report #{ID} as of 01-11-2026: {english}."


@pytest.mark.parametrize("visibility", ["anonymous", "secret"])
@pytest.mark.parametrize("english", [False, True])
def test_in_public_nothing_is_said_of_a_report_that_is_not(visibility: Any, *, english: bool) -> None:
    """Neither its state nor the core's words, which may name the agency; the tracking ID alone."""
    hidden = standing(visibility=visibility, reply="progress", status="Diteruskan ke Polres")
    public = Texts(SETTINGS, english=english, public=True)
    assert "Polres" not in public.status(hidden)
    assert ID in public.status(hidden)
    assert "Polres" in Texts(SETTINGS, english=english).status(hidden)
    for text in (public.receipt(ID), public.receipt(ID, repeats=True), public.status(hidden)):
        assert re.findall(r"[0-9]+", text) == [ID]
        assert not re.search("rahasia|anonim|secret|anonymous|judul|title", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("words", "short"),
    [
        ("Selesai.", "Selesai"),
        ("  dua\nbaris\t", "dua baris"),
        ("a\x00b\u202ec", "a b c"),
        ("kata " * 30, ("kata " * 19).strip() + "..."),
        ("x" * 200, "x" * 97 + "..."),
        ("", ""),
    ],
)
def test_the_cores_words_are_made_to_fit(words: str, short: str) -> None:
    """On one line, cut between words."""
    found = shortened(words)
    assert len(found) <= LONGEST_STATUS
    assert found == short


def test_templates_are_filled_as_the_operator_wrote_them() -> None:
    """The date may be left out."""
    settings = AnswerSettings(status="{status} ({tracking_id})", receipt_repeat="Sudah ada: {tracking_id}")
    assert Texts(settings).status(standing()) == f"sudah diterima ({ID})"
    assert Texts(settings).receipt(ID, repeats=True) == f"Sudah ada: {ID}"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("receipt_repeat", "Terima kasih", "must hold {tracking_id}"),
        ("status", "{tracking_id}", "must hold {tracking_id} and {status}"),
        ("status", "{tracking_id} {status} {name}", "no other field"),
        ("help", "{tracking_id}", "without braces"),
        ("help", " ", "must be a text"),
        ("quiet_hours", "21-6", "pattern"),
        ("quiet_hours", "21:00-24:00", "pattern"),
        ("quiet_hours", "21:00-21:00", "different times"),
        ("timezone", "Asia/Nowhere", "no time zone"),
        ("timezone", "../etc/passwd", "no time zone"),
        ("timezone", "", "no time zone"),
        ("per_reporter_per_day", 0, "greater than or equal"),
    ],
)
def test_settings_that_would_break_an_answer_are_refused(name: str, value: object, problem: str) -> None:
    """At the start, not when a citizen asks."""
    with pytest.raises(ValueError, match=problem.replace("{", r"\{")):
        AnswerSettings.model_validate({name: value})
