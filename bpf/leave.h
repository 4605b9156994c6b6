/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A frame leaves by a vif of a virtual node: out of a station's port, or down
 * the layers, once or twice.
 */
#ifndef CABERNET_LEAVE_H
#define CABERNET_LEAVE_H

#include "copies.h"

/* Out of a station's port: no labels. */
static __always_inline int leave_by_port(struct xdp_md *ctx, const struct packet *pk, struct tag *tag,
					 const struct vif *vif, __u32 vif_id)
{
	if (pk->length > vif->mtu + sizeof(struct ethernet) + sizeof(struct vlan))
		return drop(ctx, pk, DROP_TOO_BIG);
	count_sent(vif_id, pk->length);
	trace(DEVICE, pk, 0, vif->port, vif_id, 0, 0, 0);
	return redirect_tagged(ctx, pk, tag, vif->port, 0);
}

/* A frame that begins here leaves by a vif. */
static __always_inline int leave_by_vif(struct xdp_md *ctx, struct packet *pk, struct tag *tag,
					const struct vif *vif, __u32 vif_id)
{
	if (!(vif->flags & VIF_UP))
		return drop(ctx, pk, DROP_VIF_DOWN);
	if (exceeds(pk, vif, vif_id, METER_SENT, pk->length))
		return refuse(ctx, vif_id, vif->node, pk->ifindex, METER_SENT);
	if (vif->port)
		return leave_by_port(ctx, pk, tag, vif, vif_id);
	if (vif->flags & VIF_IP) {
		tag->flags |= TAG_IP_LINK;
		pk->length -= ETHERNET_BYTES;
	} else {
		tag->flags |= TAG_CONTROL_WORD;
		if (!JUMBO && vif->flags & VIF_TWICE)
			return send_copies(ctx, pk, tag, vif_id);
	}
	return descend(ctx, pk, tag, vif_path(pk, tag, vif, vif_id), 0);
}

#endif
