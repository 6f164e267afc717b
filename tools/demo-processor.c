/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A processor of `sealane demo`: reads every byte of a timeframe and forwards it, untouched, with a part of
 * its own behind; with calibration, also what it saw of the table. Number n works n + 1 times as hard, so that
 * they are of different speed. The frame that goes on absorbs the message that came: whenever this process is killed,
 * either the sink has the one or the reader gets back the other.
 */
#include <string.h>

#include "cleanup.h"
#include "demo-calibration.h"
#include "demo-check.h"
#include "demo-seen.h"

/* Its own parts are small; the timeframes are the reader's memory. */
#define QUOTA_N_BYTES ((uint64_t)16 << 20)

struct processor {
	struct demo_child child;
	XXH3_state_t *hash;
	struct sea_part parts[DEMO_N_PARTS_MAX + DEMO_N_PARTS_MORE];
	struct sea_decoder *decoder; /* NULL: no calibration */
	struct demo_seen seen;
	uint32_t number, incarnation;
	uint64_t sequence;
};

static void processor_fini(struct processor *processor)
{
	XXH3_freeState(processor->hash);
#ifdef SEALANE_COMMAND_CCDB
	sea_decoder_free(processor->decoder);
#endif
	demo_child_close(&processor->child);
}

static void frame_fini(struct sea_frame **frame)
{
	sea_frame_free(*frame);
}

static void message_fini(struct sea_message **message)
{
	sea_message_unref(*message);
}

/* Finds the object of every row, and reads those that are new here. */
static int table_read(struct processor *processor, const struct sea_message *message, size_t part, uint64_t timeframe)
{
#ifdef SEALANE_COMMAND_CCDB
	struct sea_table *table = NULL;
	struct sea_error error = { 0 };
	char line[300];
	/* A table holds its message until it is closed, which is before the message goes on. */
	int r = sea_table_open(&table, (struct sea_message *)(uintptr_t)message, part, NULL, &error);

	if (r == 0)
		r = demo_seen_table(&processor->seen, timeframe, table, processor->decoder, &error);
	sea_table_close(table);
	return r < 0 ? demo_fail(&processor->child, "timeframe %llu: %s", (unsigned long long)timeframe,
	                         sea_error_line(&error, line, sizeof(line)))
	             : 0;
#else
	(void)message;
	(void)part;
	(void)timeframe;
	return demo_fail(&processor->child, "a table came, and this was built without tables");
#endif
}

/* Reads every byte of what came. */
static int timeframe_read(struct processor *processor, const struct sea_message *message, struct demo_mark *ret_mark)
{
	size_t n_parts = sea_message_n_parts(message);
	bool has_table = processor->child.plan->calibration != NULL;
	struct demo_head head;
	size_t n_own;
	uint64_t hash = 0;

	if (n_parts < 1 || n_parts > DEMO_N_PARTS_MAX + (has_table ? DEMO_N_PARTS_MORE : 1))
		return demo_fail(&processor->child, "a message of %zu parts is no timeframe", n_parts);
	for (size_t i = 0; i < n_parts; i++) {
		int r = sea_message_get_part(message, i, &processor->parts[i]);

		if (r < 0)
			return demo_fail(&processor->child, "part %zu of a timeframe: %s", i, sea_error_text(r));
	}
	n_own = has_table ? demo_head_n_parts(processor->parts, n_parts) : n_parts;
	if (demo_head_read(processor->parts, n_own, &head) < 0)
		return demo_fail(&processor->child, "a message of %zu parts is no timeframe: its head does not fit",
		                 n_parts);
	for (uint32_t i = 0; i <= (has_table ? processor->number : 0); i++)
		hash = demo_hash(processor->hash, &head, processor->parts + 1, n_own - 1);
	*ret_mark = (struct demo_mark){
		.magic = DEMO_MARK_MAGIC,
		.processor = processor->number,
		.incarnation = processor->incarnation,
		.sequence = processor->sequence,
		.timeframe = head.timeframe,
		.n_bytes = head.n_bytes,
		.hash = hash,
	};
	return has_table && n_own < n_parts ? table_read(processor, message, n_own, head.timeframe) : 0;
}

/* Takes the message that came, on success and on failure. ret_message receives what goes on. */
static int timeframe_forward(struct processor *processor, struct sea_message **came, const struct demo_mark *mark,
                             struct sea_message **ret_message)
{
	TOOL_CLEANUP(message_fini) struct sea_message *message = *came;
	TOOL_CLEANUP(frame_fini) struct sea_frame *frame = NULL;
	struct sea_frame_options options = { .n_bytes_max[0] = sizeof(*mark) + 2 * SEA_ALIGNMENT_DEFAULT };
	const size_t n_seen = processor->child.plan->calibration ? demo_seen_n_bytes(&processor->seen) : 0;
	void *to = NULL;
	int r;

	*came = NULL;
	options.n_parts_hint = (uint32_t)sea_message_n_parts(message) + 2;
	options.n_bytes_max[0] += n_seen;
	do {
		r = sea_frame_new(&frame, sea_session_heap(processor->child.session), &options, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	if (r < 0)
		return demo_fail(&processor->child, "no memory for a part of its own: %s", sea_error_text(r));
	r = sea_frame_add_message(frame, message);
	if (r >= 0 && n_seen) {
		r = sea_frame_add(frame, n_seen, 0, &to);
		if (r >= 0)
			memcpy(to, &processor->seen, n_seen);
	}
	if (r >= 0)
		r = sea_frame_add(frame, sizeof(*mark), 0, &to);
	if (r >= 0) {
		memcpy(to, mark, sizeof(*mark));
		r = sea_frame_absorb(frame, &message);
	}
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_message);
	return r < 0 ? demo_fail(&processor->child, "cannot forward timeframe %llu: %s",
	                         (unsigned long long)mark->timeframe, sea_error_text(r))
	             : 0;
}

static int timeframe_process(struct processor *processor, struct sea_message **came)
{
	TOOL_CLEANUP(message_fini) struct sea_message *message = NULL;
	uint64_t tag = sea_message_get_tag(*came);
	struct demo_mark mark;
	int r = timeframe_read(processor, *came, &mark);

	if (r == 0)
		r = timeframe_forward(processor, came, &mark, &message);
	if (r != 0)
		return r;
	sea_message_set_tag(message, tag);
	do {
		r = sea_channel_send(processor->child.out, &message, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	if (r < 0)
		return demo_fail(&processor->child, "cannot send to the sink: %s", sea_error_text(r));
	processor->sequence++;
	processor->child.status->is_busy = 0;
	demo_child_count(&processor->child, mark.n_bytes);
	return 0;
}

int demo_processor_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot, unsigned processor,
                       unsigned incarnation)
{
	TOOL_CLEANUP(processor_fini) struct processor self = { .number = processor, .incarnation = incarnation };
	struct demo_status *status = &shared->status[slot];
	int r = demo_child_open(&self.child, plan, shared, slot, "demo processor", QUOTA_N_BYTES);

	if (r != 0)
		return r;
	self.hash = XXH3_createState();
#ifdef SEALANE_COMMAND_CCDB
	if (plan->calibration && demo_seen_decoder(&self.decoder) < 0)
		return demo_fail(&self.child, "out of memory");
#endif
	if (!self.hash)
		return demo_fail(&self.child, "out of memory");
	/* First the way out, so that nothing is taken in before it can go on. */
	r = demo_child_channel(&self.child, &self.child.out, SEA_PUSH, SEA_ORPHANS_DROP, DEMO_SINK, false);
	if (r == 0)
		r = demo_child_channel(&self.child, &self.child.in, SEA_PULL, SEA_ORPHANS_DROP,
		                       plan->calibration ? DEMO_TABLES : DEMO_SOURCE, false);
	if (r != 0)
		return r;
	do {
		r = sea_channel_wait_peers(self.child.out, 1, DEMO_WAIT_NS);
		if (r == 0)
			r = sea_channel_wait_peers(self.child.in, 1, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	if (r < 0 && !demo_child_is_stopped())
		return demo_fail(&self.child, "no reader or no sink came: %s", sea_error_text(r));
	status->is_ready = 1;
	status->begin_ns = demo_now_ns();
	while (!demo_child_is_stopped()) {
		TOOL_CLEANUP(message_fini) struct sea_message *message = NULL;

		r = sea_channel_receive(self.child.in, &message, DEMO_WAIT_NS);
		if (r < 0 && demo_is_again(r))
			continue;
		if (r < 0)
			return demo_fail(&self.child, "cannot receive: %s", sea_error_text(r));
		status->n_taken++;
		status->is_busy = 1;
		r = timeframe_process(&self, &message);
		if (r != 0)
			return r;
	}
	return 0;
}
