/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef BFD_SENDER_REALTIME_H
#define BFD_SENDER_REALTIME_H

/*
 * Ahead of everything that is not real-time, with all memory resident, and on
 * one CPU (-1: any). What the machine does not allow is said on stderr, and is
 * no error but for the CPU: -1.
 */
int become_realtime(int priority, int cpu);

#endif
