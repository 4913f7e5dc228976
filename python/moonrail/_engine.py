"""The engine."""

from __future__ import annotations

import asyncio
import enum
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import mooncake.engine as _module

from ._memory import Place, place_of
from ._waiting import waiter

TransferError = _module._TransferError


class Access(enum.IntEnum):
    """What peers may do with registered memory."""

    NONE = 0
    READ = 1
    READ_WRITE = 2


class Piece(NamedTuple):
    """One piece of a batch."""

    #: An address of this process, a buffer or a tensor.
    local: Any
    #: An address of the peer's process.
    remote: int
    #: Bytes; None: all of `local`.
    length: Optional[int] = None


class Notification(NamedTuple):
    """A message beside the data."""

    name: str
    message: str


class Buffer(NamedTuple):
    """Memory that a peer has registered."""

    address: int
    length: int
    location: str


class Warmup(NamedTuple):
    """What a warm-up did."""

    connected: int
    pairs: int
    microseconds: int


class Registration:
    """Registered memory, until `close()` or the end of a `with`. Keeps the object that owns the memory."""

    def __init__(self, engine: "Engine", place: Place, length: int) -> None:
        self.address = place.address
        self.length = length
        self._engine = engine
        self._owner: Any = place.owner

    def close(self) -> None:
        """Withdraws the memory. Waits for transfers that use it."""
        if self._engine._registrations.pop(self.address, None) is self:
            self._engine._engine.unregister([self.address])
            self._owner = None

    def __enter__(self) -> "Registration":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


class Engine:
    """Moves memory between this host and its peers.

    An engine has a `name` under which peers open its memory. It can be used from several threads, and as a context
    manager. What fails raises TransferError, whose `code` is Mooncake's number for it.

        with Engine("10.0.0.1", protocol="efa") as engine:
            engine.register(buffer)
            engine.write("10.0.0.2:15428", buffer, remote_address)

    host: the name or address under which peers reach this host.
    metadata: 'P2PHANDSHAKE', or a store: 'http://…', 'etcd://…', 'redis://…'.
    protocol: 'efa' or 'tcp'.
    devices: NICs to use, comma separated; '': all.
    """

    def __init__(
        self, host: str, *, metadata: str = "P2PHANDSHAKE", protocol: str = "efa", devices: str = ""
    ) -> None:
        self._engine = _module._Engine(host, metadata, protocol, devices)
        self._registrations: Dict[int, Registration] = {}

    @property
    def name(self) -> str:
        """What peers call this engine: 'host:port'."""
        return self._engine.name

    @property
    def port(self) -> int:
        """The port of the name."""
        return self._engine.port

    @property
    def nics(self) -> List[str]:
        """The NICs in use; none over TCP."""
        return self._engine.nics()

    def close(self) -> None:
        """Stops the engine: transfers in flight fail, memory is unregistered. Later calls raise."""
        self._engine.close()
        self._registrations.clear()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    # Memory

    def register(
        self, memory: Any, length: Optional[int] = None, *, location: str = "*", access: Access = Access.READ_WRITE
    ) -> Registration:
        """Registers memory: an address with a length, a buffer, or a tensor. The engine keeps the object."""
        place, length = _part(memory, length)
        if place.readonly and access == Access.READ_WRITE:
            raise ValueError("the buffer is read-only: register it with access=Access.READ")
        self._engine.register([place.address], [length], location, int(access))
        registration = Registration(self, place, length)
        self._registrations[place.address] = registration
        return registration

    def allocate(self, length: int) -> int:
        """The address of registered memory of the engine's own."""
        return self._engine.allocate(length)

    def free(self, address: int) -> None:
        """Gives memory of `allocate` back."""
        self._engine.free(address)

    # Transfers

    def write(self, segment: str, local: Any, remote: int, length: Optional[int] = None) -> None:
        """Writes local memory to `remote` in the peer's process. Returns when it is there."""
        self.write_batch(segment, [Piece(local, remote, length)])

    def read(self, segment: str, local: Any, remote: int, length: Optional[int] = None) -> None:
        """Reads `remote` in the peer's process into local memory."""
        self.read_batch(segment, [Piece(local, remote, length)])

    def write_batch(
        self, segment: str, pieces: Iterable[Piece], *, notification: Optional[Notification] = None
    ) -> None:
        """Writes all pieces; the peer gets `notification` when they are there."""
        self._engine.transfer(segment, *_lists(pieces, False)[0], _module.Write, _message(notification))

    def read_batch(
        self, segment: str, pieces: Iterable[Piece], *, notification: Optional[Notification] = None
    ) -> None:
        """Reads all pieces."""
        self._engine.transfer(segment, *_lists(pieces, True)[0], _module.Read, _message(notification))

    async def write_async(
        self, segment: str, pieces: Iterable[Piece], *, notification: Optional[Notification] = None
    ) -> None:
        """As `write_batch`, for asyncio. A caller that is cancelled hears of it when nothing moves any more."""
        await self._transfer(segment, _lists(pieces, False), _module.Write, notification)

    async def read_async(
        self, segment: str, pieces: Iterable[Piece], *, notification: Optional[Notification] = None
    ) -> None:
        """As `read_batch`, for asyncio. A caller that is cancelled hears of it when nothing moves any more."""
        await self._transfer(segment, _lists(pieces, True), _module.Read, notification)

    async def _transfer(
        self, segment: str, lists: Tuple[Tuple[list, list, list], list], opcode: int, notification: Any
    ) -> None:
        numbers, kept = lists
        message = _message(notification)
        loop = asyncio.get_running_loop()
        # Starting can connect to the peer, which blocks. It goes on when this task is cancelled.
        starting = loop.run_in_executor(
            None, lambda: self._engine.start(segment, *numbers, opcode, message)
        )
        cancelled = None
        while not starting.done():
            try:
                await asyncio.wait([starting])
            except asyncio.CancelledError as error:
                cancelled = error
        batch = starting.result()
        if batch:
            await waiter().ended(self._engine, batch, kept)
        if cancelled is not None:
            raise cancelled

    # Peers

    def buffers(self, segment: str) -> List[Buffer]:
        """What a peer has registered."""
        return [Buffer(*one) for one in self._engine.buffers(segment)]

    def warmup(self, segment: str) -> Warmup:
        """Connects to a peer's NICs, so that the first transfer does not have to."""
        return Warmup(*self._engine.warmup(segment))

    def probe(self, segment: str) -> None:
        """Asks a peer whether it is there."""
        self._engine.probe(segment)

    def notify(self, segment: str, notification: Notification) -> None:
        """Sends a message and waits for its receipt."""
        self._engine.notify(segment, _message(notification))

    def notifications(self) -> List[Notification]:
        """Takes the messages that have arrived."""
        return [Notification(one.name, one.msg) for one in self._engine.notifications()]


def _part(memory: Any, length: Optional[int]) -> Tuple[Place, int]:
    place = place_of(memory)
    if length is None:
        if place.length is None:
            raise TypeError("an address needs a length")
        return place, place.length
    if place.length is not None and length > place.length:
        raise ValueError(f"{length} bytes are more than the {place.length} of the buffer")
    return place, length


def _lists(pieces: Iterable[Piece], is_written: bool) -> Tuple[Tuple[list, list, list], list]:
    """Three lists for the engine, and what must be kept until they are moved. `is_written`: whether locals are."""
    locals_, remotes, lengths, kept = [], [], [], []
    for memory, remote, *rest in pieces:
        place, length = _part(memory, rest[0] if rest else None)
        if is_written and place.readonly:
            raise ValueError("a read-only buffer cannot be read into")
        locals_.append(place.address)
        remotes.append(remote)
        lengths.append(length)
        kept.append(place.owner)
    return (locals_, remotes, lengths), kept


def _message(notification: Optional[Notification]) -> Any:
    return None if notification is None else _module.TransferNotify(notification[0], notification[1])
