"""What every method does: a table, read by test_contract.py.

The rows are upstream's behaviour. Where Moonrail's is another, the row says both, and why.
"""

from typing import Any, Callable, NamedTuple

import mooncake.engine as module
from mooncake.engine import TransferEngine, TransferNotify, TransferOpcode

SAME = object()


class Raises(NamedTuple):
    kind: type


class Dies(NamedTuple):
    """The process ends by a signal."""


class Like(NamedTuple):
    """What the value must be like, in words."""

    words: str
    holds: Callable[[Any], bool]


class Row(NamedTuple):
    name: str
    #: Called with a Pair; the row holds if it returns what `expected` says.
    call: Callable[[Any], Any]
    expected: Any
    #: Upstream's, where it differs.
    upstream: Any = SAME
    why: str = ""
    #: Breaks the connection of upstream's two engines, so that it needs two of its own.
    alone: bool = False


POSITIVE = Like("more than 0", lambda value: value > 0)
NEGATIVE = Like("less than 0", lambda value: value < 0)
TEXT = Like("a string", lambda value: isinstance(value, str) and bool(value))


def moved(length, call):
    """A row's call that moves `length` bytes: what `call` returns, and whether they are there."""

    def run(pair):
        near, far = pair.near.take(length), pair.far.take(length)
        data = bytes(index * 7 & 0xFF for index in range(length))
        pair.near.write(near, data)
        code = call(pair, near, far, length)
        return code, pair.far.read(far, length) == data

    return run


def fetched(length, call):
    """The same for a read."""

    def run(pair):
        near, far = pair.near.take(length), pair.far.take(length)
        data = bytes(index * 5 & 0xFF for index in range(length))
        pair.far.write(far, data)
        code = call(pair, near, far, length)
        return code, pair.near.read(near, length) == data

    return run


def ended(pair, number):
    """The last answer of transfer_check_status."""
    while True:
        code = pair.a.transfer_check_status(number)
        if code != 0:
            return code


def started(pair, call):
    number = call(pair, pair.near.take(64), pair.far.take(64))
    return number > 0 and number < 2**63 and ended(pair, number)


def uninitialized(call):
    return lambda pair: call(TransferEngine())


def registered(pair, length=4096):
    address = pair.other.take(length)
    return address, pair.a.register_memory(address, length)


def twice(pair, *second):
    address, code = registered(pair)
    return code, pair.a.register_memory(address + second[0], second[1])


def again(pair):
    address, first = registered(pair)
    return first, pair.a.unregister_memory(address), pair.a.register_memory(address, 4096)


def adjacent(pair):
    address = pair.other.take(8192)
    return pair.a.register_memory(address, 4096), pair.a.register_memory(address + 4096, 4096)


def small(pair):
    address = pair.other.take(64)
    return pair.a.register_memory(address, 8), pair.a.register_memory(address + 8, 8)


def late(pair):
    """Memory that is registered when the peers have connected."""
    near, far = pair.near.take(64), pair.other.take(64)
    pair.near.write(near, b"late" * 16)
    code = pair.b.register_memory(far, 64)
    return code, pair.a.transfer_sync_write(pair.peer, near, far, 64), pair.other.read(far, 64) == b"late" * 16


def message(pair):
    code = pair.a.transfer_sync(
        pair.peer, pair.near.take(8), pair.far.take(8), 8, TransferOpcode.Write, TransferNotify("name", "text")
    )
    for _ in range(100000):
        found = pair.b.get_notifies()
        if found:
            return code, [(one.name, one.msg) for one in found], pair.b.get_notifies()
    return code, []


def notify_object():
    one = TransferNotify()
    one.name, one.msg = "a", "b"
    two = TransferNotify("c", "d")
    return one.name, one.msg, two.name, two.msg


def managed(pair):
    address = pair.a.allocate_managed_buffer(5000)
    written = pair.a.write_bytes_to_buffer(address, b"some bytes", 10)
    return address > 0, written, pair.a.read_bytes_from_buffer(address, 10), pair.a.free_managed_buffer(address, 5000)


def managed_text(pair):
    address = pair.a.allocate_managed_buffer(16)
    pair.a.write_bytes_to_buffer(address, "text", 4)
    return pair.a.read_bytes_from_buffer(address, 4)


def managed_moves(pair):
    address = pair.a.allocate_managed_buffer(64)
    far = pair.far.take(64)
    pair.a.write_bytes_to_buffer(address, b"m" * 64, 64)
    return pair.a.transfer_sync_write(pair.peer, address, far, 64), pair.far.read(far, 64) == b"m" * 64


def retried(pair):
    engine = TransferEngine()
    first = engine.initialize("", "http://127.0.0.1:1/metadata", "tcp", "")
    return first, TransferEngine().initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "")


def numpy_lists(pair, near, far, length):
    import numpy

    half = length // 2
    return pair.a.batch_transfer_sync_write(
        pair.peer,
        numpy.array([near, near + half], dtype=numpy.uint64),
        (numpy.uint64(far), numpy.uint64(far + half)),
        [numpy.int32(half), numpy.int64(half)],
    )


def many(pair, near, far, length):
    offsets = range(0, length, 8)
    return pair.a.batch_transfer_sync_write(
        pair.peer, [near + one for one in offsets], [far + one for one in offsets], [8] * len(offsets)
    )


def generator(pair):
    return pair.a.batch_transfer_sync_write(pair.peer, (one for one in [1]), [1], [1])


def unregistered_here(pair):
    near, far = pair.other.take(64), pair.far.take(64)
    pair.other.write(near, b"none" * 16)
    return pair.a.transfer_sync_write(pair.peer, near, far, 64), pair.far.read(far, 64) == b"none" * 16


def unregistered_there(pair):
    return pair.a.transfer_sync_write(pair.peer, pair.near.take(64), pair.other.take(64), 64)


def to_itself(pair):
    near, far = pair.near.take(64), pair.near.take(64)
    pair.near.write(near, b"self" * 16)
    own = f"127.0.0.1:{pair.a.get_rpc_port()}"
    return pair.a.transfer_sync_write(own, near, far, 64), pair.near.read(far, 64) == b"self" * 16


def batch_registered(pair):
    addresses = [pair.other.take(4096) for _ in range(3)]
    return (
        pair.a.batch_register_memory(addresses, [4096] * 3),
        pair.a.batch_unregister_memory(addresses),
        pair.a.batch_register_memory(buffer_addresses=addresses, capacities=[4096] * 3, location="cpu:0"),
        pair.a.batch_unregister_memory(addresses),
    )


def awaited(pair):
    near, far = pair.near.take(64), pair.far.take(64)
    numbers = [pair.a.batch_transfer_async_write(pair.peer, [near], [far], [64]) for _ in range(3)]
    return pair.a.get_batch_transfer_status(numbers)


def submitted_awaited(pair):
    return pair.a.get_batch_transfer_status(
        [pair.a.transfer_submit_write(pair.peer, pair.near.take(8), pair.far.take(8), 8)]
    )


def twice_initialized(pair):
    engine = TransferEngine()
    return [engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "") for _ in range(2)]


def one(pair, **more):
    return pair.a.transfer_sync_write(
        target_hostname=pair.peer,
        buffer=pair.near.take(64),
        peer_buffer_address=pair.far.take(64),
        length=64,
        transport_hint="",
    )


def missing(name):
    return lambda pair: hasattr(TransferEngine, name)


BAD_PEER = "127.0.0.1:9"

ROWS = [
    # the module
    Row("opcodes are numbers", lambda pair: (int(module.Read), int(module.Write)), (0, 1)),
    Row("opcodes are in the class", lambda pair: TransferEngine.TransferOpcode is TransferOpcode, True),
    Row("opcodes from numbers", lambda pair: TransferOpcode(1) == TransferOpcode.Write, True),
    Row("notify", lambda pair: notify_object(), ("a", "b", "c", "d")),
    *[
        Row(f"SUPPORT_{name}", lambda pair, name=name: getattr(module, f"SUPPORT_{name}"), False)
        for name in ("CUDA", "HIP", "MNNVL", "MUSA", "INTRA_NVLINK")
    ],
    Row("SUPPORT_EFA is a flag", lambda pair: type(module.SUPPORT_EFA), bool),
    *[
        Row(f"has {name}", lambda pair, name=name: hasattr(module, name), True)
        for name in (
            "RpcInterface", "CoroRPCInterface", "ReceivedData", "ReceivedTensor", "SharedSegment", "create_rpc_client",
            "create_rpc_server", "InnerTransferEngine",
        )
    ],
    *[
        Row(f"no {name}", missing(name), False)
        for name in (
            "transfer_write_on_cuda", "transfer_read_on_cuda", "batch_transfer_write_on_cuda",
            "batch_transfer_read_on_cuda",
        )
    ],
    # starting
    Row("initialize with None", lambda pair: TransferEngine().initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", None), 0),
    Row("initialize ignores a port",
        lambda pair: TransferEngine().initialize("127.0.0.1:5", "P2PHANDSHAKE", "tcp", ""), 0),
    Row("initialize rdma", lambda pair: TransferEngine().initialize("127.0.0.1", "P2PHANDSHAKE", "rdma", ""), 0),
    Row("initialize with an unknown NIC",
        lambda pair: TransferEngine().initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "x"), 0),
    Row("initialize with an unknown protocol",
        lambda pair: TransferEngine().initialize("127.0.0.1", "P2PHANDSHAKE", "bogus", ""), -1, 0,
        "a misspelt protocol is an error"),
    Row("initialize_ext", lambda pair: TransferEngine().initialize_ext("127.0.0.1", "P2PHANDSHAKE", "tcp", "", ""), 0),
    Row("initialize twice", twice_initialized, [0, -1], [0, 0], "the first engine would be lost"),
    Row("a failed initialize", retried, (-1, 0)),
    Row("initialize misses arguments", lambda pair: TransferEngine().initialize("127.0.0.1"), Raises(TypeError)),
    Row("get_rpc_port", lambda pair: 0 < pair.a.get_rpc_port() < 65536, True),
    Row("get_engine", lambda pair: type(pair.a.get_engine()).__name__, "InnerTransferEngine"),
    Row("get_engine_ptr", lambda pair: pair.a.get_engine_ptr(), Raises(NotImplementedError), POSITIVE,
        "there is no C++ object"),
    # registration
    Row("register", lambda pair: registered(pair)[1], 0),
    Row("register twice", lambda pair: twice(pair, 0, 4096), (0, -7)),
    Row("register an overlap", lambda pair: twice(pair, 2048, 4096), (0, -7)),
    Row("register nothing", lambda pair: pair.a.register_memory(pair.other.take(64), 0), -1),
    Row("register at 0", lambda pair: pair.a.register_memory(0, 64), -1, 0, "there is no memory at 0"),
    Row("register what is no memory", lambda pair: pair.a.register_memory(4096, 4096), -1, 0,
        "a copy to it would end the process"),
    Row("register again", again, (0, 0, 0)),
    Row("register neighbours", adjacent, (0, 0)),
    Row("register 8 bytes", small, (0, 0)),
    Row("register by keywords", lambda pair: pair.a.register_memory(
        buffer_addr=pair.other.take(64), capacity=64, location="cpu:0"), 0),
    Row("register a negative address", lambda pair: pair.a.register_memory(-1, 64), Raises(TypeError)),
    Row("register a float", lambda pair: pair.a.register_memory(1.5, 64), Raises(TypeError)),
    Row("unregister unknown", lambda pair: pair.a.unregister_memory(pair.other.take(64)), -3),
    Row("unregister inside", lambda pair: pair.a.unregister_memory(registered(pair)[0] + 64), -3),
    Row("batch register", batch_registered, (0, 0, 0, 0)),
    Row("batch register nothing", lambda pair: (
        pair.a.batch_register_memory([], []), pair.a.batch_unregister_memory([])), (0, 0)),
    Row("batch register unequal", lambda pair: pair.a.batch_register_memory([1, 2], [3]), -1, NEGATIVE,
        "upstream reads beyond the shorter list"),
    Row("batch register an overlap", lambda pair: pair.a.batch_register_memory(
        [pair.near.address], [64]), -7, NEGATIVE, "the code of the buffer"),
    Row("batch unregister unknown", lambda pair: pair.a.batch_unregister_memory([pair.other.take(64)]), -3),
    # transfers
    Row("transfer_sync_write", moved(4096, lambda pair, near, far, n: pair.a.transfer_sync_write(
        pair.peer, near, far, n)), (0, True)),
    Row("transfer_sync_read", fetched(4096, lambda pair, near, far, n: pair.a.transfer_sync_read(
        pair.peer, near, far, n)), (0, True)),
    Row("transfer_sync", moved(4096, lambda pair, near, far, n: pair.a.transfer_sync(
        pair.peer, near, far, n, TransferOpcode.Write)), (0, True)),
    Row("transfer_sync reads", fetched(4096, lambda pair, near, far, n: pair.a.transfer_sync(
        pair.peer, near, far, n, opcode=TransferOpcode.Read, notify=None, transport_hint="x")), (0, True)),
    Row("transfer_sync by keywords", one, 0),
    Row("batch_transfer_sync_write", moved(4096, lambda pair, near, far, n: pair.a.batch_transfer_sync_write(
        pair.peer, [near, near + 96], [far, far + 96], [96, n - 96])), (0, True)),
    Row("batch_transfer_sync_read", fetched(4096, lambda pair, near, far, n: pair.a.batch_transfer_sync_read(
        pair.peer, [near, near + 96], [far, far + 96], [96, n - 96])), (0, True)),
    Row("batch_transfer_sync", moved(4096, lambda pair, near, far, n: pair.a.batch_transfer_sync(
        pair.peer, [near], [far], [n], TransferOpcode.Write)), (0, True)),
    Row("batch by keywords", moved(64, lambda pair, near, far, n: pair.a.batch_transfer_sync_write(
        target_hostname=pair.peer, buffers=[near], peer_buffer_addresses=[far], lengths=[n])), (0, True)),
    Row("batch of arrays", moved(4096, numpy_lists), (0, True)),
    Row("batch of 1000", moved(8000, many), (0, True)),
    Row("empty batch", lambda pair: pair.a.batch_transfer_sync_write(pair.peer, [], [], []), 0),
    Row("zero-length entries", lambda pair: pair.a.batch_transfer_sync_write(
        pair.peer, [pair.near.take(8)] * 2, [pair.far.take(8)] * 2, [0, 8]), 0),
    Row("unequal lists", lambda pair: pair.a.batch_transfer_sync_write(pair.peer, [1, 2], [1], [1]), -1),
    Row("floats", lambda pair: pair.a.batch_transfer_sync_write(pair.peer, [1.0], [1], [1]), Raises(TypeError)),
    Row("negative numbers",
        lambda pair: pair.a.batch_transfer_sync_write(pair.peer, [-1], [1], [1]), Raises(TypeError)),
    Row("too large numbers", lambda pair: pair.a.transfer_sync_write(pair.peer, 2**64, 1, 1), Raises(TypeError)),
    Row("generators", generator, Raises(TypeError)),
    Row("text for a list", lambda pair: pair.a.batch_transfer_sync_write(pair.peer, "", [1], [1]), Raises(TypeError)),
    Row("late registration", late, (0, 0, True)),
    Row("to itself", to_itself, (0, True)),
    Row("a peer that is not there", lambda pair: pair.a.transfer_sync_write(BAD_PEER, pair.near.take(8), 1, 8), -1),
    Row("a peer without a name", lambda pair: pair.a.transfer_sync_write("", pair.near.take(8), 1, 8), -1),
    Row("memory that is not registered here", unregistered_here, (0, True)),
    Row("memory that is not registered there", unregistered_there, -1, alone=True),
    # batches that are asked about
    Row("batch_transfer_async_write", lambda pair: started(pair, lambda pair, near, far: (
        pair.a.batch_transfer_async_write(pair.peer, [near, near + 8], [far, far + 8], [8, 8]))), 1),
    Row("batch_transfer_async_read", lambda pair: started(pair, lambda pair, near, far: (
        pair.a.batch_transfer_async_read(pair.peer, [near], [far], [8]))), 1),
    Row("batch_transfer_async", lambda pair: started(pair, lambda pair, near, far: (
        pair.a.batch_transfer_async(pair.peer, [near], [far], [8], TransferOpcode.Read))), 1),
    Row("transfer_submit_write", lambda pair: started(pair, lambda pair, near, far: (
        pair.a.transfer_submit_write(pair.peer, near, far, 8))), 1),
    Row("async to nobody", lambda pair: pair.a.batch_transfer_async_write(BAD_PEER, [pair.near.take(8)], [1], [8]), 0),
    Row("async unequal", lambda pair: pair.a.batch_transfer_async_write(pair.peer, [1, 2], [1], [1]), 0),
    Row("get_batch_transfer_status", awaited, 0),
    Row("get_batch_transfer_status of nothing", lambda pair: pair.a.get_batch_transfer_status([]), 0),
    Row("get_batch_transfer_status of a submission", submitted_awaited, 0, -1, "upstream never sets its start"),
    Row("transfer_check_status of nothing", lambda pair: pair.a.transfer_check_status(12345), -1, Dies(),
        "upstream takes the number for an address"),
    # the engine's memory
    Row("managed buffer", managed, (True, 0, b"some bytes", 0)),
    Row("managed buffer of text", managed_text, b"text"),
    Row("managed buffer moves", managed_moves, (0, True)),
    Row("free what is none", lambda pair: pair.a.free_managed_buffer(4096, 64), -3, 0, "upstream keeps no account"),
    Row("read what is no memory", lambda pair: pair.a.read_bytes_from_buffer(4096, 8), Raises(ValueError), Dies(),
        "the kernel copies"),
    Row("write to what is no memory", lambda pair: pair.a.write_bytes_to_buffer(4096, b"12345678", 8), -1, Dies(),
        "the kernel copies"),
    # peers
    Row("get_first_buffer_address", lambda pair: pair.a.get_first_buffer_address(pair.peer) == pair.far.address, True,
        alone=True),
    Row("get_first_buffer_address of nobody", lambda pair: pair.a.get_first_buffer_address(BAD_PEER), 0),
    Row("send_probe", lambda pair: pair.a.send_probe(peer_server_name=pair.peer), 0),
    Row("send_probe to nobody", lambda pair: pair.a.send_probe(BAD_PEER), -102),
    Row("send_probe to an unknown name", lambda pair: pair.a.send_probe("no.such.host.invalid:1"), -101),
    Row("warmup_efa_segment", lambda pair: pair.a.warmup_efa_segment(segment_name=pair.peer), 0),
    Row("get_local_topology", lambda pair: pair.a.get_local_topology(), TEXT),
    Row("get_local_topology of a NIC", lambda pair: pair.a.get_local_topology("mlx5_0"), TEXT),
    Row("get_notifies", message, (0, [("name", "text")], [])),
    Row("no notifications", lambda pair: pair.a.get_notifies(), []),
    # before initialize
    Row("send_probe before initialize", uninitialized(lambda engine: engine.send_probe("x:1")), -1, NEGATIVE,
        "upstream looks the name up all the same"),
    *[
        Row(f"{name} before initialize", uninitialized(call), expected, Dies(), "upstream has no engine to ask")
        for name, call, expected in (
            ("get_rpc_port", lambda engine: engine.get_rpc_port(), -1),
            ("register_memory", lambda engine: engine.register_memory(4096, 4096), -1),
            ("batch_register_memory", lambda engine: engine.batch_register_memory([4096], [4096]), -1),
            ("unregister_memory", lambda engine: engine.unregister_memory(4096), -1),
            ("transfer_sync_write", lambda engine: engine.transfer_sync_write("x:1", 1, 1, 1), -1),
            ("batch_transfer_sync_read", lambda engine: engine.batch_transfer_sync_read("x:1", [1], [1], [1]), -1),
            ("batch_transfer_async_read", lambda engine: engine.batch_transfer_async_read("x:1", [1], [1], [1]), 0),
            ("get_first_buffer_address", lambda engine: engine.get_first_buffer_address("x:1"), 0),
            ("get_notifies", lambda engine: engine.get_notifies(), []),
            ("allocate_managed_buffer", lambda engine: engine.allocate_managed_buffer(8), 0),
        )
    ],
]
