/* The layouts that programs compiled for Mooncake's header rely on, on 64-bit Linux. */
#include "transfer_engine_c.h"

_Static_assert(sizeof(struct transfer_request) == 40, "transfer_request");
_Static_assert(offsetof(struct transfer_request, source) == 8, "transfer_request.source");
_Static_assert(offsetof(struct transfer_request, target_id) == 16, "transfer_request.target_id");
_Static_assert(offsetof(struct transfer_request, target_offset) == 24, "transfer_request.target_offset");
_Static_assert(offsetof(struct transfer_request, length) == 32, "transfer_request.length");
_Static_assert(sizeof(struct transfer_status) == 16, "transfer_status");
_Static_assert(offsetof(struct transfer_status, transferred_bytes) == 8, "transfer_status.transferred_bytes");
_Static_assert(sizeof(struct notify_msg) == 16 && offsetof(struct notify_msg, msg) == 8, "notify_msg");
_Static_assert(sizeof(struct buffer_entry) == 16 && offsetof(struct buffer_entry, length) == 8, "buffer_entry");
_Static_assert(sizeof(struct nic_load_stat) == 80, "nic_load_stat");
_Static_assert(offsetof(struct nic_load_stat, inflight_bytes) == 64, "nic_load_stat.inflight_bytes");
_Static_assert(offsetof(struct nic_load_stat, ewma_bandwidth_bps) == 72, "nic_load_stat.ewma_bandwidth_bps");
_Static_assert(sizeof(struct segment_desc) == 48 && offsetof(struct segment_desc, desc_) == 8, "segment_desc");
