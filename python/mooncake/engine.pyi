"""Mooncake's transfer engine: moves memory between hosts over AWS EFA and TCP."""

import enum
from typing import Any, Optional, Sequence

class TransferOpcode(enum.IntEnum):
    Read = 0
    Write = 1

Read: TransferOpcode
Write: TransferOpcode

#: Whether libfabric finds an EFA device on this host; looked at when it is first read.
SUPPORT_EFA: bool
SUPPORT_CUDA: bool
SUPPORT_HIP: bool
SUPPORT_INTRA_NVLINK: bool
SUPPORT_MNNVL: bool
SUPPORT_MUSA: bool

class TransferNotify:
    """A message to the peer of a transfer, for when its bytes are in place."""

    name: str
    msg: str
    def __init__(self, name: str = "", msg: str = "") -> None: ...

class InnerTransferEngine:
    """The engine of a TransferEngine, for other modules to hold on to."""

class TransferEngine:
    """Moves memory between this host and its peers.

    Transfers return 0 when every byte is where it belongs, and a negative number otherwise.
    """

    TransferOpcode: type[TransferOpcode]
    def __init__(self) -> None: ...
    def initialize(
        self, local_hostname: str, metadata_server: str, protocol: str, device_name: Optional[str], /
    ) -> int: ...
    def initialize_ext(
        self,
        local_hostname: str,
        metadata_server: str,
        protocol: str,
        device_name: Optional[str],
        metadata_type: Optional[str],
        /,
    ) -> int: ...
    def get_rpc_port(self) -> int: ...
    def get_engine(self) -> Optional[InnerTransferEngine]: ...
    def get_engine_ptr(self) -> int: ...
    def transfer_sync_write(
        self, target_hostname: str, buffer: int, peer_buffer_address: int, length: int, transport_hint: str = ""
    ) -> int: ...
    def transfer_sync_read(
        self, target_hostname: str, buffer: int, peer_buffer_address: int, length: int, transport_hint: str = ""
    ) -> int: ...
    def transfer_sync(
        self,
        target_hostname: str,
        buffer: int,
        peer_buffer_address: int,
        length: int,
        opcode: TransferOpcode,
        notify: Optional[TransferNotify] = None,
        transport_hint: str = "",
    ) -> int: ...
    def batch_transfer_sync_write(
        self,
        target_hostname: str,
        buffers: Sequence[int],
        peer_buffer_addresses: Sequence[int],
        lengths: Sequence[int],
        transport_hint: str = "",
    ) -> int: ...
    def batch_transfer_sync_read(
        self,
        target_hostname: str,
        buffers: Sequence[int],
        peer_buffer_addresses: Sequence[int],
        lengths: Sequence[int],
        transport_hint: str = "",
    ) -> int: ...
    def batch_transfer_sync(
        self,
        target_hostname: str,
        buffers: Sequence[int],
        peer_buffer_addresses: Sequence[int],
        lengths: Sequence[int],
        opcode: TransferOpcode,
        notify: Optional[TransferNotify] = None,
        transport_hint: str = "",
    ) -> int: ...
    def batch_transfer_async_write(
        self,
        target_hostname: str,
        buffers: Sequence[int],
        peer_buffer_addresses: Sequence[int],
        lengths: Sequence[int],
        transport_hint: str = "",
    ) -> int: ...
    def batch_transfer_async_read(
        self,
        target_hostname: str,
        buffers: Sequence[int],
        peer_buffer_addresses: Sequence[int],
        lengths: Sequence[int],
        transport_hint: str = "",
    ) -> int: ...
    def batch_transfer_async(
        self,
        target_hostname: str,
        buffers: Sequence[int],
        peer_buffer_addresses: Sequence[int],
        lengths: Sequence[int],
        opcode: TransferOpcode,
        transport_hint: str = "",
    ) -> int: ...
    def transfer_submit_write(
        self, target_hostname: str, buffer: int, peer_buffer_address: int, length: int, transport_hint: str = ""
    ) -> int: ...
    def transfer_check_status(self, batch: int, /) -> int: ...
    def get_batch_transfer_status(self, batches: Sequence[int], /) -> int: ...
    def register_memory(self, buffer_addr: int, capacity: int, location: str = "*") -> int: ...
    def unregister_memory(self, buffer_addr: int, /) -> int: ...
    def batch_register_memory(
        self, buffer_addresses: Sequence[int], capacities: Sequence[int], location: str = "*"
    ) -> int: ...
    def batch_unregister_memory(self, buffer_addresses: Sequence[int], /) -> int: ...
    def allocate_managed_buffer(self, length: int, /) -> int: ...
    def free_managed_buffer(self, address: int, length: int, /) -> int: ...
    def write_bytes_to_buffer(self, address: int, data: bytes | str, length: int, /) -> int: ...
    def read_bytes_from_buffer(self, address: int, length: int, /) -> bytes: ...
    def get_local_topology(self, device_name: Optional[str] = None) -> str: ...
    def get_first_buffer_address(self, segment_name: str, /) -> int: ...
    def warmup_efa_segment(self, segment_name: str) -> int: ...
    def send_probe(self, peer_server_name: str) -> int: ...
    def get_notifies(self) -> list[TransferNotify]: ...

# Not there: calling one raises NotImplementedError.

class RpcInterface: ...

CoroRPCInterface = RpcInterface

class ReceivedData: ...
class ReceivedTensor: ...
class SharedSegment: ...

def create_rpc_client(*arguments: Any) -> Any: ...
def create_rpc_server(*arguments: Any) -> Any: ...

# For the package `moonrail`.
class _TransferError(RuntimeError):
    code: int

_Engine: Any
