"""Alerts over real sockets: webhook and mail arrive; a target that is down, hangs or is none costs nobody else anything; no
address is ever shown."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from app.adapters import alert_sender
from app.adapters.alert_sender import WAITING, AppriseSender, knows, scrubbed
from app.engine.ports import OutgoingAlert
from tests.adapters.alert_targets import closed_port, mail_sink, webhook

# One of Apprise's hundred plugins imports a module that is to leave the standard library.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
ALERT = OutgoingAlert(
    "critical", "Medulla exec_001: CRITICAL TERMINAL_LOST", "the terminal is gone\n12:00 UTC"
)
PATIENCE = 20.0


@contextmanager
def sending(*addresses: str) -> Iterator[AppriseSender]:
    sender = AppriseSender(addresses)
    try:
        yield sender
    finally:
        sender.close()


async def until(condition: Callable[[], bool]) -> None:
    """What the senders' threads bring about."""

    def wait() -> None:
        end, pause = monotonic() + PATIENCE, threading.Event()
        while not condition():
            assert monotonic() < end, "it did not come about"
            pause.wait(0.02)

    await asyncio.to_thread(wait)


async def stands(sender: AppriseSender, number: int, fault: bool) -> str | None:
    """Wait until a target stands as expected; what it says."""
    await until(lambda: (sender.targets()[number].fault is not None) is fault)
    return sender.targets()[number].fault


async def test_a_webhook_gets_title_body_and_kind() -> None:
    with webhook() as hook, sending(f"json://127.0.0.1:{hook.port}/geheim") as sender:
        sender.send(ALERT)
        got = await asyncio.to_thread(hook.next)
        assert (got["title"], got["message"], got["type"]) == (ALERT.title, ALERT.body, "failure")
        [target] = await sender.test(OutgoingAlert("info", "a test", "hello"), PATIENCE)
        assert (target.name, target.sent, target.dropped, target.fault) == ("1 json", 2, 0, None)
        assert (await asyncio.to_thread(hook.next))["type"] == "info"


async def test_a_mail_arrives() -> None:
    with mail_sink() as sink:
        address = f"mailto://127.0.0.1:{sink.port}/?from=medulla@example.test&to=ann@example.test&smtp=127.0.0.1&mode=insecure"
        with sending(address) as sender:
            sender.send(ALERT)
            got = await asyncio.to_thread(sink.got.get, True, PATIENCE)
    assert "Subject: Medulla exec_001: CRITICAL TERMINAL_LOST" in got
    assert "To: ann@example.test" in got
    assert "the terminal is gone" in got


async def test_a_target_that_refuses_says_why_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_sender, "PAUSE", 0.01)
    with webhook() as hook, sending(f"json://ann:geheim@127.0.0.1:{hook.port}/token123") as sender:
        hook.status = 500
        sender.send(ALERT)
        fault = await stands(sender, 0, fault=True)
        assert fault is not None
        assert "500" in fault
        assert not {"geheim", "token123", "127.0.0.1", str(hook.port)} & set(fault.replace("/", " ").split())
        hook.status = 200
        sender.send(ALERT)
        await stands(sender, 0, fault=False)
        # The second attempt at the first message may come through as well.
        await until(lambda: sender.targets()[0].sent in (1, 2))


async def test_a_failed_message_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_sender, "PAUSE", 0.01)
    with webhook() as hook, sending(f"json://127.0.0.1:{hook.port}") as sender:
        hook.status = 503
        sender.send(ALERT)
        await asyncio.to_thread(hook.next)
        hook.status = 200
        await asyncio.to_thread(hook.next)
        await until(lambda: sender.targets()[0].sent == 1)


async def test_a_target_that_hangs_holds_up_nobody_and_drops_what_it_cannot_keep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_sender, "CLOSING", 0.2)
    with webhook() as slow, webhook() as quick:
        slow.hold.set()
        with sending(f"json://127.0.0.1:{slow.port}?rto=30", f"json://127.0.0.1:{quick.port}") as sender:
            sender.send(ALERT)
            await asyncio.to_thread(slow.next)
            assert (await asyncio.to_thread(quick.next))["title"] == ALERT.title
            before = asyncio.get_running_loop().time()
            for _ in range(WAITING + 7):
                sender.send(ALERT)
            assert asyncio.get_running_loop().time() - before < 5
            assert sender.targets()[0].dropped == 7
            one, two = await sender.test(ALERT, 0.5)
            assert (one.name, two.name) == ("1 json", "2 json")
            assert one.dropped == 8
            slow.released.set()


async def test_nobody_listens_nothing_is_known_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_sender, "PAUSE", 0.01)
    with sending(f"json://127.0.0.1:{closed_port()}/secretpath", "nonsense://secret") as sender:
        sender.send(ALERT)
        first = await stands(sender, 0, fault=True)
        second = await stands(sender, 1, fault=True)
        assert first is not None
        assert "secretpath" not in first
        assert second is not None
        assert "not known" in second


async def test_the_end_waits_a_moment_for_what_is_on_its_way_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with webhook() as slow:
        monkeypatch.setattr(alert_sender, "CLOSING", 0.2)
        slow.hold.set()
        sender = AppriseSender([f"json://127.0.0.1:{slow.port}?rto=30"])
        sender.send(ALERT)
        await asyncio.to_thread(slow.next)
        before = asyncio.get_running_loop().time()
        await asyncio.to_thread(sender.close)
        assert asyncio.get_running_loop().time() - before < 30
        slow.released.set()
    with webhook() as hook:
        monkeypatch.setattr(alert_sender, "CLOSING", PATIENCE)
        sender = AppriseSender([f"json://127.0.0.1:{hook.port}"])
        sender.send(ALERT)
        await asyncio.to_thread(sender.close)
        assert hook.got.qsize() == 1


async def test_what_the_libraries_log_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with sending("tgram://123:geheimes-token/456?cto=0.01&rto=0.01"):
        logging.getLogger("apprise").error("POST /bot123:geheimes-token/sendMessage")
        logging.getLogger("urllib3.connectionpool").warning("Retrying /bot123:geheimes-token/sendMessage")
    assert "geheim" not in caplog.text


def test_a_thread_that_ended_is_said() -> None:
    sender = AppriseSender(["json://127.0.0.1:9"])
    target = sender._targets[0]
    target.end()
    target.thread.join(20)
    assert not target.thread.is_alive()
    [view] = sender.targets()
    assert view.fault is not None
    assert "ended" in view.fault
    sender.close()


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("json://example.test/x", True),
        ("tgram://123456789:abcdefghijklmnopqrstuvwxyz012345678/12315544/", True),
        ("mailtos://ann:pass@example.test", True),
        ("nonsense://x", False),
        ("json://", False),
    ],
)
def test_what_apprise_knows(address: str, known: bool) -> None:
    assert knows(address) is known


def test_no_part_of_an_address_is_left() -> None:
    address = "json://ann:pass-word@host.example.test:8443/tok%20en/abc?x=yz1"
    said = "HTTPSConnection(host='host.example.test', port=8443): /tok%20en/abc?x=yz1 ann pass-word 500"
    cleaned = scrubbed(said, address)
    for part in ("ann", "pass-word", "host.example.test", "8443", "abc", "yz1"):
        assert part not in cleaned
    assert "500" in cleaned
