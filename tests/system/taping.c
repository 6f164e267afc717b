/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic to and from `sealane record` and `sealane replay`; see taping.h. */
#include <stdio.h>
#include <sys/stat.h>

#include "taping.h"

void taping_send(const struct rig *rig, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		struct sea_message *message = traffic_message(rig->session, i);

		CHECK_OK(sea_channel_send(rig->channel, &message, rig_patience()));
	}
	CHECK_OK(sea_channel_flush(rig->channel, rig_patience()));
}

void taping_expect(const struct rig *rig, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		struct sea_message *message;

		CHECK_OK(sea_channel_receive(rig->channel, &message, rig_patience()));
		traffic_check(message, i);
		sea_message_unref(message);
	}
}

struct rig taping_connect(const char *address)
{
	struct sea_session_options options = { .quota_n_bytes = 256u << 20, .flags = SEA_SESSION_TRUST_FILES };
	struct rig rig;

	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_connect(rig.channel, address));
	return rig;
}

void taping_record(const char *path, uint64_t n)
{
	char count[24];
	struct tool tool;
	struct rig rig;

	snprintf(count, sizeof(count), "%llu", (unsigned long long)n);
	tool = TOOL_START("record", "--from", "d", "--out", path, "--count", count, "--json");
	rig = rig_bind(SEA_PUSH, "d", NULL);
	taping_send(&rig, 0, n);
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), n);
	CHECK_EQ(tool_number(&tool, "indexed"), 1);
	rig_close(&rig);
}

uint64_t taping_file_size(const char *path)
{
	struct stat stat_buffer;

	return stat(path, &stat_buffer) < 0 ? 0 : (uint64_t)stat_buffer.st_size;
}

void taping_expect_replay(struct tool *tool, uint64_t n, bool is_mapped)
{
	tool_expect(tool, 0);
	CHECK_EQ(tool_number(tool, "messages"), n);
	if (is_mapped) {
		CHECK_GT(tool_number(tool, "mapped"), 0);
		CHECK_EQ(tool_number(tool, "copied"), 0);
	} else {
		CHECK_EQ(tool_number(tool, "mapped"), 0);
		CHECK_GT(tool_number(tool, "copied"), 0);
	}
}
