"""Settings and judgements in the words of the local API, for the engine's desk and for the file alone. Decides nothing."""

from __future__ import annotations

from app.api.settings_schemas import SettingChangeModel, SettingFaultModel, SettingModel
from app.settings.changes import Judgement
from app.settings.describe import SettingInfo
from app.settings.model import Settings


def setting(info: SettingInfo, now: Settings, *, origin: str, pending: bool) -> SettingModel:
    """One setting. `origin`: as shown; whether it may be changed here goes by where it really comes from."""
    in_file = info.origin.startswith(f"{now.config_path}:")
    return SettingModel(
        key=info.key,
        section=info.section,
        kind=info.kind,
        value=info.value,
        default=info.default,
        allowed=info.allowed,
        choices=info.choices,
        origin=origin,
        locked=info.origin != "default" and not in_file,
        effect=info.effect,
        meaning=info.meaning,
        money=info.money,
        secret=info.secret,
        pending=pending,
    )


def changes_of(judged: Judgement) -> tuple[SettingChangeModel, ...]:
    return tuple(SettingChangeModel.model_validate(change) for change in judged.changes)


def faults_of(judged: Judgement) -> tuple[SettingFaultModel, ...]:
    return tuple(SettingFaultModel.model_validate(fault) for fault in judged.faults)
