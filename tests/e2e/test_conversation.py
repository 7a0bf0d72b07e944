"""A whole conversation on each channel, from the first message to the closing notification, over the real queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.mail import robots
from gateway.conversation.texts import Texts
from tests.integration.talk_bench import TALKATIVE, Conversation, talking
from tests.services.rabbitmq import RabbitMQ

PEOPLE = {
    "sms": ("+6281100000001", "+6281100000002"),
    "twitter": ("warga_budi", "warga_ani"),
    "email": ("budi@warga.example.org", "ani@warga.example.org"),
}
MATTER = "Jalan di depan sekolah Sukamaju berlubang besar sejak Senin"
OTHER_MATTER = "Lampu jalan di Gang Mawar padam sejak tiga malam"


@pytest.fixture(params=["sms", "twitter", "email"])
async def talk(
    request: pytest.FixtureRequest,
    sqlite_url: str,
    rabbitmq: RabbitMQ,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Conversation]:
    """A gateway with one channel; people take their time, as if they typed."""
    monkeypatch.setattr(robots, "ROBOT_SECONDS", -10.0)
    async with talking(sqlite_url, rabbitmq, request.param, tmp_path) as opened:
        yield opened


async def test_from_the_first_message_to_the_closing_notification(
    talk: Conversation, request: pytest.FixtureRequest
) -> None:
    """Everything that a citizen can ask, and everything that the core can say; then the transcript is compared."""
    core, texts = talk.core, Texts(TALKATIVE, public=talk.line.is_public)
    budi, ani = PEOPLE[request.node.callspec.params["talk"]]

    assert await talk.says(budi, MATTER) == "report"
    report = await core.report("received")
    number = report["tracking_id"]
    assert (report["visibility"], report["repeat_count"]) == ("public", 0)

    assert await talk.says(budi, "STATUS") == "command"
    await core.reply("r1", number, "Laporan Anda kami teruskan ke Dinas PU.", status="Diteruskan ke Dinas PU")
    await talk.rests()
    assert await talk.says(budi, f"Status laporan saya #{number}?") == "command"

    assert await talk.says(budi, MATTER) == "repeat"
    repeated = await core.report("repeated")
    assert (repeated["tracking_id"], repeated["duplicate_of"]) == (number, report["id"])
    assert repeated["repeat_count"] == 1

    assert await talk.says(budi, f"Tambahan untuk laporan #{number}: lubangnya makin besar") == "update"
    added = await core.report("updated")
    assert (added["id"], added["tracking_id"]) == (report["id"], number)
    assert "lubangnya makin besar" in added["text"]

    assert await talk.says(budi, f"#{number} mohon rahasiakan identitas saya") == "update"
    assert (await core.report("updated", 2))["visibility"] == "secret"

    assert await talk.says(budi, "BANTUAN") == "command"
    assert await talk.says(budi, "STOP") == "command"
    await core.reply("r2", number, "Tim sudah meninjau lokasi.", status="Ditinjau di lokasi")
    await talk.rests()
    assert await talk.says(budi, f"STATUS {number}") == "command"
    await core.reply("r3", number, "Di sebelah mana pintu gerbang lubangnya?", "question", status="Menunggu Anda")
    await talk.rests()
    assert await talk.says(budi, "MULAI") == "command"
    await core.reply("r4", number, "Perbaikan dimulai hari ini.", status="Diperbaiki")
    await talk.rests()
    await core.reply("r5", number, "Jalan sudah diperbaiki. Terima kasih.", "closed", status="Selesai")
    await core.reply("r5", number, "Jalan sudah diperbaiki. Terima kasih.", "closed", status="Selesai")
    await talk.rests()

    assert await talk.says(ani, f"STATUS #{number}") == "command"

    def news(words: str) -> str:
        return TALKATIVE.news_withheld.format(tracking_id=number) if talk.line.is_public else words

    def question(words: str) -> str:
        return TALKATIVE.question_withheld.format(tracking_id=number) if talk.line.is_public else words

    def standing(words: str) -> str:
        return TALKATIVE.status.format(tracking_id=number, status=words)

    withheld = TALKATIVE.status_withheld.format(tracking_id=number)
    told = [
        texts.receipt(number),
        standing("sudah diterima"),
        "Laporan Anda kami teruskan ke Dinas PU.",
        standing("Diteruskan ke Dinas PU"),
        texts.help(),
        texts.stopped(),
        withheld if talk.line.is_public else standing("Ditinjau di lokasi"),
        question("Di sebelah mana pintu gerbang lubangnya?"),
        texts.started(),
        news("Perbaikan dimulai hari ini."),
        news("Jalan sudah diperbaiki. Terima kasih."),
    ]
    # X takes the same words once only; by default each notification has its time in it.
    assert talk.line.heard(budi) == (told if talk.line.takes_same_words else list(dict.fromkeys(told)))
    assert talk.line.heard(ani) == [texts.unknown()]
    kinds = [event["type"].split(".")[-2] for event in core.events]
    assert kinds == ["received", "repeated", "updated", "updated"]
    assert [event["sequence"] for event in core.of_kind("updated")] == [2, 3]


async def test_who_answers_our_answers_is_heard(talk: Conversation, request: pytest.FixtureRequest) -> None:
    """The texts say "Balas STATUS": so people press *reply*. On X that is a bare mention, in mail a thread.

    What the core says of a report that was written as a reply arrives, too.
    """
    core, texts = talk.core, Texts(TALKATIVE, public=talk.line.is_public)
    budi, _ = PEOPLE[request.node.callspec.params["talk"]]
    assert await talk.says(budi, MATTER) == "report"
    number = (await core.report("received"))["tracking_id"]
    decisions = [await talk.answers(budi, text) for text in ("STATUS", "Bantuan", "Stop", "Mulai ya min")]
    assert decisions == ["command"] * 4
    assert await talk.answers(budi, f"Lubangnya makin besar, #{number}") == "update"
    assert (await core.report("updated"))["text"].startswith(MATTER)
    await core.reply("r1", number, "Sedang diperbaiki.")
    await talk.rests()
    assert talk.line.heard(budi) == [
        texts.receipt(number),
        TALKATIVE.status.format(tracking_id=number, status="sudah diterima"),
        texts.help(),
        texts.stopped(),
        texts.started(),
        "Sedang diperbaiki.",
    ]


async def test_an_answer_that_fails_for_good_comes_back_to_the_core(
    talk: Conversation, request: pytest.FixtureRequest
) -> None:
    """The number is gone, the post deleted, the mailbox unknown: the core learns which of its replies nobody read."""
    budi, ani = PEOPLE[request.node.callspec.params["talk"]]
    assert await talk.says(budi, MATTER) == "report"
    assert await talk.says(ani, OTHER_MATTER) == "report"
    first, second = await talk.core.report("received"), await talk.core.report("received", 2)
    talk.line.forsake(budi)
    await talk.core.reply("r1", first["tracking_id"], "Sedang diperbaiki.")
    await talk.core.reply("r2", second["tracking_id"], "Sedang diperiksa.")
    await talk.rests()
    talk.line.bounce(budi)
    event = await talk.core.event("undeliverable")
    assert (event["replyid"], event["subject"]) == ("r1", first["tracking_id"])
    assert (event["data"]["id"], event["sequence"]) == (first["id"], 2)
    assert event["reason"]
    assert talk.line.heard(ani)[-1] == "Sedang diperiksa."
    await talk.rests()
    assert len(talk.core.of_kind("undeliverable")) == 1
    assert sorted(await talk.fates()) == ["failed", "sent", "sent", "sent"]
