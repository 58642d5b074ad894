"""Alerts on their way: bounds, reminders until somebody has seen them, what a restart remembers, targets that are down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.domain.alert_rules import AlertRules
from app.domain.events import AlertAcknowledged, AlertRaised
from app.engine.control import Refused
from tests.engine.bench import Bench, running
from tests.fakes.alert_sender import FakeAlertSender


def sending(tmp_path: Path, **rules: Any) -> Any:
    return running(tmp_path, alert_sender=FakeAlertSender(), alert_rules=AlertRules(**rules))


def sender(bench: Bench) -> FakeAlertSender:
    made = bench.core.alert_sender
    assert isinstance(made, FakeAlertSender)
    return made


# ------------------------------------------------------------------ what goes out


async def test_what_is_serious_enough_goes_out_with_executor_and_time(tmp_path: Path) -> None:
    async with sending(tmp_path) as bench:
        bench.core.alarm("info", "PERMISSION_BACK", "not worth a message")
        bench.core.alarm("warning", "LATENCY_HIGH", "it took 1500 ms")
        [sent] = sender(bench).sent
        assert (sent.severity, sent.title) == ("warning", "Medulla exec_001: WARNING LATENCY_HIGH")
        assert sent.body == f"it took 1500 ms\n{bench.clock.now():%Y-%m-%d %H:%M:%S} UTC"


async def test_a_storm_is_one_message_that_counts_the_rest(tmp_path: Path) -> None:
    async with sending(tmp_path) as bench:
        for _ in range(500):
            bench.core.alarm("warning", "FLAPPING", "again")
        assert sender(bench).titles == ["WARNING FLAPPING"]
        bench.core.alarm("warning", "OTHER", "something else")
        assert "499 more were not sent one by one: FLAPPING 499x" in sender(bench).sent[-1].body
        assert len(bench.core.alerts.views) == 200


async def test_what_was_held_back_is_told_even_if_nothing_more_happens(tmp_path: Path) -> None:
    async with sending(tmp_path) as bench:
        for _ in range(3):
            bench.core.alarm("warning", "FLAPPING", "again")
        await bench.pass_time(62, step=1)
        assert sender(bench).titles == ["WARNING FLAPPING", "WARNING further alerts"]
        assert "2 more were not sent one by one: FLAPPING 2x" in sender(bench).sent[-1].body
        await bench.pass_time(200, step=1)
        assert len(sender(bench).sent) == 2


async def test_chatter_leaves_room_for_a_stop(tmp_path: Path) -> None:
    async with sending(tmp_path, per_hour=8, repeat_minutes=0) as bench:
        for number in range(20):
            bench.core.alarm("warning", f"W{number}", "chatter")
        bench.core.alarm("critical", "STOPPED", "emergency stop")
        assert sender(bench).titles.count("CRITICAL STOPPED") == 1
        assert len(sender(bench).sent) == 7


async def test_without_a_target_nothing_is_counted_or_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.core.alarm("critical", "TERMINAL_LOST", "gone")
        await bench.pass_time(400, step=1)
        assert [alert.code for alert in bench.core.alerts.unacknowledged] == ["TERMINAL_LOST"]
        with pytest.raises(Refused) as refused:
            await bench.engine.operator.test_alerts(by="ann")
        assert refused.value.code == "NO_TARGETS"


# ------------------------------------------------------------------ until somebody has seen it


async def test_critical_alerts_come_again_in_one_message_until_acknowledged(tmp_path: Path) -> None:
    async with sending(tmp_path) as bench:
        bench.core.alarm("critical", "ONE", "first thing")
        bench.core.alarm("warning", "NO", "no reminder for this")
        await bench.pass_time(100, step=1)
        bench.core.alarm("critical", "TWO", "second thing")
        await bench.pass_time(201, step=1)
        assert sender(bench).titles[-1] == "CRITICAL not acknowledged yet"
        body = sender(bench).sent[-1].body
        assert "first thing" in body
        assert "second thing" in body
        assert "no reminder" not in body
        assert "medulla alerts ack" in body
        one, two = bench.core.alerts.unacknowledged
        await bench.engine.operator.acknowledge_alert(one.alert_id, by="ann", note="saw it")
        await bench.pass_time(301, step=1)
        assert "first thing" not in sender(bench).sent[-1].body
        assert "second thing" in sender(bench).sent[-1].body
        count = len(sender(bench).sent)
        await bench.engine.operator.acknowledge_alert(two.alert_id, by="ann", note="")
        await bench.pass_time(700, step=1)
        assert len(sender(bench).sent) == count


async def test_the_next_critical_one_begins_the_reminders_anew(tmp_path: Path) -> None:
    async with sending(tmp_path, repeat_minutes=1) as bench:
        for _ in range(2):
            bench.core.alarm("critical", "ONE", "thing")
            await bench.pass_time(62, step=1)
            assert sender(bench).titles[-2:] == ["CRITICAL ONE", "CRITICAL not acknowledged yet"]
            await bench.engine.operator.acknowledge_alert("all", by="ann", note="")
            await bench.pass_time(120, step=1)
        assert len(sender(bench).sent) == 4


async def test_reminders_can_be_switched_off(tmp_path: Path) -> None:
    async with sending(tmp_path, repeat_minutes=0) as bench:
        bench.core.alarm("critical", "ONE", "thing")
        await bench.pass_time(700, step=1)
        assert sender(bench).titles == ["CRITICAL ONE"]


async def test_a_reminder_says_what_is_over_and_how_many_there_are(tmp_path: Path) -> None:
    async with sending(tmp_path) as bench:
        for number in range(7):
            bench.core.alarm("critical", f"C{number}", "thing")
        bench.core.alarm("info", "BACK", "better", ends=("C6",))
        await bench.pass_time(301, step=1)
        body = sender(bench).sent[-1].body
        assert "7 in all; the latest:" in body
        assert "C1 " not in body
        assert f"C6 (12:00 UTC, over since {bench.core.alerts.views[0].at:%H:%M})" in body


async def test_acknowledging_is_journalled_once_and_unknown_ids_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        bench.core.alarm("critical", "ONE", "thing")
        [alert] = bench.core.alerts.views
        operator = bench.engine.operator
        assert await operator.acknowledge_alert(alert.alert_id, by="ann", note="on it") == 1
        assert await operator.acknowledge_alert(alert.alert_id, by="bob", note="") == 0
        with pytest.raises(Refused) as refused:
            await operator.acknowledge_alert("nonsense", by="ann", note="")
        assert refused.value.code == "UNKNOWN_ALERT"
        seen = [event for event in bench.journal.events if isinstance(event, AlertAcknowledged)]
        assert [(event.alert_id, event.by, event.note) for event in seen] == [
            (alert.alert_id, "ann", "on it")
        ]
        [shown] = operator.snapshot().alerts
        assert (shown.acknowledged_by, shown.acknowledged_at) == ("ann", bench.clock.now())


# ------------------------------------------------------------------ over a restart


async def test_what_nobody_has_seen_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with sending(tmp_path) as first:
        for number in range(3):
            first.core.alarm("critical", f"C{number}", "thing")
        await first.engine.operator.acknowledge_alert(first.core.alerts.views[0].alert_id, by="ann", note="")
        journal = first.journal
        ids = [alert.alert_id for alert in first.core.alerts.unacknowledged]
    journal.closed = False
    target = FakeAlertSender()
    second = Bench(tmp_path, journal=journal, alert_sender=target)
    second.clock.advance(3600)
    second.core.alerts._prefix = "second"
    second.stop.start()
    await second.engine.start()
    try:
        assert [alert.alert_id for alert in second.core.alerts.unacknowledged] == ids
        await second.pass_time(301, step=1)
        assert target.titles == ["CRITICAL not acknowledged yet"]
        assert await second.engine.operator.acknowledge_alert(ids[0], by="bob", note="") == 1
    finally:
        await second.close()


async def test_of_very_many_the_newest_are_remembered(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        for number in range(250):
            first.core.alarm("critical", f"C{number}", "thing")
        journal = first.journal
    journal.closed = False
    second = Bench(tmp_path, journal=journal)
    second.core.alerts._prefix = "second"
    second.core.alarm("warning", "EARLY", "before the journal was read")
    second.stop.start()
    await second.engine.start()
    try:
        codes = [alert.code for alert in second.core.alerts.views]
        assert codes[:3] == ["EARLY", "C249", "C248"]
        assert len(codes) == 200
    finally:
        await second.close()


async def test_yesterdays_alerts_are_history(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        first.core.alarm("critical", "OLD", "thing")
        journal = first.journal
    journal.closed = False
    second = Bench(tmp_path, journal=journal)
    second.clock.advance(25 * 3600)
    second.stop.start()
    await second.engine.start()
    try:
        assert second.core.alerts.views == ()
    finally:
        await second.close()


async def test_rows_of_before_alerts_had_ids_are_read(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        first.core.write(AlertRaised(first.clock.now(), "critical", "OLD", "thing"))
        journal = first.journal
    journal.closed = False
    bench = Bench(tmp_path, journal=journal)
    bench.stop.start()
    await bench.engine.start()
    try:
        assert bench.core.alerts.views == ()
    finally:
        await bench.close()


# ------------------------------------------------------------------ targets


async def test_a_target_that_is_down_is_told_once_in_the_window_and_its_return(tmp_path: Path) -> None:
    async with sending(tmp_path) as bench:
        for _ in range(2):
            sender(bench).fault = "HTTP 500"
            await bench.pass_time(5, step=0.5)
            sender(bench).fault = None
            await bench.pass_time(5, step=0.5)
        codes = [alert.code for alert in reversed(bench.core.alerts.views)]
        assert codes == ["ALERT_NOT_SENT", "ALERT_SENT"] * 2
        assert "HTTP 500" in bench.core.alerts.views[-1].message


async def test_a_test_goes_out_whatever_the_bounds_and_says_how_it_was_taken(tmp_path: Path) -> None:
    async with sending(tmp_path, minimum_level="critical", per_hour=1) as bench:
        bench.core.alarm("critical", "ONE", "thing")
        sender(bench).fault = "no answer"
        [target] = await bench.engine.operator.test_alerts(by="ann")
        assert (target.name, target.fault) == ("1 fake", "no answer")
        [sent] = sender(bench).tests
        assert "ann" in sent.body
