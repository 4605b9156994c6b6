// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "transmitter.h"
#include "report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER (1 << 20)

static int bind_to(struct transmitter *transmitter, const char *interface)
{
	/* protocol 0: receives nothing */
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_ifindex = (int)if_nametoindex(interface) };
	socklen_t length = sizeof(address);
	const int bypass = 1, buffer = SEND_BUFFER;

	if (!address.sll_ifindex || bind(transmitter->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(transmitter->fd, (struct sockaddr *)&address, &length) < 0)
		return -1;
	if (address.sll_halen != sizeof(transmitter->address)) {
		errno = EPFNOSUPPORT;
		return -1;
	}
	memcpy(transmitter->address, address.sll_addr, sizeof(transmitter->address));
	/* better to lose a packet than to have it wait in a queue; the buffer need not be that large */
	setsockopt(transmitter->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	return setsockopt(transmitter->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass));
}

int transmitter_open(struct transmitter *transmitter, const char *interface)
{
	transmitter->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (transmitter->fd < 0) {
		report("there is no packet socket: %s.", strerror(errno));
		return -1;
	}
	if (bind_to(transmitter, interface) < 0) {
		report("interface %s can't be sent from: %s.", interface, strerror(errno));
		close(transmitter->fd);
		return -1;
	}
	for (int i = 0; i < BATCH; i++) {
		struct channel_packet *packet = &transmitter->packets[i];

		/* of nobody: without the data plane at the other end it is not for the machine's own kernel */
		packet->frame.destination[0] = 0x02;
		memcpy(packet->frame.source, transmitter->address, sizeof(packet->frame.source));
		packet->frame.type = htons(ETHERTYPE_CHANNEL);
		transmitter_set(transmitter, i, false);
	}
	return 0;
}

void transmitter_set(struct transmitter *transmitter, int i, bool measurement)
{
	transmitter->packets[i].header =
		htonl(CHANNEL_HEADER | (measurement ? CHANNEL_MEASURE : CHANNEL_BFD));
}

bool transmitter_measures(const struct transmitter *transmitter, int i)
{
	return transmitter->packets[i].header == htonl(CHANNEL_HEADER | CHANNEL_MEASURE);
}

static size_t packet_bytes(const struct transmitter *transmitter, int i)
{
	return CHANNEL_PACKET_BYTES + (transmitter_measures(transmitter, i) ? sizeof(struct measure_message)
									    : sizeof(struct bfd_control));
}

bool transmitter_there(const struct transmitter *transmitter)
{
	struct sockaddr_ll address = { .sll_ifindex = -1 };
	socklen_t length = sizeof(address);

	return getsockname(transmitter->fd, (struct sockaddr *)&address, &length) == 0 &&
	       address.sll_ifindex > 0;
}

int transmitter_send(struct transmitter *transmitter, int count)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	int sent = 0;

	for (int i = 0; i < count; i++) {
		parts[i] = (struct iovec){ &transmitter->packets[i], packet_bytes(transmitter, i) };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1 } };
	}
	while (sent < count) {
		int more = sendmmsg(transmitter->fd, messages + sent, count - sent, MSG_DONTWAIT);

		if (more < 0 && errno != EINTR)
			break;
		sent += more > 0 ? more : 0;
	}
	return sent;
}
