"""The package `moonrail`."""

import asyncio
import ctypes
import os

import pytest

from moonrail import Access, Engine, Notification, Piece, TransferError


@pytest.fixture
def engines():
    with Engine("127.0.0.1", protocol="tcp") as near, Engine("127.0.0.1", protocol="tcp") as far:
        yield near, far


class Array:
    """What has an address: the memory of a bytearray through the protocols of other packages."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def test_write_and_read(engines):
    near, far = engines
    local, remote = bytearray(os.urandom(1 << 20)), bytearray(1 << 20)
    near.register(local)
    target = far.register(remote)
    near.write(far.name, local, target.address)
    assert remote == local
    remote[:4] = b"read"
    near.read(far.name, local, target.address, 4)
    assert local[:4] == b"read"
    assert [(one.address, one.length) for one in near.buffers(far.name)] == [(target.address, 1 << 20)]


def test_a_registration_ends(engines):
    near, far = engines
    memory = bytearray(4096)
    with near.register(memory) as registered:
        with pytest.raises(TransferError) as failure:
            near.register(memory)
        assert failure.value.code == 7
    near.register(memory).close()
    with pytest.raises(TransferError) as failure:
        near._engine.unregister([registered.address])
    assert failure.value.code == 3


def test_failures_are_exceptions(engines):
    near, far = engines
    memory = bytearray(64)
    near.register(memory)
    with pytest.raises(TransferError) as failure:
        near.write("127.0.0.1:9", memory, 0)
    assert failure.value.code == 102
    with pytest.raises(TransferError):
        near.write(far.name, memory, 4096)
    with pytest.raises(TransferError):
        near.probe("127.0.0.1:9")
    with pytest.raises(TransferError):
        Engine("127.0.0.1", protocol="bogus")
    near.close()
    with pytest.raises(TransferError) as failure:
        near.probe(far.name)
    assert failure.value.code == 900


def test_notifications(engines):
    near, far = engines
    near.notify(far.name, Notification("who", "what"))
    assert far.notifications() == [Notification("who", "what")]
    assert far.notifications() == []


def test_managed_memory(engines):
    near, far = engines
    local, remote = near.allocate(100), far.allocate(100)
    near.write(far.name, local, remote, 100)
    near.free(local)
    with pytest.raises(TransferError):
        near.free(local)


def test_managed_memory_of_many_sizes(engines):
    """Pieces do not overlap, keep what is written to them, and can be had again."""
    near, _ = engines
    sizes = [1, 8192, 8193, 100_000, 3 << 20, 65 << 20, 257 << 20, 8192, 40 << 20, 1]
    for _ in range(3):
        places = sorted((near.allocate(size), size) for size in sizes)
        assert all(first + size <= second for (first, size), (second, _) in zip(places, places[1:]))
        for number, (address, size) in enumerate(places):
            for end in (address, address + size - 1):
                ctypes.c_char.from_address(end).value = bytes([number + 1])
        for number, (address, size) in enumerate(places):
            assert ctypes.c_char.from_address(address + size - 1).value == bytes([number + 1])
        for address, _ in places:
            near.free(address)
    with pytest.raises(TransferError):
        near.allocate(0)
    with pytest.raises(TransferError):
        near.allocate(1 << 62)


def test_what_is_refused(engines):
    near, far = engines
    with pytest.raises(TypeError, match="needs a length"):
        near.register(4096)
    with pytest.raises(TypeError, match="device"):
        near.register(Array(__cuda_array_interface__={"data": (4096, False)}))
    with pytest.raises(TypeError, match="not contiguous"):
        near.register(memoryview(bytearray(64))[::2])
    with pytest.raises(ValueError, match="read-only"):
        near.register(b"constant")
    with pytest.raises(TypeError, match="no address"):
        near.register(object())

    class Tensor:
        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self):
            raise AssertionError

    with pytest.raises(TypeError, match="device"):
        near.register(Tensor())


def test_read_only_memory(engines):
    near, far = engines
    constant = bytes(range(64))
    shared = far.register(constant, access=Access.READ)
    local = bytearray(64)
    near.register(local)
    near.read(far.name, local, shared.address)
    assert local == constant
    with pytest.raises(TransferError):
        near.write(far.name, local, shared.address)
    with pytest.raises(ValueError, match="read-only"):
        near.read(far.name, constant, shared.address)


def test_arrays(engines):
    import numpy

    near, far = engines
    local, remote = numpy.arange(1000, dtype=numpy.int32), numpy.zeros(1000, dtype=numpy.int32)

    class Tensor:
        """numpy's array by DLPack only."""

        def __dlpack_device__(self):
            return local.__dlpack_device__()

        def __dlpack__(self):
            return local.__dlpack__()

    near.register(Tensor())
    near.write(far.name, Tensor(), far.register(remote).address)
    assert (local == remote).all()
    with pytest.raises(TypeError, match="not contiguous"):
        near.register(local[::2])


def test_await(engines):
    near, far = engines
    count, size = 200, 4096
    local, remote = bytearray(os.urandom(count * size)), bytearray(count * size)
    here, there = near.register(local), far.register(remote)

    async def main():
        pieces = [Piece(here.address + index * size, there.address + index * size, size) for index in range(count)]
        await asyncio.gather(*(near.write_async(far.name, [piece]) for piece in pieces))
        assert remote == local
        remote[:] = bytes(count * size)
        await near.read_async(far.name, pieces)
        assert local == remote
        await near.write_async(far.name, [])
        with pytest.raises(TransferError):
            await near.write_async("127.0.0.1:9", pieces[:1])
        with pytest.raises(TransferError):
            await near.write_async(far.name, [Piece(here.address, 4096, 8)])

    # A second loop has a file of its own.
    asyncio.run(asyncio.wait_for(main(), 60))
    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_closed_engine_ends_what_is_awaited(engines):
    near, far = engines
    size = 64 << 20
    local, remote = bytearray(size), bytearray(size)
    near.register(local)
    target = far.register(remote)

    async def main():
        task = asyncio.ensure_future(near.write_async(far.name, [Piece(local, target.address)]))
        await asyncio.sleep(0)
        near.close()
        try:
            await task
        except TransferError:
            pass

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_cancelled_transfer_ends_first(engines):
    near, far = engines
    size = 32 << 20
    local, remote = bytearray(os.urandom(1 << 20) * 32), bytearray(size)
    near.register(local)
    target = far.register(remote)

    async def main():
        task = asyncio.ensure_future(near.write_async(far.name, [Piece(local, target.address)]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert remote == local

    asyncio.run(asyncio.wait_for(main(), 60))
