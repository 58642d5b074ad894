"""Bad frames at a running executor over its real sockets, replays of a recorded session, and a disk that fails under it.

Everything is counted in the terminal's own ledger. `python -m tests.faults.fuzz_live --frames 20000 [--results DIR]` is the long
form; the short one is test_fuzz_live.py.
"""

from __future__ import annotations

import argparse
import errno
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import zmq

from tests.end_to_end.harness import World, ask_engine, until
from tests.end_to_end.scripted_brain import KEY_ID, ScriptedBrain, outcome
from tests.faults.common_results import Result, hand_in
from tests.faults.disk_shim import environment
from tests.faults.full_disk import BUY, LONG, on_a_full_disk, told_stopped
from tests.faults.fuzz_api import ApiTarget
from tests.faults.fuzz_brain import BrainTarget
from tests.faults.fuzz_source import Spoiler

FRAMES = "frames at the brain link's socket"
"""What the report counts first."""
BATCH = 250
"""Frames between two questions whose answers show that all before them were read."""
KEPT_OUT = ("EMERGENCY_STOP", "WELCOME", "HEARTBEAT")
"""A stop is obeyed unsigned, and the two others set the clock: right as they are, they would end what is tried here."""


def fresh_session(brain: ScriptedBrain, act: Callable[[], object]) -> None:
    """What is done ends the session; afterwards the next one has told its STATE."""
    after, session = brain.mark(), brain.sessions
    act()
    brain.heard("STATE", lambda heard: heard.session > session, after=after, timeout=LONG)


def begin(world: World, environment: Mapping[str, str] | None = None) -> None:
    """Start an executor that is reconciled and has a session."""
    fresh_session(world.brain, lambda: world.start_executor(environment=environment, ready=False))
    until(lambda: ask_engine(world.folder, "GET", "/status")[1]["ready"] is True, "reconciled", timeout=LONG)


class LiveTarget:
    """A world whose executor is under fire."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.brain = world.brain
        self.spoiler = Spoiler(seed)
        self.frames = BrainTarget(
            seed, key=self.brain._signing, key_id=KEY_ID, executor=self.brain.executor_id
        )
        self.requests = ApiTarget(seed)
        self.tried: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.marks = 0

    def expect(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)

    # ------------------------------------------------------------ the brain's socket

    def brain_frames(self, number: int) -> None:
        """Spoiled frames on the brain's connection; it must hold, and no book may grow but by refusals."""
        before, sessions = len(self.world.ledger()), self.brain.sessions
        sent = 0
        while sent < number:
            frame, _ = self.frames.frame()
            if any(word in frame for word in KEPT_OUT):
                continue
            self.brain.say(self.spoiler.bytes_of(frame))
            sent += 1
            if sent % BATCH == 0 or sent == number:
                self._all_read()
        self.tried[FRAMES] += sent
        self.expect(self.brain.sessions == sessions, "a bad frame cost the connection")
        self.expect(
            len(self.world.ledger()) == before, "a spoiled or stale frame had an effect at the broker"
        )

    def _all_read(self) -> None:
        self.marks += 1
        name = f"mark-{self.marks}"
        self.brain.say({"type": "GET_STATE", "requestId": name})
        self.brain.heard(
            "STATE",
            lambda heard: heard.body.get("requestId") == name,
            after=max(0, self.brain.mark() - 3 * BATCH),
        )

    def flipped(self, number: int) -> None:
        """One bit turned in frames that would trade at once."""
        before = len(self.world.ledger())
        chance = self.spoiler.random
        for index in range(number):
            frame = bytearray(
                self.brain.signed(self.brain.envelope(BUY, f"flip-{self.marks}-{index}")).encode()
            )
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            if not any(word.encode() in frame for word in KEPT_OUT):
                self.brain.say(bytes(frame))
        self._all_read()
        self.tried["fresh signed frames with one bit turned"] += number
        self.expect(len(self.world.ledger()) == before, "a frame with a bit turned traded")

    # ------------------------------------------------------------ the other sockets

    def api_requests(self, number: int) -> None:
        """Spoiled requests on the local API's socket: those that a right token would let act are kept out."""
        engine = json.loads((self.world.folder / "engine.json").read_text())
        chance = self.spoiler.random
        for _ in range(number):
            asked = self.requests._request()
            held = chance.choice(("", "x" * 24))
            lines = [
                f"{asked.method or 'GET'} {asked.path or '/'}?{asked.query[:200]} HTTP/1.1".encode(
                    "latin-1", "replace"
                )
            ]
            lines += [
                f"Host: 127.0.0.1:{engine['api_port']}".encode(),
                f"Content-Length: {len(asked.body)}".encode(),
            ]
            lines += [f"Authorization: Bearer {held}".encode()] if held else []
            raw = b"\r\n".join([*lines, b"", asked.body])
            if chance.random() < 0.3:
                raw = self.spoiler.text(raw.decode("latin-1")).encode("latin-1", "replace")
            _throw(engine["api_port"], raw)
        self.tried["requests at the local API's socket"] += number

    def stop_lines(self, number: int) -> None:
        """Lines at the stop thread's socket without its token: none of them may stop anything."""
        port = json.loads((self.world.folder / "engine.json").read_text())["stop_port"]
        good = {"cmd": "stop", "token": "x" * 43, "reason": "fuzz", "by": "fuzz"}
        for _ in range(number):
            _throw(port, self.spoiler.bytes_of(self.spoiler.spoil(good)) + b"\n")
        self.tried["lines at the stop's socket"] += number
        self.expect(self._state() == "ACTIVE", "a line without the token stopped trading")

    def terminal_frames(self, number: int) -> None:
        """Messages of strangers at the terminal's command port."""
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f"tcp://127.0.0.1:{self.world._ports['command_port']}")
        body = {
            "v": 1,
            "from": "executor",
            "sid": "",
            "id": 0,
            "epoch": 0,
            "ts": 0,
            "ttl": 5000,
            "cmd": "hello",
            "args": {},
        }
        chance = self.spoiler.random
        for _ in range(number):
            parts = [self.spoiler.bytes_of(self.spoiler.spoil(body)), chance.randbytes(32)]
            dealer.send_multipart(parts[: chance.choice((1, 2, 2, 2))])
        self.expect(not dealer.poll(50), "a stranger got an answer from the terminal")
        context.destroy(linger=0)
        self.tried["messages at the terminal's socket"] += number

    # ------------------------------------------------------------ and then

    def _state(self) -> str:
        return str(ask_engine(self.world.folder, "GET", "/status")[1]["status"]["state"])

    def trades(self, number: int = 3) -> list[str]:
        """It lives and trades: fresh session, good commands, each done once. Gives their ids."""
        if not self.world.executor.alive:
            self.wrong.append(f"the executor died: {self.world.executor.words()}")
            return []
        fresh_session(self.brain, self.brain.hang_up)
        ids = [
            self.brain.order(BUY, f"good-{self.marks}-{index}-{self.tried['good commands']}")
            for index in range(number)
        ]
        for command_id, end in self.brain.ends_of(ids).items():
            self.expect(outcome(end) == "EXECUTED", f"{command_id} ended as {outcome(end)}")
        self.tried["good commands"] += number
        return ids

    def replays(self, times: int) -> None:
        """Everything that was ever sent rightly, again: as it is, after a reconnection, after a kill and a restart."""
        for _ in range(times):
            self.replay()
        fresh_session(self.brain, self.brain.hang_up)
        self.replay()
        self.world.executor.kill()
        begin(self.world)
        self.replay()

    def replay(self) -> None:
        """Every frame that was ever sent rightly, once more, byte for byte."""
        before = Counter(line["cid"] for line in self.world.ledger())
        ids = sorted(self.brain.frames)
        self.brain.send_again(ids)
        self._all_read()
        self.tried["frames sent again"] += len(ids)
        after = Counter(line["cid"] for line in self.world.ledger())
        self.expect(after == before, "a replayed frame had an effect")


def _throw(port: int, raw: bytes) -> None:
    """Write and look at what comes, if anything does; a connection that is shut in our face is an answer too."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


# ------------------------------------------------------------------ the disk


class BadDisk:
    """An executor whose journal's files fail on command, or are taken away. Each trial is a life of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.brain = world.brain
        self.rules = world.folder / "disk.rules"
        self.wrong: list[str] = []
        self.tried = 0

    @property
    def shim(self) -> Mapping[str, str]:
        """What an executor needs so that its files can be made to fail."""
        return environment(self.world.folder, faults=self.rules)

    def trial(
        self, name: str, strike: Callable[[], None], mend: Callable[[], None], *, begun: bool = False
    ) -> None:
        """Trade, strike while commands come, look; start anew on the mended disk, look again."""
        world, brain = self.world, self.brain
        self.tried += 1
        self.rules.write_text("")
        if not begun:
            world.executor.end()
            begin(world, self.shim)
        brain.do(BUY, f"before-{self.tried}")
        mark = brain.mark()
        strike()
        ids = [brain.order(BUY, f"during-{self.tried}-{index}") for index in range(4)]
        try:
            brain.wait(lambda: told_stopped(brain, mark), "told that trading stopped", timeout=LONG)
        except AssertionError:
            self.wrong.append(f"{name}: the brain was not told that trading stopped")
            return
        late = [brain.order(BUY, f"late-{self.tried}-{index}") for index in range(3)]
        until(
            lambda: _halted(world.folder),
            f"{name}: HALTED",
        )
        told = ask_engine(world.folder, "GET", "/status")[1]["status"]["reason"]
        if "journal" not in told:
            self.wrong.append(f"{name}: the reason is {told!r}")
        self._nothing_sent(name, late)
        world.executor.kill()
        mend()
        begin(world)
        if not _halted(world.folder):
            self.wrong.append(f"{name}: the stop did not outlive the restart")
        self._all_kept(name, [f"before-{self.tried}", *ids])
        self._nothing_sent(name, late)
        world.release()
        end = brain.do(BUY, f"after-{self.tried}")
        if outcome(end) != "EXECUTED":
            self.wrong.append(f"{name}: trading afterwards ended as {outcome(end)}")

    def _nothing_sent(self, name: str, late: list[str]) -> None:
        traded = [command_id for command_id in late if self.world.ledger(command_id)]
        if traded:
            self.wrong.append(f"{name}: {traded} reached the broker after the stop")

    def _all_kept(self, name: str, ids: list[str]) -> None:
        """What was accepted is in the journal; what the broker did is known to it; nothing was done twice."""
        journal = self.world.journal()
        for command_id in ids:
            accepted = any(ack["status"] == "ACCEPTED" for ack in self.brain.acks[command_id])
            effects = self.world.ledger(command_id)
            if (accepted or effects) and command_id not in journal:
                self.wrong.append(f"{name}: {command_id} was accepted or traded and is not in the journal")
            if len(effects) > 1:
                self.wrong.append(f"{name}: {command_id} traded {len(effects)} times")


def _halted(folder: Path) -> bool:
    return bool(ask_engine(folder, "GET", "/status")[1]["status"]["state"] == "HALTED")


def disk_trials(bad: BadDisk) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """What is done to the disk, and how it is mended."""
    journal = bad.world.journal_file

    def fails(call: str, part: str, error: int, skip: int = 0) -> Callable[[], None]:
        def strike() -> None:
            bad.rules.write_text(f"{call} {part} {error} {skip}\n")

        return strike

    def well() -> None:
        bad.rules.write_text("")

    log = journal.with_name("journal.db-wal")
    return {
        "I/O error on sync": (fails("sync", "journal.db-wal", errno.EIO), well),
        "the log is removed": (log.unlink, well),
        "disk full": (fails("write", "journal.db-wal", errno.ENOSPC, 3), well),
        "I/O error on read": (fails("read", "journal.db", errno.EIO), well),
        "read-only after an error of the file system": (fails("write", "journal.db", errno.EROFS), well),
    }


# ------------------------------------------------------------------ the long form


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=20_000, help="over all sockets together")
    options.add_argument("--seed", type=int, default=20261121)
    options.add_argument("--results", type=Path)
    given = options.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medulla-live-") as temporary:
        folder = Path(temporary)
        world = World(folder / "world")
        try:
            world.brain.open()
            world.start_terminal()
            world.configure()
            begin(world)
            target = LiveTarget(world, given.seed)
            target.trades(20)
            for _ in range(4):
                share = given.frames // 4
                target.brain_frames(share * 70 // 100)
                target.flipped(share * 5 // 100)
                target.terminal_frames(share * 15 // 100)
                target.api_requests(share * 8 // 100)
                target.stop_lines(share * 2 // 100)
                target.trades()
            target.replays(3)
            target.trades()
            bad = BadDisk(world)
            for name, (strike, mend) in disk_trials(bad).items():
                bad.trial(name, strike, mend)
        finally:
            world.close()
        full, _seconds = on_a_full_disk(folder)
    wrong = target.wrong + bad.wrong + [text for trial in full for text in trial.wrong]
    tried = {
        **target.tried,
        "disks that failed under a trading executor": bad.tried + len(full),
        "commands on a full disk before it was felt": [len(trial.sent) for trial in full],
    }
    result = Result(
        name="live",
        tried={FRAMES: tried[FRAMES], **tried},
        found={"violations": len(wrong)} | {f"violation {n}": text for n, text in enumerate(wrong, 1)},
        seconds=round(time.monotonic() - begun, 1),
        seed=given.seed,
        notes="Brain, terminal and executor as processes, effects counted in the terminal's ledger; the terminal is simulated. "
        + (
            "A journal and its latch on a full file system of 24 MiB included."
            if full
            else "No right to mount: no full file system."
        ),
        again=f"python -m tests.faults.fuzz_live --frames {given.frames} --seed {given.seed}",
    )
    hand_in(result, given.results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
