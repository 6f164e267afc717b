/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ends of a ring. As threads they use one and the same mapping of each side, so that ThreadSanitizer sees what
 * they do to each other (it cannot between two mappings of one file); as processes each has its own.
 */
#ifndef SEALANE_TEST_WIRE_SIDES_H
#define SEALANE_TEST_WIRE_SIDES_H

#include "memory/session.h"
#include "test.h"
#include "wire/link.h"

/* One end of a link, with just what the ring's functions look at. */
struct sides_end {
	struct sea_session session;
	struct seai_wire wire;
	struct seai_conn conn;
	struct seai_link link;
};

#define SIDES_A_ID UINT64_C(0xa)
#define SIDES_B_ID UINT64_C(0xb)
#define SIDES_LINK_ID UINT64_C(0x77)

/* a sends to b, at most `capacity` messages at a time. Both ends in this process, on one mapping. */
void sides_init(struct sides_end *a, struct sides_end *b, uint32_t capacity);
void sides_fini(struct sides_end *a, struct sides_end *b);

/* One end alone: its side and bell go over the socket, the other's come from it. */
void sides_meet(struct sides_end *end, bool is_sender, uint32_t capacity, int socket_fd);
void sides_part(struct sides_end *end);

/* Descriptors over a socket of the test. */
void sides_pass_fd(int socket_fd, int fd);
int sides_take_fd(int socket_fd);

#endif
