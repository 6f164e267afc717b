/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl behind one descriptor: an epoll that has its sockets and one timer. The timer also stands for work that needs no waiting:
 * it is set to a time that is over.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ccdb/client.h"
#include "ccdb/curl-global.h"

#define N_EVENTS 64

static int loop_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
	struct sea_ccdb_client *client = userdata;
	struct epoll_event event = { .data.fd = fd };

	(void)easy;
	(void)socket_data;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(client->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT &&
	    epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		/* libcurl's own timeouts end such a transfer. */
		return 0;
	return 0;
}

static int loop_timer(CURLM *multi, long timeout_ms, void *userdata)
{
	struct sea_ccdb_client *client = userdata;

	(void)multi;
	client->curl_due_ns = timeout_ms < 0 ? SEAI_FOR_EVER : seai_deadline(timeout_ms * SEAI_NS_PER_MS);
	if (!client->is_dispatching)
		seai_loop_arm(client);
	return 0;
}

int seai_loop_init(struct sea_ccdb_client *client)
{
	struct epoll_event event = { .events = EPOLLIN };

	seai_curl_begin();
	client->curl_due_ns = client->wake_ns = client->armed_ns = SEAI_FOR_EVER;
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll_fd < 0)
		return -errno;
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event.data.fd = client->timer_fd;
	if (client->timer_fd < 0 || epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->timer_fd, &event) < 0)
		return -errno;
	client->multi = curl_multi_init();
	if (!client->multi)
		return -ENOMEM;
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, loop_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, loop_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->options.n_connections);
	return 0;
}

void seai_loop_fini(struct sea_ccdb_client *client)
{
	if (client->multi) {
		curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, NULL);
		curl_multi_cleanup(client->multi);
	}
	client->multi = NULL;
	client->timer_fd = seai_close(client->timer_fd);
	client->epoll_fd = seai_close(client->epoll_fd);
}

/* What libcurl says is done. Each removes its handle, and may add others. */
static bool loop_collect(struct sea_ccdb_client *client)
{
	bool did = false;
	CURLMsg *message;
	int n;

	while ((message = curl_multi_info_read(client->multi, &n))) {
		struct seai_fetch *fetch = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
		seai_fetch_transferred(fetch, code);
		did = true;
	}
	return did;
}

bool seai_loop_run(struct sea_ccdb_client *client)
{
	struct epoll_event events[N_EVENTS];
	int n = epoll_wait(client->epoll_fd, events, N_EVENTS, 0), n_running;
	bool did = false;

	for (int i = 0; i < n; i++) {
		uint32_t what = events[i].events;
		uint64_t n_times;

		if (events[i].data.fd == client->timer_fd) {
			(void)!read(client->timer_fd, &n_times, sizeof(n_times));
			client->armed_ns = SEAI_FOR_EVER;
			continue;
		}
		did = true;
		curl_multi_socket_action(client->multi, events[i].data.fd,
		                         (what & EPOLLIN ? CURL_CSELECT_IN : 0) |
		                                 (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		                                 (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
		                         &n_running);
	}
	if (client->curl_due_ns <= seai_now_ns()) {
		client->curl_due_ns = SEAI_FOR_EVER;
		curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
		did = true;
	}
	return loop_collect(client) || did;
}

void seai_loop_wake_at(struct sea_ccdb_client *client, int64_t ns)
{
	if (ns < client->wake_ns)
		client->wake_ns = ns;
}

void seai_loop_arm(struct sea_ccdb_client *client)
{
	int64_t due_ns = client->wake_ns < client->curl_due_ns ? client->wake_ns : client->curl_due_ns;
	struct itimerspec timer = { 0 };

	if (!seai_link_is_alone(&client->fresh) || !seai_link_is_alone(&client->ready) ||
	    (!seai_link_is_alone(&client->queue) && client->n_active < client->options.n_connections))
		due_ns = 1;
	if (due_ns == client->armed_ns)
		return;
	client->armed_ns = due_ns;
	if (due_ns != SEAI_FOR_EVER)
		timer.it_value = seai_timespec(due_ns < 1 ? 1 : due_ns);
	timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}
