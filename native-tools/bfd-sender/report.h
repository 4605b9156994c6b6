/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What goes to stderr: one sentence a line. */
#ifndef BFD_SENDER_REPORT_H
#define BFD_SENDER_REPORT_H

#include <stdio.h>

#define report(format, ...) fprintf(stderr, "bfd-sender: " format "\n" __VA_OPT__(, ) __VA_ARGS__)

#endif
