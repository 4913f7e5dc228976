use std::os::raw::c_void;

/// The number of an open segment.
pub type SegmentId = i32;

/// The engine's own segment.
pub const LOCAL_SEGMENT: SegmentId = 0;
/// The number of no batch.
pub const INVALID_BATCH: u64 = u64::MAX;
/// The location of memory that the engine is to find out.
pub const WILDCARD_LOCATION: &str = "*";

/// A batch of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchId(pub u64);

/// The direction of a transfer.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// From the segment into this process.
    Read = 0,
    /// From this process into the segment.
    Write = 1,
}

/// One contiguous piece of memory to move; `transfer_request_t` in C.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TransferRequest {
    /// Read or write.
    pub opcode: Opcode,
    /// The address on this side, in registered memory.
    pub source: *mut c_void,
    /// The segment.
    pub target_id: SegmentId,
    /// The address on the other side: a virtual address of the process that registered it.
    pub target_offset: u64,
    /// Bytes.
    pub length: u64,
}

impl TransferRequest {
    /// Reads `length` bytes at `target_offset` of the segment into `destination`.
    pub fn read(
        destination: *mut c_void,
        target_id: SegmentId,
        target_offset: u64,
        length: u64,
    ) -> Self {
        Self {
            opcode: Opcode::Read,
            source: destination,
            target_id,
            target_offset,
            length,
        }
    }

    /// Writes `length` bytes at `source` to `target_offset` of the segment.
    pub fn write(
        source: *mut c_void,
        target_id: SegmentId,
        target_offset: u64,
        length: u64,
    ) -> Self {
        Self {
            opcode: Opcode::Write,
            source,
            target_id,
            target_offset,
            length,
        }
    }
}

/// Memory to register; `buffer_entry_t` in C.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BufferEntry {
    /// The first byte.
    pub addr: *mut c_void,
    /// Bytes.
    pub length: usize,
}

/// Where a transfer stands.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferStatusCode {
    /// Not all of it is done.
    Waiting = 0,
    /// Never reported by Moonrail.
    Pending = 1,
    /// Never reported by Moonrail.
    Invalid = 2,
    /// Never reported by Moonrail.
    Canceled = 3,
    /// All bytes are where they belong.
    Completed = 4,
    /// Its deadline passed.
    Timeout = 5,
    /// A part of it failed.
    Failed = 6,
}

impl TransferStatusCode {
    /// What C's number means; a number that has no meaning is `Invalid`.
    pub(crate) fn from_raw(code: i32) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Pending,
            3 => Self::Canceled,
            4 => Self::Completed,
            5 => Self::Timeout,
            6 => Self::Failed,
            _ => Self::Invalid,
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Pending)
    }
}

/// Where a transfer stands, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferStatus {
    /// Where it stands.
    pub status: TransferStatusCode,
    /// Bytes known to have been moved.
    pub transferred_bytes: u64,
}

/// A message beside the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyMsg {
    /// By custom the sender's name.
    pub name: String,
    /// The text.
    pub msg: String,
}

/// What the engine knows of a NIC's load.
#[derive(Debug, Clone, PartialEq)]
pub struct NicLoadStat {
    /// The device.
    pub device_name: String,
    /// Moonrail does not count these: 0.
    pub inflight_bytes: u64,
    /// Bytes per second that the NIC moved between the last looks, the newer ones counting more.
    pub ewma_bandwidth_bps: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        assert_eq!(Opcode::Read as i32, 0);
        assert_eq!(Opcode::Write as i32, 1);
        for code in 0..=6 {
            assert_eq!(TransferStatusCode::from_raw(code) as i32, code);
        }
        for code in [-1, 7, i32::MAX] {
            assert_eq!(
                TransferStatusCode::from_raw(code),
                TransferStatusCode::Invalid
            );
        }
    }
}
