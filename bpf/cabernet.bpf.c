// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The data plane's entry points. A packet's way: wire -> infrastructure.h ->
 * connectivity.h -> service.h -> descend.h -> egress.h. A station's frame
 * begins at service.h, a virtual node's own frame at descend.h, a packet that
 * watches a path at channel.h. sweep.h runs by a timer.
 */
#include "infrastructure.h"
#include "channel.h"
#include "egress.h"
#include "sweep.h"

/* Metadata on arrival is a stranger's: veth hands on what the last namespace wrote. */
static __always_inline bool strip_metadata(struct xdp_md *ctx)
{
	long size = (long)ctx->data - (long)ctx->data_meta;

	return size <= 0 || bpf_xdp_adjust_meta(ctx, size) == 0;
}

static __always_inline int enter(struct xdp_md *ctx, bool from_kernel)
{
	struct packet pk = { .ifindex = arrival_interface(ctx) };
	const struct port *port;
	struct cursor cursor;
	__u32 role;

	if (!strip_metadata(ctx))
		return drop(ctx, &pk, DROP_HEADROOM);
	port = bpf_map_lookup_elem(&ports, &pk.ifindex);
	role = port ? port->role : PORT_NONE;
	capture_at_port(ctx, pk.ifindex, RECORD_IN);
	pk.size = frame_length(ctx);
	pk.length = pk.size;
	cursor = cursor_at(ctx);
	trace(PORT, &pk, 0, pk.ifindex, role, port ? port->vif : 0, pk.length, 0);
	if (from_kernel) {
		if (role != PORT_VIF)
			return drop(ctx, &pk, DROP_NOT_A_CABLE);
		pk.vif = port->vif;
		return send_from_kernel(ctx, &pk, &cursor);
	}
	if (role == PORT_UNDERLAY)
		return receive_from_wire(ctx, &pk, &cursor);
	if (role != PORT_ACCESS)
		return drop(ctx, &pk, DROP_NOT_A_CABLE);
	pk.vif = port->vif;
	return receive_at_port(ctx, &pk, &cursor);
}

#ifndef CABERNET_TRACE

/* A packet of the sender's, for a path. */
static __always_inline int send_channel(struct xdp_md *ctx)
{
	struct packet pk = { .ifindex = arrival_interface(ctx), .channel = true };
	struct cursor cursor;

	if (!strip_metadata(ctx))
		return drop(ctx, &pk, DROP_HEADROOM);
	pk.size = frame_length(ctx);
	pk.length = pk.size;
	cursor = cursor_at(ctx);
	return send_from_sender(ctx, &pk, &cursor);
}

/* On wires and on stations' cables. */
SEC_XDP
int cabernet_port(struct xdp_md *ctx)
{
	return enter(ctx, false);
}

/* On the machine's end of each vif's veth. */
SEC_XDP
int cabernet_vif(struct xdp_md *ctx)
{
	return enter(ctx, true);
}

/* On the data plane's end of the sender's veth. */
SEC_XDP
int cabernet_channel(struct xdp_md *ctx)
{
	return send_channel(ctx);
}

/* On nothing: run once, by a test run. */
SEC_XDP
int cabernet_arm(struct xdp_md *ctx)
{
	(void)ctx;
	return arm_sweep();
}

/* On every entry of the device table. */
SEC_XDP_DEVMAP
int cabernet_egress(struct xdp_md *ctx)
{
	return egress(ctx, ctx->egress_ifindex);
}

#else

/* One frame, all of this machine's way. */
SEC_XDP
int cabernet_trace(struct xdp_md *ctx)
{
	int action;

	trace_count = 0;
	last_egress = 0;
	action = enter(ctx, false);
	if (action != XDP_REDIRECT)
		return action;
	return egress(ctx, last_egress) == XDP_PASS ? XDP_REDIRECT : XDP_DROP;
}

#endif

#ifdef CABERNET_TEST
#include "bench.h"
#include "race.h"

/* BPF_PROG_TEST_RUN refuses xdp/devmap programs: the same function for tests. */
SEC_XDP
int cabernet_egress_test(struct xdp_md *ctx)
{
	return egress(ctx, 0);
}

/* CPUs that take the same numbers, with a struct runner each for a packet. */
SEC_XDP
int cabernet_race_test(struct xdp_md *ctx)
{
	race(ctx);
	return XDP_PASS;
}

/* One tick, when the tests want it. */
SEC_XDP
int cabernet_sweep_test(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct sweep_control *control = bpf_map_lookup_elem(&sweep_control, &zero);

	(void)ctx;
	if (control)
		sweep(control);
	return XDP_PASS;
}
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";
