"""A checkout in miniature, with the real set-up in it, one real wheel, and no network: what the set-up tests build from."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: The stand-in for Medulla's command line: says what it was given, ends with a wanted code, waits for Ctrl+C.
PROGRAM = """
import json, signal, sys

def main():
    import cargo
    if sys.argv[1:2] == ["wait"]:
        signal.signal(signal.SIGINT, lambda *_: sys.exit(9))
        print("waiting", flush=True)
        signal.pause()
    print(json.dumps({"arguments": sys.argv[1:], "cargo": cargo.WEIGHT}))
    return int(sys.argv[2]) if sys.argv[1:2] == ["end"] else 0
"""

PYPROJECT = """
[project]
name = "medulla"
version = "0.0.7"
requires-python = ">=3.11"
dependencies = ["cargo"]
[project.optional-dependencies]
desktop = []
test = []
[project.scripts]
medulla = "app.__main__:main"
"""


def make_wheel(folder: Path, name: str, weight: int) -> str:
    """Put a wheel `name` 1.0 into `folder`; its SHA-256."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    files = {
        f"{name}.py": f"WEIGHT = {weight}\n",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    with zipfile.ZipFile(path, "w") as wheel:
        for inner, text in files.items():
            wheel.writestr(zipfile.ZipInfo(inner), text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            rows.append(f"{inner},sha256={digest},{len(text)}")
        rows.append(f"{name}-1.0.dist-info/RECORD,,")
        wheel.writestr(zipfile.ZipInfo(f"{name}-1.0.dist-info/RECORD"), "\n".join(rows) + "\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Miniature:
    """The checkout in miniature and how a person starts it."""

    root: Path
    wheels: Path

    def environ(self, **changes: str) -> dict[str, str]:
        """The person's variables: nobody's pip configuration, no index, only the folder of wheels."""
        mine = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("PIP_") and k not in ("DISPLAY", "WAYLAND_DISPLAY")
        }
        offline = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_RETRIES": "1",
        }
        return {name: value for name, value in (mine | offline | changes).items() if value}

    def command(self, *arguments: str) -> list[str]:
        """What the person types."""
        return [sys.executable, str(self.root / "installer" / "start.py"), *arguments]

    def start(
        self, *arguments: str, cwd: Path | None = None, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one start to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.root,
            env=self.environ(**changes),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def lock(self, **packages: str) -> None:
        """Write all three locks: name=sha256."""
        (self.root / "requirements").mkdir(exist_ok=True)
        text = "".join(f"{name}==1.0 \\\n    --hash=sha256:{digest}\n" for name, digest in packages.items())
        for profile in ("run", "desktop", "test"):
            (self.root / "requirements" / f"{profile}.lock").write_text(text, encoding="utf-8")

    def want_more(self, profile: str, name: str) -> None:
        """Add a package to one profile's lock, and its wheel to the folder."""
        with (self.root / "requirements" / f"{profile}.lock").open("a", encoding="utf-8") as lock:
            lock.write(f"{name}==1.0 \\\n    --hash=sha256:{make_wheel(self.wheels, name, 3)}\n")

    @property
    def library(self) -> Path:
        """Where the environment's packages lie."""
        return next((self.root / ".venv").glob("lib/python*/site-packages"))


def make_miniature(folder: Path) -> Miniature:
    """A fresh checkout in miniature below `folder`, with one wheel, `cargo`, locked and at hand.

    Its own folder's name has a space and a letter beyond ASCII, as people's folders do.
    """
    root = folder / "a checkout é"
    shutil.copytree(ROOT / "installer", root / "installer", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "app").mkdir()
    (root / "app" / "__init__.py").touch()
    (root / "app" / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    made = Miniature(root, folder / "wheels")
    made.lock(cargo=make_wheel(made.wheels, "cargo", 7))
    return made
