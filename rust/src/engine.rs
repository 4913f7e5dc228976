use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::EngineError;
use crate::ffi;
use crate::types::{BatchId, BufferEntry, NicLoadStat, NotifyMsg, SegmentId, WILDCARD_LOCATION};

/// How an engine is to be created.
#[derive(Debug, Clone)]
pub struct TransferEngineOptions<'a> {
    /// `P2PHANDSHAKE`, or a metadata store: `http://…`, `etcd://…`, `redis://…`.
    pub metadata_uri: &'a str,
    /// The name or address under which peers reach this host.
    pub local_server_name: &'a str,
    /// Not used by Moonrail; the local server name by default.
    pub ip_or_host_name: &'a str,
    /// Not used by Moonrail.
    pub rpc_port: u64,
    /// Install EFA where there is a device, or else TCP. Otherwise a transport has to be installed by hand.
    pub auto_discover: bool,
}

impl<'a> TransferEngineOptions<'a> {
    /// Options with which nothing is discovered.
    pub fn new(metadata_uri: &'a str, local_server_name: &'a str) -> Self {
        Self {
            metadata_uri,
            local_server_name,
            ip_or_host_name: local_server_name,
            rpc_port: 0,
            auto_discover: false,
        }
    }

    /// Sets the address.
    pub fn ip_or_host_name(mut self, value: &'a str) -> Self {
        self.ip_or_host_name = value;
        self
    }

    /// Sets the port.
    pub fn rpc_port(mut self, value: u64) -> Self {
        self.rpc_port = value;
        self
    }

    /// Sets whether transports are discovered.
    pub fn auto_discover(mut self, value: bool) -> Self {
        self.auto_discover = value;
        self
    }
}

/// An engine. All methods may be called from any thread; dropping it stops it.
#[derive(Debug)]
pub struct TransferEngine {
    pub(crate) handle: ffi::Engine,
    segments: Mutex<HashMap<String, SegmentId>>,
    /// Batches that nobody waits for any more, to be freed when they are done.
    pub(crate) abandoned: Mutex<Vec<BatchId>>,
}

// The handle is a number, and the library may be called from any thread.
unsafe impl Send for TransferEngine {}
unsafe impl Sync for TransferEngine {}

impl TransferEngine {
    /// Starts an engine without a transport.
    ///
    /// # Errors
    ///
    /// `NullHandle`: the log says why.
    pub fn new(
        metadata_uri: &str,
        local_server_name: &str,
        rpc_port: u64,
    ) -> Result<Self, EngineError> {
        let options = TransferEngineOptions::new(metadata_uri, local_server_name);
        Self::create(options.rpc_port(rpc_port))
    }

    /// Starts an engine.
    ///
    /// # Errors
    ///
    /// `NullHandle`: the log says why.
    pub fn create(options: TransferEngineOptions<'_>) -> Result<Self, EngineError> {
        let metadata = CString::new(options.metadata_uri)?;
        let name = CString::new(options.local_server_name)?;
        let host = CString::new(options.ip_or_host_name)?;
        let handle = unsafe {
            ffi::createTransferEngine(
                metadata.as_ptr(),
                name.as_ptr(),
                host.as_ptr(),
                options.rpc_port,
                c_int::from(options.auto_discover),
            )
        };
        if handle.is_null() {
            return Err(EngineError::NullHandle);
        }
        Ok(Self {
            handle,
            segments: Mutex::default(),
            abandoned: Mutex::default(),
        })
    }

    /// Starts an engine with a transport, `efa`, `tcp` or `rdma`, as Python's `initialize` does.
    ///
    /// `device_name` is a comma-separated list of NICs to use; empty: all.
    ///
    /// # Errors
    ///
    /// `NullHandle`, `OperationFailed` if the transport cannot be installed, `InvalidArgument` for the name of a device
    /// that cannot be one.
    pub fn initialize(
        local_hostname: &str,
        metadata_server: &str,
        protocol: &str,
        device_name: &str,
    ) -> Result<Self, EngineError> {
        let devices = topology_of(device_name)?;
        let engine = Self::new(metadata_server, local_hostname, 0)?;
        match devices {
            Some(topology) => engine.install(protocol, Some(&topology))?,
            None => engine.install(protocol, None)?,
        }
        Ok(engine)
    }

    /// Looks for NICs, which Moonrail does by itself.
    pub fn discover_topology(&self) -> Result<(), EngineError> {
        check(unsafe { ffi::discoverTopology(self.handle) })
    }

    /// Where peers reach this engine, `host:port`: with `P2PHANDSHAKE`, the name to open.
    pub fn local_ip_and_port(&self) -> Result<String, EngineError> {
        let mut text = [0 as c_char; 512];
        check(unsafe { ffi::getLocalIpAndPort(self.handle, text.as_mut_ptr(), text.len()) })?;
        Ok(unsafe { string(text.as_ptr()) })
    }

    /// Installs a transport in an engine that has none.
    pub fn install_transport(&self, protocol: &str) -> Result<(), EngineError> {
        self.install(protocol, None)
    }

    fn install(&self, protocol: &str, topology: Option<&str>) -> Result<(), EngineError> {
        let protocol = CString::new(protocol)?;
        let topology = topology.map(CString::new).transpose()?;
        let mut arguments = [topology
            .as_ref()
            .map_or(ptr::null_mut(), |text| text.as_ptr() as *mut c_void)];
        let transport = unsafe {
            ffi::installTransport(self.handle, protocol.as_ptr(), arguments.as_mut_ptr())
        };
        check(if transport.is_null() { -1 } else { 0 })
    }

    /// Returns whether the transport is installed; it stays.
    pub fn uninstall_transport(&self, protocol: &str) -> Result<(), EngineError> {
        let protocol = CString::new(protocol)?;
        check(unsafe { ffi::uninstallTransport(self.handle, protocol.as_ptr()) })
    }

    /// From now on SIGTERM, SIGINT and the end of the process stop this engine.
    pub fn enable_graceful_shutdown(&self) {
        unsafe { ffi::enableGracefulShutdown(self.handle) }
    }

    // Segments

    /// Opens the segment of the engine named `name`.
    pub fn open_segment(&self, name: &str) -> Result<SegmentId, EngineError> {
        let name = CString::new(name)?;
        number(unsafe { ffi::openSegment(self.handle, name.as_ptr()) })
    }

    /// The same, after looking anew at what its owner has registered.
    pub fn open_segment_no_cache(&self, name: &str) -> Result<SegmentId, EngineError> {
        let name = CString::new(name)?;
        number(unsafe { ffi::openSegmentNoCache(self.handle, name.as_ptr()) })
    }

    /// The number of a segment that this method has opened before, or opens now.
    pub fn open_segment_cached(&self, name: &str) -> Result<SegmentId, EngineError> {
        let mut segments = lock(&self.segments);
        if let Some(segment) = segments.get(name) {
            return Ok(*segment);
        }
        // Opened while the table is locked, so that there is one opening for each name.
        let segment = self.open_segment(name)?;
        segments.insert(name.to_owned(), segment);
        Ok(segment)
    }

    /// Takes back one opening. After the last one the number is invalid.
    pub fn close_segment(&self, segment: SegmentId) -> Result<(), EngineError> {
        let mut segments = lock(&self.segments);
        check(unsafe { ffi::closeSegment(self.handle, segment) })?;
        segments.retain(|_, known| *known != segment);
        Ok(())
    }

    /// Connects to all NICs of the segment. Nothing where EFA is not installed.
    pub fn warmup_efa_segment(&self, name: &str) -> Result<(), EngineError> {
        let name = CString::new(name)?;
        check(unsafe { ffi::warmupEfaSegment(self.handle, name.as_ptr()) })
    }

    /// Takes back all openings of a segment.
    pub fn remove_local_segment(&self, name: &str) -> Result<(), EngineError> {
        let mut segments = lock(&self.segments);
        segments.remove(name);
        let name = CString::new(name)?;
        check(unsafe { ffi::removeLocalSegment(self.handle, name.as_ptr()) })
    }

    /// Looks anew at what the owners of all open segments have registered.
    pub fn sync_segment_cache(&self) -> Result<(), EngineError> {
        check(unsafe { ffi::syncSegmentCache(self.handle) })
    }

    // Memory

    /// Registers memory for transfers of this engine and its peers.
    ///
    /// # Safety
    ///
    /// The memory must stay until it is unregistered or the engine is dropped, and peers may read and write it at any
    /// time until then.
    pub unsafe fn register_local_memory(
        &self,
        address: *mut c_void,
        length: usize,
        location: &str,
    ) -> Result<(), EngineError> {
        unsafe { self.register_local_memory_ex(address, length, location, true) }
    }

    /// The same; peers may use the memory only if it is `remote_accessible`.
    ///
    /// # Safety
    ///
    /// As for [`Self::register_local_memory`].
    pub unsafe fn register_local_memory_ex(
        &self,
        address: *mut c_void,
        length: usize,
        location: &str,
        remote_accessible: bool,
    ) -> Result<(), EngineError> {
        let location = CString::new(location)?;
        check(unsafe {
            ffi::registerLocalMemory(
                self.handle,
                address,
                length,
                location.as_ptr(),
                c_int::from(remote_accessible),
            )
        })
    }

    /// Registers memory whose location the engine finds out.
    ///
    /// # Safety
    ///
    /// As for [`Self::register_local_memory`].
    pub unsafe fn register_memory(
        &self,
        address: *mut c_void,
        length: usize,
    ) -> Result<(), EngineError> {
        unsafe { self.register_local_memory(address, length, WILDCARD_LOCATION) }
    }

    /// Withdraws the memory that was registered at `address`, after waiting for transfers that use it.
    ///
    /// # Safety
    ///
    /// None that the library does not check; `unsafe` as in Mooncake's crate.
    pub unsafe fn unregister_local_memory(&self, address: *mut c_void) -> Result<(), EngineError> {
        check(unsafe { ffi::unregisterLocalMemory(self.handle, address) })
    }

    /// The same as [`Self::unregister_local_memory`].
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn unregister_memory(&self, address: *mut c_void) -> Result<(), EngineError> {
        unsafe { self.unregister_local_memory(address) }
    }

    /// Registers several buffers; all or none.
    ///
    /// # Safety
    ///
    /// As for [`Self::register_local_memory`], of each.
    pub unsafe fn register_local_memory_batch(
        &self,
        buffers: &[BufferEntry],
        location: &str,
    ) -> Result<(), EngineError> {
        let location = CString::new(location)?;
        // The library only reads the list.
        let list = buffers.as_ptr() as *mut BufferEntry;
        check(unsafe {
            ffi::registerLocalMemoryBatch(self.handle, list, buffers.len(), location.as_ptr())
        })
    }

    /// Withdraws several; attempts all, and returns the first error.
    ///
    /// # Safety
    ///
    /// As for [`Self::unregister_local_memory`].
    pub unsafe fn unregister_local_memory_batch(
        &self,
        addresses: &[*mut c_void],
    ) -> Result<(), EngineError> {
        let list = addresses.as_ptr() as *mut *mut c_void;
        check(unsafe { ffi::unregisterLocalMemoryBatch(self.handle, list, addresses.len()) })
    }

    // Notifications

    /// Takes the notifications that have arrived.
    pub fn take_notifies(&self) -> Result<Vec<NotifyMsg>, EngineError> {
        let mut count: c_int = 0;
        let messages = unsafe { ffi::getNotifsFromEngine(self.handle, &mut count) };
        if messages.is_null() {
            return Ok(Vec::new());
        }
        let taken = (0..usize::try_from(count).unwrap_or(0))
            .map(|index| unsafe {
                let message = *messages.add(index);
                NotifyMsg {
                    name: string(message.name),
                    msg: string(message.msg),
                }
            })
            .collect();
        unsafe { ffi::freeNotifsMsgBuf(messages, count) };
        Ok(taken)
    }

    /// Sends a notification to the owner of an open segment.
    pub fn send_notify(&self, target_id: u64, message: &NotifyMsg) -> Result<(), EngineError> {
        with_message(message, |message| {
            check(unsafe { ffi::genNotifyInEngine(self.handle, target_id, message) })
        })
    }

    // Reports

    /// What is known of the NICs.
    pub fn nic_load_stats(&self) -> Result<Vec<NicLoadStat>, EngineError> {
        let nothing = ffi::RawNicLoad {
            device_name: [0; 64],
            inflight_bytes: 0,
            ewma_bandwidth_bps: 0.0,
        };
        // As many as a host has, or once more with as many as this one has.
        let mut stats = vec![nothing; 64];
        loop {
            let mut count = stats.len();
            check(unsafe { ffi::getNicLoadStats(self.handle, stats.as_mut_ptr(), &mut count) })?;
            if count <= stats.len() {
                stats.truncate(count);
                break;
            }
            stats.resize(count, nothing);
        }
        Ok(stats
            .iter()
            .map(|stat| NicLoadStat {
                device_name: unsafe { string(stat.device_name.as_ptr()) },
                inflight_bytes: stat.inflight_bytes,
                ewma_bandwidth_bps: stat.ewma_bandwidth_bps,
            })
            .collect())
    }

    /// The NICs and the topology, as text or as JSON.
    pub fn show_links(&self, json: bool) -> Result<String, EngineError> {
        let mut length = 64 << 10;
        loop {
            let mut text = vec![0 as c_char; length];
            let code = unsafe {
                ffi::showLinks(self.handle, text.as_mut_ptr(), length, c_int::from(json))
            };
            if code == 0 {
                return Ok(unsafe { string(text.as_ptr()) });
            }
            // A text that fills the room was cut.
            let is_cut = text[length - 2] != 0;
            if !is_cut || length >= 16 << 20 {
                return Err(EngineError::OperationFailed(code));
            }
            length *= 4;
        }
    }
}

impl Drop for TransferEngine {
    fn drop(&mut self) {
        unsafe { ffi::destroyTransferEngine(self.handle) }
    }
}

/// What a code means.
pub(crate) fn check(code: c_int) -> Result<(), EngineError> {
    match code {
        0 => Ok(()),
        code => Err(EngineError::OperationFailed(code)),
    }
}

fn number(segment: SegmentId) -> Result<SegmentId, EngineError> {
    if segment < 0 {
        return Err(EngineError::OperationFailed(segment));
    }
    Ok(segment)
}

/// A thread that panicked has left nothing half done behind these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body` with the message as C has it.
pub(crate) fn with_message<R>(
    message: &NotifyMsg,
    body: impl FnOnce(ffi::RawNotify) -> Result<R, EngineError>,
) -> Result<R, EngineError> {
    let name = CString::new(message.name.as_str())?;
    let text = CString::new(message.msg.as_str())?;
    body(ffi::RawNotify {
        name: name.as_ptr() as *mut c_char,
        msg: text.as_ptr() as *mut c_char,
    })
}

/// # Safety
///
/// The text ends in a NUL byte.
unsafe fn string(text: *const c_char) -> String {
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// The topology, as `installTransport` takes it, that has just these devices.
fn topology_of(devices: &str) -> Result<Option<String>, EngineError> {
    let mut names = Vec::new();
    for name in devices.split(',').map(str::trim) {
        if name.is_empty() {
            continue;
        }
        if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
        {
            return Err(EngineError::InvalidArgument(
                "device_name has a character that no device's name has",
            ));
        }
        names.push(format!("\"{name}\""));
    }
    if names.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!("{{\"cpu:0\":[[{}],[]]}}", names.join(","))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_become_a_topology() {
        assert_eq!(topology_of(""), Ok(None));
        assert_eq!(topology_of(" , "), Ok(None));
        let two = "{\"cpu:0\":[[\"rdmap0s6\",\"eth-1\"],[]]}".to_owned();
        assert_eq!(topology_of("rdmap0s6, eth-1"), Ok(Some(two)));
        assert!(topology_of("a\"b").is_err());
    }

    #[test]
    fn strings_with_a_nul_are_refused() {
        let created = TransferEngine::new("P2P\0HANDSHAKE", "127.0.0.1", 0);
        assert!(matches!(created, Err(EngineError::InvalidString(_))));
    }

    #[test]
    fn an_engine_without_a_name_is_refused() {
        let created = TransferEngine::new("P2PHANDSHAKE", "", 0);
        assert_eq!(created.err(), Some(EngineError::NullHandle));
    }
}
