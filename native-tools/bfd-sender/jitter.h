/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef BFD_SENDER_JITTER_H
#define BFD_SENDER_JITTER_H

#include <linux/types.h>
#include <stdbool.h>

/*
 * When the packet after one at `last` is due: RFC 5880 §6.8.7, 75 to 100 % of
 * the interval later, and 75 to 90 % where one lost packet is a failure
 * (`single`). Times of several sessions coincide where the interval allows it,
 * so that many leave by one call. ns.
 */
__u64 next_due(__u64 last, __u64 interval, bool single);

#endif
