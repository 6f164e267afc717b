/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of done cookies and the three ways to learn of them: take, descriptor, callback. */
#include "memory/done.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "memory/session.h"

int seai_done_reserve(struct sea_session *session)
{
	/* Each block that may notify has room in the queue beforehand, so that a release cannot fail. */
	size_t n_wanted = session->n_done + session->n_notify + 1;

	if (n_wanted > session->n_done_max) {
		size_t n_max = n_wanted * 2 > 64 ? n_wanted * 2 : 64;
		uint64_t *done = realloc(session->done, n_max * sizeof(*done));

		if (!done)
			return -ENOMEM;
		session->done = done;
		session->n_done_max = n_max;
	}
	session->n_notify++;
	return 0;
}

void seai_done_push(struct sea_session *session, uint64_t cookie)
{
	session->n_notify--;
	session->done[session->n_done++] = cookie;
	if (session->on_done)
		session->hooks->poke(session);
	else if (session->done_fd >= 0 && session->n_done == 1)
		(void)!write(session->done_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

int sea_session_done_fd(struct sea_session *session)
{
	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&session->books, books);
	if (session->done_fd < 0) {
		int fd = eventfd(session->n_done > 0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		session->done_fd = fd;
		session->hooks->arm(session);
	}
	return session->done_fd;
}

int sea_session_take_done(struct sea_session *session, uint64_t *cookies, size_t n_max)
{
	size_t n;

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&session->books, books);
	session->hooks->drain(session);
	n = session->n_done < n_max ? session->n_done : n_max;
	if (n > INT32_MAX)
		n = INT32_MAX;
	if (session->on_done)
		n = 0;
	if (n) {
		memcpy(cookies, session->done, n * sizeof(*cookies));
		memmove(session->done, session->done + n, (session->n_done - n) * sizeof(*cookies));
		session->n_done -= n;
	}
	if (session->n_done == 0 && session->done_fd >= 0)
		(void)!read(session->done_fd, &(uint64_t){ 0 }, sizeof(uint64_t));
	if (session->n_notify)
		session->hooks->arm(session);
	return (int)n;
}

int sea_session_on_done(struct sea_session *session, sea_session_done_fn done, void *userdata)
{
	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&session->books, books);
	session->on_done = done;
	session->on_done_userdata = userdata;
	session->hooks->arm(session);
	session->hooks->poke(session);
	return 0;
}

void seai_done_run_callback(struct sea_session *session)
{
	for (;;) {
		uint64_t cookies[64];
		size_t n;
		sea_session_done_fn done;
		void *userdata;

		{
			SEAI_LOCKED(&session->books, books);
			done = session->on_done;
			userdata = session->on_done_userdata;
			n = session->n_done < 64 ? session->n_done : 64;
			if (!done || n == 0)
				return;
			memcpy(cookies, session->done, n * sizeof(*cookies));
			memmove(session->done, session->done + n, (session->n_done - n) * sizeof(*cookies));
			session->n_done -= n;
		}
		for (size_t i = 0; i < n; i++)
			done(cookies[i], userdata);
	}
}
