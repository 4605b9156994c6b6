// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A wire that is down at one end has no carrier at the other. Of the middle's two interfaces, NAME-a and NAME-b, the one
 * whose machine's end is down has none; then the other is taken down, so that its machine's end has none either.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "relay.h"

static int control = -1;

static bool flags_of(const char *name, short *flags)
{
	struct ifreq request = { 0 };

	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(control, SIOCGIFFLAGS, &request) < 0)
		return false;
	*flags = request.ifr_flags;
	return true;
}

static void set_up(const char *name, short flags, bool up)
{
	struct ifreq request = { 0 };

	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	request.ifr_flags = up ? (short)(flags | IFF_UP) : (short)(flags & ~IFF_UP);
	/* one that is being removed needs no change */
	ioctl(control, SIOCSIFFLAGS, &request);
}

/* Never both down: neither would hear of its end coming up. */
static void settle(const char *one, const char *other)
{
	short flags;
	short others;

	if (!flags_of(one, &flags) || !flags_of(other, &others) || !(flags & IFF_UP))
		return;
	if (!(flags & IFF_RUNNING) == !(others & IFF_UP))
		return;
	set_up(other, others, flags & IFF_RUNNING);
}

static void settle_all(void)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *one = all; one && one->if_index != 0; one++) {
		char other[IFNAMSIZ] = { 0 };
		size_t length = strlen(one->if_name);

		if (length < 3 || length >= IFNAMSIZ || one->if_name[length - 2] != '-')
			continue;
		memcpy(other, one->if_name, length);
		other[length - 1] = one->if_name[length - 1] == 'a' ? 'b' : 'a';
		settle(one->if_name, other);
	}
	if (all)
		if_freenameindex(all);
}

static void changed(struct source *source)
{
	char event[8192];

	/* what has changed is read below, also after events were lost (ENOBUFS) */
	while (recv(source->fd, event, sizeof(event), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		continue;
	settle_all();
}

void follow_carriers(void)
{
	static struct source source = { -1, changed };
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };

	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	source.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (control < 0 || source.fd < 0 || bind(source.fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		fail("netlink");
	watch(&source);
	settle_all();
}
