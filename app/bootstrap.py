"""The composition root of the engine process: builds everything from the settings, owns lifetimes, ends in order.

The only place that knows which adapter stands behind which port. No rule and no protocol belongs here.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app import __version__
from app.adapters.alert_addresses import alert_addresses
from app.adapters.alert_sender import AppriseSender
from app.adapters.brain_options import BrainOptions
from app.adapters.brain_websocket import WebSocketBrainLink
from app.adapters.journal_sqlite import SqliteJournal
from app.adapters.key_file import load_or_create_key
from app.adapters.keyring_secrets import KeyringUnusable, brain_api_key
from app.adapters.latch_file import FileLatchStore
from app.adapters.mt5_stop_channel import ZmqStopChannel
from app.adapters.mt5_zmq import ZmqBroker
from app.adapters.system_clock import SystemClock
from app.adapters.windows_hotkey import system_keyboard
from app.api import runtime_file, tokens
from app.api.runtime_file import RuntimeInfo
from app.api.server import ApiServer
from app.domain.errors import ConfigurationError, JournalFailed
from app.domain.market import Account
from app.domain.trading_state import Actor
from app.domain.values import Magic
from app.engine.command_processor import ProcessorOptions
from app.engine.core import EngineCore, EngineOptions, LogLine
from app.engine.hotkey import HotkeyThread
from app.engine.latch import Latch, starting_status
from app.engine.ports import Clock, Journal
from app.engine.stop import StopOrder, StopThread
from app.engine.supervisor import Engine
from app.protocol.ea_client_session import Identity
from app.settings import Settings
from app.settings.desk import EngineSettings

_KEYRING_PATIENCE = 5.0
_WORDS = (
    "anchor",
    "bridge",
    "candle",
    "harbor",
    "ladder",
    "meadow",
    "orchard",
    "pepper",
    "quartz",
    "ribbon",
    "saddle",
    "willow",
)
"""Words to type at a reset: short, plain, hard to mistake."""


@dataclass(slots=True)
class RunningEngine:
    """What the one who started it may use."""

    engine: Engine
    api_port: int
    stop_port: int


def instance_of(settings: Settings) -> str:
    """32 hex digits that stay the same for this journal: after a crash the terminal lets the same instance back in at once.

    Two processes never share it, because the journal belongs to one process at a time.
    """
    file = settings.state_folder / "instance.id"
    try:
        known = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    if len(known) == 32 and all(character in "0123456789abcdef" for character in known):
        return known
    made = secrets.token_hex(16)
    runtime_file.replace_file(file, made + "\n")
    return made


class _Hooks:
    """What the journal and the stop thread call; the engine that answers is built after them."""

    engine: Engine | None = None

    def journal_failed(self, fault: JournalFailed) -> None:
        if self.engine is not None:
            self.engine.core.journal_failed(fault)

    def stopped(self, order: StopOrder) -> None:
        if self.engine is None:
            raise RuntimeError("the engine is not built yet")
        self.engine.stopped(order)


@asynccontextmanager
async def running_engine(settings: Settings, log: LogLine) -> AsyncIterator[RunningEngine]:
    """Build, start, hand over, and end in order whatever happens.

    Raises ConfigurationError, or JournalFailed and its kinds: nothing was started then and nothing is lost.
    """
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        hooks = _Hooks()
        api_tokens = tokens.load_or_make(settings.api.token_file, settings.read_token_file)
        key = load_or_create_key(settings.terminal.key_file)
        journal = await SqliteJournal.open(settings.journal.path, hooks.journal_failed)
        stack.push_async_callback(journal.close)
        identity = Identity(instance_of(settings), settings.brain.executor_id, __version__)
        stop = await _stop_thread(settings, clock, journal, key, identity, api_tokens.control, hooks)
        stop.start()
        stack.push_async_callback(asyncio.to_thread, stop.close)
        sender = await _alert_sender(settings, log)
        if sender is not None:
            stack.push_async_callback(asyncio.to_thread, sender.close)
        hotkey = HotkeyThread(
            system_keyboard(),
            settings.stop.hotkey,
            lambda keys: _press(stop, keys),
            system=platform.system(),
        )
        hotkey.start()
        stack.push_async_callback(asyncio.to_thread, hotkey.close)
        engine = _engine(settings, clock, journal, stop, key, identity, log, sender)
        engine.show_hotkey(lambda: hotkey.view)
        hooks.engine = engine
        stack.push_async_callback(engine.close)
        api = ApiServer(
            engine.operator,
            port=settings.api.port,
            tokens=api_tokens,
            warnings=settings.warnings,
            settings=EngineSettings(settings, engine.operator, clock),
            end=engine.end_by_hand,
        )
        api_port = await api.start()
        stack.push_async_callback(api.close)
        await engine.start()
        info = RuntimeInfo(os.getpid(), api_port, stop.port, clock.now().isoformat(), __version__)
        runtime_file.write(settings.runtime_file, info)
        stack.callback(runtime_file.remove, settings.runtime_file, info.pid)
        yield RunningEngine(engine, api_port, stop.port)


def _press(stop: StopThread, keys: str) -> None:
    """In the hotkey's thread."""
    stop.engage(reason=f"the stop key {keys}", by=Actor.OPERATOR)


async def _alert_sender(settings: Settings, log: LogLine) -> AppriseSender | None:
    """None: no address is set. A keyring that does not open costs its addresses, not the start."""
    given = tuple(url.get_secret_value() for url in settings.alerts.urls)
    try:
        async with asyncio.timeout(_KEYRING_PATIENCE):
            addresses = await asyncio.to_thread(alert_addresses, settings)
    except (KeyringUnusable, TimeoutError) as fault:
        why = str(fault) or f"the keyring did not answer within {_KEYRING_PATIENCE:.0f} s"
        log("alert_targets_unreadable", level="error", message=why)
        addresses = given
    return AppriseSender(addresses) if addresses else None


async def _stop_thread(
    settings: Settings,
    clock: Clock,
    journal: Journal,
    key: bytes,
    identity: Identity,
    token: str,
    hooks: _Hooks,
) -> StopThread:
    """The latch as store and journal know it, in a thread that is not started yet."""
    store = FileLatchStore(settings.state_folder / "latch.json")
    status = starting_status(store.load(), await journal.last_status(), clock.now())
    try:
        store.save(status)
    except OSError as fault:
        raise ConfigurationError(
            f"{settings.state_folder}: the latch cannot be stored here ({fault.strerror or fault}): without it a stop would not "
            "survive a restart"
        ) from None
    return StopThread(
        latch=Latch(status),
        store=store,
        channel=ZmqStopChannel(
            key=key,
            command_port=settings.terminal.command_port,
            stop_port=settings.terminal.stop_port,
            identity=identity,
            clock=clock,
        ),
        clock=clock,
        stop_file=settings.stop_file,
        token=token,
        close_positions=settings.safety.stop_closes_positions,
        on_stopped=hooks.stopped,
    )


def _engine(
    settings: Settings,
    clock: SystemClock,
    journal: Journal,
    stop: StopThread,
    key: bytes,
    identity: Identity,
    log: LogLine,
    sender: AppriseSender | None,
) -> Engine:
    brain, terminal = settings.brain, settings.terminal
    broker = ZmqBroker(
        key=key,
        command_port=terminal.command_port,
        stream_port=terminal.stream_port,
        identity=identity,
        clock=clock,
        answer_timeout=terminal.answer_timeout,
        transport=terminal.transport,
    )
    core_holder: list[EngineCore] = []

    def accounts() -> tuple[Account, ...]:
        account = core_holder[0].book.account
        return (account,) if account is not None else ()

    link = None
    if brain.url is not None:
        link = WebSocketBrainLink(
            BrainOptions(
                url=brain.url,
                api_key=brain_api_key(settings),
                executor_id=brain.executor_id,
                app_version=__version__,
                accounts=accounts,
                status=lambda: stop.latch.status,
                signing_keys=brain.signing_keys,
                allow_unsigned=brain.allow_unsigned,
                proxy=brain.proxy,
                ca_file=brain.ca_file,
            ),
            clock,
        )
    options = EngineOptions(
        executor_id=brain.executor_id,
        version=__version__,
        limits=settings.safety,
        processor=ProcessorOptions(
            capacity=settings.queue.capacity,
            max_in_flight=terminal.max_in_flight,
            max_attempts=terminal.max_attempts,
            magic=Magic(terminal.magic),
        ),
        unsigned_allowed=brain.allow_unsigned and not brain.signing_keys,
        backup_folder=settings.journal.backup_folder,
        backup_keep=settings.journal.backup_keep,
    )
    core = EngineCore(
        options=options,
        journal=journal,
        broker=broker,
        link=link,
        clock=clock,
        stop=stop,
        log=log,
        alert_rules=settings.alerts.rules(),
        alert_sender=sender,
    )
    core_holder.append(core)
    engine = Engine(
        core,
        new_word=lambda: secrets.choice(_WORDS),
        new_id=lambda: secrets.token_hex(8),
        watch=settings.watchdogs.limits(),
        uptime=clock.uptime,
    )
    if link is not None:
        link.on_round_trip = engine.brain.measured
    return engine
