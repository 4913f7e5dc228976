use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::os::raw::{c_int, c_void};
use std::ptr::NonNull;
use std::slice;

use crate::error::EngineError;

/// Memory for transfers: zeroed, and aligned to pages.
///
/// Once it is registered, peers may read and write it at any time. That is why looking at it as a slice is `unsafe`.
#[derive(Debug)]
pub struct MemoryPool {
    memory: NonNull<u8>,
    layout: Layout,
}

// It is plain memory that this owns.
unsafe impl Send for MemoryPool {}
unsafe impl Sync for MemoryPool {}

extern "C" {
    fn getpagesize() -> c_int;
}

impl MemoryPool {
    /// Allocates `length` bytes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for no bytes, for more than there can be, and where there is no memory.
    pub fn new(length: usize) -> Result<Self, EngineError> {
        if length == 0 {
            return Err(EngineError::InvalidArgument(
                "a memory pool needs at least 1 byte",
            ));
        }
        let page = usize::try_from(unsafe { getpagesize() }).unwrap_or(4096);
        let layout = Layout::from_size_align(length, page)
            .map_err(|_| EngineError::InvalidArgument("a memory pool of that size cannot be"))?;
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(
            EngineError::InvalidArgument("there is no memory for a pool of that size"),
        )?;
        Ok(Self { memory, layout })
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Never: there is no pool without bytes.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const c_void {
        self.memory.as_ptr() as *const c_void
    }

    /// The first byte, to be written to.
    pub fn as_mut_ptr(&mut self) -> *mut c_void {
        self.memory.as_ptr() as *mut c_void
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// While the slice lives, neither a peer nor a transfer of this process may write to the memory.
    pub unsafe fn as_slice(&self) -> &[u8] {
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), self.len()) }
    }

    /// The bytes, to be written to.
    ///
    /// # Safety
    ///
    /// While the slice lives, neither a peer nor a transfer of this process may use the memory.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), self.len()) }
    }
}

impl Drop for MemoryPool {
    fn drop(&mut self) {
        unsafe { dealloc(self.memory.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zeroed_and_aligned_to_pages() {
        let pool = MemoryPool::new(10_000).unwrap();
        assert_eq!(pool.len(), 10_000);
        assert_eq!(pool.as_ptr() as usize % 4096, 0);
        assert!(unsafe { pool.as_slice() }.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn refuses_sizes_that_cannot_be() {
        for length in [0, usize::MAX, usize::MAX / 2] {
            assert!(matches!(
                MemoryPool::new(length),
                Err(EngineError::InvalidArgument(_))
            ));
        }
    }
}
