"""`medulla ea install`, step by step over one terminal after the other. Each step says what it did; a step that fails says what
that means and leaves the rest of that terminal alone.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from app import __version__
from app.adapters import pinned_wheel
from app.adapters.durable_file import replace_durably
from app.adapters.ea_files import EaFolder, FolderTrouble, Item, Step, Verdict
from app.adapters.key_file import load_key, load_or_create_key
from app.adapters.metaeditor import NoEditor, compile_source, editor_command
from app.adapters.owner_only import restrict_to_owner
from app.adapters.pinned_wheel import PinnedFile, PinnedWheel, WheelTrouble
from app.adapters.terminal_folders import TerminalFolder, child_named
from app.cli import ea_bundle
from app.cli.console import say
from app.cli.ea_outcome import Options, Outcome, described, tell, tell_program
from app.domain.errors import ConfigurationError
from app.settings import Settings

_RUNTIME = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
_KEY_TEXT = re.compile(rb"[0-9a-f]{64}\s*\Z")


class Left(Exception):
    """This terminal is left as it is; the message says why."""


@dataclass(slots=True)
class Installation:
    """Installs into terminals one by one."""

    settings: Settings
    options: Options
    wheel: PinnedWheel = pinned_wheel.LIBZMQ
    confirm: Callable[[str], bool] = lambda _question: False
    """Asks a person; False where nobody can be asked."""
    fetch: Callable[[PinnedWheel, Path], Path] = pinned_wheel.fetch
    _libraries: dict[str, bytes] = field(default_factory=dict)

    def into(self, terminal: TerminalFolder) -> Outcome:
        """Raises nothing that belongs to one terminal alone: see `trouble`. Raises ConfigurationError."""
        outcome = Outcome(terminal)
        if not self.options.quiet:
            say(described(terminal))
        try:
            self._run(terminal, outcome)
        except (FolderTrouble, WheelTrouble, Left) as fault:
            outcome.trouble = str(fault)
            self._line("✗", str(fault))
        return outcome

    def _run(self, terminal: TerminalFolder, outcome: Outcome) -> None:
        folder = EaFolder(terminal.data)
        items = ea_bundle.source_items(
            ea_bundle.source_folder(self.options.source), with_library=self.options.with_library
        )
        sources = len(items)
        items.append(ea_bundle.preset_item(self.settings))
        steps = folder.plan(items)
        missing = self._missing_libraries(folder, terminal) if self.options.with_library else {}
        if missing and not self.options.dry_run:
            steps += folder.plan(ea_bundle.library_items(self._library_contents(list(missing))))
        steps += self._key_step(folder)
        stand = {step.item.path: step.verdict for step in steps}
        stand |= {ea_bundle.library_path(file): verdict for file, verdict in missing.items()}
        outcome.files = {str(path): verdict.value for path, verdict in stand.items()}
        self._refuse_or_ask([path for path, verdict in stand.items() if verdict is Verdict.CHANGED])
        if self.options.dry_run:
            self._tell_plan(stand)
            return
        written = folder.write(steps, __version__)
        outcome.backups = [str(path) for path in written.backups]
        outcome.removed = [str(path) for path in written.removed]
        outcome.left = [str(path) for path in written.left]
        self._tell_written(steps, sources, outcome)
        self._protect_key(folder, outcome)
        if self.options.with_library:
            self._tell_libraries(terminal, list(missing), outcome)
        if self.options.compile:
            self._compile(terminal, folder, outcome)
        self._verify(folder, steps, outcome)

    # -------------------------------------------------------------- libraries

    def _missing_libraries(self, folder: EaFolder, terminal: TerminalFolder) -> dict[PinnedFile, Verdict]:
        """Pinned files that are not there as they should be, and how they stand: a second run needs no network."""
        system = terminal.system_folder
        wanted = [
            file
            for file in self.wheel.files
            if not (file.system_has_it and system is not None and child_named(system, file.name) is not None)
        ]
        stand = {file: folder.verdict(ea_bundle.library_path(file), file.sha256) for file in wanted}
        return {file: verdict for file, verdict in stand.items() if verdict is not Verdict.SAME}

    def _library_contents(self, files: Sequence[PinnedFile]) -> dict[str, bytes]:
        if any(file.name not in self._libraries for file in files):
            with tempfile.TemporaryDirectory(prefix="medulla-wheel-") as scratch:
                path = self.options.wheel or self.fetch(self.wheel, Path(scratch))
                self._libraries |= pinned_wheel.files_of(self.wheel, path, self.wheel.files)
            self._line("✓", f"{self.wheel.filename}: SHA-256 is the pinned one")
        return {file.name: self._libraries[file.name] for file in files}

    def _tell_libraries(
        self, terminal: TerminalFolder, written: Sequence[PinnedFile], outcome: Outcome
    ) -> None:
        names = ", ".join(file.name for file in written)
        self._line(
            "✓",
            f"libraries: {names} in MQL5/Libraries" if names else "libraries: there already, hashes right",
        )
        system = terminal.system_folder
        if system is None:
            self._note(
                outcome,
                f"libzmq.dll also needs VCRUNTIME140.dll; if the EA reports error 126, install {_RUNTIME}",
            )
        elif child_named(system, "vcruntime140.dll") is None:
            self._note(
                outcome,
                f"VCRUNTIME140.dll is not on this Windows, and libzmq.dll needs it: install {_RUNTIME} (Microsoft Visual C++"
                " runtime), or attach MedullaNoDll in place of Medulla",
            )

    # -------------------------------------------------------------- key

    def _key_step(self, folder: EaFolder) -> list[Step]:
        """The same key on both sides: whichever side had one first. Raises ConfigurationError."""
        ours = self.settings.terminal.key_file
        if not ours.exists():
            theirs = _key_in(folder.place(ea_bundle.KEY))
            if self.options.dry_run:
                self._line("", f"key: {ours} would be {'taken over from the terminal' if theirs else 'made'}")
                return []
            if theirs is not None:
                _store_key(ours, theirs)
                self._line("✓", f"key: the terminal had one; it is now also in {ours}")
        key = load_key(ours) if self.options.dry_run else load_or_create_key(ours)
        return folder.plan([ea_bundle.key_item(key)])

    def _protect_key(self, folder: EaFolder, outcome: Outcome) -> None:
        place = folder.place(ea_bundle.KEY)
        fault = restrict_to_owner(place)
        if fault:
            self._note(
                outcome,
                f"{place}: other users may be able to read the key, and so trade ({fault}); protect it by hand",
            )
        else:
            self._line("✓", "key: in MQL5/Files/Medulla, for this user alone")

    # -------------------------------------------------------------- consent and report

    def _refuse_or_ask(self, changed: Sequence[PurePosixPath]) -> None:
        """Raises Left."""
        if not changed or self.options.yes or self.options.dry_run:
            return
        for path in changed:
            shared = " (other Expert Advisors here may use it)" if path.parent == ea_bundle.LIBRARIES else ""
            self._line("!", f"{path}: not as Medulla left it{shared}")
        if not self.confirm(f"Replace {len(changed)} file(s)? A copy of each is kept beside it"):
            raise Left(
                f"changed since, or never ours: {', '.join(map(str, changed))}. Nothing was written to this terminal;"
                " --yes replaces them and keeps a copy of each beside it"
            )

    def _tell_plan(self, stand: Mapping[PurePosixPath, Verdict]) -> None:
        for path, verdict in stand.items():
            if verdict is not Verdict.SAME:
                ask = "; would ask first" if verdict is Verdict.CHANGED and not self.options.yes else ""
                self._line("", f"{path}: {verdict.value}{ask}")
        self._line("✓", "dry run: nothing was written")

    def _tell_written(self, steps: Sequence[Step], sources: int, outcome: Outcome) -> None:
        counted = dict.fromkeys(Verdict, 0)
        for step in steps[:sources]:
            counted[step.verdict] += 1
        told = ", ".join(f"{count} {verdict.value}" for verdict, count in counted.items() if count)
        self._line("✓", f"sources: {told}")
        for backup in outcome.backups:
            self._line("!", f"the file as it was: {backup}")
        for name in outcome.removed:
            self._line("✓", f"{name}: of an earlier version, removed")
        for name in outcome.left:
            self._note(outcome, f"{name}: of an earlier version, but changed; left there")
        preset = next(step for step in steps if step.item.path == ea_bundle.PRESET)
        if preset.verdict is Verdict.KEPT:
            self._note(
                outcome,
                f"{ea_bundle.PRESET}: you changed it, it stays; ports must be {self.settings.terminal.command_port} and"
                f" {self.settings.terminal.stream_port}; delete it for a fresh one",
            )
        else:
            self._line("✓", f"preset: {ea_bundle.PRESET}: ports, demo accounts only, the executor's limits")

    # -------------------------------------------------------------- compiling

    def _compile(self, terminal: TerminalFolder, folder: EaFolder, outcome: Outcome) -> None:
        try:
            command = editor_command(terminal, self.options.editor)
        except NoEditor as fault:
            self._note(
                outcome,
                f"not compiled: {fault}. Open the .mq5 in MQL5/Experts/Medulla with MetaEditor and press F7",
            )
            return
        names = [ea_bundle.WITHOUT_LIBRARY]
        if self.options.with_library:
            names.insert(0, ea_bundle.WITH_LIBRARY)
        for name in names:
            done = compile_source(
                terminal, command, folder.place(ea_bundle.EXPERTS / name), environ=dict(os.environ)
            )
            outcome.compiled.append(done)
            for finding in done.findings:
                self._line("✗" if finding.kind == "error" else "!", str(finding))
            if done.program is not None:
                folder.adopt(ea_bundle.EXPERTS / done.program.name, __version__)
                self._line("✓", f"compiled {name}: 0 errors, {done.warnings} warnings")
            else:
                self._line("✗", f"{name}: {done.trouble or f'{done.errors} errors'}")
        bad = [done for done in outcome.compiled if not done.good]
        if bad:
            first = next(
                (str(finding) for done in bad for finding in done.findings if finding.kind == "error"), ""
            )
            raise Left(
                f"{', '.join(done.source.name for done in bad)} did not compile ({first or bad[0].trouble or 'see the log'}):"
                " the terminal has no new program; an EA that runs keeps running the old one. Update MetaTrader 5 (Help > Check"
                " Desktop Updates) and run this again"
            )

    def _verify(self, folder: EaFolder, steps: Sequence[Step], outcome: Outcome) -> None:
        items: list[Item] = [step.item for step in steps if step.verdict is not Verdict.KEPT]
        differing = folder.differing(items)
        if differing:
            raise Left(
                f"not on the disk as it was written: {', '.join(map(str, differing))}. Another program changed it meanwhile;"
                " do not attach the EA, look at what that program is, and run this again"
            )
        outcome.verified = len(items)
        self._line("✓", f"verified: {len(items)} files read back, hashes right")

    def _note(self, outcome: Outcome, text: str) -> None:
        outcome.notes.append(text)
        self._line("!", text)

    def _line(self, symbol: str, text: str) -> None:
        if not self.options.quiet:
            tell(symbol, text)
        elif self.options.follow:
            tell_program(symbol, text)


def remove_from(terminal: TerminalFolder, *, dry_run: bool, quiet: bool) -> Outcome:
    """`--remove`: only what the manifest lists and nobody changed; ledger and stop of the EA stay, they are its memory."""
    outcome = Outcome(terminal)

    def line(symbol: str, text: str) -> None:
        if not quiet:
            tell(symbol, text)

    if not quiet:
        say(described(terminal))
    folder = EaFolder(terminal.data)
    try:
        ours, changed = folder.removal()
        outcome.files = {str(path): "removed" for path in ours} | {
            str(path): "changed, kept" for path in changed
        }
        if not folder.has_manifest:
            line("✓", "nothing of ours is there")
            return outcome
        if not dry_run:
            folder.remove(ours, __version__)
    except FolderTrouble as fault:
        outcome.trouble = str(fault)
        line("✗", outcome.trouble)
        return outcome
    line("✓", f"{len(ours)} files {'would be removed' if dry_run else 'removed'}")
    for path in changed:
        outcome.notes.append(f"{path}: changed since it was installed; left there")
        line("!", outcome.notes[-1])
    return outcome


def can_ask() -> bool:
    return sys.stdin.isatty()


def _key_in(place: Path) -> bytes | None:
    """The key that the EA made; None: there is none, or it is none."""
    try:
        with place.open("rb") as file:
            text = file.read(128)
    except OSError:
        return None
    return bytes.fromhex(text.decode().strip()) if _KEY_TEXT.match(text) else None


def _store_key(path: Path, key: bytes) -> None:
    """Raises ConfigurationError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, key.hex().encode() + b"\n")
    except OSError as fault:
        raise ConfigurationError(
            f"key file {path}: cannot be made ({fault.strerror}); name another place in terminal.key_file"
        ) from None
