/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of a device, and those who are connected to it.
 *
 * It gets its name when it listens, under the lock of the session's directory, so that one which refuses is a dead device's: the next
 * of that id takes its place. The odd rule: nothing is ever waited for while the device lives; a client that is slow has a queue,
 * and one whose queue is full, or does not move for half a minute, is dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/peer.h"
#include "device/control.h"

#define SOCKET_QUEUE_N_MAX (256u << 10)
#define SOCKET_STUCK_NS (30 * SEAI_NS_PER_S)

/* The lock is held for as long as it takes to make a few files; a process of the same user that keeps it is an error, not a hang. */
#define SOCKET_LOCK_TIMEOUT_NS (5 * SEAI_NS_PER_S)

/* Its name. --------------------------------------------------------------------------------- */

/* The lock that the core takes as well when it makes and removes files there. @return the locked file; -EBUSY */
static int socket_lock(int directory_fd)
{
	SEAI_AUTO_FD int fd = openat(directory_fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const int64_t deadline_ns = seai_deadline(SOCKET_LOCK_TIMEOUT_NS);
	struct stat stat;

	if (fd < 0)
		return -errno;
	/* In a session of a group its other members take it as well. */
	if (fstat(directory_fd, &stat) == 0 && stat.st_mode & 0020)
		(void)fchmod(fd, 0660);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		const struct timespec pause = { .tv_nsec = 200000 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (seai_now_ns() > deadline_ns)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return seai_take_fd(&fd);
}

static int socket_address(int directory_fd, const char *name, struct sockaddr_un *address)
{
	const int n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory_fd, name);

	address->sun_family = AF_UNIX;
	return n < 0 || n >= (int)sizeof(address->sun_path) ? -ENAMETOOLONG : 0;
}

/* Whether anybody listens under that name; full, stopped and forbidden ones do, a child of who did does not. Lock held. */
static bool socket_is_alive(int directory_fd, const char *name)
{
	SEAI_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (fd < 0 || socket_address(directory_fd, name, &address) < 0)
		return true;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return !seai_peer_has_ended(fd);
	return errno != ECONNREFUSED && errno != ENOENT;
}

/* Lock held. @return a socket that listens under that name */
static int socket_listen(int directory_fd, const char *name)
{
	SEAI_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	char temporary[40];
	int r;

	if (fd < 0)
		return -errno;
	snprintf(temporary, sizeof(temporary), ".t-d-%d", (int)getpid());
	r = socket_address(directory_fd, temporary, &address);
	if (r < 0)
		return r;
	unlinkat(directory_fd, temporary, 0);
	/* The mode of the descriptor becomes that of the file: there is no moment at which others could connect. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (listen(fd, (int)SEAI_CONTROL_N_CLIENTS) < 0 || renameat(directory_fd, temporary, directory_fd, name) < 0) {
		r = -errno;
		unlinkat(directory_fd, temporary, 0);
		return r;
	}
	return seai_take_fd(&fd);
}

int seai_device_socket_open(struct seai_control_socket *socket, const char *directory, const char *id)
{
	SEAI_AUTO_FD int directory_fd = -1;
	SEAI_AUTO_FD int lock_fd = -1;
	struct sockaddr_un address;
	int r;

	socket->directory_fd = socket->listen_fd = -1;
	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++)
		socket->clients[i].fd = -1;
	if (!directory)
		return 0;
	r = seai_device_path_encode(id, ".sock", socket->name, sizeof(socket->name));
	if (r < 0)
		return r;
	directory_fd = seai_device_path_open(directory);
	if (directory_fd < 0)
		return directory_fd;
	r = socket_address(directory_fd, socket->name, &address);
	if (r < 0)
		return r;
	lock_fd = socket_lock(directory_fd);
	if (lock_fd < 0)
		return lock_fd;
	if (socket_is_alive(directory_fd, socket->name))
		return -EADDRINUSE;
	socket->listen_fd = socket_listen(directory_fd, socket->name);
	if (socket->listen_fd < 0)
		return socket->listen_fd;
	socket->directory_fd = seai_take_fd(&directory_fd);
	return 0;
}

/* Clients. ---------------------------------------------------------------------------------- */

static void client_close(struct seai_control_client *client)
{
	while (client->first) {
		struct seai_control_packet *packet = client->first;

		client->first = packet->next;
		free(packet);
	}
	client->fd = seai_close(client->fd);
}

void seai_device_socket_close(struct seai_control_socket *socket)
{
	if (socket->directory_fd < 0)
		return;
	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++)
		if (socket->clients[i].fd >= 0)
			client_close(&socket->clients[i]);
	/* While it listens the name is nobody else's. */
	unlinkat(socket->directory_fd, socket->name, 0);
	socket->listen_fd = seai_close(socket->listen_fd);
	socket->directory_fd = seai_close(socket->directory_fd);
}

void seai_device_socket_forget(struct seai_control_socket *socket)
{
	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++)
		socket->clients[i].fd = seai_close(socket->clients[i].fd);
	socket->listen_fd = seai_close(socket->listen_fd);
	socket->directory_fd = seai_close(socket->directory_fd);
}

static void client_flush(struct seai_control_client *client)
{
	while (client->first) {
		struct seai_control_packet *packet = client->first;

		if (send(client->fd, packet->text, packet->n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				client_close(client);
			return;
		}
		client->stuck_ns = seai_now_ns();
		client->first = packet->next;
		if (!client->first)
			client->last = &client->first;
		client->n_queued -= packet->n + sizeof(*packet);
		free(packet);
	}
}

void seai_device_client_send(struct seai_control_client *client, const char *text, size_t n)
{
	struct seai_control_packet *packet;

	if (client->fd < 0)
		return;
	if (!client->first)
		client->stuck_ns = seai_now_ns();
	packet = client->n_queued + n > SOCKET_QUEUE_N_MAX ? NULL : malloc(sizeof(*packet) + n);
	if (!packet) {
		client_close(client);
		return;
	}
	packet->next = NULL;
	packet->n = n;
	memcpy(packet->text, text, n);
	*client->last = packet;
	client->last = &packet->next;
	client->n_queued += n + sizeof(*packet);
	client_flush(client);
}

void seai_device_client_print(struct seai_control_client *client, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	seai_device_client_send(client, text, n > 0 ? (size_t)n : 0);
}

static bool client_is_ours(int fd)
{
	struct ucred credentials;
	socklen_t n = sizeof(credentials);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) == 0 && credentials.uid == geteuid();
}

/* A free place, or that of the client which has been idle longest. @return NULL: all are waiting for something */
static struct seai_control_client *client_find_place(struct seai_control_socket *socket)
{
	struct seai_control_client *oldest = NULL;

	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++) {
		struct seai_control_client *client = &socket->clients[i];

		if (client->fd < 0)
			return client;
		if (!client->is_subscribed && !client->is_waiting && (!oldest || client->active_ns < oldest->active_ns))
			oldest = client;
	}
	if (oldest)
		client_close(oldest);
	return oldest;
}

static void socket_accept(struct seai_control_socket *socket)
{
	SEAI_AUTO_FD int fd = accept4(socket->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct seai_control_client *client;

	if (fd < 0 || !client_is_ours(fd))
		return;
	client = client_find_place(socket);
	if (!client)
		return;
	*client = (struct seai_control_client){ .fd = seai_take_fd(&fd), .active_ns = seai_now_ns() };
	client->last = &client->first;
}

static void client_read(struct sea_control *control, struct seai_control_client *client)
{
	char text[SEA_CONTROL_REQUEST_N_MAX + 1];
	const ssize_t n = recv(client->fd, text, sizeof(text), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* An empty packet looks as its end does. */
	if (n <= 0) {
		client_close(client);
		return;
	}
	client->active_ns = seai_now_ns();
	if (n > SEA_CONTROL_REQUEST_N_MAX) {
		seai_device_client_print(client, "error EMSGSIZE a request has up to %d bytes",
		                         SEA_CONTROL_REQUEST_N_MAX);
		return;
	}
	text[n] = 0;
	if (strlen(text) != (size_t)n) {
		seai_device_client_print(client, "error EINVAL a request is text, and has no byte of zero");
		return;
	}
	seai_device_request(control, client, text);
}

/* The thread. -------------------------------------------------------------------------------- */

size_t seai_device_socket_poll(struct sea_control *control, struct pollfd *fds, int64_t *deadline_ns)
{
	struct seai_control_socket *socket = &control->socket;
	size_t n = 0;

	if (socket->listen_fd < 0)
		return 0;
	fds[n++] = (struct pollfd){ .fd = socket->listen_fd, .events = POLLIN };
	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++) {
		struct seai_control_client *client = &socket->clients[i];

		if (client->fd < 0)
			continue;
		fds[n++] = (struct pollfd){ .fd = client->fd, .events = POLLIN };
		if (client->first) {
			fds[n - 1].events |= POLLOUT;
			if (client->stuck_ns + SOCKET_STUCK_NS < *deadline_ns)
				*deadline_ns = client->stuck_ns + SOCKET_STUCK_NS;
		}
		if (client->is_waiting && client->wait_deadline_ns < *deadline_ns)
			*deadline_ns = client->wait_deadline_ns;
	}
	return n;
}

static void client_handle(struct sea_control *control, struct seai_control_client *client, short events)
{
	if (events & POLLOUT)
		client_flush(client);
	if (client->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)))
		client_read(control, client);
}

void seai_device_socket_handle(struct sea_control *control, const struct pollfd *fds, size_t n_fds)
{
	struct seai_control_socket *socket = &control->socket;
	const int64_t now_ns = seai_now_ns();

	if (n_fds == 0)
		return;
	for (size_t i = 1; i < n_fds; i++)
		for (size_t j = 0; j < SEAI_CONTROL_N_CLIENTS && fds[i].revents; j++)
			if (socket->clients[j].fd == fds[i].fd) {
				client_handle(control, &socket->clients[j], fds[i].revents);
				break;
			}
	for (size_t j = 0; j < SEAI_CONTROL_N_CLIENTS; j++) {
		struct seai_control_client *client = &socket->clients[j];

		if (client->fd >= 0 && client->first && now_ns >= client->stuck_ns + SOCKET_STUCK_NS)
			client_close(client);
		if (client->fd >= 0 && client->is_waiting && now_ns >= client->wait_deadline_ns) {
			client->is_waiting = false;
			seai_device_client_print(client, "error ETIMEDOUT the state is %s",
			                         sea_device_state_name(control->state));
		}
	}
	/* Last, so that a new client does not get the events of one whose descriptor it has. */
	if (fds[0].revents)
		socket_accept(socket);
}

void seai_device_socket_tell(struct sea_control *control, enum sea_device_state state)
{
	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++) {
		struct seai_control_client *client = &control->socket.clients[i];

		if (client->fd >= 0 && client->is_subscribed)
			seai_device_client_print(client, "state %s", sea_device_state_name(state));
		if (client->fd >= 0 && client->is_waiting && client->awaited == state) {
			client->is_waiting = false;
			seai_device_client_print(client, "ok %s", sea_device_state_name(state));
		}
	}
}

void seai_device_socket_finish(struct sea_control *control)
{
	for (size_t i = 0; i < SEAI_CONTROL_N_CLIENTS; i++) {
		struct seai_control_client *client = &control->socket.clients[i];

		if (client->fd >= 0 && client->is_waiting) {
			client->is_waiting = false;
			seai_device_client_print(client, "error ECANCELED the device has come to %s",
			                         sea_device_state_name(control->state));
		}
	}
}
