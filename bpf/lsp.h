/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Labels right on a wire (EtherType 0x8847), between two adjacent machines of
 * a provider. The port, or port and VLAN, is the context: of an `lsp`, of its
 * labels; of a circuit, of one vif, which no label names.
 */
#ifndef CABERNET_LSP_H
#define CABERNET_LSP_H

#include "connectivity.h"

/* What the headers below the labels said. */
struct arrival {
	__u32 context; /* of the first label */
	__u32 own;     /* the circuit's vif, whose own frame it is; OWN_SECTION: the wire's; else 0 */
	enum drop_reason reason; /* DROP_NONE with context 0: not ours */
};

/* In the wire's own channel, below no label of any link: no vif's id. */
#define OWN_SECTION 0xffffffffu

struct label_pair {
	struct label_entry entries[2];
};

/*
 * No header here tells flows apart: the labels do, down to the second, where
 * the first is not the only one. The TTL is no part of a flow.
 */
static __always_inline __u16 label_entropy(const struct label_pair *pair)
{
	__u32 first = bpf_ntohl(pair->entries[0].word), second = bpf_ntohl(pair->entries[1].word);

	return entropy_port(
		mix((__u64)entry_label(first) << 32 | (entry_bottom(first) ? 0 : entry_label(second))));
}

/*
 * A frame of the circuit's own link bears an explicit null and nothing else
 * (descend.h); otherwise the first label is of the layer above, and this is
 * where the circuit's vif is passed.
 */
static __always_inline void arrive_by_circuit(struct packet *pk, struct arrival *arrival, __u32 id,
					      const struct cursor *cursor, __u32 word)
{
	const struct vif *vif;

	if (!id) {
		arrival->reason = DROP_VIF_DOWN;
		return;
	}
	/* the link's own: not of the layer above, whose context the vif is */
	if (entry_label(word) == LABEL_EXPLICIT_NULL && entry_bottom(word)) {
		arrival->own = id;
		return;
	}
	arrival->context = id;
	begin_at(pk, cursor);
	vif = enter_vif(pk, id);
	if (!vif) {
		arrival->reason = DROP_VIF_DOWN;
	} else if (!begins_channel(*cursor) && exceeds(pk, vif, id, METER_RECEIVED, pk->length)) {
		count_refused(id, METER_RECEIVED);
		arrival->reason = DROP_RECEIVED_RATE;
	} else {
		count_received(id, pk->length);
	}
}

/*
 * `vlan`: 0 untagged. A port or VLAN that is none of ours is the kernel's,
 * which may switch labels itself.
 */
static __always_inline struct arrival arrive_labelled(struct packet *pk, struct cursor *cursor,
						      const struct ethernet *ethernet, __u32 vlan)
{
	struct wire_key key = { .ifindex = pk->ifindex, .vlan = vlan };
	const __u32 *found = bpf_map_lookup_elem(&wire_ends, &key);
	struct arrival arrival = { .reason = DROP_WIRE_UNRESOLVED };
	const struct underlay_hop *hop;
	const struct label_pair *pair;
	const struct wire *wire;
	__u32 id, hop_id, word;

	if (!found) {
		arrival.reason = DROP_NONE;
		return arrival;
	}
	id = *found;
	arrival.context = CONTEXT_WIRE | id;
	wire = bpf_map_lookup_elem(&wires, &id);
	/* the element may serve another wire while we read it: its record says whose it is */
	if (!wire || wire->ifindex != key.ifindex || wire->vlan != vlan || wire->kind == WIRE_NONE)
		return arrival;
	hop_id = wire->hop;
	hop = bpf_map_lookup_elem(&underlay_hops, &hop_id);
	if (!hop || !hop->ifindex)
		return arrival;
	arrival.reason = DROP_WIRE_ADDRESS;
	if (!same_mac(ethernet->source, hop->ethernet) || !same_mac(ethernet->destination, hop->ethernet + 6))
		return arrival;

	/* a label and what is below it: no frame of ours is shorter */
	arrival.reason = DROP_TRUNCATED;
	pair = peek(cursor, struct label_pair);
	if (!pair)
		return arrival;
	arrival.reason = DROP_NONE;
	pk->entropy = label_entropy(pair);
	word = bpf_ntohl(pair->entries[0].word);
	trace(WIRE, pk, -(int)cursor->offset, id, wire->kind, vlan, 0, 0);
	if (entry_label(word) == LABEL_GAL && entry_bottom(word))
		arrival.own = OWN_SECTION;
	else if (wire->kind == WIRE_CIRCUIT)
		arrive_by_circuit(pk, &arrival, wire->vif, cursor, word);
	return arrival;
}

#endif
