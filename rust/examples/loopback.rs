//! Writes a message into the memory of another engine, reads it back, and compares.

use std::error::Error;

use moonrail::{MemoryPool, TransferEngine, WILDCARD_LOCATION};

const LENGTH: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut target_memory = MemoryPool::new(LENGTH)?;
    let target = TransferEngine::initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "")?;
    let target_name = target.local_ip_and_port()?;
    let remote = target_memory.as_ptr() as u64;

    let mut memory = MemoryPool::new(2 * LENGTH)?;
    let engine = TransferEngine::initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "")?;
    let local = memory.as_mut_ptr();

    // Both pools outlive their engines' use of them, and nothing else touches them during a transfer.
    unsafe {
        for (index, byte) in memory.as_mut_slice()[..LENGTH].iter_mut().enumerate() {
            *byte = (index * 31 + index / 251 + 7) as u8;
        }
        target.register_local_memory(target_memory.as_mut_ptr(), LENGTH, WILDCARD_LOCATION)?;
        engine.register_local_memory(local, 2 * LENGTH, WILDCARD_LOCATION)?;
        engine.transfer_sync_write(&target_name, local, remote, LENGTH as u64)?;
        let back = local.cast::<u8>().add(LENGTH).cast();
        engine.transfer_sync_read(&target_name, back, remote, LENGTH as u64)?;

        let (sent, received) = memory.as_slice().split_at(LENGTH);
        if sent != received {
            return Err("what was read is not what was written".into());
        }
        engine.unregister_local_memory(local)?;
        target.unregister_local_memory(target_memory.as_mut_ptr())?;
    }
    println!("wrote {LENGTH} bytes to {target_name}, read them back: they are the same");
    Ok(())
}
