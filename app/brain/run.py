"""The brain as a program: keys, store and server put together, signals, the parent's end, lines of JSON, exit codes.

What it serves and decides is in the other files of this room; options are read in app/cli.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from app.brain.campaign import Campaign, CampaignReport
from app.brain.clock import BrainClock, MachineClock
from app.brain.errors import BrainMisconfigured, StoreFailed
from app.brain.keys import SigningKey, api_key_hash, check_api_key, load_or_create, new_api_key
from app.brain.observers import Observer
from app.brain.server import LOOPBACK, BrainServer, ServerSettings
from app.brain.store import BrainStore
from app.brain.strategies.catalogue import build
from app.brain.strategies.host import StrategyHost
from app.brain.strategies.interface import Strategy
from app.brain.strategies.load import LoadStrategy
from app.domain.errors import InvalidValue
from app.protocol import brain_fields, pairing, strict_json

DONE, FAILED, WRONG_USAGE = 0, 1, 2
_SWITCH_SECONDS = 0.0005
"""The store's thread would otherwise hold a frame's reader back by up to 5 ms (Python's switch interval)."""


@dataclass(frozen=True, slots=True)
class BrainConfig:
    """The command line's options, as they are."""

    host: str = "127.0.0.1"
    port: int = 8765
    db: Path | None = None
    api_key: str | None = None
    new_api_key: bool = False
    executor_id: str = "exec_001"
    key_file: Path | None = None
    strategies: tuple[str, ...] = ()
    commands: int | None = None
    rate: float | None = None
    window: int = 64
    timeout: float = 60.0
    exit_when_done: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    url: str | None = None
    json: bool = False


def run_brain(config: BrainConfig, *, exit_with_parent: bool = False) -> int:
    """Serve until SIGINT, SIGTERM, the end of stdin or of the campaign (if asked). Returns the exit code."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(_serve(config, exit_with_parent))
    except (BrainMisconfigured, InvalidValue) as fault:
        return _say(str(fault), WRONG_USAGE)
    except StoreFailed as fault:
        return _say(str(fault), FAILED)
    except KeyboardInterrupt:
        return DONE


async def _serve(config: BrainConfig, exit_with_parent: bool) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.call_soon_threadsafe(ended.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end())
    strategies, load = _strategies(config)
    clock = MachineClock()
    folder = Path(platformdirs.user_data_dir("Medulla", appauthor=False)) / "brain"
    async with AsyncExitStack() as stack:
        key = load_or_create(_place(config.key_file, folder / "signing.key"))
        store = BrainStore(_place(config.db, folder / "brain.db"))
        await store.open()
        stack.push_async_callback(store.close)
        api_key = await _api_key(config, store, clock)
        symbols = [symbol for strategy in strategies for symbol in strategy.symbols]
        settings = ServerSettings(host=config.host, port=config.port, tls=_tls(config))
        server = BrainServer(
            settings,
            store,
            key,
            clock,
            symbols=[*symbols, *(load.symbols if load is not None else ())],
            observers=[_Lines(clock, json=config.json)],
        )
        await stack.enter_async_context(server)
        if api_key is not None:
            await server.allow(api_key, config.executor_id)
        host = StrategyHost(server, config.executor_id, strategies)
        host.start()
        stack.callback(host.close)
        if api_key is not None:
            _offer_pairing(config, server.port, key, api_key)
        _print({"event": "ready", "port": server.port, "keyId": key.key_id, "publicKey": key.public_key})
        gc.freeze()  # what start-up has made never dies: no collection in the middle of a measurement looks at it
        if exit_with_parent:
            threading.Thread(target=_watch_parent, args=(end,), name="parent watch", daemon=True).start()
        if load is not None and config.commands is not None:
            return await _campaign(config, server, load, clock, ended)
        await ended.wait()
    return DONE


async def _campaign(
    config: BrainConfig, server: BrainServer, load: LoadStrategy, clock: BrainClock, ended: asyncio.Event
) -> int:
    """Run and report; the end of the program ends the run."""
    campaign = Campaign(
        server,
        config.executor_id,
        load,
        clock,
        commands=config.commands or 1,
        rate=config.rate,
        window=config.window,
        timeout=config.timeout,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(campaign.run(), name="brain.campaign")
        stopping = tasks.create_task(ended.wait(), name="brain.until-stopped")
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            report: CampaignReport = running.result()
            _print({"event": "report", **report.to_wire()})
            if not config.exit_when_done:
                await stopping
            stopping.cancel()
            return DONE if report.complete and report.commands == config.commands else FAILED
        running.cancel()
    return DONE


def _strategies(config: BrainConfig) -> tuple[list[Strategy], LoadStrategy | None]:
    """The strategies to run by themselves, and the one that a campaign paces."""
    built = [build(text) for text in config.strategies]
    names = [strategy.strategy_id for strategy in built]
    if len(set(names)) != len(names):
        raise BrainMisconfigured("strategy: each may be given once")
    paced = [s for s in built if isinstance(s, LoadStrategy) and s.pace is None]
    if config.commands is None:
        if paced:
            raise BrainMisconfigured(
                "strategy load: needs --commands N (and --rate R); use soak for an endless run"
            )
        return built, None
    if config.commands < 1 or config.window < 1 or (config.rate is not None and config.rate <= 0):
        raise BrainMisconfigured("commands and window must be at least 1, rate above 0")
    source = paced[0] if paced else build("load")
    if not isinstance(source, LoadStrategy):
        raise BrainMisconfigured("strategy load: is missing")
    return [s for s in built if s is not source], source


async def _api_key(config: BrainConfig, store: BrainStore, clock: BrainClock) -> str | None:
    """The key to let the executor in with; None: it has one already, of which only the hash is known."""
    if config.api_key is not None:
        return check_api_key(config.api_key)
    known = [hashed for hashed, owner in (await store.api_keys()).items() if owner == config.executor_id]
    if known and not config.new_api_key:
        return None
    made = new_api_key()
    await store.add_api_key(api_key_hash(made), config.executor_id, clock.utc())
    for hashed in known:
        await store.revoke_api_key(hashed, clock.utc())
    return made


def _tls(config: BrainConfig) -> ssl.SSLContext | None:
    if config.tls_cert is None and config.tls_key is None:
        return None
    if config.tls_cert is None or config.tls_key is None:
        raise BrainMisconfigured("TLS: needs both a certificate and its key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as fault:
        raise BrainMisconfigured(f"TLS: {config.tls_cert}: {fault.strerror or 'cannot be read'}") from None
    return context


def _place(given: Path | None, usual: Path) -> Path:
    if given is not None:
        return given
    usual.parent.mkdir(parents=True, exist_ok=True)
    return usual


def _offer_pairing(config: BrainConfig, port: int, key: SigningKey, api_key: str) -> None:
    """For a person, on stderr: the code is a secret and has no business in a log of stdout."""
    scheme = "ws" if config.tls_cert is None else "wss"
    host = config.host if config.host in LOOPBACK else config.host.strip("[]")
    shown = f"[{host}]" if ":" in host else host
    url = config.url or f"{scheme}://{shown}:{port}/"
    code = pairing.encode(pairing.Pairing(url, config.executor_id, key.key_id, key.public_key, api_key))
    sys.stderr.write(
        f"To pair executor {config.executor_id} with this brain, run there (the code is a secret: it holds the API key):\n"
        f"  medulla pair {code}\n"
        f"Fingerprint of the signing key, to compare: {pairing.fingerprint(key.public_key)}\n"
    )
    sys.stderr.flush()


class _Lines(Observer):
    """Events as lines: JSON on stdout, or words on stderr."""

    def __init__(self, clock: BrainClock, *, json: bool) -> None:
        self._clock = clock
        self._json = json

    def on_notice(self, event: str, fields: Mapping[str, Any]) -> None:
        line = strict_json.dumps({"event": event, "time": brain_fields.stamp(self._clock.utc()), **fields})
        stream = sys.stdout if self._json else sys.stderr
        stream.write(line + "\n")
        stream.flush()


def _watch_parent(end: Callable[[], None]) -> None:
    """The parent holds the other end of stdin; when it dies, reading ends. (No loop on Windows can wait for a pipe.)"""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    end()


def _print(message: Mapping[str, Any]) -> None:
    sys.stdout.write(strict_json.dumps(dict(message)) + "\n")
    sys.stdout.flush()


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"medulla brain: {text}\n")
    return code
