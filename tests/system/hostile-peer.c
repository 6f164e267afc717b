/* SPDX-License-Identifier: Apache-2.0 */
/* See hostile-peer.h. */
#include "hostile-peer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

#define HEAR_TIMEOUT_MS 5000
#define ARENA_GENERATIONS 4096u

static uint64_t page_up(uint64_t n_bytes)
{
	return (n_bytes + 4095) & ~UINT64_C(4095);
}

uint64_t hostile_session_id(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *c = "default"; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return hash;
}

int hostile_connect(const char *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	snprintf(name.sun_path, sizeof(name.sun_path), "%.80s/default/c-%.16s", test_runtime_dir(), address);
	CHECK_SYS(connect(fd, (struct sockaddr *)&name, sizeof(name)));
	return fd;
}

struct seai_side *hostile_side_new(int *ret_fd, uint64_t maker_id, uint64_t link_id, uint32_t n_slots,
                                   uint32_t n_slot_bytes, int seals)
{
	uint64_t n_bytes = page_up(sizeof(struct seai_side) + (uint64_t)n_slots * n_slot_bytes);
	int fd = (int)CHECK_SYS(memfd_create("hostile-side", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	struct seai_side *side;

	CHECK_SYS(ftruncate(fd, (off_t)n_bytes));
	side = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(side != MAP_FAILED);
	side->version = SEAI_WIRE_VERSION_MAX;
	side->n_slots = n_slots;
	side->maker_id = maker_id;
	side->link_id = link_id;
	atomic_store(&side->want_data, UINT64_MAX);
	atomic_store(&side->want_room, UINT64_MAX);
	atomic_store(&side->magic, SEAI_SIDE_MAGIC);
	if (seals)
		CHECK_SYS(fcntl(fd, F_ADD_SEALS, seals));
	*ret_fd = fd;
	return side;
}

void hostile_side_free(const struct seai_side *side, int fd, uint32_t n_slots, uint32_t n_slot_bytes)
{
	if (side)
		munmap((void *)(uintptr_t)side, page_up(sizeof(*side) + (uint64_t)n_slots * n_slot_bytes));
	if (fd >= 0)
		close(fd);
}

bool hostile_send(int fd, struct seai_control *control, size_t n_bytes, unsigned n_announced, const int *fds,
                  unsigned n_fds)
{
	char buffer[CMSG_SPACE(253 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = { control, n_bytes };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	control->n_fds = (uint16_t)n_announced;
	if (n_fds) {
		struct cmsghdr *header;

		memset(buffer, 0, sizeof(buffer));
		message.msg_control = buffer;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) >= 0;
}

bool hostile_say(int fd, struct seai_control *control, const int *fds, unsigned n_fds)
{
	control->magic = SEAI_CONTROL_MAGIC;
	return hostile_send(fd, control, sizeof(*control), n_fds, fds, n_fds);
}

void hostile_say_arena(struct hostile *hostile, uint16_t type, uint64_t owner_id, uint32_t arena_id)
{
	struct seai_control control = { .type = type };

	control.arena.owner_id = owner_id;
	control.arena.arena_id = arena_id;
	CHECK(hostile_say(hostile->fd, &control, NULL, 0));
}

/* One message: 1; 0 the end; -1 nothing within the time. */
static int hear_one(int fd, struct seai_control *control, int fds[2], int timeout_ms)
{
	char buffer[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = { control, sizeof(*control) };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = buffer,
		.msg_controllen = sizeof(buffer),
	};
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct cmsghdr *header;
	ssize_t n;

	fds[0] = fds[1] = -1;
	if (poll(&pollfd, 1, timeout_ms) <= 0)
		return -1;
	n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -1 : 0;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return 1;
}

bool hostile_hear(int fd, uint16_t type, struct seai_control *ret_control, int fds[2])
{
	int64_t until_ns = test_now_ns() + test_patience_ns();

	while (test_now_ns() < until_ns) {
		int r = hear_one(fd, ret_control, fds, HEAR_TIMEOUT_MS);

		if (r <= 0)
			return false;
		if (ret_control->type == type)
			return true;
		for (int i = 0; i < 2; i++)
			if (fds[i] >= 0)
				close(fds[i]);
	}
	return false;
}

bool hostile_is_ended(int fd)
{
	int64_t until_ns = test_now_ns() + test_patience_ns();

	while (test_now_ns() < until_ns) {
		struct seai_control control;
		int fds[2], r = hear_one(fd, &control, fds, 100);

		for (int i = 0; i < 2; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (r == 0)
			return true;
	}
	return false;
}

void hostile_fill_hello(struct seai_control *control, uint64_t id)
{
	memset(control, 0, sizeof(*control));
	control->magic = SEAI_CONTROL_MAGIC;
	control->type = SEAI_CONTROL_HELLO;
	control->hello.version_min = SEAI_WIRE_VERSION_MIN;
	control->hello.version_max = SEAI_WIRE_VERSION_MAX;
	control->hello.session_id = hostile_session_id();
	control->hello.process_id = id;
	strcpy(control->hello.process_name, "hostile");
}

void hostile_open(struct hostile *hostile, const char *address, uint64_t id)
{
	struct seai_control control;
	int fds[2];

	/* The victim may close its end of a doorbell at any time. */
	signal(SIGPIPE, SIG_IGN);
	*hostile = (struct hostile){ .id = id, .session_id = hostile_session_id() };
	hostile->fd = hostile_connect(address);
	hostile->side = hostile_side_new(&hostile->side_fd, id, 0, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit),
	                                 F_SEAL_SHRINK | F_SEAL_GROW);
	hostile_fill_hello(&control, id);
	CHECK(hostile_say(hostile->fd, &control, &hostile->side_fd, 1));
	CHECK(hostile_hear(hostile->fd, SEAI_CONTROL_HELLO, &control, fds));
	hostile->victim_id = control.hello.process_id;
	hostile->theirs = mmap(NULL,
	                       page_up(sizeof(struct seai_side) + SEAI_RECORD_RING_N_UNITS * sizeof(struct seai_unit)),
	                       PROT_READ, MAP_SHARED, fds[0], 0);
	CHECK(hostile->theirs != MAP_FAILED);
	close(fds[0]);
}

void hostile_close(struct hostile *hostile)
{
	if (hostile->fd >= 0)
		close(hostile->fd);
	hostile_side_free(hostile->side, hostile->side_fd, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	hostile_side_free(hostile->theirs, -1, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	*hostile = (struct hostile){ .fd = -1, .side_fd = -1 };
}

static uint32_t slots_of(uint64_t capacity)
{
	uint32_t n = 2;

	while (n < capacity)
		n *= 2;
	return n;
}

void hostile_link_open(struct hostile *hostile, struct hostile_link *link, const char *address, uint32_t pattern,
                       uint32_t n_slots)
{
	struct seai_control control = { .type = SEAI_CONTROL_OPEN };
	int bell[2], fds[2];

	*link = (struct hostile_link){ .id = test_random() | 1 };
	CHECK_SYS(pipe2(bell, O_CLOEXEC | O_NONBLOCK));
	link->bell_out_fd = bell[1];
	control.open.link_id = link->id;
	control.open.pattern = pattern;
	control.open.n_send = control.open.n_receive = n_slots;
	snprintf(control.open.address, sizeof(control.open.address), "c-%s", address);
	CHECK(hostile_say(hostile->fd, &control, bell, 1));
	close(bell[0]);
	CHECK(hostile_hear(hostile->fd, SEAI_CONTROL_ACCEPT, &control, fds));
	CHECK_EQ(control.link.link_id, link->id);
	link->bell_in_fd = fds[0];
	/* One direction has slots: what this end sends, or what it receives. */
	if (pattern == 1)
		link->n_slots = slots_of((uint64_t)n_slots + control.link.n_receive);
	else
		link->n_slots_theirs = slots_of((uint64_t)n_slots + control.link.n_send);
	link->theirs = mmap(NULL, page_up(sizeof(struct seai_side) + (uint64_t)link->n_slots_theirs * 64), PROT_READ,
	                    MAP_SHARED, fds[1], 0);
	CHECK(link->theirs != MAP_FAILED);
	close(fds[1]);
	link->side = hostile_side_new(&link->side_fd, hostile->id, link->id, link->n_slots, 64,
	                              F_SEAL_SHRINK | F_SEAL_GROW);
	control = (struct seai_control){ .type = SEAI_CONTROL_START };
	control.link.link_id = link->id;
	CHECK(hostile_say(hostile->fd, &control, &link->side_fd, 1));
}

void hostile_link_close(struct hostile_link *link)
{
	if (link->bell_out_fd >= 0)
		close(link->bell_out_fd);
	if (link->bell_in_fd >= 0)
		close(link->bell_in_fd);
	hostile_side_free(link->side, link->side_fd, link->n_slots, 64);
	hostile_side_free(link->theirs, -1, link->n_slots_theirs, 64);
}

void hostile_link_ring(struct hostile_link *link)
{
	(void)!write(link->bell_out_fd, "", 1);
}

void hostile_publish(struct hostile_link *link, const struct seai_descriptor *descriptor)
{
	struct seai_descriptor *slots = (struct seai_descriptor *)(void *)(link->side + 1);
	struct seai_descriptor *slot = &slots[link->position & (link->n_slots - 1)];
	int64_t until_ns = test_now_ns() + test_patience_ns();

	/* A ring that is overwritten is an attack of its own; here the victim is given time to read. */
	while (link->position - atomic_load(&link->theirs->tail) >= link->n_slots) {
		if (test_now_ns() > until_ns)
			FAIL("the victim does not read a peer's ring any more");
		hostile_link_ring(link);
		test_sleep_ms(1);
	}
	memcpy((uint8_t *)slot + 8, (const uint8_t *)descriptor + 8, sizeof(*slot) - 8);
	atomic_store(&slot->sequence, ++link->position);
	hostile_link_ring(link);
}

void hostile_arena_new(struct hostile_arena *arena, uint64_t owner_id, uint32_t id, uint64_t n_bytes)
{
	struct seai_arena_head *head;

	*arena = (struct hostile_arena){ .owner_id = owner_id, .id = id, .n_bytes = n_bytes };
	arena->fd = (int)CHECK_SYS(memfd_create("hostile-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	CHECK_SYS(ftruncate(arena->fd, (off_t)n_bytes));
	arena->base = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	CHECK(arena->base != MAP_FAILED);
	head = (struct seai_arena_head *)(void *)arena->base;
	head->version = SEAI_LAYOUT_VERSION;
	head->arena_id = id;
	head->session_id = hostile_session_id();
	head->owner_id = owner_id;
	head->n_bytes = n_bytes;
	head->generations_offset = ARENA_GENERATIONS;
	head->data_offset = SEAI_CHUNK_N_BYTES;
	head->n_blocks_max = (SEAI_CHUNK_N_BYTES - ARENA_GENERATIONS) / 8;
	atomic_store(&head->magic, SEAI_ARENA_MAGIC);
	CHECK_SYS(fcntl(arena->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
}

void hostile_arena_free(struct hostile_arena *arena)
{
	munmap(arena->base, arena->n_bytes);
	close(arena->fd);
}

void hostile_arena_tell(struct hostile *hostile, const struct hostile_arena *arena)
{
	struct seai_control control = { .type = SEAI_CONTROL_ARENA };

	control.arena.owner_id = arena->owner_id;
	control.arena.arena_id = arena->id;
	CHECK(hostile_say(hostile->fd, &control, &arena->fd, 1));
}

struct seai_descriptor hostile_single(const struct hostile_arena *arena, uint32_t block_id, uint64_t offset,
                                      uint64_t n_bytes)
{
	struct seai_descriptor descriptor = { .n_parts = 1, .kind = SEAI_MESSAGE_SINGLE, .n_inline = 1 };

	descriptor.owner_id = arena->owner_id;
	descriptor.arena_id = arena->id;
	descriptor.block_id = block_id;
	descriptor.generation = 1;
	descriptor.offset = offset;
	descriptor.n_bytes = n_bytes;
	return descriptor;
}

struct seai_descriptor hostile_table(struct hostile_arena *arena, uint64_t offset, uint32_t n_parts, uint64_t n_bytes)
{
	struct seai_table_head *head = (struct seai_table_head *)(void *)(arena->base + offset);
	struct seai_block_name *name = (struct seai_block_name *)(void *)(head + 1);
	struct seai_table_part *parts = (struct seai_table_part *)(void *)(name + 1);
	struct seai_descriptor descriptor = hostile_single(arena, 0, offset, 0);

	*head = (struct seai_table_head){ SEAI_TABLE_MAGIC, 1, n_parts, 0 };
	*name = (struct seai_block_name){ arena->owner_id, arena->id, 0, 1 };
	for (uint32_t i = 0; i < n_parts; i++)
		parts[i] = (struct seai_table_part){ SEAI_CHUNK_N_BYTES + i * n_bytes, n_bytes };
	descriptor.kind = SEAI_MESSAGE_TABLE;
	descriptor.n_parts = n_parts;
	descriptor.n_bytes = sizeof(*head) + sizeof(*name) + n_parts * sizeof(*parts);
	return descriptor;
}

void hostile_unit(struct hostile *hostile, uint64_t value, uint64_t low_bits, unsigned op)
{
	struct seai_unit *units = (struct seai_unit *)(void *)(hostile->side + 1);
	struct seai_unit *unit = &units[hostile->n_units % SEAI_RECORD_RING_N_UNITS];
	uint64_t lap = 1 + (hostile->n_units / SEAI_RECORD_RING_N_UNITS) % 15;

	atomic_store(&unit->value, value);
	atomic_store(&unit->control, (low_bits & SEAI_RECORD_GENERATION_MASK) | (uint64_t)op << SEAI_UNIT_OP_SHIFT |
	                                     lap << SEAI_UNIT_LAP_SHIFT);
	hostile->n_units++;
}

void hostile_record(struct hostile *hostile, const struct seai_record *record)
{
	uint64_t more[] = { record->target_id, record->link_id, record->position, record->published };
	uint64_t first = hostile->n_units;
	unsigned op = record->op | (record->has_token ? SEAI_UNIT_TOKEN : 0);
	int64_t until_ns = test_now_ns() + test_patience_ns();

	while (hostile->n_units + 8 - hostile_n_units_read(hostile) >= SEAI_RECORD_RING_N_UNITS) {
		if (test_now_ns() > until_ns)
			FAIL("the victim does not read a peer's records any more");
		hostile_wake(hostile);
		test_sleep_ms(1);
	}
	if (record->op != SEAI_RECORD_RELEASE && record->op != SEAI_RECORD_RETURN) {
		hostile->n_units++;
		for (unsigned i = 0; i < 4; i++)
			hostile_unit(hostile, more[i], 0, SEAI_UNIT_DATA);
	}
	hostile->n_units = first;
	hostile_unit(hostile, (uint64_t)record->arena_id << 32 | record->block_id, record->generation, op);
	if (record->op != SEAI_RECORD_RELEASE && record->op != SEAI_RECORD_RETURN)
		hostile->n_units += 4;
}

void hostile_wake(struct hostile *hostile)
{
	struct seai_control control = { .type = SEAI_CONTROL_WAKE };

	(void)hostile_say(hostile->fd, &control, NULL, 0);
}

uint64_t hostile_n_units_read(const struct hostile *hostile)
{
	return atomic_load(&hostile->theirs->tail);
}
