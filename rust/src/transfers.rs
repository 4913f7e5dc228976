use std::os::raw::c_void;
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::{check, lock, with_message, TransferEngine};
use crate::error::EngineError;
use crate::ffi;
use crate::types::{
    BatchId, NotifyMsg, Opcode, TransferRequest, TransferStatus, TransferStatusCode, INVALID_BATCH,
};

/// Looks at a status that follow each other at once, before the thread sleeps in between.
const EAGER_LOOKS: u32 = 1000;
/// How long it sleeps then.
const NAP: Duration = Duration::from_micros(20);

impl TransferEngine {
    /// Makes room for up to `size` requests.
    pub fn allocate_batch_id(&self, size: usize) -> Result<BatchId, EngineError> {
        match unsafe { ffi::allocateBatchID(self.handle, size) } {
            INVALID_BATCH => Err(EngineError::OperationFailed(-1)),
            batch => Ok(BatchId(batch)),
        }
    }

    /// Starts requests, which become the batch's next tasks. Unless it returns `Ok`, none of them is under way.
    ///
    /// # Safety
    ///
    /// Nobody may use the requests' local memory against their direction until they are done.
    pub unsafe fn submit_transfer(
        &self,
        batch: BatchId,
        requests: &[TransferRequest],
    ) -> Result<(), EngineError> {
        // The library only reads the list.
        let list = requests.as_ptr() as *mut TransferRequest;
        check(unsafe { ffi::submitTransfer(self.handle, batch.0, list, requests.len()) })
    }

    /// The same; the first request's target gets `message` once all of the batch is seen complete.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn submit_transfer_with_notify(
        &self,
        batch: BatchId,
        requests: &[TransferRequest],
        message: &NotifyMsg,
    ) -> Result<(), EngineError> {
        let list = requests.as_ptr() as *mut TransferRequest;
        with_message(message, |message| {
            check(unsafe {
                ffi::submitTransferWithNotify(self.handle, batch.0, list, requests.len(), message)
            })
        })
    }

    /// How the batch's task number `task`, from 0, stands.
    pub fn get_transfer_status(
        &self,
        batch: BatchId,
        task: usize,
    ) -> Result<TransferStatus, EngineError> {
        let mut status = ffi::RawStatus {
            status: 0,
            transferred_bytes: 0,
        };
        check(unsafe { ffi::getTransferStatus(self.handle, batch.0, task, &mut status) })?;
        Ok(TransferStatus {
            status: TransferStatusCode::from_raw(status.status),
            transferred_bytes: status.transferred_bytes,
        })
    }

    /// Waits until the tasks 0 to `count` of the batch are done, all of them also when one has failed.
    ///
    /// # Errors
    ///
    /// `TransferFailed`; `Timeout` if `timeout` is over before. The engine ends every task by its own deadline.
    pub fn wait_all(
        &self,
        batch: BatchId,
        count: usize,
        timeout: Option<Duration>,
    ) -> Result<(), EngineError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut has_failed = false;
        let mut looks = 0;
        for task in 0..count {
            loop {
                let status = self.get_transfer_status(batch, task)?.status;
                if status.is_final() {
                    has_failed |= status != TransferStatusCode::Completed;
                    break;
                }
                if deadline.map_or(false, |deadline| Instant::now() >= deadline) {
                    return Err(EngineError::Timeout);
                }
                looks += 1;
                if looks < EAGER_LOOKS {
                    thread::yield_now();
                } else {
                    thread::sleep(NAP);
                }
            }
        }
        if has_failed {
            return Err(EngineError::TransferFailed);
        }
        Ok(())
    }

    /// Moves the requests, and returns when they are done.
    ///
    /// # Errors
    ///
    /// As of [`Self::submit_transfer`] and [`Self::wait_all`]. After `Timeout` they are still under way; their batch is
    /// freed by a later call of this method, or with the engine.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`]. After `Timeout` the memory may still be in use until it is unregistered.
    pub unsafe fn submit_and_wait(
        &self,
        requests: &[TransferRequest],
        timeout: Option<Duration>,
    ) -> Result<(), EngineError> {
        if requests.is_empty() {
            return Ok(());
        }
        lock(&self.abandoned).retain(|batch| self.free_batch_id(*batch).is_err());
        let batch = self.allocate_batch_id(requests.len())?;
        let outcome = unsafe { self.submit_transfer(batch, requests) }
            .and_then(|()| self.wait_all(batch, requests.len(), timeout));
        if self.free_batch_id(batch).is_err() {
            lock(&self.abandoned).push(batch);
        }
        outcome
    }

    /// Frees a batch that is done.
    pub fn free_batch_id(&self, batch: BatchId) -> Result<(), EngineError> {
        check(unsafe { ffi::freeBatchID(self.handle, batch.0) })
    }

    /// Writes `length` bytes at `local` to the address `remote` of the engine named `target`, and waits.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn transfer_sync_write(
        &self,
        target: &str,
        local: *mut c_void,
        remote: u64,
        length: u64,
    ) -> Result<(), EngineError> {
        unsafe { self.transfer_sync(target, local, remote, length, Opcode::Write) }
    }

    /// Reads `length` bytes at the address `remote` of the engine named `target` into `local`, and waits.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn transfer_sync_read(
        &self,
        target: &str,
        local: *mut c_void,
        remote: u64,
        length: u64,
    ) -> Result<(), EngineError> {
        unsafe { self.transfer_sync(target, local, remote, length, Opcode::Read) }
    }

    /// Reads or writes, and waits.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn transfer_sync(
        &self,
        target: &str,
        local: *mut c_void,
        remote: u64,
        length: u64,
        opcode: Opcode,
    ) -> Result<(), EngineError> {
        unsafe { self.batch_transfer_sync(target, &[local], &[remote], &[length], opcode) }
    }

    /// Writes several pieces, and waits for all.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn batch_transfer_sync_write(
        &self,
        target: &str,
        locals: &[*mut c_void],
        remotes: &[u64],
        lengths: &[u64],
    ) -> Result<(), EngineError> {
        unsafe { self.batch_transfer_sync(target, locals, remotes, lengths, Opcode::Write) }
    }

    /// Reads several pieces, and waits for all.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn batch_transfer_sync_read(
        &self,
        target: &str,
        locals: &[*mut c_void],
        remotes: &[u64],
        lengths: &[u64],
    ) -> Result<(), EngineError> {
        unsafe { self.batch_transfer_sync(target, locals, remotes, lengths, Opcode::Read) }
    }

    /// Reads or writes several pieces, and waits for all.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for lists of different lengths; otherwise as of [`Self::submit_and_wait`].
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn batch_transfer_sync(
        &self,
        target: &str,
        locals: &[*mut c_void],
        remotes: &[u64],
        lengths: &[u64],
        opcode: Opcode,
    ) -> Result<(), EngineError> {
        if locals.len() != remotes.len() || locals.len() != lengths.len() {
            return Err(EngineError::InvalidArgument(
                "there are not as many local addresses as remote ones and lengths",
            ));
        }
        if locals.is_empty() {
            return Ok(());
        }
        let target_id = self.open_segment_cached(target)?;
        let requests: Vec<TransferRequest> = locals
            .iter()
            .zip(remotes)
            .zip(lengths)
            .map(|((local, remote), length)| TransferRequest {
                opcode,
                source: *local,
                target_id,
                target_offset: *remote,
                length: *length,
            })
            .collect();
        unsafe { self.submit_and_wait(&requests, None) }
    }

    /// Starts a write. The batch is to be asked about by [`Self::transfer_check_status`], then freed.
    ///
    /// # Safety
    ///
    /// As for [`Self::submit_transfer`].
    pub unsafe fn transfer_submit_write(
        &self,
        target: &str,
        local: *mut c_void,
        remote: u64,
        length: u64,
    ) -> Result<BatchId, EngineError> {
        let segment = self.open_segment_cached(target)?;
        let batch = self.allocate_batch_id(1)?;
        let request = TransferRequest::write(local, segment, remote, length);
        if let Err(error) = unsafe { self.submit_transfer(batch, &[request]) } {
            self.free_batch_id(batch)?;
            return Err(error);
        }
        Ok(batch)
    }

    /// How the first request of a batch stands. Does not free the batch.
    pub fn transfer_check_status(&self, batch: BatchId) -> Result<TransferStatusCode, EngineError> {
        Ok(self.get_transfer_status(batch, 0)?.status)
    }
}
