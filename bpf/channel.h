/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A packet of the sender's goes down the path that its session watches, as
 * the data on it does, or to the neighbour that it watches.
 */
#ifndef CABERNET_CHANNEL_H
#define CABERNET_CHANNEL_H

#include "connectivity.h"
#include "peer-send.h"

/* Of measurement only the time is the sender's. False: it can't be said. */
static __always_inline bool complete(__u32 id, const struct session *session, struct cursor content)
{
	const struct control_word *header = take(&content, struct control_word);
	struct measure_message *message;

	if (!header || header->word != bpf_htonl(CHANNEL_HEADER | CHANNEL_MEASURE))
		return true;
	message = take(&content, struct measure_message);
	return message && fill_measurement(id, session, message);
}

static __always_inline int send_from_sender(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor)
{
	const struct channel_frame *frame = take(cursor, struct channel_frame);
	const struct session *session;
	struct tag tag = { .magic = TAG_MAGIC };
	__u32 id, path;

	if (!frame || frame->type != bpf_htons(ETHERTYPE_CHANNEL))
		return drop(ctx, pk, DROP_CHANNEL_FRAME);
	id = frame->session;
	session = bpf_map_lookup_elem(&sessions, &id);
	/* between the sender's look and this the session may have become another's */
	if (!session || !session->discriminator || session->discriminator != frame->discriminator)
		return drop(ctx, pk, DROP_CHANNEL_FRAME);
	path = session->path;
	if (!path)
		return send_to_peer(ctx, pk, id);
	begin_at(pk, cursor);
	tag.strip = pk->offset;
	tag.entropy = path_entropy(path);
	if (!complete(id, session, *cursor))
		return drop(ctx, pk, DROP_CHANNEL_FRAME);
	return descend(ctx, pk, &tag, path, 0);
}

#endif
