// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * No program, never loaded: all that user space shares with the data plane, as
 * types and as data. gen/layout.ts (structs, enums, limits) and gen/reasons.ts
 * (the lists of reasons.h) are generated from this object's BTF and .rodata.
 */
#include "reasons.h"
#include "tables.h"

struct reason_text {
	char name[32];
	char sentence[128];
	__u32 rate; /* of punts: packets a second and virtual node */
};

#define X(name_, text) { .name = #name_, .sentence = text },
const struct reason_text drop_texts[] = { { .name = "NONE" }, DROP_REASONS(X) };
#undef X

#define X(name_, rate_, text) { .name = #name_, .sentence = text, .rate = rate_ },
const struct reason_text punt_texts[] = { PUNT_KINDS(X) };
#undef X

#define X(name_) { .name = #name_ },
const struct reason_text trace_texts[] = { { .name = "NONE" }, TRACE_KINDS(X) };
#undef X

/* Values of limits.h that user space needs. */
enum limit {
	LIMIT_LAYOUT_VERSION = LAYOUT_VERSION,
	LIMIT_MAX_DEPTH = MAX_DEPTH,
	LIMIT_MAX_WAYS = MAX_WAYS,
	LIMIT_LABEL_SLOTS = LABEL_SLOTS,
	LIMIT_TUNNEL_SLOTS = TUNNEL_SLOTS,
	LIMIT_DROP_ROW = DROP_ROW,
	LIMIT_PUNT_ROW = PUNT_ROW,
	LIMIT_FIRST_LABEL = FIRST_LABEL,
	LIMIT_LABEL_EXPLICIT_NULL = LABEL_EXPLICIT_NULL,
	LIMIT_LABEL_IMPLICIT_NULL = LABEL_IMPLICIT_NULL,
	LIMIT_LABEL_TTL = LABEL_TTL,
	LIMIT_UDP_PORT_MPLS = UDP_PORT_MPLS,
	LIMIT_UDP_PORT_BFD = UDP_PORT_BFD,
	LIMIT_CAPTURE_BYTES = CAPTURE_BYTES,
	LIMIT_SAMPLE_BYTES = SAMPLE_BYTES,
	LIMIT_TAG_MAGIC = TAG_MAGIC,
	LIMIT_PORT_CAPTURE = PORT_CAPTURE,
	LIMIT_PORT_PROMISCUOUS = PORT_PROMISCUOUS,
	LIMIT_VIF_UP = VIF_UP,
	LIMIT_VIF_CAPTURE = VIF_CAPTURE,
	LIMIT_VIF_IP = VIF_IP,
	LIMIT_VIF_SENT_RATE = VIF_SENT_RATE,
	LIMIT_VIF_RECEIVED_RATE = VIF_RECEIVED_RATE,
	LIMIT_VIF_LINK = VIF_LINK,
	LIMIT_VIF_TWICE = VIF_TWICE,
	LIMIT_LINK_COPIES = LINK_COPIES,
	LIMIT_SEQUENCE_MASK = SEQUENCE_MASK,
	LIMIT_COPY_SLOTS = COPY_SLOTS,
	LIMIT_MAX_DEVICE_PAIRS = MAX_DEVICE_PAIRS,
	LIMIT_MERGE_NUMBERS = MERGE_NUMBERS,
	LIMIT_MAX_LINK_PATHS = MAX_LINK_PATHS,
	LIMIT_LINK_WAYS = LINK_WAYS,
	LIMIT_LINK_NOBODY = LINK_NOBODY,
	LIMIT_LINK_USED_SHIFT = LINK_USED_SHIFT,
	LIMIT_LINK_DEGRADED_SHIFT = LINK_DEGRADED_SHIFT,
	LIMIT_LABEL_SESSION_SHIFT = LABEL_SESSION_SHIFT,
	LIMIT_PATH_COLOUR = (int)PATH_COLOUR,
	LIMIT_PATH_UNREPAIRED = PATH_UNREPAIRED,
	LIMIT_CHANNEL_MEASURE = CHANNEL_MEASURE,
	LIMIT_BREAKS_LOSS = BREAKS_LOSS,
	LIMIT_BREAKS_DELAY = BREAKS_DELAY,
	LIMIT_BREAKS_VARIATION = BREAKS_VARIATION,
	LIMIT_DELAY_BUCKETS = DELAY_BUCKETS,
	LIMIT_SESSION_ADMIN_DOWN = SESSION_ADMIN_DOWN,
	LIMIT_ETHERTYPE_CHANNEL = ETHERTYPE_CHANNEL,
	LIMIT_METER_TICKS_SHIFT = METER_TICKS_SHIFT,
	LIMIT_METER_DEPTH_SHIFT = METER_DEPTH_SHIFT,
	LIMIT_TUNNEL_CHECKSUM = TUNNEL_CHECKSUM,
	LIMIT_HOP_WATCHED = HOP_WATCHED,
	LIMIT_TAG_IPV4 = TAG_IPV4,
	LIMIT_TAG_IPV6 = TAG_IPV6,
	LIMIT_TAG_CONTROL_WORD = TAG_CONTROL_WORD,
	LIMIT_TAG_IP_LINK = TAG_IP_LINK,
	LIMIT_TAG_COPIES = TAG_COPIES,
};

/* Emits the types that no map's value names. */
struct shared_types {
	struct tag tag;
	struct sample sample;
	struct capture capture;
	struct trace_event trace_event;
	struct tunnel_key6 tunnel_key6;
	struct wire_key wire_key;
	struct session_key session_key;
	struct peer_key peer_key;
	struct session_event session_event;
	struct device_pair_key device_pair_key;
	struct channel_frame channel_frame;
	struct bfd_control bfd_control;
	struct measure_message measure_message;
	enum limit limit;
	enum drop_reason drop_reason;
	enum punt_kind punt_kind;
	enum trace_kind trace_kind;
	enum port_role port_role;
	enum wire_kind wire_kind;
	enum meter_direction meter_direction;
	enum label_action label_action;
	enum next_hop_kind next_hop_kind;
	enum record_kind record_kind;
	enum name_table name_table;
	enum link_kind link_kind;
	enum bfd_state bfd_state;
	enum bfd_diagnostic bfd_diagnostic;
	enum mark_direction mark_direction;
} shared_types;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
