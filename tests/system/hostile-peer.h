/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that speaks the wire protocol by hand, so that it can speak it wrongly. Nothing in here goes
 * through the library; what is written into rings and arenas is whatever the test wants.
 */
#ifndef SEALANE_TESTS_HOSTILE_PEER_H
#define SEALANE_TESTS_HOSTILE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/layout.h"
#include "memory/ledger.h"
#include "memory/message.h"
#include "wire/layout.h"

/* A connection to the victim after the hello. */
struct hostile {
	int fd;
	uint64_t id;
	uint64_t session_id;
	uint64_t victim_id;
	struct seai_side *side; /* its record ring towards the victim */
	int side_fd;
	const struct seai_side *theirs;
	uint64_t n_units; /* published */
};

struct hostile_link {
	uint64_t id;
	int bell_out_fd; /* rings the victim */
	int bell_in_fd;  /* the victim rings */
	struct seai_side *side;
	int side_fd;
	uint32_t n_slots;
	const struct seai_side *theirs;
	uint32_t n_slots_theirs;
	uint64_t position;
};

struct hostile_arena {
	uint64_t owner_id;
	uint32_t id;
	uint8_t *base;
	uint64_t n_bytes;
	int fd;
};

/* Socket and hash of the session "default", found through the address in the test's runtime directory. */
int hostile_connect(const char *address);
uint64_t hostile_session_id(void);

/* A sealed side, as an honest process makes it; the caller may spoil it. seals 0: none. */
struct seai_side *hostile_side_new(int *ret_fd, uint64_t maker_id, uint64_t link_id, uint32_t n_slots,
                                   uint32_t n_slot_bytes, int seals);
void hostile_side_free(const struct seai_side *side, int fd, uint32_t n_slots, uint32_t n_slot_bytes);

/* One message; n_announced is what it says, n_fds what is sent with it. Whether the kernel took it. */
bool hostile_send(int fd, struct seai_control *control, size_t n_bytes, unsigned n_announced, const int *fds,
                  unsigned n_fds);
/* The same, well-formed. */
bool hostile_say(int fd, struct seai_control *control, const int *fds, unsigned n_fds);
/* One about an arena, without descriptors. */
void hostile_say_arena(struct hostile *hostile, uint16_t type, uint64_t owner_id, uint32_t arena_id);
/* Waits for a message of that type and passes over all others; fds that come with it are the caller's. False: the connection has ended, or it took longer than 5 s. */
bool hostile_hear(int fd, uint16_t type, struct seai_control *ret_control, int fds[2]);
/* Waits until the victim has closed its end. */
bool hostile_is_ended(int fd);

void hostile_fill_hello(struct seai_control *control, uint64_t id);
/* Connects and says a correct hello. */
void hostile_open(struct hostile *hostile, const char *address, uint64_t id);
void hostile_close(struct hostile *hostile);

/* A link to a channel of the victim, by all rules. */
void hostile_link_open(struct hostile *hostile, struct hostile_link *link, const char *address, uint32_t pattern,
                       uint32_t n_slots);
void hostile_link_close(struct hostile_link *link);
void hostile_link_ring(struct hostile_link *link);
void hostile_publish(struct hostile_link *link, const struct seai_descriptor *descriptor);

/* A sealed arena with a good head, announced to the victim. */
void hostile_arena_new(struct hostile_arena *arena, uint64_t owner_id, uint32_t id, uint64_t n_bytes);
void hostile_arena_free(struct hostile_arena *arena);
void hostile_arena_tell(struct hostile *hostile, const struct hostile_arena *arena);
/* A descriptor of a message of one part in it, which is good. */
struct seai_descriptor hostile_single(const struct hostile_arena *arena, uint32_t block_id, uint64_t offset,
                                      uint64_t n_bytes);
/* Writes a table of n_parts parts of n_bytes each, all in one block, at that offset; a good descriptor for it. */
struct seai_descriptor hostile_table(struct hostile_arena *arena, uint64_t offset, uint32_t n_parts, uint64_t n_bytes);

/* Publishes one unit, or a whole record. */
void hostile_unit(struct hostile *hostile, uint64_t value, uint64_t low_bits, unsigned op);
void hostile_record(struct hostile *hostile, const struct seai_record *record);
void hostile_wake(struct hostile *hostile);
/* How far the victim has read the records. */
uint64_t hostile_n_units_read(const struct hostile *hostile);

#endif
