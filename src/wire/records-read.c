/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading half of records: each unit is loaded once, checked for form, and applied to the ledger, which
 * checks it for truth. Books lock held throughout.
 */
#include "base/fence.h"
#include "base/point.h"
#include "memory/message.h"
#include "wire/records.h"

#define RECORDS_MASK (SEAI_RECORD_RING_N_UNITS - 1)

static const struct seai_unit *reader_unit(const struct seai_record_reader *reader, uint64_t position)
{
	return (const struct seai_unit *)(const void *)(reader->theirs + 1) + (position & RECORDS_MASK);
}

static bool reader_unit_is_there(uint64_t control, uint64_t position)
{
	return control >> SEAI_UNIT_LAP_SHIFT == 1 + (position / SEAI_RECORD_RING_N_UNITS) % 15;
}

/* Reads the record at the reader's position. Returns its number of units, 0 when there is none. */
static unsigned reader_peek(struct seai_record_reader *reader, struct seai_record *record)
{
	const struct seai_unit *unit = reader_unit(reader, reader->position);
	/* acquire: pairs with the release that published the batch */
	uint64_t control = atomic_load_explicit(&unit->control, memory_order_acquire), value;
	uint64_t more[SEAI_GRANT_N_UNITS - 1];

	if (!reader_unit_is_there(control, reader->position))
		return 0;
	value = atomic_load_explicit(&unit->value, memory_order_relaxed);
	record->op = (enum seai_record_op)(control >> SEAI_UNIT_OP_SHIFT & 7);
	record->has_token = control >> SEAI_UNIT_OP_SHIFT & SEAI_UNIT_TOKEN;
	record->arena_id = (uint32_t)(value >> 32);
	record->block_id = (uint32_t)value;
	record->generation = control & SEAI_RECORD_GENERATION_MASK;
	if (SEAI_LIKELY(record->op == SEAI_RECORD_RELEASE || record->op == SEAI_RECORD_RETURN))
		return 1;
	if (record->op < SEAI_RECORD_RELEASE || record->op > SEAI_RECORD_PUBLISHED) {
		reader->is_broken = true;
		return 0;
	}
	for (unsigned i = 0; i < SEAI_GRANT_N_UNITS - 1; i++) {
		unit = reader_unit(reader, reader->position + 1 + i);
		/* Published before the record's first unit. */
		control = atomic_load_explicit(&unit->control, memory_order_acquire);
		if (!reader_unit_is_there(control, reader->position + 1 + i) ||
		    (control >> SEAI_UNIT_OP_SHIFT & 15) != SEAI_UNIT_DATA) {
			reader->is_broken = true;
			return 0;
		}
		more[i] = atomic_load_explicit(&unit->value, memory_order_relaxed);
	}
	record->target_id = more[0];
	record->link_id = more[1];
	record->position = more[2];
	record->published = more[3];
	return SEAI_GRANT_N_UNITS;
}

static struct seai_conn *reader_conn(struct seai_record_reader *reader)
{
	return (struct seai_conn *)(void *)((uint8_t *)reader - offsetof(struct seai_conn, reader));
}

static void reader_advance(struct seai_record_reader *reader, uint64_t position)
{
	uint64_t old = atomic_load_explicit(&reader->mine->tail, memory_order_relaxed), want;

	reader->position = position;
	SEAI_POINT("drain: applied, room not given back");
	/* release: the units were read before their slots are given back */
	atomic_store_explicit(&reader->mine->tail, position, memory_order_release);
	/* Their list of waiting releases may want room. */
	seai_fence_light(atomic_load_explicit(&reader_conn(reader)->asymmetric, memory_order_relaxed));
	want = atomic_load_explicit(&reader->theirs->want_room, memory_order_relaxed);
	if (SEAI_UNLIKELY(want != UINT64_MAX)) {
		atomic_thread_fence(memory_order_seq_cst);
		want = atomic_load_explicit(&reader->theirs->want_room, memory_order_relaxed);
		if (want - old < position - old) {
			struct seai_control control = { .type = SEAI_CONTROL_WAKE };

			(void)seai_control_try_send(reader_conn(reader), &control, NULL, 0);
		}
	}
}

/* Applies what one holder wrote. Returns whether anything was. */
static bool reader_drain(struct sea_session *session, struct seai_record_reader *reader)
{
	struct seai_ledger *ledger = session->ledger;
	uint64_t start = reader->position;

	reader->is_stuck = false;
	/* Bounded: a busy peer is read on in the next call. */
	while (!reader->is_broken && reader->position < reader->drain_end) {
		const struct seai_unit *unit = reader_unit(reader, reader->position);
		/* acquire: pairs with the release that published the batch */
		uint64_t control = atomic_load_explicit(&unit->control, memory_order_acquire);
		unsigned op = control >> SEAI_UNIT_OP_SHIFT & 15;
		struct seai_record record;
		unsigned n_units;
		enum seai_applied applied;

		if (!reader_unit_is_there(control, reader->position))
			break;
		if (SEAI_LIKELY((op & ~SEAI_UNIT_TOKEN) == SEAI_RECORD_RELEASE)) {
			uint64_t value = atomic_load_explicit(&unit->value, memory_order_relaxed);

			if (SEAI_LIKELY(seai_ledger_apply_release(session, reader->holder, (uint32_t)(value >> 32),
			                                          (uint32_t)value, control, op & SEAI_UNIT_TOKEN))) {
				reader->position++;
				continue;
			}
		}
		n_units = reader_peek(reader, &record);
		if (n_units == 0)
			break;
		applied = seai_ledger_apply(session, reader->holder, &record);
		if (SEAI_UNLIKELY(applied == SEAI_APPLIED_UNCOVERED || applied == SEAI_APPLIED_UNKNOWN)) {
			reader->is_stuck = true;
			break;
		}
		if (SEAI_UNLIKELY(applied == SEAI_APPLIED_LIE))
			ledger->n_lies++;
		reader->position += n_units;
	}
	if (reader->position == start)
		return false;
	reader_advance(reader, reader->position);
	return true;
}

bool seai_records_drain(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;
	uint64_t n_freed = session->ledger->n_freed;
	bool has_progress, has_stuck, has_broken = false;

	/* What was there before this call is read, whatever others write meanwhile. */
	for (struct seai_record_reader *reader = wire->readers; reader; reader = reader->next)
		reader->drain_end = reader->position + SEAI_RECORD_RING_N_UNITS;
	do {
		has_progress = has_stuck = false;
		for (struct seai_record_reader *reader = wire->readers; reader; reader = reader->next) {
			if (reader_drain(session, reader))
				has_progress = true;
			has_stuck |= reader->is_stuck;
			has_broken |= reader->is_broken;
		}
		/* A record that waits is covered by one that is unread in another ring, if its writer is honest. */
	} while (has_stuck && has_progress);
	if (SEAI_UNLIKELY(has_stuck || has_broken)) {
		atomic_store_explicit(&wire->has_stuck, true, memory_order_relaxed);
		seai_wire_poke(wire);
	}
	if (session->ledger->n_freed == n_freed)
		return false;
	if (atomic_load_explicit(&session->n_memory_waiters, memory_order_relaxed))
		seai_note_release(session);
	return true;
}

/* Whether a record stands there that is not read yet and could be. */
static bool records_are_there(const struct seai_wire *wire)
{
	for (const struct seai_record_reader *reader = wire->readers; reader; reader = reader->next) {
		const struct seai_unit *unit = reader_unit(reader, reader->position);

		if (!reader->is_stuck && !reader->is_broken &&
		    reader_unit_is_there(atomic_load_explicit(&unit->control, memory_order_acquire), reader->position))
			return true;
	}
	return false;
}

void seai_records_arm(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;

	/* What comes between the asking and the second look is read here: nobody will ring for it. */
	for (int i = 0; i < 4; i++) {
		for (struct seai_record_reader *reader = wire->readers; reader; reader = reader->next)
			atomic_store_explicit(&reader->mine->want_data, reader->position, memory_order_relaxed);
		/* Both kinds of peers are served by both fences: see base/fence.h. */
		seai_fence_heavy(wire->asymmetric);
		if (!records_are_there(wire))
			return;
		if (seai_records_drain(session))
			seai_note_release(session);
	}
	/* They write faster than we can ask: the service thread goes on with it. */
	wire->must_drain = true;
	seai_wire_poke(wire);
}

void seai_records_doubt_stuck(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;

	for (struct seai_record_reader *reader = wire->readers; reader; reader = reader->next)
		reader->doubted = reader->is_stuck ? reader->position : UINT64_MAX;
}

/* One record that a ring is stuck at. Returns whether it is dealt with. */
static bool reader_pass_stuck(struct sea_session *session, struct seai_record_reader *reader, bool is_lie)
{
	struct seai_record record;
	bool is_doubted = reader->is_stuck && reader->doubted == reader->position && !reader->is_broken;
	unsigned n_units = is_doubted ? reader_peek(reader, &record) : 0;
	enum seai_applied applied;

	if (n_units == 0)
		return false;
	SEAI_POINT("drain: before a stuck record is judged");
	applied = seai_ledger_apply(session, reader->holder, &record);
	if (applied == SEAI_APPLIED_UNKNOWN)
		seai_ledger_apply_to_dead(session, reader->holder, &record, session->wire->is_blind);
	else if (applied == SEAI_APPLIED_UNCOVERED && !is_lie)
		return false;
	else if (applied != SEAI_APPLIED)
		session->ledger->n_lies++;
	reader_advance(reader, reader->position + n_units);
	reader->is_stuck = false;
	return true;
}

void seai_records_discard_stuck(struct sea_session *session)
{
	struct seai_record_reader *reader;
	bool has_progress = false;

	/* What names the dead first: behind it may be the grant that covers the record at which another ring is stuck. */
	for (reader = session->wire->readers; reader; reader = reader->next)
		has_progress |= reader_pass_stuck(session, reader, false);
	for (reader = session->wire->readers; reader && !has_progress; reader = reader->next)
		(void)reader_pass_stuck(session, reader, true);
}

void seai_records_start_reader(struct seai_conn *conn, const struct seai_side *theirs)
{
	struct sea_session *session = conn->wire->session;
	bool must_arm;

	{
		SEAI_LOCKED(&conn->writer.lock, lock);
		conn->writer.theirs = theirs;
	}
	SEAI_LOCKED(&session->books, books);
	conn->reader.theirs = theirs;
	conn->reader.position = 0;
	conn->reader.holder = conn->holder;
	conn->reader.next = conn->wire->readers;
	conn->wire->readers = &conn->reader;
	/* Whoever asked to be woken asked for all holders. */
	must_arm = seai_session_is_watching(session);
	if (must_arm)
		seai_records_arm(session);
}

void seai_records_stop(struct seai_conn *conn)
{
	struct sea_session *session = conn->wire->session;

	{
		SEAI_LOCKED(&session->books, books);
		for (struct seai_record_reader **at = &conn->wire->readers; *at; at = &(*at)->next)
			if (*at == &conn->reader) {
				*at = conn->reader.next;
				break;
			}
		conn->reader.theirs = NULL;
	}
	SEAI_LOCKED(&conn->writer.lock, lock);
	conn->writer.mine = NULL;
	conn->writer.theirs = NULL;
	conn->writer.n_waiting = 0;
}
