/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Why a packet was not forwarded, and why it went to a virtual node's kernel:
 * one list each. The number, the counter's name and the operator's sentence
 * all come from here. Append only: numbers are indices of pinned counters.
 */
#ifndef CABERNET_REASONS_H
#define CABERNET_REASONS_H

/* X(NAME, sentence) */
#define DROP_REASONS(X)                                                                               \
	X(TRUNCATED, "the frame ends inside a header")                                                \
	X(VLAN_STACKED, "more than one VLAN tag on the underlay")                                     \
	X(OUTER_FRAGMENT, "a fragment of an outer packet: raise the underlay's MTU")                  \
	X(OUTER_OPTIONS, "IP options in an outer header")                                             \
	X(OUTER_LENGTH, "the outer lengths contradict each other or the frame")                       \
	X(OUTER_CHECKSUM, "the outer IPv4 or UDP checksum is wrong")                                  \
	X(CHECKSUM_MISSING, "no outer UDP checksum on a tunnel that asks for one")                    \
	X(TUNNEL_UNKNOWN, "MPLS-in-UDP for this machine from an address that is no tunnel's far end") \
	X(WRONG_INTERFACE, "a tunnel's packet arrived on an interface that is not the tunnel's")      \
	X(LABEL_UNKNOWN, "a label that means nothing in the context it arrived in")                   \
	X(LABEL_TTL, "the label's TTL ran out: a loop below")                                         \
	X(LABEL_SURPLUS, "more labels than layers")                                                   \
	X(CONTROL_WORD, "the control word's first nibble is neither data nor channel")                \
	X(CHANNEL_UNKNOWN, "a channel type nobody listens to on this vif")                            \
	X(VIF_DOWN, "the vif is down")                                                                \
	X(NOT_MY_MAC, "a unicast frame for a MAC address that is not the vif's")                      \
	X(SOURCE_MAC, "a group or zero source MAC address")                                           \
	X(INNER_LENGTH, "the IP length contradicts the frame")                                        \
	X(INNER_VERSION, "the IP version contradicts the Ethernet type")                              \
	X(INNER_CHECKSUM, "the IPv4 header checksum is wrong")                                        \
	X(MARTIAN, "a source or destination address that may not be forwarded")                       \
	X(NO_ROUTE, "no route: answered by the virtual node's kernel where its limit allows")         \
	X(BLACKHOLE, "a blackhole route")                                                             \
	X(NO_NEXT_HOP, "the route's next hop is gone")                                                \
	X(NO_PATH, "the link has no path")                                                            \
	X(DEPTH, "more layers below than this machine may descend")                                   \
	X(TUNNEL_UNRESOLVED, "the tunnel's next hop on the underlay is not known")                    \
	X(TOO_BIG, "the frame does not fit the wire with its headers, or the cable to the kernel")    \
	X(PUNT_LIMIT, "the virtual node's limit for packets to its kernel")                           \
	X(UNTAGGED, "a frame reached a device without our tag")                                       \
	X(HEADROOM, "no room in front of the frame for the headers")                                  \
	X(NO_DEVICE, "the egress interface is not in the device table")                               \
	X(NOT_A_CABLE, "a frame on an interface that is no vif's")                                    \
	X(NOT_IP, "neither IPv4 nor IPv6 on a link that carries IP only")                             \
	X(WIRE_ADDRESS, "labels on a wire, not from its neighbour's MAC address to this machine's")   \
	X(WIRE_UNRESOLVED, "the wire's interface or its neighbour's MAC address is not known")        \
	X(SENT_RATE, "the node sends more by the vif than its rate")                                  \
	X(RECEIVED_RATE, "more arrives for the vif than its rate")                                    \
	X(SESSION_PACKET, "a BFD packet that its session has to discard (RFC 5880 §6.8.6, RFC 5881)") \
	X(CHANNEL_FRAME, "a frame of the BFD sender that is none, or for a session that has ended")   \
	X(LATE_COPY, "a copy of a 1+1 link, older than all that its window remembers")                \
	X(STRAY_COPY, "a copy of a 1+1 link that nobody remembers where to send")

/* X(NAME, packets a second and virtual node, sentence) */
#define PUNT_KINDS(X)                                                              \
	X(NEIGHBOUR, 2000, "ARP or neighbour discovery")                           \
	X(LOCAL, 50000, "for an address of the virtual node")                      \
	X(GROUP, 1000, "broadcast or multicast")                                   \
	X(TTL, 500, "TTL or hop limit ran out: ICMP time exceeded")                \
	X(TOO_BIG, 2000, "does not fit the next vif: ICMP too big, or fragmented") \
	X(UNRESOLVED, 2000, "the next hop's MAC is not known yet")                 \
	X(UNREACHABLE, 500, "no route: ICMP destination unreachable")              \
	X(OPTIONS, 500, "IPv4 options or IPv6 hop-by-hop options")                 \
	X(OTHER, 1000, "not IP")

/* Look-ups that the tracing build reports. X(NAME) */
#define TRACE_KINDS(X)  \
	X(PORT)         \
	X(TUNNEL)       \
	X(LABEL)        \
	X(CONTROL_WORD) \
	X(VIF)          \
	X(MAC)          \
	X(IP)           \
	X(FLOW_CACHE)   \
	X(ROUTE)        \
	X(NEXT_HOP)     \
	X(MTU)          \
	X(PATH)         \
	X(UNDERLAY_HOP) \
	X(DEVICE)       \
	X(PUNT)         \
	X(DROP)         \
	X(PASS)         \
	X(REWRITE)      \
	X(PUSH)         \
	X(STRIP)        \
	X(WIRE)         \
	X(LINK)         \
	X(CHANNEL)

#define X(name, ...) DROP_##name,
enum drop_reason { DROP_NONE, DROP_REASONS(X) DROP_COUNT };
#undef X

/* The drop counters of one virtual node are one row of this many. */
#define DROP_ROW 64
_Static_assert(DROP_COUNT <= DROP_ROW, "the drop counters' row is full");

#define X(name, ...) PUNT_##name,
enum punt_kind { PUNT_KINDS(X) PUNT_COUNT };
#undef X

#define PUNT_ROW 16
_Static_assert(PUNT_COUNT <= PUNT_ROW, "the punt limits' row is full");

#define X(name) TRACE_##name,
enum trace_kind { TRACE_NONE, TRACE_KINDS(X) TRACE_COUNT };
#undef X

#endif
