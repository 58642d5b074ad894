"""How urgent this process is to the system. Only that: what a process does with its time is its own business."""

from __future__ import annotations

import os
import sys

_ABOVE_NORMAL_PRIORITY_CLASS = 0x8000
"""SetPriorityClass, Windows API reference. A process that this one starts has the normal class again."""
_EARLIER = -5


def go_before_windows() -> bool:
    """Be served a little before ordinary programs: a window that paints must not keep a command or a stop waiting for a core.

    The engine is raised and the window is not lowered, because a lowered window would hand its place down to the engine that it
    starts and to the thread of its own stop button. False: the system does not allow it (Linux and macOS to ordinary users), and
    all goes on as before.
    """
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_ulong)
        return bool(kernel.SetPriorityClass(kernel.GetCurrentProcess(), _ABOVE_NORMAL_PRIORITY_CLASS))
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _EARLIER)
    except OSError:
        return False
    return True
