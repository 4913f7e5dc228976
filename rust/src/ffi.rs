//! The declarations of `transfer_engine_c.h`.

use std::os::raw::{c_char, c_int, c_void};

use crate::types::{BufferEntry, TransferRequest};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawStatus {
    pub status: c_int,
    pub transferred_bytes: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawNotify {
    pub name: *mut c_char,
    pub msg: *mut c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawNicLoad {
    pub device_name: [c_char; 64],
    pub inflight_bytes: u64,
    pub ewma_bandwidth_bps: f64,
}

pub type Engine = *mut c_void;

extern "C" {
    pub fn createTransferEngine(
        metadata: *const c_char,
        name: *const c_char,
        host: *const c_char,
        port: u64,
        auto_discover: c_int,
    ) -> Engine;
    pub fn destroyTransferEngine(engine: Engine);
    pub fn discoverTopology(engine: Engine) -> c_int;
    pub fn getLocalIpAndPort(engine: Engine, buffer: *mut c_char, length: usize) -> c_int;
    pub fn installTransport(
        engine: Engine,
        name: *const c_char,
        arguments: *mut *mut c_void,
    ) -> *mut c_void;
    pub fn uninstallTransport(engine: Engine, name: *const c_char) -> c_int;
    pub fn enableGracefulShutdown(engine: Engine);
    pub fn openSegment(engine: Engine, name: *const c_char) -> i32;
    pub fn openSegmentNoCache(engine: Engine, name: *const c_char) -> i32;
    pub fn closeSegment(engine: Engine, segment: i32) -> c_int;
    pub fn removeLocalSegment(engine: Engine, name: *const c_char) -> c_int;
    pub fn warmupEfaSegment(engine: Engine, name: *const c_char) -> c_int;
    pub fn syncSegmentCache(engine: Engine) -> c_int;
    pub fn registerLocalMemory(
        engine: Engine,
        address: *mut c_void,
        length: usize,
        location: *const c_char,
        remote_accessible: c_int,
    ) -> c_int;
    pub fn unregisterLocalMemory(engine: Engine, address: *mut c_void) -> c_int;
    pub fn registerLocalMemoryBatch(
        engine: Engine,
        list: *mut BufferEntry,
        count: usize,
        location: *const c_char,
    ) -> c_int;
    pub fn unregisterLocalMemoryBatch(
        engine: Engine,
        list: *mut *mut c_void,
        count: usize,
    ) -> c_int;
    pub fn allocateBatchID(engine: Engine, size: usize) -> u64;
    pub fn submitTransfer(
        engine: Engine,
        batch: u64,
        requests: *mut TransferRequest,
        count: usize,
    ) -> c_int;
    pub fn submitTransferWithNotify(
        engine: Engine,
        batch: u64,
        requests: *mut TransferRequest,
        count: usize,
        message: RawNotify,
    ) -> c_int;
    pub fn getTransferStatus(
        engine: Engine,
        batch: u64,
        task: usize,
        status: *mut RawStatus,
    ) -> c_int;
    pub fn freeBatchID(engine: Engine, batch: u64) -> c_int;
    pub fn getNotifsFromEngine(engine: Engine, size: *mut c_int) -> *mut RawNotify;
    pub fn freeNotifsMsgBuf(messages: *mut RawNotify, size: c_int) -> c_int;
    pub fn genNotifyInEngine(engine: Engine, target: u64, message: RawNotify) -> c_int;
    pub fn getNicLoadStats(engine: Engine, stats: *mut RawNicLoad, count: *mut usize) -> c_int;
    pub fn showLinks(engine: Engine, buffer: *mut c_char, length: usize, json: c_int) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{align_of, size_of, MaybeUninit};
    use std::ptr::addr_of;

    /// The distance of a field from the beginning of its struct.
    macro_rules! offset {
        ($type:ty, $field:ident) => {{
            let value = MaybeUninit::<$type>::uninit();
            let base = value.as_ptr();
            unsafe { addr_of!((*base).$field) as usize - base as usize }
        }};
    }

    #[test]
    fn layouts_are_those_of_c() {
        assert_eq!(size_of::<TransferRequest>(), 40);
        assert_eq!(align_of::<TransferRequest>(), 8);
        assert_eq!(offset!(TransferRequest, opcode), 0);
        assert_eq!(offset!(TransferRequest, source), 8);
        assert_eq!(offset!(TransferRequest, target_id), 16);
        assert_eq!(offset!(TransferRequest, target_offset), 24);
        assert_eq!(offset!(TransferRequest, length), 32);
        assert_eq!(size_of::<BufferEntry>(), 16);
        assert_eq!(offset!(BufferEntry, addr), 0);
        assert_eq!(offset!(BufferEntry, length), 8);
        assert_eq!(size_of::<RawStatus>(), 16);
        assert_eq!(offset!(RawStatus, status), 0);
        assert_eq!(offset!(RawStatus, transferred_bytes), 8);
        assert_eq!(size_of::<RawNotify>(), 16);
        assert_eq!(offset!(RawNotify, name), 0);
        assert_eq!(offset!(RawNotify, msg), 8);
        assert_eq!(size_of::<RawNicLoad>(), 80);
        assert_eq!(offset!(RawNicLoad, device_name), 0);
        assert_eq!(offset!(RawNicLoad, inflight_bytes), 64);
        assert_eq!(offset!(RawNicLoad, ewma_bandwidth_bps), 72);
    }
}
