"""Tasks with names and a keeper: the one place where an asyncio task is made.

A task that nobody keeps can vanish in mid-flight and its failure is seen by nobody. Here every failure is reported once, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

FailureHandler = Callable[[str, BaseException], None]


class TaskKeeper:
    """Owns tasks; closing it cancels and awaits them all."""

    def __init__(self, name: str, on_failure: FailureHandler | None = None) -> None:
        self._name = name
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task. Its failure (not its cancellation) goes to the failure handler, or else to the loop's."""
        task = asyncio.get_running_loop().create_task(coroutine, name=f"{self._name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        fault = task.exception()
        if fault is None:
            return
        if self._on_failure is not None:
            self._on_failure(task.get_name(), fault)
        else:
            task.get_loop().call_exception_handler(
                {"message": f"task {task.get_name()} failed", "exception": fault, "task": task}
            )

    async def close(self) -> None:
        """Cancel all and wait until every one has ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
