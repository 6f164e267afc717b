/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane tap`: everything goes on, exactly so many to the side, and no reader there holds anything up. */
#include "rig.h"

#include "tool.h"
#include "traffic.h"

#define N_MESSAGES 400
#define N_SIDE_MAX 5

struct side {
	struct test_step connected, go, received;
	_Atomic uint64_t n;
	uint64_t tags[N_MESSAGES];
};

/* Reads the side channel: all of it, or only after it was told to. */
static void side_read(struct side *side, bool waits)
{
	struct rig rig = rig_connect(SEA_PULL, "side", NULL);
	struct sea_message *message;

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_signal(&side->connected, 1);
	if (waits)
		test_step_wait(&side->go);
	for (;;) {
		/* Who was stopped and goes on finds its wait interrupted. */
		if (sea_channel_receive(rig.channel, &message, -1) < 0)
			continue;
		side->tags[side->n] = sea_message_get_tag(message);
		CHECK_LT(side->n, N_MESSAGES);
		side->n++;
		sea_message_unref(message);
		test_step_signal(&side->received, 1);
	}
}

static void side_reads(void *arg)
{
	side_read(arg, false);
}

static void side_waits(void *arg)
{
	side_read(arg, true);
}

static struct side *side_new(void)
{
	struct side *side = test_shared(sizeof(*side));

	test_step_init(&side->connected);
	test_step_init(&side->go);
	test_step_init(&side->received);
	return side;
}

static void side_free(struct side *side)
{
	test_step_fini(&side->connected);
	test_step_fini(&side->go);
	test_step_fini(&side->received);
}

/* Sends and receives numbers first to end - 1 through the tap, one by one: nothing is waited for but the main channel. */
static void main_pass(const struct rig *out, const struct rig *in, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		struct sea_message *message = traffic_message(out->session, i);

		CHECK_OK(sea_channel_send(out->channel, &message, rig_patience()));
		CHECK_OK(sea_channel_receive(in->channel, &message, rig_patience()));
		traffic_check(message, i);
		sea_message_unref(message);
	}
}

TEST(exact, "of every eight messages exactly the eighth is shown where that is asked for, and all go on in order")
{
	struct side *side = side_new();
	struct tool tool;
	struct rig in, out;
	pid_t pid;

	tool = TOOL_START("tap", "--from", "in", "--to", "out", "--side", "side", "--percent", "12.5", "--count", "400",
	                  "--side-max", "1000", "--json");
	pid = test_fork(side_reads, side);
	test_step_wait(&side->connected);
	out = rig_bind(SEA_PUSH, "in", NULL);
	in = rig_connect(SEA_PULL, "out", NULL);
	/* The first says that the reader and the producer know each other. */
	main_pass(&out, &in, 0, 8);
	test_step_wait(&side->received);
	main_pass(&out, &in, 8, N_MESSAGES);
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), N_MESSAGES);
	CHECK_EQ(tool_number(&tool, "side"), N_MESSAGES / 8);
	CHECK_EQ(tool_number(&tool, "dropped"), 0);
	for (unsigned i = 1; i < N_MESSAGES / 8; i++)
		test_step_wait(&side->received);
	for (unsigned i = 0; i < N_MESSAGES / 8; i++)
		CHECK_EQ(side->tags[i], traffic_tag(8 * i + 7));
	test_kill(pid);
	CHECK_EQ(side->n, N_MESSAGES / 8);
	rig_close(&in);
	rig_close(&out);
	side_free(side);
}

TEST(stopped,
     "a reader of the side that is stopped, comes late, is killed, or never was, costs the main channel nothing; what it misses is counted")
{
	struct side *side = side_new();
	struct tool tool;
	struct rig in, out;
	pid_t pid;

	tool = TOOL_START("tap", "--from", "in", "--to", "out", "--side", "side", "--percent", "50", "--count", "400",
	                  "--side-max", "5", "--json");
	pid = test_fork(side_waits, side);
	test_step_wait(&side->connected);
	rig_stop(pid);
	out = rig_bind(SEA_PUSH, "in", NULL);
	in = rig_connect(SEA_PULL, "out", NULL);
	main_pass(&out, &in, 0, N_MESSAGES / 2);
	/* What waits for it is no more than was said. */
	test_step_signal(&side->go, 1);
	CHECK_SYS(kill(pid, SIGCONT));
	CHECK_EVENTUALLY(side->n > 0);
	test_kill(pid);
	CHECK_LE(side->n, N_SIDE_MAX);
	main_pass(&out, &in, N_MESSAGES / 2, N_MESSAGES);
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), N_MESSAGES);
	CHECK_EQ(tool_number(&tool, "side") + tool_number(&tool, "dropped"), N_MESSAGES / 2);
	CHECK_GE(tool_number(&tool, "dropped"), N_MESSAGES / 4 - N_SIDE_MAX);
	/* Nothing of the producer's memory stays with anybody. */
	CHECK_EVENTUALLY(rig_n_bytes_used(&out) == 0);
	rig_close(&in);
	rig_close(&out);
	side_free(side);
}

TEST(end, "a tap ends while the reader of its side is stopped, and one that is told to end has lost nothing")
{
	struct side *side = side_new();
	struct tool tool;
	struct rig in, out;
	pid_t pid;

	tool = TOOL_START("tap", "--from", "in", "--to", "out", "--side", "side", "--percent", "100", "--json");
	pid = test_fork(side_waits, side);
	test_step_wait(&side->connected);
	rig_stop(pid);
	out = rig_bind(SEA_PUSH, "in", NULL);
	in = rig_connect(SEA_PULL, "out", NULL);
	main_pass(&out, &in, 0, 30);
	CHECK_SYS(kill(tool.pid, SIGTERM));
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), 30);
	CHECK_LE(tool_number(&tool, "side"), 16);
	CHECK_EQ(tool_number(&tool, "side") + tool_number(&tool, "dropped"), 30);
	CHECK_EQ(tool_number(&tool, "lost"), 0);
	test_kill(pid);
	rig_close(&in);
	rig_close(&out);
	side_free(side);
}
