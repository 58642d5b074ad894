"""The stream over a real socket: snapshot, numbered deltas, what a gap leads to, and how it ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from decimal import Decimal

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.api.client import EngineNotRunning
from app.api.server import ApiServer
from app.api.stream import ROWS_A_TURN, DeltaWriter, snapshot_model
from app.api.stream_reading import SnapshotFollower
from app.api.stream_schemas import StreamMessage

from .fake_control import FakeControl, command_view, position
from .running import TOKENS, api_client, serving


def opened(server: ApiServer, query: str = "") -> connect:
    return connect(
        f"ws://127.0.0.1:{server.port}/stream{query}",
        additional_headers={"Authorization": f"Bearer {TOKENS.read}"},
        proxy=None,
    )


async def heard(socket: ClientConnection) -> dict[str, object]:
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())  # type: ignore[no-any-return]


async def test_a_snapshot_then_deltas_of_what_changed_alone() -> None:
    control = FakeControl()
    async with serving(control) as server, opened(server) as socket:
        first = await heard(socket)
        assert (first["type"], first["seq"]) == ("snapshot", 1)
        await control.followed.wait()
        control.change(queue_depth=3)
        delta = await heard(socket)
        assert delta == {
            "type": "delta",
            "seq": 2,
            "changed": {"queue_depth": 3, "at": "2026-11-20T12:00:01Z"},
        }
        control.change(commands=(command_view("c-3"), *control.now.commands[:1]))
        delta = await heard(socket)
        rows = delta["rows"]["commands"]  # type: ignore[index]
        assert ([row["command_id"] for row in rows["put"]], rows["gone"], rows["order"]) == (
            ["c-3"],
            ["c-1"],
            ["c-3", "c-2"],
        )


async def test_many_changes_become_few_deltas() -> None:
    control = FakeControl()
    async with serving(control) as server, opened(server) as socket:
        await heard(socket)
        await control.followed.wait()
        for depth in range(1, 501):
            control.change(queue_depth=depth)
        depth, messages = 0, 0
        while depth != 500:
            message = await heard(socket)
            depth = message["changed"]["queue_depth"]  # type: ignore[index]
            messages += 1
        assert messages <= 5
        assert message["seq"] == 1 + messages


async def test_any_word_of_the_reader_brings_a_fresh_snapshot() -> None:
    control = FakeControl()
    async with serving(control) as server, opened(server) as socket:
        await heard(socket)
        await socket.send("snapshot")
        again = await heard(socket)
        assert (again["type"], again["seq"]) == ("snapshot", 2)


async def test_the_stream_ends_with_the_engine() -> None:
    control = FakeControl()
    async with serving(control) as server, opened(server) as socket:
        await heard(socket)
        await control.followed.wait()
        control.end()
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionClosed):
                await socket.recv()


async def test_a_closing_server_does_not_wait_for_its_readers() -> None:
    control = FakeControl()
    server = ApiServer(control, port=0, tokens=TOKENS)
    await server.start()
    async with opened(server) as socket:
        await heard(socket)
        async with asyncio.timeout(6):
            await server.close()


async def test_the_client_shows_the_whole_picture_after_every_change() -> None:
    control = FakeControl()
    async with (
        serving(control) as server,
        api_client(server) as client,
        aclosing(client.follow()) as pictures,
    ):
        async with asyncio.timeout(5):
            picture = await anext(pictures)
            assert picture.commands[0].command_id == "c-2"
            await control.followed.wait()
            control.change(positions=(position(), position(5002, "0.30")), daily_profit=Decimal("-1.00"))
            picture = await anext(pictures)
        assert [(p.ticket, p.volume) for p in picture.positions] == [
            ("5001", Decimal("0.10")),
            ("5002", Decimal("0.30")),
        ]
        assert picture.daily_profit == Decimal("-1.00")
        assert picture == snapshot_model(control.now, ())
        control.end()
        with pytest.raises(EngineNotRunning):
            await anext(pictures)


def sent(message: StreamMessage | None) -> str:
    """As it goes over the wire."""
    assert message is not None
    return message.model_dump_json(exclude_defaults=True)


async def test_a_follower_that_missed_a_delta_asks_for_a_snapshot() -> None:
    control = FakeControl()
    writer, follower = DeltaWriter(()), SnapshotFollower()
    assert follower.read(sent(writer.snapshot(control.now))) is not None
    control.change(queue_depth=1)
    lost = await writer.delta(control.now)
    assert lost is not None
    control.change(queue_depth=2)
    after_the_gap = await writer.delta(control.now)
    assert follower.read(sent(after_the_gap)) is None
    control.change(queue_depth=3)
    still_lost = await writer.delta(control.now)
    assert follower.read(sent(still_lost)) is None
    whole = follower.read(sent(writer.snapshot(control.now)))
    assert whole is not None
    assert whole.queue_depth == 3


async def test_what_did_not_change_stays_the_same_object() -> None:
    control = FakeControl()
    writer, follower = DeltaWriter(()), SnapshotFollower()
    before = follower.read(sent(writer.snapshot(control.now)))
    control.change(commands=(command_view("c-3"), *control.now.commands))
    after = follower.read(sent(await writer.delta(control.now)))
    assert before is not None
    assert after is not None
    assert [row.command_id for row in after.commands] == ["c-3", *(row.command_id for row in before.commands)]
    assert all(now is then for now, then in zip(after.commands[1:], before.commands, strict=True))
    assert after.positions is before.positions


async def test_a_reader_may_ask_for_fewer_deltas() -> None:
    control = FakeControl()
    async with serving(control) as server:
        async with opened(server, "?interval=60000") as socket:
            await heard(socket)
            await control.followed.wait()
            control.change(queue_depth=1)
            await socket.ping()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await socket.recv()
        async with opened(server, "?interval=49") as socket:
            with pytest.raises(
                ConnectionClosed, match="interval: must be whole milliseconds from 50 to 60000"
            ):
                await socket.recv()


async def test_nothing_is_sent_when_nothing_changed_but_the_time() -> None:
    control = FakeControl()
    writer = DeltaWriter(())
    writer.snapshot(control.now)
    control.change()
    assert await writer.delta(control.now) is None


async def test_every_field_survives_the_way_through_deltas() -> None:
    control = FakeControl()
    writer, follower = DeltaWriter(("w",)), SnapshotFollower()

    def follow(message: StreamMessage | None) -> None:
        picture = follower.read(sent(message))
        assert picture == snapshot_model(control.now, ("w",))

    follow(writer.snapshot(control.now))
    control.change(
        ready=False,
        links=control.now.links[:1],
        account=None,
        permissions=None,
        daily_profit=None,
        positions=(),
        orders=(),
        quotes=(),
        unknown_commands=("c-1",),
        limits=(),
        latencies=(),
        unsigned_allowed=True,
        commands=tuple(reversed(control.now.commands)),
    )
    follow(await writer.delta(control.now))


async def test_what_is_urgent_comes_between_the_rows_of_a_large_change() -> None:
    control = FakeControl()
    writer = DeltaWriter(())
    writer.snapshot(control.now)
    control.change(commands=tuple(command_view(f"n-{number}") for number in range(10 * ROWS_A_TURN)))
    turns = 0
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(writer.delta(control.now))
        while not writing.done():
            await asyncio.sleep(0)
            turns += 1
    assert turns >= 10
    message = writing.result()
    assert message is not None
    assert len(message.rows["commands"].put) == 10 * ROWS_A_TURN
