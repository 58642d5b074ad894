"""What Medulla needs from a Debian system beside Python packages, and how to get it: by apt-get when that
is allowed.

Looks before it acts: where nothing is missing, apt-get is not touched. Elsewhere than on Debian and its kin
nothing is checked, for Qt's own message names the library it misses.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from installer.console import Progress, SetUpError


@dataclass(frozen=True)
class Need:
    """A Debian package, the library (soname) or program that shows it is there, and why it is needed.

    `where` is a path in the checkout: the need exists only where that path does.
    """

    package: str
    shown_by: str
    reason: str
    where: str = "."


_QT = (
    Need("libegl1", "libEGL.so.1", "Qt's window library is linked with it"),
    Need("libgl1", "libGL.so.1", "Qt's window library is linked with it"),
    Need("libfontconfig1", "libfontconfig.so.1", "Qt finds fonts with it; brings a font along"),
    Need("libglib2.0-0", "libglib-2.0.so.0", "Qt's core is linked with it"),
    Need("libxkbcommon0", "libxkbcommon.so.0", "Qt reads key presses with it, on any platform"),
    Need("libdbus-1-3", "libdbus-1.so.3", "Qt's D-Bus library is linked with it"),
    Need("libgssapi-krb5-2", "libgssapi_krb5.so.2", "Qt's network library is linked with it"),
)

#: For the tests: windows are drawn off the screen, and the Expert Advisor's source is compiled for the host.
FOR_TESTS: tuple[Need, ...] = (
    *_QT,
    Need(
        "g++", "g++", "the tests compile the Expert Advisor's own source for this machine", "tests/mql5_host"
    ),
)

#: For the window on an X11 or Wayland screen.
FOR_WINDOW: tuple[Need, ...] = (
    *_QT,
    Need("libxcb-cursor0", "libxcb-cursor.so.0", "Qt's X11 platform refuses to start without it"),
    Need("libxcb-icccm4", "libxcb-icccm.so.4", "Qt's X11 platform is linked with it"),
    Need("libxcb-image0", "libxcb-image.so.0", "Qt's X11 platform is linked with it"),
    Need("libxcb-keysyms1", "libxcb-keysyms.so.1", "Qt's X11 platform is linked with it"),
    Need("libxcb-randr0", "libxcb-randr.so.0", "Qt's X11 platform is linked with it"),
    Need("libxcb-render-util0", "libxcb-render-util.so.0", "Qt's X11 platform is linked with it"),
    Need("libxcb-shape0", "libxcb-shape.so.0", "Qt's X11 platform is linked with it"),
    Need("libxcb-xkb1", "libxcb-xkb.so.1", "Qt's X11 platform is linked with it"),
    Need("libxkbcommon-x11-0", "libxkbcommon-x11.so.0", "Qt's X11 platform is linked with it"),
    Need("libwayland-cursor0", "libwayland-cursor.so.0", "Qt's Wayland platform is linked with it"),
)


def missing(needs: Iterable[Need], root: Path) -> list[str]:
    """The packages among `needs` that this Debian does not have; empty on any other system."""
    if not sys.platform.startswith("linux") or shutil.which("dpkg-query") is None:
        return []
    libraries = _known_libraries()
    return [
        need.package
        for need in needs
        if (root / need.where).exists()
        and need.shown_by not in libraries
        and shutil.which(need.shown_by) is None
    ]


def _known_libraries() -> set[str]:
    # A person's PATH on Debian has no sbin.
    ldconfig = shutil.which(
        "ldconfig", path=os.pathsep.join([os.environ.get("PATH", ""), "/sbin", "/usr/sbin"])
    )
    if ldconfig is None:
        return set()
    done = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False)
    return {line.split()[0] for line in done.stdout.splitlines() if "=>" in line}


def may_install() -> bool:
    """Whether this process may install system packages itself: root on a system with apt-get."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_or_explain(packages: list[str], why: str, progress: Progress) -> None:
    """Install Debian packages by apt-get; where that is not allowed or fails, raise SetUpError naming the
    command.
    """
    if not packages:
        return
    names = " ".join(packages)
    if not may_install():
        raise SetUpError(
            f"{why}: ask for these system packages, then start again: sudo apt-get install {names}"
        )
    progress.say(f"{why}: installing system packages {names}")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    quiet = ["-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"]
    said = ""
    for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", *quiet, *step],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            env=environ,
        )
        said = done.stdout
        if done.returncode != 0 and step[0] == "install":
            errors = [line for line in said.splitlines() if line.startswith("E:")] or ["E: no reason given"]
            raise SetUpError(f"{why}, and apt-get could not install {names} ({errors[-1][3:]})")
