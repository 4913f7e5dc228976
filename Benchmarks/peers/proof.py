"""Whether an engine that was measured moves what it says: bytes of this run go out, are forgotten here, and come back."""

import os
import sys


def prove(engine, segment, memory, local, remote, length):
    """Ends the program if the first `length` bytes of `memory`, which is at `local`, do not come back from `remote`."""
    sent = os.urandom(length)
    memory[:length] = sent
    if engine.transfer_sync_write(segment, local, remote, length) != 0:
        sys.exit("transfer_sync_write failed")
    memory[:length] = bytes(length)
    if engine.transfer_sync_read(segment, local, remote, length) != 0:
        sys.exit("transfer_sync_read failed")
    if memory[:length] != sent:
        sys.exit("what came back is not what was sent")
