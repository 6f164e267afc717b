/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink's checks. The sizes of parts are hashed with their bytes: bytes that have moved from one part
 * to the next are wrong bytes.
 */
#include "demo-check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t demo_hash(XXH3_state_t *state, const struct demo_head *head, const struct sea_part *parts, size_t n_parts)
{
	struct demo_head blank = *head;

	/* None of these fails on a state that was made and pointers that are not NULL. */
	blank.hash = 0;
	(void)XXH3_64bits_reset(state);
	(void)XXH3_64bits_update(state, &blank, sizeof(blank));
	for (size_t i = 0; i < n_parts; i++) {
		uint64_t n_bytes = parts[i].n_bytes;

		(void)XXH3_64bits_update(state, &n_bytes, sizeof(n_bytes));
		if (n_bytes > 0)
			(void)XXH3_64bits_update(state, parts[i].data, parts[i].n_bytes);
	}
	return XXH3_64bits_digest(state);
}

int demo_head_read(const struct sea_part *parts, size_t n_parts, struct demo_head *ret_head)
{
	struct demo_head head;
	uint64_t n_bytes = 0;

	if (n_parts < 1 || parts[0].n_bytes != sizeof(head))
		return -EBADMSG;
	memcpy(&head, parts[0].data, sizeof(head));
	for (size_t i = 1; i < n_parts; i++)
		n_bytes += parts[i].n_bytes;
	if (head.magic != DEMO_HEAD_MAGIC || head.n_parts != n_parts - 1 || head.n_bytes != n_bytes)
		return -EBADMSG;
	*ret_head = head;
	return 0;
}

size_t demo_head_n_parts(const struct sea_part *parts, size_t n_parts)
{
	struct demo_head head;

	if (n_parts < 1 || parts[0].n_bytes != sizeof(head))
		return 0;
	memcpy(&head, parts[0].data, sizeof(head));
	return head.magic == DEMO_HEAD_MAGIC && head.n_parts < n_parts ? (size_t)head.n_parts + 1 : 0;
}

int demo_check_init(struct demo_check *check, uint64_t n_timeframes)
{
	*check = (struct demo_check){ .n_timeframes = n_timeframes };
	check->state = XXH3_createState();
	check->seen = calloc(n_timeframes ? n_timeframes : 1, 1);
	return check->state && check->seen ? 0 : -ENOMEM;
}

void demo_check_fini(struct demo_check *check)
{
	XXH3_freeState(check->state);
	free(check->seen);
	check->state = NULL;
	check->seen = NULL;
}

static int check_failed(struct demo_check *check, uint64_t *counter, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int check_failed(struct demo_check *check, uint64_t *counter, const char *format, ...)
{
	va_list arguments;

	++*counter;
	if (check->reason[0])
		return -EBADMSG;
	va_start(arguments, format);
	vsnprintf(check->reason, sizeof(check->reason), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* The next number that a run of a processor is to send; NULL when there are more runs than there can be. */
static uint64_t *run_next(struct demo_check *check, const struct demo_mark *mark)
{
	for (unsigned i = 0; i < check->n_runs; i++)
		if (check->runs[i].processor == mark->processor && check->runs[i].incarnation == mark->incarnation)
			return &check->runs[i].next;
	if (check->n_runs == DEMO_N_PROCESSOR_RUNS_MAX)
		return NULL;
	check->runs[check->n_runs].processor = mark->processor;
	check->runs[check->n_runs].incarnation = mark->incarnation;
	return &check->runs[check->n_runs++].next;
}

static int check_bytes(struct demo_check *check, const struct sea_part *parts, size_t n_parts,
                       struct demo_head *ret_head, struct demo_mark *ret_mark)
{
	uint64_t hash;

	if (n_parts < 2 || demo_head_read(parts, n_parts - 1, ret_head) < 0)
		return check_failed(check, &check->n_wrong,
		                    "a message of %zu parts is no timeframe: its head does not fit", n_parts);
	if (ret_head->timeframe >= check->n_timeframes)
		return check_failed(check, &check->n_wrong, "timeframe %llu was never sent",
		                    (unsigned long long)ret_head->timeframe);
	hash = demo_hash(check->state, ret_head, parts + 1, n_parts - 2);
	if (hash != ret_head->hash)
		return check_failed(check, &check->n_wrong,
		                    "timeframe %llu has a wrong byte: XXH3 %016llx at the source, %016llx here",
		                    (unsigned long long)ret_head->timeframe, (unsigned long long)ret_head->hash,
		                    (unsigned long long)hash);
	if (parts[n_parts - 1].n_bytes != sizeof(*ret_mark))
		return check_failed(check, &check->n_wrong, "timeframe %llu has no mark of its processor",
		                    (unsigned long long)ret_head->timeframe);
	memcpy(ret_mark, parts[n_parts - 1].data, sizeof(*ret_mark));
	if (ret_mark->magic != DEMO_MARK_MAGIC || ret_mark->timeframe != ret_head->timeframe ||
	    ret_mark->n_bytes != ret_head->n_bytes || ret_mark->hash != hash)
		return check_failed(check, &check->n_wrong, "timeframe %llu: its processor read something else",
		                    (unsigned long long)ret_head->timeframe);
	return 0;
}

int demo_check_timeframe(struct demo_check *check, const struct sea_part *parts, size_t n_parts,
                         struct demo_head *ret_head, struct demo_mark *ret_mark)
{
	struct demo_head head;
	struct demo_mark mark;
	uint64_t *next, sequence;
	int r = check_bytes(check, parts, n_parts, &head, &mark);

	if (r < 0)
		return r;
	if (check->seen[head.timeframe] > 0)
		r = check_failed(check, &check->n_repeated, "timeframe %llu came again, from processor %u.%u",
		                 (unsigned long long)head.timeframe, mark.processor, mark.incarnation);
	if (check->seen[head.timeframe] < UINT8_MAX)
		check->seen[head.timeframe]++;
	next = run_next(check, &mark);
	sequence = next ? *next : UINT64_MAX;
	if (mark.sequence != sequence)
		r = check_failed(check, &check->n_disordered,
		                 "processor %u.%u: its number %llu came where %llu was due", mark.processor,
		                 mark.incarnation, (unsigned long long)mark.sequence, (unsigned long long)sequence);
	if (next)
		*next = mark.sequence + 1;
	if (r < 0)
		return r;
	*ret_head = head;
	*ret_mark = mark;
	return 0;
}

int demo_check_end(struct demo_check *check)
{
	check->n_missing = 0;
	for (uint64_t i = 0; i < check->n_timeframes; i++)
		if (check->seen[i] == 0)
			check_failed(check, &check->n_missing, "timeframe %llu never came", (unsigned long long)i);
	return check->n_wrong || check->n_repeated || check->n_disordered || check->n_missing ? -EBADMSG : 0;
}
