"""The words of `installer/start.py`: what each does, which packages it needs, and how the program is then
started.
"""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from installer import checks, environment, system_packages
from installer.console import Progress, SetUpError

USAGE = """\
usage: python3 installer/start.py COMMAND [ARGUMENTS]

  demo [ARGUMENTS]         the whole system on this machine, with a simulated terminal
  test [PYTEST ARGUMENTS]  every check of the project, then the tests
  setup [run|desktop|test] [--fresh]
                           only make the environment ready; --fresh makes a new one
  run -- [ARGUMENTS]       `medulla ARGUMENTS`; without arguments the desktop application
  ANYTHING ELSE            `medulla ANYTHING ELSE`, for example: doctor, status, run --headless

The first start makes .venv in this checkout (a minute or so, with a network); later starts use it.
"""


def main(arguments: Sequence[str], root: Path | None = None) -> int:
    """Exit code of one start: 1 when the set-up fails, 130 after Ctrl+C. Sentences go to stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a Windows code page has no place for every path and frame
    checkout = environment.Checkout(root or Path(__file__).resolve().parent.parent)
    try:
        return _dispatch(checkout, list(arguments))
    except SetUpError as error:
        print(f"medulla set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("medulla set-up: interrupted; the next start carries on", file=sys.stderr)
        return 130


def _dispatch(checkout: environment.Checkout, arguments: list[str]) -> int:
    match arguments:
        case [] | ["-h" | "--help" | "help"]:
            print(USAGE, end="", file=sys.stdout if arguments else sys.stderr)
            return 0 if arguments else 2
        case ["setup", *rest]:
            return _set_up(checkout, rest)
        case ["test", *rest]:
            return checks.run(checkout, rest)
        case ["run", "--", *rest]:
            return _start(checkout, rest)
        case _:
            return _start(checkout, arguments)


def _set_up(checkout: environment.Checkout, arguments: list[str]) -> int:
    fresh = "--fresh" in arguments
    profiles = [argument for argument in arguments if argument != "--fresh"]
    if len(profiles) > 1 or not set(profiles) <= set(environment.PROFILES):
        print(
            f"medulla set-up: setup takes one of {', '.join(environment.PROFILES)} and --fresh",
            file=sys.stderr,
        )
        return 2
    profile = profiles[0] if profiles else "desktop" if has_screen(sys.platform, os.environ) else "run"
    environment.make_ready(checkout, profile, fresh=fresh)
    print(f"The environment in {checkout.venv.name} is ready ({profile}).")
    return 0


def has_screen(platform: str, environ: Mapping[str, str]) -> bool:
    """Whether a window could be shown: always on Windows and macOS, elsewhere where X11 or Wayland is
    announced.
    """
    return platform in ("win32", "darwin") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def plan(arguments: list[str], screen: bool) -> tuple[str, list[str]]:
    """The profile and the final arguments for `medulla ARGUMENTS`.

    Only the bare program and the demo open a window; a demo without a screen is told to do without.
    """
    opens_window = not arguments or (arguments[0] == "demo" and not {"--headless", "--help"} & set(arguments))
    if not opens_window:
        return "run", arguments
    if screen:
        return "desktop", arguments
    return "run", [*arguments, "--headless"] if arguments else arguments


def _start(checkout: environment.Checkout, arguments: list[str]) -> int:
    asked = arguments
    profile, arguments = plan(asked, has_screen(sys.platform, os.environ))
    if arguments != asked:
        print("medulla set-up: no screen here, so the demo runs in this console", file=sys.stderr)
    if profile == "desktop":
        lacking = system_packages.missing(system_packages.FOR_WINDOW, checkout.root)
        if lacking and arguments and not system_packages.may_install():
            print(
                "medulla set-up: the window needs system packages this machine lacks; "
                "the demo runs here without it. "
                f"For the window: sudo apt-get install {' '.join(lacking)}",
                file=sys.stderr,
            )
            profile, arguments = plan(arguments, screen=False)
        else:
            system_packages.install_or_explain(
                lacking, "the window needs libraries of the system", Progress()
            )
    environment.make_ready(checkout, profile)
    return hand_over([str(checkout.python), str(checkout.medulla), *arguments])


def hand_over(command: list[str]) -> int:
    """Become `command`: its exit code is ours, and Ctrl+C and every other signal reach it alone."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    return as_child(command)


def as_child(command: list[str]) -> int:
    """Exit code of `command` as a child: Windows cannot replace a process. The console gives Ctrl+C to both; only
    the child answers it.
    """
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, previous)
