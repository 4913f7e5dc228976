// The header in C++, and the layouts that programs compiled for Mooncake's header rely on.
#include <cstddef>
#include <cstdio>

#include "transfer_engine_c.h"

static_assert(sizeof(transfer_request_t) == 40 && offsetof(transfer_request_t, opcode) == 0, "transfer_request");
static_assert(offsetof(transfer_request_t, source) == 8 && offsetof(transfer_request_t, target_id) == 16,
	      "transfer_request");
static_assert(offsetof(transfer_request_t, target_offset) == 24 && offsetof(transfer_request_t, length) == 32,
	      "transfer_request");
static_assert(sizeof(transfer_status_t) == 16 && offsetof(transfer_status_t, transferred_bytes) == 8,
	      "transfer_status");
static_assert(sizeof(notify_msg_t) == 16 && offsetof(notify_msg_t, msg) == 8, "notify_msg");
static_assert(sizeof(buffer_entry_t) == 16 && offsetof(buffer_entry_t, length) == 8, "buffer_entry");
static_assert(sizeof(nic_load_stat_t) == 80 && offsetof(nic_load_stat_t, inflight_bytes) == 64 &&
		      offsetof(nic_load_stat_t, ewma_bandwidth_bps) == 72,
	      "nic_load_stat");
static_assert(sizeof(segment_desc_t) == 48 && offsetof(segment_desc_t, desc_) == 8, "segment_desc");
static_assert(sizeof(segment_handle_t) == 4 && sizeof(segment_id_t) == 4 && sizeof(batch_id_t) == 8, "numbers");
static_assert(LOCAL_SEGMENT == 0 && INVALID_BATCH == UINT64_MAX, "names");
static_assert(OPCODE_READ == 0 && OPCODE_WRITE == 1, "opcodes");
static_assert(STATUS_WAITING == 0 && STATUS_PENDING == 1 && STATUS_INVALID == 2 && STATUS_CANNELED == 3 &&
		      STATUS_COMPLETED == 4 && STATUS_TIMEOUT == 5 && STATUS_FAILED == 6,
	      "statuses");

int main()
{
	// Linked, and callable.
	char text[8];

	if (getLocalIpAndPort(nullptr, text, sizeof(text)) != -1)
		return 1;
	std::puts("layouts: passed");
	return 0;
}
