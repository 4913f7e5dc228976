"""Moonrail moves memory between hosts, over AWS EFA and TCP.

`Engine` is the interface of this package. `mooncake.engine.TransferEngine` is the same engine behind Mooncake's.
"""

import mooncake.engine as _engine

if not hasattr(_engine, "_Engine"):
    raise ImportError(
        f"'mooncake.engine' at {getattr(_engine, '__file__', '?')} is not Moonrail's: a distribution of Mooncake "
        "(mooncake-transfer-engine…) is installed as well. Uninstall it, and then run "
        "`pip install --force-reinstall` with Moonrail's wheel.",
        name="mooncake.engine",
    )

from ._engine import Access, Buffer, Engine, Notification, Piece, Registration, TransferError, Warmup  # noqa: E402

__all__ = ["Access", "Buffer", "Engine", "Notification", "Piece", "Registration", "TransferError", "Warmup"]
