"""The routes for settings and for the engine's end. Whether a change is allowed, what it means and where it is written is the
SettingsDesk's to say; here it only gets its words on the wire.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from app.api.schemas import DoneModel
from app.api.settings_schemas import (
    AppliedModel,
    EndAsk,
    JudgedModel,
    SecretAsk,
    SettingFaultModel,
    SettingsApplyAsk,
    SettingsCheckAsk,
    SettingsFault,
    SettingsModel,
)

Asked = TypeVar("Asked", bound=BaseModel)


class Reader(Protocol):
    """Reads a request's body as strictly as the rest of the API."""

    async def __call__(self, request: Request, model: type[Asked]) -> Asked: ...


class SettingsRefused(Exception):
    """The asked values are wrong; nothing was written."""

    def __init__(self, errors: tuple[SettingFaultModel, ...]) -> None:
        super().__init__(
            "; ".join(f"{fault.key}: {fault.rule}" if fault.key else fault.rule for fault in errors)
        )
        self.errors = errors


class SettingsDesk(Protocol):
    """Settings of the running engine. Methods run on the engine's loop and must not block it."""

    async def describe(self) -> SettingsModel:
        """Raises ConfigurationError when the files as they are now cannot be read."""

    async def check(self, ask: SettingsCheckAsk) -> JudgedModel: ...

    async def apply(self, ask: SettingsApplyAsk) -> AppliedModel:
        """Write the file, put limits in force, journal it. Raises SettingsRefused, Refused (CONFIRM_REQUIRED, REASON_REQUIRED,
        NOT_WRITTEN); nothing has changed then.
        """

    async def set_secret(self, ask: SecretAsk) -> None:
        """Into the keyring. Raises Refused('KEYRING_UNUSABLE')."""


End = Callable[[str, str], Awaitable[None]]
"""(reason, by): the engine begins to end in good order."""


def add_settings_routes(app: FastAPI, desk: SettingsDesk, asked: Reader) -> None:
    """`GET /settings`, `POST /settings/check`, `/settings/apply`, `/settings/secret`."""

    @app.get("/settings")
    async def settings() -> Response:
        return _reply(await desk.describe())

    @app.post("/settings/check")
    async def check(request: Request) -> Response:
        return _reply(await desk.check(await asked(request, SettingsCheckAsk)))

    @app.post("/settings/apply")
    async def apply(request: Request) -> Response:
        return _reply(await desk.apply(await asked(request, SettingsApplyAsk)))

    @app.post("/settings/secret")
    async def secret(request: Request) -> Response:
        await desk.set_secret(await asked(request, SecretAsk))
        return _reply(DoneModel())

    async def refused(_request: Request, fault: Exception) -> Response:
        errors = fault.errors if isinstance(fault, SettingsRefused) else ()
        said = SettingsFault(code="INVALID_SETTINGS", message=f"Nothing was written. {fault}", errors=errors)
        return _reply(said, 400)

    app.add_exception_handler(SettingsRefused, refused)


def add_engine_routes(app: FastAPI, end: End, asked: Reader) -> None:
    """`POST /engine/end`."""

    @app.post("/engine/end")
    async def end_engine(request: Request) -> Response:
        ask = await asked(request, EndAsk)
        await end(ask.reason, ask.by)
        return _reply(DoneModel())


def _reply(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")
