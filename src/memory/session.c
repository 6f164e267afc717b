/* SPDX-License-Identifier: Apache-2.0 */
/* The table of own arenas, the log, and small questions to a session. */
#include "memory/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory/arena.h"
#include "memory/ledger.h"

struct seai_arena *seai_session_find_arena(struct sea_session *session, uint32_t arena_id)
{
	if (session->n_arena_slots == 0)
		return NULL;
	for (uint32_t i = arena_id & (session->n_arena_slots - 1);; i = (i + 1) & (session->n_arena_slots - 1)) {
		struct seai_arena *arena = session->arenas[i];

		if (!arena || arena->id == arena_id)
			return arena;
	}
}

static void session_insert_arena(struct sea_session *session, struct seai_arena *arena)
{
	uint32_t i = arena->id & (session->n_arena_slots - 1);

	while (session->arenas[i])
		i = (i + 1) & (session->n_arena_slots - 1);
	session->arenas[i] = arena;
}

int seai_session_add_arena(struct sea_session *session, struct seai_arena *arena)
{
	/* At most half full, so that there is always an empty place to end a search. */
	if (2 * (session->n_arenas + 1) > session->n_arena_slots) {
		uint32_t n_slots = session->n_arena_slots ? 2 * session->n_arena_slots : 16,
			 n_before = session->n_arena_slots;
		struct seai_arena **before = session->arenas, **slots = calloc(n_slots, sizeof(struct seai_arena *));

		if (!slots)
			return -ENOMEM;
		session->arenas = slots;
		session->n_arena_slots = n_slots;
		for (uint32_t i = 0; i < n_before; i++)
			if (before[i])
				session_insert_arena(session, before[i]);
		free(before);
	}
	do
		arena->id = session->next_arena_id++;
	while (seai_session_find_arena(session, arena->id)); /* after 2^32 of them */
	session_insert_arena(session, arena);
	session->n_arenas++;
	return 0;
}

void seai_session_remove_arena(struct sea_session *session, struct seai_arena *arena)
{
	uint32_t mask = session->n_arena_slots - 1, i = arena->id & mask;

	while (session->arenas[i] != arena) {
		if (!session->arenas[i])
			return;
		i = (i + 1) & mask;
	}
	session->arenas[i] = NULL;
	session->n_arenas--;
	if (session->ledger)
		session->ledger->last_arena = NULL;
	/* Those behind it that were pushed along move up. */
	for (i = (i + 1) & mask; session->arenas[i]; i = (i + 1) & mask) {
		struct seai_arena *moved = session->arenas[i];

		session->arenas[i] = NULL;
		session_insert_arena(session, moved);
	}
}

void seai_log(const struct sea_session *session, enum sea_log_level level, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (!session->log)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	session->log(level, line, session->log_userdata);
}

struct sea_heap *sea_session_heap(struct sea_session *session)
{
	return session->default_heap;
}

uint64_t sea_session_id(const struct sea_session *session)
{
	return session->id;
}

const char *sea_session_directory(const struct sea_session *session)
{
	return session->directory;
}
