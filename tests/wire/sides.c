/* SPDX-License-Identifier: Apache-2.0 */
/* See sides.h. */
#include "sides.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/doorbell.h"
#include "wire/side.h"

static uint32_t sides_n_slots(uint32_t capacity)
{
	uint32_t n = 2;

	while (n < capacity)
		n *= 2;
	return n;
}

static void end_init(struct sides_end *end, uint64_t id, uint64_t peer_id)
{
	memset(end, 0, sizeof(*end));
	end->session.id = id;
	end->session.wire = &end->wire;
	end->wire.session = &end->session;
	end->conn.wire = &end->wire;
	end->conn.peer_id = peer_id;
	end->conn.state = SEAI_CONN_OPEN;
	end->link.conn = &end->conn;
	end->link.id = SIDES_LINK_ID;
	end->link.peer_id = peer_id;
	end->link.bell_in_fd = end->link.bell_out_fd = -1;
	end->link.state = SEAI_LINK_OPEN;
}

static void end_set_rings(struct sides_end *end, bool is_sender, uint32_t capacity)
{
	struct seai_link *link = &end->link;
	uint32_t n_slots = sides_n_slots(capacity);

	link->out.theirs = link->theirs;
	if (is_sender) {
		link->out.slots = (struct seai_descriptor *)(void *)(link->mine + 1);
		link->out.mask = n_slots - 1;
		link->out.capacity = capacity;
		link->n_slots_mine = n_slots;
	} else {
		link->in.slots = (const struct seai_descriptor *)(const void *)(link->theirs + 1);
		link->in.mask = n_slots - 1;
		link->in.capacity = capacity;
		link->n_slots_theirs = n_slots;
	}
}

static struct seai_side *side_new(uint64_t id, uint32_t n_slots, int *ret_fd)
{
	struct seai_side *side;

	CHECK_OK(seai_side_new(&side, ret_fd, id, SIDES_LINK_ID, n_slots, sizeof(struct seai_descriptor)));
	return side;
}

void sides_init(struct sides_end *a, struct sides_end *b, uint32_t capacity)
{
	int fd;

	end_init(a, SIDES_A_ID, SIDES_B_ID);
	end_init(b, SIDES_B_ID, SIDES_A_ID);
	a->link.mine = side_new(SIDES_A_ID, sides_n_slots(capacity), &fd);
	close(fd);
	b->link.mine = side_new(SIDES_B_ID, 0, &fd);
	close(fd);
	a->link.theirs = b->link.mine;
	b->link.theirs = a->link.mine;
	end_set_rings(a, true, capacity);
	end_set_rings(b, false, capacity);
	CHECK_OK(seai_doorbell_new(&a->link.bell_out_fd, &fd));
	CHECK_OK(seai_doorbell_accept(&fd, &b->link.bell_in_fd));
	CHECK_OK(seai_doorbell_new(&b->link.bell_out_fd, &fd));
	CHECK_OK(seai_doorbell_accept(&fd, &a->link.bell_in_fd));
}

static void end_close(struct sides_end *end)
{
	close(end->link.bell_in_fd);
	close(end->link.bell_out_fd);
	seai_side_unmap(end->link.mine, end->link.n_slots_mine, sizeof(struct seai_descriptor));
}

void sides_fini(struct sides_end *a, struct sides_end *b)
{
	end_close(a);
	end_close(b);
}

void sides_pass_fd(int socket_fd, int fd)
{
	char byte = 0, buffer[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof(buffer)
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	CHECK_SYS(sendmsg(socket_fd, &message, 0));
	close(fd);
}

int sides_take_fd(int socket_fd)
{
	char byte, buffer[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof(buffer)
	};
	int fd;

	CHECK_EQ(CHECK_SYS(recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC)), 1);
	CHECK(CMSG_FIRSTHDR(&message));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

void sides_meet(struct sides_end *end, bool is_sender, uint32_t capacity, int socket_fd)
{
	uint64_t id = is_sender ? SIDES_A_ID : SIDES_B_ID, peer_id = is_sender ? SIDES_B_ID : SIDES_A_ID;
	uint32_t n_slots = sides_n_slots(capacity);
	int fd;

	end_init(end, id, peer_id);
	end->link.mine = side_new(id, is_sender ? n_slots : 0, &fd);
	sides_pass_fd(socket_fd, fd);
	CHECK_OK(seai_doorbell_new(&end->link.bell_out_fd, &fd));
	sides_pass_fd(socket_fd, fd);
	fd = sides_take_fd(socket_fd);
	CHECK_OK(seai_side_attach(&end->link.theirs, fd, peer_id, SIDES_LINK_ID, is_sender ? 0 : n_slots,
	                          sizeof(struct seai_descriptor)));
	close(fd);
	fd = sides_take_fd(socket_fd);
	CHECK_OK(seai_doorbell_accept(&fd, &end->link.bell_in_fd));
	end_set_rings(end, is_sender, capacity);
}

void sides_part(struct sides_end *end)
{
	end_close(end);
	seai_side_unmap(end->link.theirs, end->link.n_slots_theirs, sizeof(struct seai_descriptor));
}
