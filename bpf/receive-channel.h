/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What comes in the channel of a path (RFC 5586), and which session it is for. */
#ifndef CABERNET_RECEIVE_CHANNEL_H
#define CABERNET_RECEIVE_CHANNEL_H

#include "measure.h"

/* What find_session() finds: a session's id, and this if it is a measurement that has come. */
#define FOUND_MEASUREMENT (1u << 30)

/*
 * Whose packet that is, of a channel, which arrived with `label` in `context`.
 * A global function, verified by itself, as the two that follow it are: none of
 * this is on a data packet's way. One after the other and not one in the other:
 * of 512 bytes of stack the caller has used most. Negative: a reason to drop.
 */
__noinline int find_session(struct xdp_md *ctx, __u32 offset, __u32 context, __u32 label)
{
	struct session_key key = { .context = context, .label = label };
	const struct session *session;
	const __u32 *found;
	__u32 id, word;

	offset &= 0xff;
	if (bpf_xdp_load_bytes(ctx, offset, &word, sizeof(word)) < 0)
		return -DROP_TRUNCATED;
	/* of version 0; what is reserved is ignored (RFC 5586 §2.1) */
	word = bpf_ntohl(word);
	word &= CHANNEL_VERSION | CHANNEL_TYPE;
	if (word != CHANNEL_BFD && word != CHANNEL_MEASURE)
		return -DROP_CHANNEL_UNKNOWN;
	found = bpf_map_lookup_elem(&session_ends, &key);
	if (!found)
		return -DROP_CHANNEL_UNKNOWN;
	id = *found;
	session = bpf_map_lookup_elem(&sessions, &id);
	/* the element may serve another session while we read it: its record says whose it is */
	if (!session || !session->discriminator || session->context != context || session->label != label)
		return -DROP_CHANNEL_UNKNOWN;
	trace_at(CHANNEL, 0, 0, session->vif, 0, id, session->index, word, 0, 0);
	return id | (word == CHANNEL_MEASURE ? FOUND_MEASUREMENT : 0);
}

__noinline int receive_control(struct xdp_md *ctx, __u32 offset, __u32 id)
{
	return receive_bfd(ctx, offset & 0xff, id);
}

/* A reason to drop; DROP_NONE: it has been heard. */
static __always_inline enum drop_reason receive_channel(struct xdp_md *ctx, __u32 offset, __u32 context,
							__u32 label)
{
	int found = find_session(ctx, offset, context, label);

	if (found < 0)
		return -found;
	if (TRACING)
		return DROP_NONE;
	offset += sizeof(struct control_word);
	if (found & FOUND_MEASUREMENT)
		return receive_measurement(ctx, offset, found & ~FOUND_MEASUREMENT);
	return receive_control(ctx, offset, found);
}

#endif
