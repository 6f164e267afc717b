/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept memory; see keeper.h and sea_session_keep().
 *
 * The odd rule: the keeper's own descriptor and mapping do not count as users of the file (the first open of a memfd is not counted as
 * a writer's), so a lease on an open made for that moment succeeds only when no adopter and none of its readers has it any more.
 */
#include "wire/keeper.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sealane/region.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "base/point.h"
#include "memory/size-class.h"
#include "wire/request.h"

#define KEEPER_NAME_N_BYTES 32u

struct seai_kept {
	struct seai_kept *next;
	char name[KEEPER_NAME_N_BYTES];
	char link[SEAI_ADDRESS_N_BYTES]; /* in the session's directory */
	int fd;
	void *mapping;
	uint64_t n_bytes;
	const struct seai_conn *adopter; /* NULL: nobody, or one that has ended */
};

static bool keeper_is_name(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return n > 0 && n < KEEPER_NAME_N_BYTES;
}

/* The name under which others find it, beside the addresses of channels, none of which can have a blank. */
static void keeper_link(const char *name, char link[SEAI_ADDRESS_N_BYTES])
{
	snprintf(link, SEAI_ADDRESS_N_BYTES, "c- keep %s", name);
}

static struct seai_kept *kept_free(struct seai_kept *kept)
{
	if (!kept)
		return NULL;
	if (kept->mapping)
		munmap(kept->mapping, kept->n_bytes);
	seai_close(kept->fd);
	free(kept);
	return NULL;
}

static void kept_cleanup(struct seai_kept **kept)
{
	kept_free(*kept);
}

/* Makes and backs the memory. */
static int kept_fill(struct seai_kept *kept, const struct sea_keep_options *options)
{
	bool is_huge = options->pages == SEA_PAGES_HUGETLB;
	uint64_t unit = is_huge ? SEAI_HUGE_N_BYTES : SEAI_CHUNK_N_BYTES;
	void *mapping;

	kept->n_bytes = (options->n_bytes + unit - 1) / unit * unit;
	if (kept->n_bytes / 2 > seai_default_quota() && !is_huge)
		return -ENOMEM;
	kept->fd = seai_memfd_create("sealane-kept", is_huge);
	if (kept->fd < 0)
		return kept->fd == -EINVAL || kept->fd == -ENOSYS || kept->fd == -ENODEV ? -ENOTSUP : kept->fd;
	if (ftruncate(kept->fd, (off_t)kept->n_bytes) < 0)
		return errno == EFBIG ? -ENOMEM : -errno;
	mapping = mmap(NULL, kept->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kept->fd, 0);
	if (mapping == MAP_FAILED)
		return errno == EAGAIN ? -ENOMEM : -errno;
	kept->mapping = mapping;
	(void)madvise(mapping, kept->n_bytes, MADV_DONTDUMP);
	if (madvise(mapping, kept->n_bytes, MADV_DONTFORK) < 0)
		return -errno;
	if (options->pages == SEA_PAGES_THP)
		(void)madvise(mapping, kept->n_bytes, MADV_HUGEPAGE);
	if (options->flags & SEA_HEAP_MLOCK && mlock(mapping, kept->n_bytes) < 0)
		return errno == EPERM ? -EPERM : -ENOMEM;
	if (seai_populate(mapping, kept->n_bytes, kept->fd, 0) < 0)
		return -ENOMEM;
	if (fcntl(kept->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return errno == EINVAL ? -ENOTSUP : -errno;
	return 0;
}

int sea_session_keep(struct sea_session *session, const struct sea_keep_options *options)
{
	struct seai_wire *wire = session->wire;
	SEAI_CLEANUP(kept_cleanup) struct seai_kept *kept = NULL;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return -EINVAL;
	if (!keeper_is_name(options->name) || options->n_bytes == 0 || options->n_bytes > (uint64_t)1 << 46 ||
	    options->flags & ~SEA_HEAP_MLOCK || (unsigned)options->pages > SEA_PAGES_HUGETLB ||
	    options->pages == SEA_PAGES_COLLAPSE)
		return -EINVAL;
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	kept->fd = -1;
	strcpy(kept->name, options->name);
	keeper_link(kept->name, kept->link);
	r = kept_fill(kept, options);
	if (r < 0)
		return r;
	SEAI_LOCKED(&wire->control, control);
	kept->next = wire->kept;
	/* Who finds the name finds the memory. */
	r = seai_directory_bind(wire, kept->link);
	if (r < 0)
		return r;
	wire->kept = SEAI_TAKE(kept);
	return 0;
}

/* An open that counts; if nobody else has one, and no mapping of one. A descriptor; -EBUSY; -errno. */
static int kept_open_alone(const struct seai_kept *kept)
{
	SEAI_AUTO_FD int fd = seai_fd_reopen(kept->fd, O_RDWR);

	if (fd < 0)
		return fd;
	/* Whoever breaks it sends a signal that is ignored by default. */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return errno == EAGAIN ? -EBUSY : -ENOTSUP;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return seai_take_fd(&fd);
}

void seai_keeper_on_ask(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	struct seai_control answer = *control;
	struct seai_kept *kept = wire->kept;
	SEAI_AUTO_FD int fd = -1;

	while (kept && (strnlen(control->ask.name, sizeof(control->ask.name)) == sizeof(control->ask.name) ||
	                strcmp(kept->name, control->ask.name) != 0))
		kept = kept->next;
	answer.type = SEAI_CONTROL_ANSWER;
	answer.ask.flags = 0;
	answer.ask.error = 0;
	if (!kept) {
		answer.ask.error = -ENOENT;
	} else {
		fd = kept_open_alone(kept);
		answer.ask.error = fd < 0 ? fd : 0;
		if (fd == -EBUSY && kept->adopter)
			seai_log(wire->session, SEA_LOG_INFO, "%s is in use by peer %016llx %s", kept->name,
			         (unsigned long long)kept->adopter->peer_id, kept->adopter->peer_name);
	}
	if (fd >= 0)
		kept->adopter = conn;
	SEAI_POINT("keeper: before the answer");
	seai_control_send(conn, &answer, &fd, fd >= 0 ? 1 : 0);
}

void seai_keeper_conn_gone(struct seai_wire *wire, const struct seai_conn *conn)
{
	for (struct seai_kept *kept = wire->kept; kept; kept = kept->next)
		if (kept->adopter == conn)
			kept->adopter = NULL;
}

void seai_keeper_free(struct seai_wire *wire)
{
	while (wire->kept) {
		struct seai_kept *next = wire->kept->next;

		kept_free(wire->kept);
		wire->kept = next;
	}
}

/* One try. */
static int keeper_ask(struct seai_wire *wire, const char *name, int64_t deadline_ns, int *ret_fd)
{
	struct seai_control control = { .type = SEAI_CONTROL_ASK };
	struct seai_request *request = NULL;
	char link[SEAI_ADDRESS_N_BYTES];
	struct seai_conn *conn;
	uint64_t id;
	int r;

	keeper_link(name, link);
	control.ask.flags = SEAI_ASK_KEPT;
	strcpy(control.ask.name, name);
	seai_lock_take(&wire->control);
	id = seai_directory_resolve(wire, link);
	/* A process can keep for itself, but to itself it has no connection. */
	r = id == 0 ? -ENOENT : id == wire->session->id ? -ENOTSUP : seai_conn_get(wire, id, &conn);
	if (r == -ECONNREFUSED)
		r = -ENOENT; /* a leftover of a dead keeper */
	if (r == 0)
		r = seai_request_send(conn, &control, NULL, &request);
	seai_lock_release(&wire->control);
	return r < 0 ? r : seai_request_wait(wire, request, deadline_ns, ret_fd);
}

int seai_keeper_adopt(struct sea_session *session, const char *name, int64_t timeout_ns, int *ret_fd)
{
	int64_t deadline_ns = seai_deadline(timeout_ns);

	if (!keeper_is_name(name))
		return -EINVAL;
	if (session->hooks->is_service_thread(session))
		return -EDEADLK;
	for (;;) {
		int fd = -1,
		    r = keeper_ask(session->wire, name, timeout_ns ? deadline_ns : seai_deadline(SEAI_NS_PER_S), &fd);

		if (r == 0 && fd < 0)
			return -EMFILE; /* it came, and there was no room for it here */
		if (r == 0) {
			*ret_fd = fd;
			return 0;
		}
		if ((r != -EBUSY && r != -EAGAIN && r != -ENOENT) || timeout_ns == 0)
			return r;
		switch (seai_request_pause(deadline_ns)) {
		case -EINTR: return -EINTR;
		case -ETIMEDOUT: return r == -EAGAIN ? -ETIMEDOUT : r;
		default: break;
		}
	}
}
