/* The C interface of Moonrail's transfer engine (libmoonrail.so).
 *
 * Programs that were written for the header of the same name of Mooncake's transfer engine compile against this one as
 * they are: names, types, layouts and numbers are the same. Where a function behaves differently, its comment says so.
 *
 * Rules for all functions:
 * - They may be called from any thread, several at once. Strings are UTF-8, end in a NUL byte, and are not kept: the
 *   caller may free them when the call returns.
 * - A handle is a number, not an address. NULL, a handle that is none, and one that was destroyed give an error code,
 *   whoever holds them.
 * - Functions that return an `int` return 0 or a negative code, except for those that say "status": these return 0 or a
 *   positive code. The numbers are the same: 1 invalid argument, 2 too many requests, 3 address not registered, 4 batch
 *   busy, 6 device not found, 7 address overlaps, 8 no transport for it, 101 name not resolved, 102 socket,
 *   103 malformed JSON, 104 handshake rejected, 200 metadata, 201 endpoint, 202 context (a NIC), 302 memory; and, of
 *   Moonrail's own, 203 the peer has restarted, 900 the engine is shut down, or belongs to the parent of this forked
 *   process.
 * - Why a call failed, and what to do about it, is a line on standard error (MC_LOG_LEVEL). */
#ifndef MOONRAIL_TRANSFER_ENGINE_C_H
#define MOONRAIL_TRANSFER_ENGINE_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A segment: the registered memory of one engine. */
#define segment_handle_t int32_t
#define segment_id_t int32_t
/* A batch of requests. */
#define batch_id_t uint64_t

/* The engine's own segment. */
#define LOCAL_SEGMENT (0)
/* What allocateBatchID returns when it fails. */
#define INVALID_BATCH UINT64_MAX

/* transfer_request.opcode. Read: from the segment into `source`. Write: from `source` into the segment. */
#define OPCODE_READ (0)
#define OPCODE_WRITE (1)

/* transfer_status.status. WAITING is not final, COMPLETED, TIMEOUT and FAILED are; the others do not occur. */
#define STATUS_WAITING (0)
#define STATUS_PENDING (1)
#define STATUS_INVALID (2)
#define STATUS_CANNELED (3)
#define STATUS_COMPLETED (4)
#define STATUS_TIMEOUT (5)
#define STATUS_FAILED (6)

/* An engine, and a transport of one. */
typedef void *transfer_engine_t;
typedef void *transport_t;

/* One contiguous piece of memory to move. */
struct transfer_request {
	/* OPCODE_READ or OPCODE_WRITE. */
	int opcode;
	/* The address on this side, in registered memory. */
	void *source;
	/* What openSegment returned, or LOCAL_SEGMENT. */
	segment_id_t target_id;
	/* The address on the other side: a virtual address of the process that registered it. */
	uint64_t target_offset;
	/* Bytes; 0 is legal and completes at once. */
	uint64_t length;
};
typedef struct transfer_request transfer_request_t;

/* How one request stands. */
struct transfer_status {
	/* One of STATUS_. */
	int status;
	/* Bytes known to have been moved. */
	uint64_t transferred_bytes;
};
typedef struct transfer_status transfer_status_t;

/* A message beside the data: by custom the sender's name, and a text. */
struct notify_msg {
	char *name;
	char *msg;
};
typedef struct notify_msg notify_msg_t;

/* Memory to register. */
struct buffer_entry {
	void *addr;
	size_t length;
};
typedef struct buffer_entry buffer_entry_t;

/* What the engine knows of a NIC's load. */
struct nic_load_stat {
	/* The device, NUL-terminated; a longer name is cut. */
	char device_name[64];
	/* Moonrail does not count these bytes: 0. */
	uint64_t inflight_bytes;
	/* Bytes per second that the NIC moved between the last calls of getNicLoadStats, the newer ones counting more; 0 at
	 * the first. */
	double ewma_bandwidth_bps;
};
typedef struct nic_load_stat nic_load_stat_t;

/* A segment's description. No function takes or returns it; it is here for programs that name it. */
struct segment_desc {
	int type;
	union {
		struct {
			void *addr;
			uint64_t size;
			const char *location;
		} rdma;
		struct {
			const char *file_path;
			const char *subsystem_name;
			const char *proto;
			const char *ip;
			uint64_t port;
		} nvmeof;
	} desc_;
};
typedef struct segment_desc segment_desc_t;

/* --- Engines --- */

/* Starts an engine.
 *
 * metadata_conn_string: `P2PHANDSHAKE`, or a store: `http://host:port/metadata`, `etcd://host:port`,
 * `redis://host:port`.
 * local_server_name: The name or address under which peers reach this host; with P2PHANDSHAKE a port in it is ignored.
 * ip_or_host_name, rpc_port: Not used.
 * auto_discover: Not 0: EFA and TCP are installed where libfabric finds an EFA device, or else TCP alone (MC_FORCE_TCP:
 * always TCP alone). 0: nothing is, until installTransport.
 *
 * Returns NULL on failure. */
transfer_engine_t createTransferEngine(const char *metadata_conn_string, const char *local_server_name,
				       const char *ip_or_host_name, uint64_t rpc_port, int auto_discover);

/* Stops an engine and frees all that is its own. Transfers under way fail, memory is unregistered. Calls of other
 * threads that are inside the engine end first. Of several threads that destroy the same engine one does. */
void destroyTransferEngine(transfer_engine_t engine);

/* Looks for NICs. Moonrail does so whenever a transport is installed, so that this is never needed; it returns 0. */
int discoverTopology(transfer_engine_t engine);

/* Writes `host:port`, by which peers reach this engine, to `buf_out`. With P2PHANDSHAKE it is the name to be given to
 * their openSegment.
 *
 * Unlike Mooncake's: an IPv6 address is in brackets, so that it can be given to openSegment; and -1 where `buf_len` is
 * too small, after writing what has room. */
int getLocalIpAndPort(transfer_engine_t engine, char *buf_out, size_t buf_len);

/* Installs a transport in an engine that was created without `auto_discover`, and registers with it what was registered
 * before. Until then segments cannot be opened nor batches be had.
 *
 * proto: `efa` (with TCP beside it, for peers that have no EFA), `tcp`, or `rdma`, which EFA serves where there is a
 * device, or else TCP, with a warning (MOONRAIL_STRICT_PROTOCOL=1: an error).
 * args: NULL, or args[0] is NULL or a topology as JSON text, `{"cpu:0":[["preferred NIC"],["other NIC"]]}`: then its
 * NICs are used, in this order of preference, and no others.
 *
 * Returns a handle for nothing but being compared with NULL; the same when the transport is installed already. NULL on
 * failure. Unlike Mooncake's: a second, different transport is not added to an engine, except that `efa` brings TCP. */
transport_t installTransport(transfer_engine_t engine, const char *proto, void **args);

/* 0 for an installed transport, which stays until the engine is destroyed, -8 for any other. */
int uninstallTransport(transfer_engine_t engine, const char *proto);

/* From now on SIGTERM and SIGINT stop this engine before the process ends with 128 plus the signal's number, and so
 * does a normal exit. A second signal ends the process at once. For further engines, call it for each. */
void enableGracefulShutdown(transfer_engine_t engine);

/* --- Segments --- */

/* Opens the segment of the engine named `segment_name` (`host:port`). Returns its number, or -1. Opening it again gives
 * the same number. */
segment_id_t openSegment(transfer_engine_t engine, const char *segment_name);

/* The same, after looking anew at what its owner has registered. -1 also where the owner cannot be asked. */
segment_id_t openSegmentNoCache(transfer_engine_t engine, const char *segment_name);

/* Takes back one opening. Unlike with Mooncake's, the number is invalid after the last one. */
int closeSegment(transfer_engine_t engine, segment_id_t segment_id);

/* Takes back all openings of a segment. 0 also if it is not open. */
int removeLocalSegment(transfer_engine_t engine, const char *segment_name);

/* Connects all NICs to those of the segment, so that its first transfer does not have to. 0 where EFA is not
 * installed. */
int warmupEfaSegment(transfer_engine_t engine, const char *segment_name);

/* Looks anew at what the owners of all open segments have registered. What cannot be had stays as it was. */
int syncSegmentCache(transfer_engine_t engine);

/* --- Memory --- */

/* Registers memory for transfers of this engine and its peers.
 *
 * location: Where it is, `cpu:<node>`; `*` to find out.
 * remote_accessible: 0: peers may neither read nor write it. (Mooncake's lets them.)
 *
 * Returns -1 for no bytes, -7 where it overlaps memory that is registered. */
int registerLocalMemory(transfer_engine_t engine, void *addr, size_t length, const char *location,
			int remote_accessible);

/* Withdraws what was registered at `addr`: -3 if nothing was. Waits up to 30 s for transfers that use it, then -4. */
int unregisterLocalMemory(transfer_engine_t engine, void *addr);

/* Registers several buffers; all or none. */
int registerLocalMemoryBatch(transfer_engine_t engine, buffer_entry_t *buffer_list, size_t buffer_len,
			     const char *location);

/* Withdraws several; attempts all, and returns the first error. */
int unregisterLocalMemoryBatch(transfer_engine_t engine, void **addr_list, size_t addr_len);

/* --- Transfers --- */

/* Makes room for up to `batch_size` requests. INVALID_BATCH on failure. */
batch_id_t allocateBatchID(transfer_engine_t engine, size_t batch_size);

/* Starts `count` requests, which become the batch's next tasks. Status code; unless it is 0, none of them is under
 * way. */
int submitTransfer(transfer_engine_t engine, batch_id_t batch_id, struct transfer_request *entries, size_t count);

/* The same; once all of the batch is seen complete, the first request's target gets `notify_msg`. Status code. */
int submitTransferWithNotify(transfer_engine_t engine, batch_id_t batch_id, struct transfer_request *entries,
			     size_t count, notify_msg_t notify_msg);

/* How the batch's task number `task_id`, from 0 in the order of submission, stands. Status code; `status` is written
 * only if it is 0. Never waits. */
int getTransferStatus(transfer_engine_t engine, batch_id_t batch_id, size_t task_id,
		      struct transfer_status *status);

/* Frees a batch. Status code: 4 while any of its tasks is not final. Unlike with Mooncake's, a batch that was freed is
 * recognised: 1. */
int freeBatchID(transfer_engine_t engine, batch_id_t batch_id);

/* --- Notifications --- */

/* Takes the notifications that have arrived. `size` gets their number, the result an array to be given to
 * freeNotifsMsgBuf; NULL where there are none. */
notify_msg_t *getNotifsFromEngine(transfer_engine_t engine, int *size);

/* Frees what getNotifsFromEngine returned, with the strings. Returns 0. */
int freeNotifsMsgBuf(notify_msg_t *msg, int size);

/* Sends a notification to the owner of an open segment, and waits for its receipt. */
int genNotifyInEngine(transfer_engine_t engine, uint64_t target_id, notify_msg_t notify_msg);

/* --- Reports --- */

/* Writes what is known of the NICs to `stats`, which has room for `*count` of them. `*count` gets how many there
 * are. */
int getNicLoadStats(transfer_engine_t engine, nic_load_stat_t *stats, size_t *count);

/* Writes the NICs and the topology to `buf`, as text or as JSON. -1 where `buf_len` is too small. */
int showLinks(transfer_engine_t engine, char *buf, size_t buf_len, int json_format);

#ifdef __cplusplus
}
#endif

#endif
