/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink of `sealane demo`: checks every byte of every timeframe and, with calibration, every row of its table. It goes on after a failure, so that the
 * figures say how many there are, and ends when it is told that no process before it has anything left.
 */
#include "cleanup.h"
#include "demo-calibration.h"
#include "demo-check.h"

#include <string.h>

#include <sealane/error.h>

/* It sends nothing. */
#define QUOTA_N_BYTES ((uint64_t)4 << 20)

struct sink {
	struct demo_child child;
	struct demo_check check;
	struct demo_oracle *oracle; /* NULL: no calibration */
	struct sea_error error;     /* the first thing that is wrong with a table */
	/* As they came; and without what is others', for the check of the core job. */
	struct sea_part parts[DEMO_N_PARTS_MAX + DEMO_N_PARTS_MORE], own[DEMO_N_PARTS_MAX + 2];
};

static void sink_fini(struct sink *sink)
{
	demo_check_fini(&sink->check);
#ifdef SEALANE_COMMAND_CCDB
	demo_oracle_free(sink->oracle);
#endif
	demo_child_close(&sink->child);
}

static void sink_publish(struct sink *sink)
{
	struct demo_status *status = sink->child.status;

	status->n_wrong = sink->check.n_wrong;
	status->n_repeated = sink->check.n_repeated;
	status->n_disordered = sink->check.n_disordered;
	status->n_missing = sink->check.n_missing;
}

/* Takes head, files and mark together. Returns how many parts these are; 0 it is no timeframe. */
static size_t own_parts(struct sink *sink, size_t n_parts)
{
	size_t n = demo_head_n_parts(sink->parts, n_parts);

	if (n == 0 || n > DEMO_N_PARTS_MAX + 1)
		return 0;
	memcpy(sink->own, sink->parts, n * sizeof(sink->own[0]));
	sink->own[n] = sink->parts[n_parts - 1];
	return n + 1;
}

static void table_take(struct sink *sink, struct sea_message *message, size_t n_parts, size_t n_own, uint64_t timeframe)
{
#ifdef SEALANE_COMMAND_CCDB
	if (sink->oracle)
		(void)demo_oracle_check(sink->oracle, message, sink->parts, n_parts, n_own - 1, timeframe,
		                        &sink->child.shared->tables, &sink->error);
#else
	(void)sink;
	(void)message;
	(void)n_parts;
	(void)n_own;
	(void)timeframe;
#endif
}

static void timeframe_take(struct sink *sink, struct sea_message *message, int64_t now_ns)
{
	const bool has_table = sink->child.plan->calibration != NULL;
	size_t n_parts = sea_message_n_parts(message), n_own;
	struct demo_head head = { 0 };
	struct demo_mark mark;
	int r;

	/* Too many parts, or one that lies outside its memory: the check refuses a message of no parts. */
	if (n_parts > DEMO_N_PARTS_MAX + (has_table ? DEMO_N_PARTS_MORE : 2))
		n_parts = 0;
	for (size_t i = 0; i < n_parts; i++)
		if (sea_message_get_part(message, i, &sink->parts[i]) < 0)
			n_parts = 0;
	n_own = has_table ? own_parts(sink, n_parts) : n_parts;
	r = demo_check_timeframe(&sink->check, has_table ? sink->own : sink->parts, n_own, &head, &mark);
	sink->child.status->n_taken++;
	if (r < 0) {
		sink_publish(sink);
		return;
	}
	table_take(sink, message, n_parts, n_own, head.timeframe);
	sink->child.shared->latency_ns[head.timeframe] = now_ns - head.sent_ns;
	demo_child_count(&sink->child, head.n_bytes);
}

static int sink_loop(struct sink *sink)
{
	for (;;) {
		struct sea_message *message = NULL;
		bool is_stopped = demo_child_is_stopped();
		int r = sea_channel_receive(sink->child.in, &message, is_stopped ? 0 : DEMO_WAIT_NS);

		if (r < 0 && demo_is_again(r)) {
			if (is_stopped && r == -EAGAIN)
				return 0;
			continue;
		}
		if (r < 0)
			return demo_fail(&sink->child, "cannot receive: %s", sea_error_text(r));
		timeframe_take(sink, message, demo_now_ns());
		sea_message_unref(message);
	}
}

int demo_sink_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot)
{
	TOOL_CLEANUP(sink_fini) struct sink sink = { 0 };
	char line[300];
	int r = demo_child_open(&sink.child, plan, shared, slot, "demo sink", QUOTA_N_BYTES);

	if (r != 0)
		return r;
	if (demo_check_init(&sink.check, plan->n_timeframes) < 0)
		return demo_fail(&sink.child, "out of memory");
#ifdef SEALANE_COMMAND_CCDB
	if (plan->calibration && demo_oracle_new(&sink.oracle, plan, &sink.error) < 0)
		return demo_fail(&sink.child, "cannot read the store: %s",
		                 sea_error_line(&sink.error, line, sizeof(line)));
#endif
	r = demo_child_channel(&sink.child, &sink.child.in, SEA_PULL, SEA_ORPHANS_DROP, DEMO_SINK, true);
	if (r != 0)
		return r;
	sink.child.status->is_ready = 1;
	sink.child.status->begin_ns = demo_now_ns();
	r = sink_loop(&sink);
	(void)demo_check_end(&sink.check);
	sink_publish(&sink);
	if (r == 0 && sink.check.reason[0])
		demo_fail(&sink.child, "%s", sink.check.reason);
	else if (r == 0 && sink.error.code)
		demo_fail(&sink.child, "%s", sea_error_line(&sink.error, line, sizeof(line)));
	return r;
}
