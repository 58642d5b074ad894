"""Makes and checks `requirements/*.lock`: every package Medulla may run with, by version and by the hash of
each of its files.

`python3 installer/lock.py` resolves anew what pyproject.toml asks for, for every supported Python and
system at once; `--check` says, without a network, whether the locks still belong to pyproject.toml. A lock
names no address: which index serves the files is the business of the machine, which files they are is ours.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Optional dependency groups of pyproject.toml that each profile adds to the plain dependencies; the
#: biggest comes first, for the smaller ones take their versions from it.
EXTRAS: dict[str, tuple[str, ...]] = {"test": ("desktop", "test"), "desktop": ("desktop",), "run": ()}

#: What a lock must serve: (Python, platform in the resolver's words).
SERVED: tuple[tuple[str, str], ...] = tuple(
    (python, platform)
    for python in ("3.11", "3.12", "3.13")
    for platform in ("x86_64-manylinux_2_34", "x86_64-pc-windows-msvc")
)

_INPUT_LINE = "# asked-for sha256:"
_CONTENT_LINE = "# content sha256:"
_PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[0-9][A-Za-z0-9.+!-]*)(?: ; (?P<marker>[^\\]+?))?"
)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_ADDRESS = re.compile(
    r"://|\b(?:index-url|find-links|trusted-host)\b|\b[a-z0-9-]+\.(?:org|com|net|io|dev|cloud|internal|local)\b|@"
)


@dataclass(frozen=True)
class Pin:
    """One locked package; `marker` is empty where it is wanted everywhere."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


class LockDamaged(Exception):
    """A lock does not read as one; the message says which line."""


def lock_path(root: Path, profile: str) -> Path:
    """Where the lock of a profile lies."""
    return root / "requirements" / f"{profile}.lock"


def asked_for(root: Path, profile: str) -> tuple[list[str], str]:
    """The requirements that pyproject.toml states for a profile, and one digest over them and the Python
    range.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in EXTRAS[profile]:
        wanted += project["optional-dependencies"][extra]
    text = json.dumps([project["requires-python"], sorted(wanted)])
    return wanted, hashlib.sha256(text.encode()).hexdigest()


def parse(text: str) -> list[Pin]:
    """The pins of a lock. Raises LockDamaged on anything but pins with hashes and comments."""
    pins: list[Pin] = []
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for entry in _entries(lines):
        head, *hashes = (part.strip() for part in entry)
        pin = _PIN.fullmatch(head)
        if pin is None:
            raise LockDamaged(f"not a pin of one version: {head!r}")
        if not hashes or not all(_HASH.fullmatch(each) for each in hashes):
            raise LockDamaged(f"{pin['name']} has no hash, or one that is not SHA-256")
        pins.append(
            Pin(pin["name"], pin["version"], pin["marker"] or "", tuple(each[14:] for each in hashes))
        )
    return pins


def _entries(lines: Sequence[str]) -> Iterator[list[str]]:
    entry: list[str] = []
    for line in lines:
        entry.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            yield entry
            entry = []
    if entry:
        raise LockDamaged(f"ends in the middle of {entry[0]!r}")


def check(root: Path) -> list[str]:
    """What is wrong with the locks of a checkout, one sentence each; empty when all is well. Offline, in
    milliseconds.
    """
    problems: list[str] = []
    pins: dict[str, set[Pin]] = {}
    for profile in EXTRAS:
        path = lock_path(root, profile)
        name = f"requirements/{path.name}"
        try:
            text = path.read_text(encoding="utf-8")
            pins[profile] = set(parse(text))
        except (OSError, LockDamaged) as error:
            problems.append(f"{name}: {error}")
            continue
        wanted, digest = asked_for(root, profile)
        if _stated(text, _INPUT_LINE) != digest:
            problems.append(f"{name} was made for other dependencies than pyproject.toml asks for: relock")
        if _stated(text, _CONTENT_LINE) != _digest_of_content(text):
            problems.append(f"{name} was changed by hand: relock")
        locked = {pin.name for pin in pins[profile]}
        problems += [
            f"{name} lacks {each}: relock" for each in map(_package_of, wanted) if each not in locked
        ]
        problems += [
            f"{name} names an address: {line.strip()}" for line in text.splitlines() if _ADDRESS.search(line)
        ]
    problems += [
        f"requirements/{smaller}.lock holds other versions than requirements/{bigger}.lock: relock"
        for bigger, smaller in (("test", "desktop"), ("desktop", "run"))
        if _versions(pins.get(smaller, set())) - _versions(pins.get(bigger, set())) and bigger in pins
    ]
    return problems


def _versions(pins: set[Pin]) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(pin.name, pin.version, pin.hashes) for pin in pins}


def _package_of(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name.group() if name else requirement).lower()


def _stated(text: str, label: str) -> str:
    return next(
        (line.removeprefix(label).strip() for line in text.splitlines() if line.startswith(label)), ""
    )


def _digest_of_content(text: str) -> str:
    body = [line for line in text.splitlines() if not line.startswith("#")]
    return hashlib.sha256("\n".join(body).encode()).hexdigest()


def compose(body: str, digest: str) -> str:
    """The text of a lock: two digests, then the pins."""
    body = body.strip() + "\n"
    return f"{_INPUT_LINE} {digest}\n{_CONTENT_LINE} {_digest_of_content(body)}\n{body}"


def _resolver(scratch: Path) -> str:
    """The resolver `uv`, fetched into a scratch environment: locking is rare, and nobody else needs the
    tool.
    """
    folder = scratch / "tool"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "uv>=0.8",
    ]
    subprocess.run(install, check=True)
    return str(programs / "uv")


def _environ(source: Mapping[str, str]) -> dict[str, str]:
    """Without this machine's resolver settings: the hashes must be those of the public index's files."""
    return {
        name: value for name, value in source.items() if not name.startswith(("UV_", "PIP_", "VIRTUAL_ENV"))
    }


def relock(root: Path, upgrade: Sequence[str], upgrade_all: bool) -> None:
    """Write all three locks anew, keeping the locked versions except those to be upgraded, and prove what
    they serve.
    """
    with tempfile.TemporaryDirectory(prefix="medulla-lock-") as folder:
        scratch = Path(folder)
        uv = _resolver(scratch)
        bigger: Path | None = None
        for profile in EXTRAS:
            wanted, digest = asked_for(root, profile)
            (scratch / "wanted.in").write_text("\n".join(wanted) + "\n", encoding="utf-8")
            made = scratch / f"{profile}.lock"
            if lock_path(root, profile).exists() and not upgrade_all:
                made.write_bytes(lock_path(root, profile).read_bytes())
            command = [
                uv, "pip", "compile", "--no-config", "--quiet", "--universal",
                "--python-version", "3.11", "--generate-hashes", "--only-binary", ":all:", "--no-header",
                "--no-annotate", "--no-emit-index-url", "--output-file", str(made),
                str(scratch / "wanted.in"),
            ]  # fmt: skip
            command += ["--constraint", str(bigger)] if bigger else []
            command += [argument for package in upgrade for argument in ("--upgrade-package", package)]
            subprocess.run(command, check=True, env=_environ(os.environ))
            _prove(uv, made, scratch)
            text = compose(made.read_text(encoding="utf-8"), digest)
            lock_path(root, profile).parent.mkdir(exist_ok=True)
            lock_path(root, profile).write_text(text, encoding="utf-8", newline="\n")
            print(f"requirements/{profile}.lock: {len(parse(text))} packages")
            bigger = made


def _prove(uv: str, made: Path, scratch: Path) -> None:
    """Have the resolver plan an installation of `made` for each Python and system served: wheels only,
    locked hashes only.
    """
    for python, platform in SERVED:
        subprocess.run(
            [
                uv, "pip", "install", "--no-config", "--quiet", "--dry-run",
                "--require-hashes", "--only-binary", ":all:",
                "--python", sys.executable, "--python-version", python, "--python-platform", platform,
                "--target", str(scratch / "nowhere"), "--requirement", str(made),
            ],
            check=True,
            env=_environ(os.environ),
        )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 all is well, 1 something is wrong and was printed."""
    parser = argparse.ArgumentParser(prog="lock.py", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="only say whether pyproject.toml and the locks agree; offline"
    )
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows"
    )
    parser.add_argument(
        "--upgrade-package", action="append", default=[], metavar="NAME", help="the newest of one package"
    )
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent
    if not options.check:
        try:
            relock(root, options.upgrade_package, options.upgrade)
        except subprocess.CalledProcessError as error:
            print(
                f"lock: {Path(error.cmd[0]).name} failed, the remaining locks are as they were",
                file=sys.stderr,
            )
            return 1
    problems = check(root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
