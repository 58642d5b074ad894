"""Fills the environment: the packages of a lock by pip, then Medulla itself by three small files, without
any build.

pip may take only what the lock names, only as ready-made wheels, and only with the locked hashes. The
person's own pip configuration (index, certificates, folder of wheels) is honoured; what it may not change
is where things land.
"""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from installer import system_packages, troubles
from installer.console import Progress, SetUpError

#: Settings of pip that would send packages elsewhere than into the environment.
_MISLEADING = (
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_DRY_RUN",
    "PIP_REQUIREMENT",
    "PIP_CONSTRAINT",
)

#: A progress line is printed at most this often, in seconds, while packages arrive.
_PROGRESS_EVERY_S = 4.0

#: Downloads from this size on, in megabytes, are named.
_LARGE_MB = 10.0

#: Shell and Python read this file alike: a plain `#!` line cannot name an interpreter in a folder with a
#: space.
_PROGRAM = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


def create_environment(python: str, venv: Path, progress: Progress) -> None:
    """An empty environment with pip in `venv`. Raises SetUpError when this Python cannot make one."""
    if find_spec("ensurepip") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        system_packages.install_or_explain([package], "this Python cannot make environments yet", progress)
    done = subprocess.run(
        [python, "-I", "-m", "venv", str(venv)], capture_output=True, text=True, check=False, env=_environ()
    )
    if done.returncode != 0:
        raise SetUpError(
            troubles.of_pip(done.stdout + done.stderr, venv).replace("pip failed", "python -m venv failed")
        )


def install(python: Path, lock: Path, log: Path, progress: Progress) -> None:
    """Install everything in `lock` that this Python and system need. Raises SetUpError with the cause in a
    sentence.
    """
    progress.say(f"fetching and installing the packages of requirements/{lock.name}")
    command = [
        str(python), "-I", "-m", "pip", "install",
        "--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile", "--no-input", "--no-user",
        "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off",
        "--requirement", str(lock),
    ]  # fmt: skip
    said: list[str] = []
    with (
        log.open("w", encoding="utf-8", errors="replace") as notes,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=_environ(),
            close_fds=False,  # pip keeps the set-up's lock: should this process be killed, the next start waits for it
        ) as pip,
    ):
        _follow(pip, notes, said, progress)
    if pip.returncode != 0:
        raise SetUpError(troubles.of_pip("".join(said), log))


def _follow(pip: "subprocess.Popen[str]", notes: TextIO, said: list[str], progress: Progress) -> None:
    arrived, told = 0, time.monotonic()
    try:
        for line in pip.stdout or ():
            said.append(line)
            notes.write(line)
            arrived += line.startswith(("Collecting ", "Processing "))
            size = re.match(r"\s*Downloading (\S+?)-\S+ \((\d+(?:\.\d+)?) MB\)", line)
            if size and float(size.group(2)) >= _LARGE_MB:
                progress.say(f"  downloading {size.group(1)} ({size.group(2)} MB)")
                told = time.monotonic()
            elif line.startswith("Installing collected"):
                progress.say(f"  unpacking {arrived} packages")
            elif time.monotonic() - told > _PROGRESS_EVERY_S and arrived:
                progress.say(f"  packages so far: {arrived}")
                told = time.monotonic()
    except KeyboardInterrupt:
        pip.terminate()
        raise


def _environ() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name.upper() not in _MISLEADING}
    return clean | {"PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}


def link_project(python: Path, root: Path, program: Path) -> None:
    """Make the checkout importable in the environment, known to importlib.metadata, and startable as
    `medulla`.

    This is what an editable install does, without fetching a build tool: a `.pth` file, the metadata, the
    program.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    asked = subprocess.run(
        [str(python), "-I", "-c", "import json, sysconfig; print(json.dumps(sysconfig.get_path('purelib')))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise SetUpError(
            f"the new environment does not run ({asked.stderr.strip()[-200:]}); start again with: setup --fresh"
        )
    library = Path(json.loads(asked.stdout))
    for older in library.glob(f"{name}-*.dist-info"):
        for file in older.iterdir():
            file.unlink()
        older.rmdir()
    # Relative to the library: plain ASCII whatever the folder is called, for site.py reads it in the
    # system's own encoding.
    (library / f"{name}.pth").write_text(
        f"{Path(os.path.relpath(root, library)).as_posix()}\n", encoding="ascii"
    )
    info = library / f"{name}-{version}.dist-info"
    info.mkdir()
    files = {
        "METADATA": _metadata(project),
        "INSTALLER": "medulla set-up\n",
        "entry_points.txt": "[console_scripts]\n"
        + "".join(f"{k} = {v}\n" for k, v in project["scripts"].items()),
    }
    for file_name, text in files.items():
        (info / file_name).write_text(text, encoding="utf-8")
    module, function = project["scripts"][name].split(":")
    program.write_text(_PROGRAM.format(python=python, module=module, function=function), encoding="utf-8")
    program.chmod(0o755)
    installed = [program]
    if os.name == "nt":
        shortcut = program.with_suffix(".cmd")
        shortcut.write_text(f'@"%~dp0python.exe" "%~dp0{name}" %*\n', encoding="ascii")
        installed.append(shortcut)
    rows = [f"{name}.pth,,", *(f"{info.name}/{file},," for file in [*files, "RECORD"])]
    rows += [f"{os.path.relpath(path, library).replace(os.sep, '/')},," for path in installed]
    (info / "RECORD").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _metadata(project: dict[str, object]) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    dependencies = project.get("dependencies", [])
    if isinstance(dependencies, list):
        lines += [f"Requires-Dist: {dependency}" for dependency in dependencies]
    return "\n".join(lines) + "\n"
