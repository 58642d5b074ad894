"""The journal's hourly copies: made, counted, and a failed one said without stopping trading."""

from __future__ import annotations

from pathlib import Path

from app.domain.errors import JournalFailed
from app.domain.trading_state import TradingState
from tests.engine.bench import Bench

HOUR = 3600.0


async def test_a_copy_is_made_every_hour_and_a_failed_one_is_only_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path, backup_folder=tmp_path / "backups", backup_keep=3)
    await bench.start()
    try:
        assert bench.journal.backups == []
        await bench.pass_time(HOUR + 1, step=600)
        assert [(folder, keep) for folder, _, keep in bench.journal.backups] == [(tmp_path / "backups", 3)]

        async def broken(folder: Path, *, at: object, keep: int) -> Path:
            raise JournalFailed("the backup could not be written.")

        bench.journal.backup_into = broken  # type: ignore[method-assign]
        await bench.pass_time(HOUR, step=600)
        await bench.settle()
        assert "BACKUP_FAILED" in [report.code for report in bench.core.alerts.views]
        assert bench.core.latch.state is TradingState.ACTIVE
    finally:
        await bench.close()
