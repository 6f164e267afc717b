/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic to and from `sealane record` and `sealane replay`, and recordings of it. */
#ifndef SEALANE_TESTS_SYSTEM_TAPING_H
#define SEALANE_TESTS_SYSTEM_TAPING_H

#include <stdbool.h>
#include <stdint.h>

#include "rig.h"
#include "tool.h"
#include "traffic.h"

#define TAPING_N_MESSAGES (3 * TRAFFIC_N_SHAPES)

/* Sends messages first to end - 1, and waits until all were taken and released. */
void taping_send(const struct rig *rig, uint64_t first, uint64_t end);
/* Receives messages first to end - 1, in this order. */
void taping_expect(const struct rig *rig, uint64_t first, uint64_t end);
/* A receiver that trusts files. */
struct rig taping_connect(const char *address);

/* Records messages 0 to n - 1. */
void taping_record(const char *path, uint64_t n);
uint64_t taping_file_size(const char *path);
/* What a replay that has this JSON has sent, and how: all by the file, or none. */
void taping_expect_replay(struct tool *tool, uint64_t n, bool is_mapped);

#endif
