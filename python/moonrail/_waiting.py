"""Awaiting transfers: one eventfd for each event loop, no thread."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import Any, Dict

_waiters: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Waiter]" = weakref.WeakKeyDictionary()


def waiter() -> "Waiter":
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _waiters.get(loop)
    if found is None:
        found = _waiters[loop] = Waiter()
    return found


class Waiter:
    """Finishes the batches that an event loop waits for."""

    def __init__(self) -> None:
        self._pending: Dict[asyncio.Future, Any] = {}
        self._file = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self._file)

    async def ended(self, engine: Any, batch: int, kept: Any) -> None:
        """Returns when the batch is done.

        A cancelled caller hears of it when the batch has ended, because its memory is in use until then.
        """
        loop = asyncio.get_running_loop()
        engine.watch(batch, self._file)
        future = loop.create_future()
        if not self._pending:
            loop.add_reader(self._file, self._look, loop)
        self._pending[future] = (engine, batch, kept)
        cancelled = None
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            future.exception()
            raise cancelled
        future.result()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            os.eventfd_read(self._file)
        except BlockingIOError:
            pass
        for future, (engine, batch, _) in list(self._pending.items()):
            try:
                if not engine.finish(batch):
                    # The news may come early, and once only.
                    engine.watch(batch, self._file)
                    continue
            except Exception as error:  # of the transfer: its awaiter gets it
                future.set_exception(error)
            else:
                future.set_result(None)
            del self._pending[future]
        if not self._pending:
            loop.remove_reader(self._file)
