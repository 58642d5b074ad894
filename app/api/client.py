"""The local API's client, for the command line and the desktop: find the running engine, ask it, follow its stream. Knows only
the schemas; no engine code, no Qt. Time-outs can be left out (None) where the event loop's timers are not to be trusted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from app.api import runtime_file
from app.api.asks import OperateAsk
from app.api.schemas import (
    AcknowledgedModel,
    AlertsModel,
    CommandHistoryModel,
    CommandsModel,
    EquityModel,
    FaultModel,
    HealthModel,
    JournalRowsModel,
    OrdersModel,
    PositionsModel,
    QuotesModel,
    ResetChallengeModel,
    ResultModel,
    SnapshotModel,
    StatusModel,
    StopReceiptModel,
    TargetsModel,
)
from app.api.settings_client import SettingsCalls
from app.api.stream_reading import SnapshotFollower
from app.api.tokens import read_token

Answer = TypeVar("Answer", bound=BaseModel)


class EngineNotRunning(Exception):
    """No engine answers in this data folder. The message says where was looked and what to do."""


class RequestRefused(Exception):
    """The engine answered no: `code` for programs, the message for a person."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """Where an engine listens, and the token to show it."""

    port: int
    token: str


def find_engine(runtime: Path, token_file: Path) -> Target:
    """Raises EngineNotRunning, or SecretMissing when the token cannot be read."""
    info = runtime_file.read(runtime)
    if info is None or not info.alive or info.api_port == 0:
        what = "was ended without a farewell" if info is not None else "has not been started"
        raise EngineNotRunning(
            f"No engine is running for {runtime.parent} (it {what}). "
            "Start it with `medulla` or `medulla run --headless`, or name its configuration with --config."
        )
    return Target(info.api_port, read_token(token_file))


class ApiClient(SettingsCalls):
    """One engine's API. Every call raises EngineNotRunning when nothing answers and RequestRefused when the answer is no."""

    def __init__(self, target: Target, *, timeout: float | None = 10.0) -> None:
        self._target = target
        self._timeout = timeout
        self._headers = {"Authorization": f"Bearer {target.token}"}
        # trust_env off: a system proxy must never see a loopback request, let alone its token.
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{target.port}",
            headers=self._headers,
            timeout=timeout,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # -------------------------------------------------------------- looking

    async def health(self) -> HealthModel:
        return await self._get("/health", HealthModel)

    async def status(self) -> StatusModel:
        return await self._get("/status", StatusModel)

    async def positions(self) -> PositionsModel:
        return await self._get("/positions", PositionsModel)

    async def orders(self) -> OrdersModel:
        return await self._get("/orders", OrdersModel)

    async def quotes(self) -> QuotesModel:
        return await self._get("/quotes", QuotesModel)

    async def commands(self, limit: int = 200) -> CommandsModel:
        return await self._get("/commands", CommandsModel, {"limit": limit})

    async def command(self, command_id: str) -> CommandHistoryModel:
        return await self._get(f"/commands/{command_id}", CommandHistoryModel)

    async def journal_rows(self, after: int = 0, limit: int = 500) -> JournalRowsModel:
        return await self._get("/journal/rows", JournalRowsModel, {"after": after, "limit": limit})

    async def equity(self, hours: int = 24) -> EquityModel:
        return await self._get("/equity", EquityModel, {"hours": hours})

    async def stop_receipt(self) -> StopReceiptModel:
        return await self._get("/stop-receipt", StopReceiptModel)

    async def metrics(self) -> str:
        return (await self._send("GET", "/metrics", None, None)).text

    # -------------------------------------------------------------- acting

    async def emergency_stop(
        self, *, reason: str, by: str = "operator", close_positions: bool | None = None
    ) -> StopReceiptModel:
        ask = {"reason": reason, "by": by, "close_positions": close_positions}
        return await self._post("/emergency-stop", ask, StopReceiptModel)

    async def pause(self, *, reason: str, by: str = "operator") -> None:
        await self._send("POST", "/pause", None, {"reason": reason, "by": by})

    async def reset_challenge(self) -> ResetChallengeModel:
        return await self._post("/reset/challenge", {}, ResetChallengeModel)

    async def reset(self, *, word: str, note: str, by: str = "operator") -> None:
        await self._send("POST", "/reset", None, {"word": word, "note": note, "by": by})

    async def resume(self, *, by: str = "operator") -> None:
        await self._send("POST", "/resume", None, {"by": by})

    async def acknowledge_unknown(self, command_id: str, *, note: str, by: str = "operator") -> None:
        await self._send("POST", f"/unknown/{command_id}/acknowledge", None, {"note": note, "by": by})

    async def reenable_limit(self, name: str, *, note: str, by: str = "operator") -> None:
        await self._send("POST", f"/limits/{quote(name, safe='')}/reenable", None, {"note": note, "by": by})

    async def operate(self, ask: OperateAsk) -> ResultModel:
        return await self._post("/operate", ask.model_dump(mode="json", exclude_unset=True), ResultModel)

    async def alerts(self) -> AlertsModel:
        return await self._get("/alerts", AlertsModel)

    async def acknowledge_alert(self, alert_id: str, *, note: str = "", by: str = "operator") -> int:
        ask = {"note": note, "by": by}
        return (await self._post(f"/alerts/{alert_id}/acknowledge", ask, AcknowledgedModel)).acknowledged

    async def test_alerts(self, *, by: str = "operator") -> TargetsModel:
        return await self._post("/alerts/test", {"by": by}, TargetsModel)

    async def retry_brain(self) -> None:
        await self._send("POST", "/brain/retry", None, {})

    # -------------------------------------------------------------- the stream

    async def follow(self, interval_ms: int = 50) -> AsyncIterator[SnapshotModel]:
        """The whole picture after every change, at most one in `interval_ms` (50 to 60 000), until the connection ends (then
        EngineNotRunning).
        """
        follower = SnapshotFollower()
        try:
            async with connect(
                f"ws://127.0.0.1:{self._target.port}/stream?interval={interval_ms}",
                additional_headers=self._headers,
                proxy=None,
                compression=None,
                open_timeout=self._timeout,
                ping_interval=None,
                close_timeout=self._timeout,
                max_size=16 * 2**20,
            ) as socket:
                async for text in socket:
                    picture = follower.read(text)
                    if picture is None:
                        await socket.send("snapshot")
                    else:
                        yield picture
        except InvalidHandshake as fault:
            raise RequestRefused(403, "STREAM_REFUSED", f"The engine refused the stream: {fault}") from None
        except (OSError, ConnectionClosed, TimeoutError) as fault:
            raise _gone(fault) from None
        raise _gone(None)

    # -------------------------------------------------------------- how

    async def _get(
        self, path: str, model: type[Answer], query: Mapping[str, str | int] | None = None
    ) -> Answer:
        return _understood(await self._send("GET", path, query, None), model)

    async def _post(self, path: str, ask: Mapping[str, Any], model: type[Answer]) -> Answer:
        return _understood(await self._send("POST", path, None, ask), model)

    async def _send(
        self, method: str, path: str, query: Mapping[str, str | int] | None, ask: Mapping[str, Any] | None
    ) -> httpx.Response:
        try:
            response = await self._http.request(method, path, params=query, json=ask)
        except httpx.HTTPError as fault:
            raise _gone(fault) from None
        if response.is_success:
            return response
        try:
            said = FaultModel.model_validate_json(response.content)
        except ValidationError:
            said = FaultModel(
                code="FAILED", message=f"The engine answered {response.status_code}; see its log."
            )
        raise RequestRefused(response.status_code, said.code, said.message)


def _understood(response: httpx.Response, model: type[Answer]) -> Answer:
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise RequestRefused(
            response.status_code,
            "OTHER_VERSION",
            "The engine is of another version; restart it after an update.",
        ) from None


def _gone(fault: Exception | None) -> EngineNotRunning:
    detail = f" ({type(fault).__name__}: {fault})" if fault is not None and str(fault) else ""
    return EngineNotRunning(f"The engine does not answer{detail}. Is it still running? See `medulla doctor`.")
