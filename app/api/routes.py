"""The local API's routes: each hands its request to EngineControl or the journal and puts the answer into a model of the schemas.

They decide nothing; what is refused is refused in words. No socket and no token belong here: server.py carries the routes,
guard.py keeps strangers out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from fastapi import FastAPI, Request, Response, WebSocket
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException as RoutingFault

from app.api.actions import action_of
from app.api.asks import (
    AcknowledgeAsk,
    ByAsk,
    NoteAsk,
    OperateAsk,
    PauseAsk,
    ResetAsk,
    StopAsk,
)
from app.api.schemas import (
    AcknowledgedModel,
    AlertModel,
    AlertsModel,
    CommandHistoryModel,
    CommandModel,
    CommandsModel,
    DoneModel,
    EquityModel,
    EquityPointModel,
    FaultModel,
    HealthModel,
    JournalRowModel,
    JournalRowsModel,
    OrderModel,
    OrdersModel,
    PositionModel,
    PositionsModel,
    QuoteModel,
    QuotesModel,
    ResetChallengeModel,
    ResultModel,
    StatusModel,
    StopReceiptModel,
    TargetModel,
    TargetsModel,
)
from app.api.settings_routes import End, SettingsDesk, add_engine_routes, add_settings_routes
from app.api.stream import serve_stream
from app.domain.errors import (
    ConfigurationError,
    IllegalTransition,
    InvalidValue,
    JournalFailed,
    TerminalUnavailable,
)
from app.domain.values import CommandId
from app.engine.control import EngineControl, Refused
from app.protocol import strict_json

JOURNAL_TIMEOUT = 5.0
"""Seconds a reader waits for the journal. A stop never waits for it."""
_MOST_ROWS = 1000
_MOST_HOURS = 168
_LONGEST_NAME = 64
"""Characters of a field's name that a refusal quotes: the name is whatever the sender wrote."""

Asked = TypeVar("Asked", bound=BaseModel)
Read = TypeVar("Read")
Fault = TypeVar("Fault", bound=Exception)


def _reply(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


def _fault(status: int, code: str, message: str) -> Response:
    return _reply(FaultModel(code=code, message=message), status)


class _BadRequest(Exception):
    """What was asked cannot be understood; nothing was done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


async def _asked(request: Request, model: type[Asked]) -> Asked:
    """The body, read as strictly as a brain's frame; an empty one stands for all defaults."""
    raw = await request.body()
    try:
        return model.model_validate(strict_json.loads(raw) if raw.strip() else {})
    except strict_json.InvalidJson as fault:
        raise _BadRequest("INVALID_JSON", str(fault)) from None
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        shown = field if len(field) <= _LONGEST_NAME else field[: _LONGEST_NAME - 1] + "…"
        raise _BadRequest("INVALID_REQUEST", f"{shown}: {first['msg']}") from None


async def _in_time(reading: Awaitable[Read]) -> Read:
    async with asyncio.timeout(JOURNAL_TIMEOUT):
        return await reading


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and least <= int(text) <= most):
        raise _BadRequest("INVALID_REQUEST", f"{name}: must be a whole number from {least} to {most}")
    return int(text)


def create_app(
    control: EngineControl,
    warnings: Sequence[str] = (),
    settings: SettingsDesk | None = None,
    end: End | None = None,
) -> FastAPI:
    """The routes alone, without guard or socket. Without a desk or an end their routes are not there."""
    app = FastAPI(title="Medulla", docs_url=None, redoc_url=None, openapi_url=None)
    _add_looking(app, control, tuple(warnings))
    _add_acting(app, control)
    if settings is not None:
        add_settings_routes(app, settings, _asked)
    if end is not None:
        add_engine_routes(app, end, _asked)
    _add_faults(app)
    return app


def _add_looking(app: FastAPI, control: EngineControl, warnings: tuple[str, ...]) -> None:
    @app.get("/health")
    async def health() -> Response:
        return _reply(HealthModel(alive=True, ready=control.snapshot().ready))

    @app.get("/status")
    async def status() -> Response:
        model = StatusModel.model_validate(control.snapshot())
        return _reply(model.model_copy(update={"warnings": warnings}))

    @app.get("/positions")
    async def positions() -> Response:
        rows = tuple(PositionModel.model_validate(row) for row in control.snapshot().positions)
        return _reply(PositionsModel(positions=rows))

    @app.get("/orders")
    async def orders() -> Response:
        rows = tuple(OrderModel.model_validate(row) for row in control.snapshot().orders)
        return _reply(OrdersModel(orders=rows))

    @app.get("/quotes")
    async def quotes() -> Response:
        rows = tuple(QuoteModel.model_validate(row) for row in control.snapshot().quotes)
        return _reply(QuotesModel(quotes=rows))

    @app.get("/commands")
    async def commands(request: Request) -> Response:
        limit = _number(request, "limit", 200, 1, 200)
        rows = tuple(CommandModel.model_validate(row) for row in control.snapshot().commands[:limit])
        return _reply(CommandsModel(commands=rows))

    @app.get("/commands/{command_id}")
    async def command(command_id: str) -> Response:
        wanted = CommandId(command_id)
        record = await _in_time(control.journal.command(wanted))
        if record is None:
            return _fault(404, "UNKNOWN_COMMAND", f"The journal has no command {wanted}.")
        rows = await _in_time(control.journal.rows(command_id=wanted, limit=_MOST_ROWS))
        return _reply(
            CommandHistoryModel(
                command_id=record.command_id,
                state=record.state.value,
                received_at=record.received_at,
                dispatched_at=record.dispatched_at,
                tag=record.tag,
                results=tuple(ResultModel.model_validate(result) for result in record.results),
                rows=tuple(JournalRowModel.model_validate(row) for row in rows),
            )
        )

    @app.get("/journal/rows")
    async def journal_rows(request: Request) -> Response:
        after = _number(request, "after", 0, 0, 2**62)
        limit = _number(request, "limit", 500, 1, _MOST_ROWS)
        rows = await _in_time(control.journal.rows(after=after, limit=limit))
        return _reply(
            JournalRowsModel(
                rows=tuple(JournalRowModel.model_validate(row) for row in rows),
                next_after=rows[-1].seq if rows else after,
            )
        )

    @app.get("/alerts")
    async def alerts() -> Response:
        shot = control.snapshot()
        return _reply(
            AlertsModel(
                alerts=tuple(AlertModel.model_validate(row) for row in shot.alerts),
                targets=tuple(TargetModel.model_validate(row) for row in shot.alert_targets),
            )
        )

    @app.get("/equity")
    async def equity(request: Request) -> Response:
        hours = _number(request, "hours", 24, 1, _MOST_HOURS)
        now = control.snapshot()
        if now.account is None:
            return _reply(EquityModel(account=None, samples=()))
        samples = await _in_time(
            control.journal.equity_since(now.account.login, now.at - timedelta(hours=hours))
        )
        return _reply(
            EquityModel(
                account=now.account.login,
                samples=tuple(
                    EquityPointModel(
                        at=sample.at, balance=sample.balance, equity=sample.equity, peak=sample.peak_equity
                    )
                    for sample in samples
                ),
            )
        )

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(control.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/stop-receipt")
    async def stop_receipt() -> Response:
        receipt = control.stop_receipt()
        if receipt is None:
            return _fault(
                404, "NEVER_STOPPED", "There was no emergency stop in this run, and none is latched."
            )
        return _reply(StopReceiptModel.model_validate(receipt))

    @app.websocket("/stream")
    async def stream(websocket: WebSocket) -> None:
        await serve_stream(websocket, control, warnings)


def _add_acting(app: FastAPI, control: EngineControl) -> None:
    @app.post("/emergency-stop")
    async def emergency_stop(request: Request) -> Response:
        ask = await _asked(request, StopAsk)
        receipt = await control.stop(reason=ask.reason, by=ask.by, close_positions=ask.close_positions)
        return _reply(StopReceiptModel.model_validate(receipt))

    @app.post("/pause")
    async def pause(request: Request) -> Response:
        ask = await _asked(request, PauseAsk)
        await control.pause(reason=ask.reason, by=ask.by)
        return _reply(DoneModel())

    @app.post("/reset/challenge")
    async def reset_challenge() -> Response:
        return _reply(ResetChallengeModel.model_validate(dict(await control.reset_challenge())))

    @app.post("/reset")
    async def reset(request: Request) -> Response:
        ask = await _asked(request, ResetAsk)
        await control.reset(word=ask.word, by=ask.by, note=ask.note)
        return _reply(DoneModel())

    @app.post("/resume")
    async def resume(request: Request) -> Response:
        ask = await _asked(request, ByAsk)
        await control.resume(by=ask.by)
        return _reply(DoneModel())

    @app.post("/unknown/{command_id}/acknowledge")
    async def acknowledge(command_id: str, request: Request) -> Response:
        ask = await _asked(request, NoteAsk)
        await control.acknowledge_unknown(CommandId(command_id), by=ask.by, note=ask.note)
        return _reply(DoneModel())

    @app.post("/limits/{name:path}/reenable")
    async def reenable(name: str, request: Request) -> Response:
        ask = await _asked(request, NoteAsk)
        await control.reenable_limit(name, by=ask.by, note=ask.note)
        return _reply(DoneModel())

    @app.post("/alerts/test")
    async def test_alerts(request: Request) -> Response:
        ask = await _asked(request, ByAsk)
        targets = await control.test_alerts(by=ask.by)
        return _reply(TargetsModel(targets=tuple(TargetModel.model_validate(row) for row in targets)))

    @app.post("/alerts/{alert_id}/acknowledge")
    async def acknowledge_alert(alert_id: str, request: Request) -> Response:
        ask = await _asked(request, AcknowledgeAsk)
        done = await control.acknowledge_alert(alert_id, by=ask.by, note=ask.note)
        return _reply(AcknowledgedModel(acknowledged=done))

    @app.post("/operate")
    async def operate(request: Request) -> Response:
        ask = await _asked(request, OperateAsk)
        result = await control.operate(action_of(ask), by=ask.by)
        return _reply(ResultModel.model_validate(result))

    @app.post("/brain/retry")
    async def retry_brain() -> Response:
        control.retry_brain()
        return _reply(DoneModel())


def _add_faults(app: FastAPI) -> None:
    def on(kind: type[Fault], answer: Callable[[Fault], Response]) -> None:
        async def handle(_request: Request, fault: Exception) -> Response:
            if not isinstance(fault, kind):
                raise fault
            return answer(fault)

        app.add_exception_handler(kind, handle)

    on(Refused, lambda fault: _fault(409, fault.code, str(fault)))
    on(_BadRequest, lambda fault: _fault(400, fault.code, str(fault)))
    on(InvalidValue, lambda fault: _fault(400, "INVALID_REQUEST", str(fault)))
    on(ConfigurationError, lambda fault: _fault(409, "CONFIGURATION_WRONG", str(fault)))
    on(IllegalTransition, lambda fault: _fault(409, "NOT_POSSIBLE", str(fault)))
    on(
        TerminalUnavailable,
        lambda fault: _fault(503, "TERMINAL_LOST", f"No terminal is connected; nothing was sent. {fault}"),
    )
    on(
        JournalFailed,
        lambda fault: _fault(503, "JOURNAL_FAILED", f"The journal failed; trading is stopped. {fault}"),
    )
    on(
        TimeoutError,
        lambda _fault_: _fault(
            504, "TIMED_OUT", "No answer in time; look at the status before asking again."
        ),
    )
    on(RoutingFault, _routing_fault)


def _routing_fault(fault: RoutingFault) -> Response:
    words = {
        404: ("NO_SUCH_ROUTE", "There is no such address."),
        405: ("WRONG_METHOD", "Not with this method."),
    }
    code, message = words.get(fault.status_code, ("FAILED", str(fault)))
    return _fault(fault.status_code, code, message)
