/* SPDX-License-Identifier: Apache-2.0 */
/* The versions known for one question, and the promises that the server has given for them. */
#include "ccdb/client-question.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool known_is_valid(const struct seai_known *known, int64_t t_ms)
{
	return known->version.valid_from_ms <= t_ms && t_ms < known->version.valid_until_ms;
}

struct seai_known *seai_question_candidate(struct seai_question *question, int64_t t_ms, seai_known_fn filter,
                                           void *userdata)
{
	struct seai_known *best = NULL;

	for (size_t i = 0; i < question->n_known; i++) {
		struct seai_known *known = &question->known[i];

		if (!known_is_valid(known, t_ms) || (filter && !filter(known, userdata)))
			continue;
		/* Created in the same ms: the server prefers one of them, and the one that it named last is likelier. */
		if (!best || known->version.created_ms > best->version.created_ms ||
		    (known->version.created_ms == best->version.created_ms && known->confirmed > best->confirmed))
			best = known;
	}
	return best;
}

struct seai_known *seai_question_find(struct seai_question *question, const char *uuid)
{
	for (size_t i = 0; i < question->n_known; i++)
		if (strcmp(question->known[i].version.uuid, uuid) == 0)
			return &question->known[i];
	return NULL;
}

bool seai_known_promise(const struct seai_known *known, int64_t t_ms, int64_t *ret_from_ms, int64_t *ret_until_ms)
{
	for (unsigned i = 0; i < known->n_promises; i++) {
		const struct seai_promise *promise = &known->promises[i];

		if (promise->from_ms <= t_ms && t_ms < promise->until_ms) {
			*ret_from_ms = promise->from_ms;
			*ret_until_ms = promise->until_ms;
			return true;
		}
	}
	return false;
}

static void known_promise_drop(struct seai_known *known, unsigned i)
{
	known->n_promises--;
	memmove(&known->promises[i], &known->promises[i + 1], (known->n_promises - i) * sizeof(known->promises[0]));
}

/* Adds a promise; one that it touches grows instead. */
static void known_promise_add(struct seai_known *known, int64_t from_ms, int64_t until_ms)
{
	if (from_ms >= until_ms)
		return;
	for (unsigned i = 0; i < known->n_promises;) {
		const struct seai_promise *promise = &known->promises[i];

		if (promise->from_ms > until_ms || from_ms > promise->until_ms) {
			i++;
			continue;
		}
		from_ms = promise->from_ms < from_ms ? promise->from_ms : from_ms;
		until_ms = promise->until_ms > until_ms ? promise->until_ms : until_ms;
		known_promise_drop(known, i);
		i = 0;
	}
	if (known->n_promises == SEAI_PROMISES_N_MAX)
		known_promise_drop(known, 0);
	known->promises[known->n_promises++] = (struct seai_promise){ from_ms, until_ms };
}

/* Takes [from, until) out of all promises. */
static void known_promise_cut(struct seai_known *known, int64_t from_ms, int64_t until_ms)
{
	struct seai_promise before[SEAI_PROMISES_N_MAX];
	unsigned n_before = known->n_promises;

	memcpy(before, known->promises, sizeof(before));
	known->n_promises = 0;
	for (unsigned i = 0; i < n_before; i++) {
		int64_t end = before[i].until_ms < from_ms ? before[i].until_ms : from_ms;
		int64_t begin = before[i].from_ms > until_ms ? before[i].from_ms : until_ms;

		known_promise_add(known, before[i].from_ms, end);
		known_promise_add(known, begin, before[i].until_ms);
	}
}

static void question_drop(struct seai_question *question, size_t i)
{
	question->known[i] = question->known[--question->n_known];
}

void seai_question_absent(struct seai_question *question, int64_t t_ms)
{
	for (size_t i = question->n_known; i-- > 0;)
		if (known_is_valid(&question->known[i], t_ms))
			question_drop(question, i);
}

static struct seai_known *question_add(struct seai_question *question)
{
	if (question->n_known == SEAI_KNOWN_N_MAX) {
		size_t oldest = 0;

		for (size_t i = 1; i < question->n_known; i++)
			if (question->known[i].confirmed < question->known[oldest].confirmed)
				oldest = i;
		question_drop(question, oldest);
	}
	if (question->n_known == question->n_room) {
		size_t n_room = question->n_room ? question->n_room * 2 : 2;
		struct seai_known *list = realloc(question->known, n_room * sizeof(*list));

		if (!list)
			return NULL;
		question->known = list;
		question->n_room = n_room;
	}
	question->known[question->n_known] = (struct seai_known){ 0 };
	return &question->known[question->n_known++];
}

/* What an answer says of the other versions. */
static void question_contradict(struct seai_question *question, const struct sea_ccdb_version *version, int64_t t_ms)
{
	for (size_t i = question->n_known; i-- > 0;) {
		struct seai_known *other = &question->known[i];

		if (strcmp(other->version.uuid, version->uuid) == 0)
			continue;
		if (known_is_valid(other, t_ms) && other->version.created_ms > version->created_ms)
			/* It would have been named: it is gone, or its validity was shortened. */
			question_drop(question, i);
		else if (other->version.created_ms <= version->created_ms)
			/* Where this one is valid it hides that one, whatever was promised before it was there. */
			known_promise_cut(other, version->valid_from_ms, version->valid_until_ms);
	}
}

int seai_question_confirm(struct seai_question *question, const struct sea_ccdb_version *version, int64_t t_ms,
                          uint64_t answer)
{
	int64_t until_ms = version->guaranteed_until_ms;
	struct seai_known *known;

	question_contradict(question, version, t_ms);
	known = seai_question_find(question, version->uuid);
	if (!known)
		known = question_add(question);
	if (!known)
		return -ENOMEM;
	known->version = *version;
	known->version.guaranteed_until_ms = 0;
	known->confirmed = answer;
	known_promise_cut(known, INT64_MIN, version->valid_from_ms);
	known_promise_cut(known, version->valid_until_ms, INT64_MAX);
	/* Where this promise ends another version begins: what was promised beyond that, earlier, was before that one was there. */
	if (until_ms > t_ms && until_ms < version->valid_until_ms)
		known_promise_cut(known, until_ms, INT64_MAX);
	known_promise_add(known, t_ms, until_ms < version->valid_until_ms ? until_ms : version->valid_until_ms);
	return 0;
}
