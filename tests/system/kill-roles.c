/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of the death tests do; see kill-world.h. Every process checks every byte that it is given.
 *
 * The producer sends again what comes back. What the absorbing forwarder makes has parts of the producer's, in which case the
 * producer answers for it, or it is all the forwarder's own: then the forwarder sends it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "kill-world.h"
#include "memory/arena.h"
#include "memory/attach.h"
#include "memory/ledger.h"
#include "memory/session.h"
#include "test.h"
#include "wire/wire.h"

#define HEAD_MAGIC UINT64_C(0x6b696c6c2d6d6531)
#define OWN_MAGIC UINT64_C(0x6b696c6c2d6f776e)
#define N_PARTS_MAX 4
#define N_OWN_BYTES 512
#define OWN_PART 77u
#define SHORT_NS INT64_C(2000000)
#define N_HELD_MAX 12

/* The first part of what the producer makes; the sizes of the others follow from the serial number as well. */
struct head {
	uint64_t magic, serial, n_parts;
};

struct own {
	uint64_t magic, serial, is_all_own;
};

struct actor {
	struct kill_world *world;
	struct kill_process *process;
	enum kill_role role;
	uint32_t instance;
	struct sea_session *session;
	struct sea_channel *in, *out, *out_own;
	bool has_forked;
};

const char *const kill_role_names[KILL_N_ROLES] = { "producer", "whole", "absorb", "sink" };

static uint8_t pattern_byte(uint64_t serial, unsigned part, size_t i)
{
	return (uint8_t)(serial * 31 + part * 7 + i * 13 + (i >> 8));
}

static size_t pattern_n_bytes(uint64_t serial, unsigned part)
{
	return (serial * 2654435761u + part * 977u) % 7 == 0 ? 0 : (serial * 40503u + part * 6151u) % 3001;
}

static unsigned pattern_n_parts(uint64_t serial)
{
	return serial % 8 == 0 || serial % 8 == 3 ? 0 : 1 + (unsigned)(serial % N_PARTS_MAX);
}

static void pattern_fill(void *to, size_t n_bytes, uint64_t serial, unsigned part)
{
	for (size_t i = 0; i < n_bytes; i++)
		((uint8_t *)to)[i] = pattern_byte(serial, part, i);
}

static void pattern_check(const struct sea_part *part, size_t n_bytes, uint64_t serial, unsigned number)
{
	CHECK_EQ(part->n_bytes, n_bytes);
	for (size_t i = 0; i < n_bytes; i++)
		if (((const uint8_t *)part->data)[i] != pattern_byte(serial, number, i))
			FAIL("message %llu, part %u, byte %zu is wrong", (unsigned long long)serial, number, i);
}

/* Looks at every byte of a message, whoever made it. Returns its serial number. */
static uint64_t message_check(const struct sea_message *message)
{
	size_t n = 0;
	struct sea_part part;
	struct own own = { 0 };
	struct head head;

	CHECK_OK(sea_message_get_part(message, n, &part));
	CHECK_GE(part.n_bytes, sizeof(head));
	memcpy(&own, part.data, sizeof(own));
	if (own.magic == OWN_MAGIC) {
		CHECK_OK(sea_message_get_part(message, 1, &part));
		pattern_check(&part, N_OWN_BYTES, own.serial, OWN_PART);
		n = 2;
		if (own.is_all_own) {
			CHECK_EQ(sea_message_n_parts(message), 2);
			return own.serial;
		}
		CHECK_OK(sea_message_get_part(message, n, &part));
	}
	CHECK_EQ(part.n_bytes, sizeof(head));
	memcpy(&head, part.data, sizeof(head));
	if (head.magic != HEAD_MAGIC || (n && head.serial != own.serial))
		FAIL("a message with a wrong head: %llx, serial %llu of %llu", (unsigned long long)head.magic,
		     (unsigned long long)head.serial, (unsigned long long)own.serial);
	CHECK_EQ(head.n_parts, pattern_n_parts(head.serial));
	CHECK_EQ(sea_message_n_parts(message), n + 1 + head.n_parts);
	for (unsigned i = 0; i < head.n_parts; i++) {
		CHECK_OK(sea_message_get_part(message, n + 1 + i, &part));
		pattern_check(&part, pattern_n_bytes(head.serial, i), head.serial, i);
	}
	CHECK_EQ(sea_message_get_tag(message), head.serial);
	return head.serial;
}

static void actor_log(enum sea_log_level level, const char *line, void *userdata)
{
	const struct actor *actor = userdata;

	if (getenv("SEALANE_KILL_VERBOSE") || level >= SEA_LOG_WARNING)
		printf("  %s %u: %s\n", kill_role_names[actor->role], actor->instance, line);
}

static void actor_open(struct actor *actor)
{
	struct sea_session_options options = {
		.quota_n_bytes = 16u << 20,
		.process_name = kill_role_names[actor->role],
		.log = actor_log,
		.log_userdata = actor,
	};

	/* The campaign runs a second time over shared heaps. */
	if (getenv("SEALANE_TEST_TRANSPORT"))
		options.transport = SEA_TRANSPORT_SHMEM;
	CHECK_OK(sea_session_open(&actor->session, &options));
}

/* What is not released, and by whom: printed when it takes too long. */
static void actor_show_books(const struct actor *actor)
{
	struct sea_session *session = actor->session;
	SEAI_LOCKED(&session->books, books);

	for (uint32_t i = 1; i < session->ledger->n_holders; i++) {
		const struct seai_holder *holder = &session->ledger->holders[i];

		printf("  %s knows holder %u: %016llx%s%s\n", kill_role_names[actor->role], i,
		       (unsigned long long)holder->id, holder->in_use ? "" : ", free", holder->dead ? ", dead" : "");
		for (uint32_t j = 0; j < holder->n_logs; j++)
			printf("    it granted to %u on %llx: %u uncertain\n", holder->logs[j].target,
			       (unsigned long long)holder->logs[j].link_id, holder->logs[j].n);
	}
	for (const struct seai_settlement *settlement = session->ledger->settlements; settlement;
	     settlement = settlement->next)
		printf("  unsettled: %016llx to %016llx, %u grants, asked: %d\n",
		       (unsigned long long)settlement->forwarder_id, (unsigned long long)settlement->target_id,
		       settlement->log.n, settlement->asked);
	for (uint32_t i = 0; i < session->n_arena_slots; i++) {
		const struct seai_arena *arena = session->arenas[i];

		for (uint32_t j = 0; arena && j < arena->n_blocks; j++) {
			const struct seai_block *block = &arena->blocks[j];

			if (!(block->flags & SEAI_BLOCK_USED))
				continue;
			printf("  block %u of arena %u, message %llu (sink %u: %u): own %u, returned %u, flags %x, %u holders",
			       j, arena->id, (unsigned long long)block->tag,
			       atomic_load(&actor->world->marks[block->tag % KILL_N_MARKS].got) >> 2,
			       atomic_load(&actor->world->marks[block->tag % KILL_N_MARKS].got) & 3, block->n_own,
			       block->n_returned, block->flags, block->n_holds);
			for (uint32_t k = 0; k < block->n_holds; k++) {
				const struct seai_hold *hold = k < SEAI_BLOCK_N_HOLDS
				                                       ? &block->holds[k]
				                                       : &block->spill[k - SEAI_BLOCK_N_HOLDS];

				printf("; %u: %u, tokens %u", hold->holder, hold->count, hold->n_tokens);
			}
			printf("\n");
		}
	}
	for (const struct seai_conn *conn = session->wire->conns; conn; conn = conn->next)
		printf("  %s is connected to %016llx: state %d, wrote %llu, waiting %zu; read %llu, stuck %d, broken %d, holder %u\n",
		       kill_role_names[actor->role], (unsigned long long)conn->peer_id, (int)conn->state,
		       (unsigned long long)conn->writer.position, conn->writer.n_waiting,
		       (unsigned long long)conn->reader.position, conn->reader.is_stuck, conn->reader.is_broken,
		       conn->reader.holder);
	for (unsigned i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (const struct seai_attached *attached = session->wire->attached[i]; attached;
		     attached = attached->next)
			printf("  %s has arena %u of %016llx: owner %s, dying %d\n", kill_role_names[actor->role],
			       attached->arena_id, (unsigned long long)attached->owner_id,
			       attached->owner ? "here" : "not here", attached->dying);
	printf("  %s is %016llx; blind %d\n", kill_role_names[actor->role], (unsigned long long)session->id,
	       session->wire->is_blind);
	fflush(stdout);
}

/* After a turn: what the test looks at. */
static void actor_note(struct actor *actor, bool is_idle, bool holds)
{
	struct kill_process *process = actor->process;
	struct sea_heap_stats stats;

	if (!is_idle || holds) {
		atomic_store(&process->n_bytes_used, UINT64_MAX);
		atomic_store(&process->n_idle, 0);
		return;
	}
	CHECK_OK(sea_heap_get_stats(sea_session_heap(actor->session), &stats));
	atomic_store(&process->n_bytes_used, stats.n_bytes_used);
	if (atomic_fetch_add(&process->n_idle, 1) == 2000)
		actor_show_books(actor);
}

static void actor_count(struct actor *actor)
{
	atomic_fetch_add(&actor->process->n_worked, 1);
	atomic_store(&actor->process->gate.phase, KILL_WORKING);
}

static bool actor_goes_on(const struct actor *actor)
{
	return !atomic_load(&actor->process->must_close);
}

/* A child that outlives us, as of popen() or multiprocessing: it does nothing and is not killed with us. */
static void actor_fork_child(struct actor *actor)
{
	struct kill_child *slot;

	if (actor->has_forked)
		return;
	actor->has_forked = true;
	slot = &actor->world->children[atomic_fetch_add(&actor->world->n_children, 1) % KILL_N_CHILDREN];
	slot->role = actor->role;
	slot->instance = actor->instance;
	fflush(NULL);
	if (CHECK_SYS(fork()) == 0) {
		kill_gate_enter(NULL);
		alarm(120); /* nobody may be left to end it */
		atomic_store(&slot->pid, getpid());
		for (;;)
			pause();
	}
}

static void producer_fill_frame(struct sea_frame *frame, uint64_t serial)
{
	struct head head = { HEAD_MAGIC, serial, pattern_n_parts(serial) };
	void *to;

	CHECK_OK(sea_frame_add(frame, sizeof(head), 0, &to));
	memcpy(to, &head, sizeof(head));
	for (unsigned i = 0; i < head.n_parts; i++) {
		CHECK_OK(sea_frame_add_to(frame, serial % 8 == 2, pattern_n_bytes(serial, i), 0, &to));
		pattern_fill(to, pattern_n_bytes(serial, i), serial, i);
	}
}

/* A message of one of several kinds; NULL when there is no memory just now. */
static struct sea_message *producer_make(struct actor *actor, uint64_t serial)
{
	struct sea_heap *heap = sea_session_heap(actor->session);
	struct sea_message *message = NULL;
	int r;

	if (serial % 8 == 0) {
		struct head head = { HEAD_MAGIC, serial, 0 };

		r = sea_message_new(&message, heap, sizeof(head), 0, SHORT_NS);
		if (r == 0)
			memcpy(sea_message_write(message), &head, sizeof(head));
	} else {
		struct sea_frame_options options = {
			.n_bytes_max[0] = 16384,
			.n_bytes_max[1] = serial % 8 == 2 ? 16384 : 0,
			.flags = serial % 16 == 1 ? SEA_FRAME_IMMUTABLE : 0,
		};
		struct sea_frame *frame = NULL;

		r = sea_frame_new(&frame, heap, &options, SHORT_NS);
		if (r == 0) {
			producer_fill_frame(frame, serial);
			r = sea_frame_seal(&frame, &message);
			sea_frame_free(frame);
		}
	}
	if (r < 0 && r != -ENOMEM && r != -ETIMEDOUT)
		CHECK_OK(r);
	if (r == 0)
		sea_message_set_tag(message, serial);
	return message;
}

static void producer_run(struct actor *actor)
{
	struct kill_world *world = actor->world;
	struct sea_channel_options options = { .sndbuf = 8, .orphans = SEA_ORPHANS_RESEND };
	uint32_t trimmed_round = 0;
	int64_t show_ns = INT64_MAX;

	CHECK_OK(sea_channel_new(&actor->out, actor->session, SEA_PUSH, &options));
	CHECK_OK(sea_channel_bind(actor->out, "kill-work"));
	while (actor_goes_on(actor)) {
		struct sea_message *message;
		struct kill_mark *mark;
		uint64_t serial;
		int r = -EAGAIN;

		if (atomic_load(&world->is_paused)) {
			int flushed = sea_channel_flush(actor->out, SHORT_NS);

			actor_note(actor, true, flushed < 0);
			if (show_ns == INT64_MAX)
				show_ns = test_now_ns() + test_patience_ns() / 2;
			if (flushed < 0 && test_now_ns() > show_ns) {
				actor_show_books(actor);
				show_ns = INT64_MAX - 1;
			}
			if (flushed == 0 && trimmed_round != atomic_load(&world->round)) {
				trimmed_round = atomic_load(&world->round);
				if (trimmed_round % 3 == 0)
					CHECK_OK(sea_heap_trim(sea_session_heap(actor->session), 0));
			}
			if (flushed == 0)
				usleep(500);
			continue;
		}
		show_ns = INT64_MAX;
		actor_note(actor, false, true);
		serial = atomic_load(&world->next);
		CHECK_LT(serial - atomic_load(&world->base), KILL_N_MARKS);
		message = producer_make(actor, serial);
		if (!message)
			continue;
		atomic_store(&world->next, serial + 1);
		mark = &world->marks[serial % KILL_N_MARKS];
		atomic_store(&mark->sent, KILL_SENDING);
		while (r < 0 && !atomic_load(&world->is_paused) && actor_goes_on(actor)) {
			r = sea_channel_send(actor->out, &message, SHORT_NS);
			if (r < 0)
				CHECK_EQ(r, -ETIMEDOUT);
		}
		if (r == 0) {
			atomic_store(&mark->sent, KILL_SENT);
			actor_count(actor);
		} else {
			atomic_store(&mark->sent, 0);
			sea_message_unref(message);
		}
		usleep(20);
	}
}

/* Passes on, however long it takes, also on the way out: what was received is this process's to do. The message is taken. */
static void forward_send(struct actor *actor, struct sea_channel *channel, struct sea_message *message)
{
	int r = -ETIMEDOUT;

	while (r == -ETIMEDOUT)
		r = sea_channel_send(channel, &message, SHORT_NS);
	CHECK_OK(r);
	actor_count(actor);
}

static void forward_absorb(struct actor *actor, struct sea_message *message, uint64_t serial)
{
	struct sea_frame_options options = { .n_bytes_max[0] = 4096 };
	struct own own = { OWN_MAGIC, serial, serial % 3 == 0 };
	struct sea_message *made = NULL;
	struct sea_frame *frame = NULL;
	void *to;

	while (sea_frame_new(&frame, sea_session_heap(actor->session), &options, SHORT_NS) < 0)
		;
	CHECK_OK(sea_frame_add(frame, sizeof(own), 0, &to));
	memcpy(to, &own, sizeof(own));
	CHECK_OK(sea_frame_add(frame, N_OWN_BYTES, 0, &to));
	pattern_fill(to, N_OWN_BYTES, serial, OWN_PART);
	if (!own.is_all_own)
		CHECK_OK(sea_frame_add_message(frame, message));
	CHECK_OK(sea_frame_absorb(frame, &message));
	CHECK_OK(sea_frame_seal(&frame, &made));
	sea_message_set_tag(made, serial);
	forward_send(actor, own.is_all_own ? actor->out_own : actor->out, made);
}

static void forwarder_run(struct actor *actor)
{
	struct sea_channel_options in_options = { .rcvbuf = 8 };
	struct sea_channel_options out_options = { .sndbuf = 8, .orphans = SEA_ORPHANS_DROP };
	struct sea_channel_options own_options = { .sndbuf = 8, .orphans = SEA_ORPHANS_RESEND };

	CHECK_OK(sea_channel_new(&actor->in, actor->session, SEA_PULL, &in_options));
	CHECK_OK(sea_channel_new(&actor->out, actor->session, SEA_PUSH, &out_options));
	CHECK_OK(sea_channel_connect(actor->out, "kill-sink"));
	if (actor->role == KILL_ABSORB) {
		CHECK_OK(sea_channel_new(&actor->out_own, actor->session, SEA_PUSH, &own_options));
		CHECK_OK(sea_channel_connect(actor->out_own, "kill-sink"));
	}
	CHECK_OK(sea_channel_connect(actor->in, "kill-work"));
	while (actor_goes_on(actor)) {
		struct sea_message *messages[4] = { NULL };
		int n = sea_channel_receive_many(actor->in, messages, 4, SHORT_NS);

		if (n < 0)
			CHECK_EQ(n, -ETIMEDOUT);
		actor_note(actor, n < 0, actor->out_own && sea_channel_flush(actor->out_own, 0) < 0);
		for (int i = 0; i < n; i++) {
			uint64_t serial = message_check(messages[i]);

			if (actor->role == KILL_WHOLE)
				forward_send(actor, actor->out, messages[i]);
			else
				forward_absorb(actor, messages[i], serial);
		}
		if (n > 0 && actor->role == KILL_ABSORB)
			actor_fork_child(actor);
	}
}

static void sink_note_got(struct actor *actor, uint64_t serial)
{
	struct kill_world *world = actor->world;
	uint64_t base = atomic_load(&world->base);
	struct kill_mark *mark = &world->marks[serial % KILL_N_MARKS];
	uint32_t got;

	if (serial < base || serial >= atomic_load(&world->next))
		FAIL("message %llu came, of which this round does not know: it goes from %llu to %llu",
		     (unsigned long long)serial, (unsigned long long)base,
		     (unsigned long long)atomic_load(&world->next));
	got = atomic_load(&mark->got);
	if ((got & 3) == KILL_DONE || got >> 2 == actor->instance)
		FAIL("message %llu came twice: to sink %u, which %s it, and to sink %u", (unsigned long long)serial,
		     got >> 2, (got & 3) == KILL_DONE ? "had released" : "holds", actor->instance);
	if (got)
		atomic_fetch_add(&world->n_again, 1);
	atomic_store(&mark->got, actor->instance << 2 | KILL_HELD);
}

/* The oldest go first, several at once. */
static void sink_release(struct actor *actor, struct sea_message **held, uint64_t *serials, int *n_held, int n)
{
	for (int i = 0; i < n; i++)
		atomic_store(&actor->world->marks[serials[i] % KILL_N_MARKS].got,
		             actor->instance << 2 | KILL_RELEASING);
	sea_message_unref_many(held, (size_t)n);
	for (int i = 0; i < n; i++)
		atomic_store(&actor->world->marks[serials[i] % KILL_N_MARKS].got, actor->instance << 2 | KILL_DONE);
	atomic_fetch_add(&actor->world->n_done, (uint64_t)n);
	*n_held -= n;
	memmove(held, held + n, (size_t)*n_held * sizeof(struct sea_message *));
	memmove(serials, serials + n, (size_t)*n_held * sizeof(*serials));
}

static void sink_run(struct actor *actor)
{
	struct sea_channel_options options = { .rcvbuf = 8 };
	struct sea_message *held[N_HELD_MAX + 4] = { NULL };
	uint64_t serials[N_HELD_MAX + 4];
	int n_held = 0;

	CHECK_OK(sea_channel_new(&actor->in, actor->session, SEA_PULL, &options));
	CHECK_OK(sea_channel_bind(actor->in, "kill-sink"));
	while (actor_goes_on(actor)) {
		int n = sea_channel_receive_many(actor->in, held + n_held, 4, SHORT_NS);

		if (n < 0)
			CHECK_EQ(n, -ETIMEDOUT);
		for (int i = 0; i < n; i++) {
			serials[n_held] = message_check(held[n_held]);
			sink_note_got(actor, serials[n_held]);
			actor_count(actor);
			n_held++;
		}
		if (n < 0)
			sink_release(actor, held, serials, &n_held, n_held);
		else if (n_held >= N_HELD_MAX)
			sink_release(actor, held, serials, &n_held, n_held - N_HELD_MAX / 2);
		actor_note(actor, n<0, n_held> 0);
		if (n > 0 && actor->instance % 2)
			actor_fork_child(actor);
	}
	sink_release(actor, held, serials, &n_held, n_held);
}

void kill_role_run(struct kill_world *world, enum kill_role role)
{
	struct kill_process *process = &world->processes[role];
	struct actor actor = {
		.world = world,
		.process = process,
		.role = role,
		.instance = atomic_load(&process->instance),
	};

	kill_gate_enter(&process->gate);
	actor_open(&actor);
	switch (role) {
	case KILL_PRODUCER: producer_run(&actor); break;
	case KILL_SINK: sink_run(&actor); break;
	default: forwarder_run(&actor); break;
	}
	atomic_store(&process->gate.phase, KILL_CLOSING);
	sea_channel_close(actor.in);
	sea_channel_close(actor.out);
	sea_channel_close(actor.out_own);
	sea_session_close(actor.session);
}
