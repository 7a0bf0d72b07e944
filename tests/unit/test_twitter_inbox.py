"""What waits to be taken into custody: bounded, in turn, and again until it is released."""

import asyncio
import json
from collections.abc import Collection

import pytest

from channels.twitter.inbox import BYTES_AT_ONCE, Inbox
from gateway.errors import StoreUnavailable
from gateway.ports import Delivery, RawMessage


def line(number: int, text: str = "a") -> bytes:
    return json.dumps({"data": {"id": str(number), "text": text}}).encode()


def ids(delivery: Delivery) -> list[str]:
    return [message.external_id for message in delivery.messages]


async def test_lines_come_in_bounded_deliveries_and_once_each() -> None:
    inbox = Inbox()
    for number in (1, 2, 2, 3, 4):
        assert inbox.put(line(number), number)
    first = await inbox.next(4, 0)
    assert ids(first) == ["1", "2", "3"]
    await inbox.release(first, ())
    assert ids(await inbox.next(4, 0)) == ["4"]


async def test_what_is_not_released_comes_again() -> None:
    inbox = Inbox()
    inbox.put(line(1), 1)
    first = await inbox.next(4, 0)
    assert await inbox.next(4, 0) is first
    await inbox.release(first, ())
    await inbox.release(first, ())
    assert await inbox.next(4, 0) == Delivery((), None)


async def test_the_oldest_line_is_that_which_is_not_committed() -> None:
    inbox = Inbox()
    assert inbox.oldest() is None
    inbox.put(line(1), 10)
    inbox.put(line(2), 20)
    first = await inbox.next(1, 0)
    assert inbox.oldest() == 10
    await inbox.release(first, ())
    assert inbox.oldest() == 20


async def test_there_is_room_for_so_much_and_no_more() -> None:
    by_number, by_size = Inbox(most_lines=4), Inbox(most_bytes=4 * len(line(1)))
    for inbox in (by_number, by_size):
        assert [inbox.put(line(number), 0) for number in range(1, 7)] == [True] * 4 + [False] * 2
        drained = asyncio.create_task(inbox.drained())
        await inbox.release(await inbox.next(1, 0), ())
        await asyncio.sleep(0)
        assert not drained.done()
        await inbox.release(await inbox.next(1, 0), ())
        await drained
        assert inbox.put(line(7), 0)


async def test_one_delivery_is_no_larger_than_a_transaction_should_be() -> None:
    inbox = Inbox()
    for number in range(3):
        inbox.put(line(number + 1, "x" * (BYTES_AT_ONCE // 2)), 0)
    assert len((await inbox.next(500, 0)).messages) == 1


async def test_batches_and_lines_take_turns() -> None:
    inbox = Inbox()
    for number in (1, 2, 3):
        inbox.put(line(number), 0)
    tasks = [asyncio.create_task(inbox.deliver([RawMessage(name, b"x", name)])) for name in "ab"]
    await asyncio.sleep(0)
    order: list[str] = []
    for _ in range(5):
        delivery = await inbox.next(1, 0)
        order += ids(delivery)
        await inbox.release(delivery, ())
    assert order == ["a", "1", "b", "2", "3"]
    await asyncio.gather(*tasks)


async def test_a_batch_is_settled_before_its_deliverer_goes_on() -> None:
    inbox = Inbox()
    settled: list[Collection[str]] = []
    failures = [StoreUnavailable("not now")]

    async def settle(new: Collection[str]) -> None:
        if failures:
            raise failures.pop()
        settled.append(new)

    task = asyncio.create_task(inbox.deliver([RawMessage("a", b"x", "a")], settle))
    await asyncio.sleep(0)
    delivery = await inbox.next(1, 0)
    with pytest.raises(StoreUnavailable):
        await inbox.release(delivery, {"a"})
    assert not task.done()
    assert await inbox.next(1, 0) is delivery
    await inbox.release(delivery, ())
    await task
    assert settled == [()]


async def test_a_batch_whose_deliverer_is_gone_is_not_handed_over() -> None:
    inbox = Inbox()
    task = asyncio.create_task(inbox.deliver([RawMessage("a", b"x", "a")]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert await inbox.next(1, 0) == Delivery((), None)
