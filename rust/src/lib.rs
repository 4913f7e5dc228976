//! Moves memory between hosts: registered memory of one process is read and written by others, over AWS EFA or TCP.
//!
//! This is a wrapper of Moonrail's C library, with the methods of the crate that comes with Mooncake's Transfer Engine.
//! An engine that writes to itself and reads back:
//!
//! ```
//! use moonrail::{MemoryPool, TransferEngine, TransferRequest, WILDCARD_LOCATION};
//!
//! # fn main() -> Result<(), moonrail::EngineError> {
//! let mut pool = MemoryPool::new(8192)?;
//! let engine = TransferEngine::initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "")?;
//! let segment = engine.open_segment(&engine.local_ip_and_port()?)?;
//! let (near, far) = (pool.as_mut_ptr(), pool.as_ptr() as u64 + 4096);
//! // The memory outlives its registration, and nobody else uses it.
//! unsafe {
//!     pool.as_mut_slice()[..5].copy_from_slice(b"hello");
//!     engine.register_local_memory(near, pool.len(), WILDCARD_LOCATION)?;
//!     engine.submit_and_wait(&[TransferRequest::write(near, segment, far, 5)], None)?;
//!     assert_eq!(&pool.as_slice()[4096..4101], b"hello");
//!     engine.unregister_local_memory(near)?;
//! }
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
// std::ffi::NulError is as old as Rust; what clippy dates is a later move of it inside the standard library.
#![allow(unknown_lints, clippy::incompatible_msrv)]

mod engine;
mod error;
mod ffi;
mod memory_pool;
mod transfers;
mod types;

pub use engine::{TransferEngine, TransferEngineOptions};
pub use error::EngineError;
pub use memory_pool::MemoryPool;
pub use types::{
    BatchId, BufferEntry, NicLoadStat, NotifyMsg, Opcode, SegmentId, TransferRequest,
    TransferStatus, TransferStatusCode, INVALID_BATCH, LOCAL_SEGMENT, WILDCARD_LOCATION,
};
