//! Two engines over TCP.

use std::time::{Duration, Instant};

use moonrail::{
    BufferEntry, EngineError, MemoryPool, NotifyMsg, TransferEngine, TransferEngineOptions,
    TransferRequest, TransferStatusCode, LOCAL_SEGMENT, WILDCARD_LOCATION,
};

const LENGTH: usize = 1 << 20;

struct Side {
    // Dropped before its memory.
    engine: TransferEngine,
    pool: MemoryPool,
    name: String,
}

impl Side {
    fn new() -> Self {
        let engine = TransferEngine::initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "").unwrap();
        let mut pool = MemoryPool::new(2 * LENGTH).unwrap();
        let name = engine.local_ip_and_port().unwrap();
        unsafe {
            engine
                .register_local_memory(pool.as_mut_ptr(), pool.len(), WILDCARD_LOCATION)
                .unwrap();
        }
        Self { engine, pool, name }
    }

    fn address(&self) -> u64 {
        self.pool.as_ptr() as u64
    }

    fn fill(&mut self, seed: usize) {
        for (index, byte) in unsafe { self.pool.as_mut_slice() }.iter_mut().enumerate() {
            *byte = (seed + index * 31 + index / 251) as u8;
        }
    }

    fn bytes(&self) -> &[u8] {
        unsafe { self.pool.as_slice() }
    }
}

#[test]
fn writes_and_reads() {
    let (mut near, mut far) = (Side::new(), Side::new());
    near.fill(1);
    let local = near.pool.as_mut_ptr();
    unsafe {
        near.engine
            .transfer_sync_write(&far.name, local, far.address(), 2 * LENGTH as u64)
            .unwrap();
        assert!(near.bytes() == far.bytes());
        far.fill(2);
        let second = local.cast::<u8>().add(LENGTH).cast();
        near.engine
            .batch_transfer_sync_read(
                &far.name,
                &[local, second],
                &[far.address(), far.address() + LENGTH as u64],
                &[LENGTH as u64, LENGTH as u64],
            )
            .unwrap();
    }
    assert!(near.bytes() == far.bytes());
}

#[test]
fn batches_live_and_die() {
    let (mut near, far) = (Side::new(), Side::new());
    near.fill(3);
    let segment = near.engine.open_segment(&far.name).unwrap();
    assert_eq!(near.engine.open_segment_no_cache(&far.name), Ok(segment));
    assert_eq!(near.engine.open_segment_cached(&far.name), Ok(segment));
    let local = near.pool.as_mut_ptr();
    let request = TransferRequest::write(local, segment, far.address(), LENGTH as u64);
    let message = NotifyMsg {
        name: "near".into(),
        msg: "wröte".into(),
    };
    let batch = near.engine.allocate_batch_id(2).unwrap();
    unsafe {
        near.engine
            .submit_transfer_with_notify(batch, &[request], &message)
            .unwrap();
        near.engine.wait_all(batch, 1, None).unwrap();
        near.engine.submit_transfer(batch, &[request]).unwrap();
        near.engine
            .wait_all(batch, 2, Some(Duration::from_secs(60)))
            .unwrap();
        assert_eq!(
            near.engine.submit_transfer(batch, &[request]),
            Err(EngineError::OperationFailed(2))
        );
    }
    let status = near.engine.get_transfer_status(batch, 1).unwrap();
    assert_eq!(status.status, TransferStatusCode::Completed);
    assert_eq!(status.transferred_bytes, LENGTH as u64);
    near.engine.free_batch_id(batch).unwrap();
    assert_eq!(
        near.engine.free_batch_id(batch),
        Err(EngineError::OperationFailed(1))
    );

    // Sent when the first write was seen complete, and on its way since.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut arrived = Vec::new();
    while arrived.is_empty() && Instant::now() < deadline {
        arrived = far.engine.take_notifies().unwrap();
        std::thread::yield_now();
    }
    assert_eq!((arrived.len(), &arrived[0]), (1, &message));
    near.engine.send_notify(segment as u64, &message).unwrap();
    assert_eq!(far.engine.take_notifies(), Ok(vec![message]));

    let submitted = unsafe {
        near.engine
            .transfer_submit_write(&far.name, local, far.address(), 1)
    };
    let batch = submitted.unwrap();
    while !near.engine.transfer_check_status(batch).unwrap().is_final() {
        std::thread::yield_now();
    }
    near.engine.free_batch_id(batch).unwrap();
    for _ in 0..3 {
        near.engine.close_segment(segment).unwrap();
    }
    assert!(near.engine.close_segment(segment).is_err());
    near.engine.remove_local_segment(&far.name).unwrap();
}

#[test]
fn errors_have_their_codes() {
    let mut side = Side::new();
    let engine = &side.engine;
    let base = side.pool.as_mut_ptr();
    let failed = |code| Err(EngineError::OperationFailed(code));
    unsafe {
        assert_eq!(engine.register_memory(base, 1), failed(-7));
        assert_eq!(engine.register_memory(base, 0), failed(-1));
        let elsewhere = base.cast::<u8>().add(1).cast();
        assert_eq!(engine.unregister_memory(elsewhere), failed(-3));
        let list = [BufferEntry {
            addr: base,
            length: 1,
        }];
        assert_eq!(engine.register_local_memory_batch(&list, "*"), failed(-7));
        engine.unregister_local_memory_batch(&[base]).unwrap();
        engine.register_local_memory_batch(&list, "cpu:0").unwrap();
        let outside = TransferRequest::read(base, LOCAL_SEGMENT, base as u64, 2);
        assert_eq!(engine.submit_and_wait(&[outside], None), failed(3));
        assert_eq!(engine.submit_and_wait(&[], None), Ok(()));
        assert!(matches!(
            engine.batch_transfer_sync_write(&side.name, &[base], &[], &[1]),
            Err(EngineError::InvalidArgument(_))
        ));
    }
    let opened = engine.open_segment("127.0.0.1:1");
    assert_eq!(opened, Err(EngineError::OperationFailed(-1)));
    assert_eq!(engine.install_transport("bogus"), failed(-1));
    assert_eq!(engine.install_transport("tcp"), Ok(()));
    assert_eq!(engine.uninstall_transport("tcp"), Ok(()));
    assert_eq!(engine.warmup_efa_segment("127.0.0.1:1"), Ok(()));
    assert_eq!(engine.sync_segment_cache(), Ok(()));
    assert_eq!(engine.discover_topology(), Ok(()));
}

#[test]
fn reports() {
    let options = TransferEngineOptions::new("P2PHANDSHAKE", "127.0.0.1").rpc_port(7);
    let engine = TransferEngine::create(options).unwrap();
    assert!(engine.show_links(true).unwrap().contains("\"local_nics\""));
    assert!(engine.show_links(false).unwrap().contains("Topology"));
    assert_eq!(engine.nic_load_stats(), Ok(Vec::new()));
    // Without a transport there are no batches.
    assert!(engine.allocate_batch_id(1).is_err());
}

#[test]
fn several_threads_share_an_engine() {
    let (near, far) = (Side::new(), Side::new());
    let (local, remote) = (near.address(), far.address());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (engine, name) = (&near.engine, &far.name);
            scope.spawn(move || {
                for round in 0..50 {
                    let place = (thread * 50 + round) * 4096;
                    unsafe {
                        let source = (local + place) as *mut _;
                        engine
                            .transfer_sync_write(name, source, remote + place, 4096)
                            .unwrap();
                    }
                }
            });
        }
    });
}
