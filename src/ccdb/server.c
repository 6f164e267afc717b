/* SPDX-License-Identifier: Apache-2.0 */
/* The server: its socket, its threads, its beginning and its end. */
#include "ccdb/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "ccdb/check.h"
#include "ccdb/server-request.h"
#include "ccdb/store.h"

#define N_THREADS 2
#define N_CONNECTIONS_MAX 1024
#define N_BYTES_UPLOAD_MAX (UINT64_C(4) << 30)
/* Of one connection: a request's headers and an answer's, metadata included, have to fit. */
#define CONNECTION_N_BYTES (64 * 1024)
/* A connection on which nothing comes for so long is closed. */
#define CONNECTION_PATIENCE_S 60

/* Options. ------------------------------------------------------------------------------------- */

static int options_check(const struct sea_ccdb_server_options *options, struct sea_error *error)
{
	const struct sea_ccdb_faults *faults = &options->faults;

	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return sea_error_set(error, -EINVAL, "reserved", "is not 0");
	for (size_t i = 0; i < sizeof(faults->reserved) / sizeof(faults->reserved[0]); i++)
		if (faults->reserved[i])
			return sea_error_set(error, -EINVAL, "faults.reserved", "is not 0");
	if (faults->error_percent > 100 || faults->cut_percent > 100 || faults->wrong_length_percent > 100)
		return sea_error_set(error, -EINVAL, "faults", "more than 100 percent");
	if (options->n_replicas > SEAI_REPLICAS_N_MAX)
		return sea_error_set(error, -EINVAL, "replicas", "more than %d", SEAI_REPLICAS_N_MAX);
	for (size_t i = 0; i < options->n_replicas; i++)
		if (!strstr(options->replicas[i], ":/") || !seai_check_text(options->replicas[i]) ||
		    strlen(options->replicas[i]) > 512)
			return sea_error_set(error, -EINVAL, "replicas", "%.64s: is no URL", options->replicas[i]);
	if (options->url &&
	    ((strncasecmp(options->url, "http://", 7) != 0 && strncasecmp(options->url, "https://", 8) != 0) ||
	     !seai_check_text(options->url) || strlen(options->url) > 512))
		return sea_error_set(error, -EINVAL, "url", "%.64s: is no URL of http or https", options->url);
	return 0;
}

/* A copy without slashes at its end. */
static char *url_copy(const char *url)
{
	size_t n = strlen(url);

	while (n > 0 && url[n - 1] == '/')
		n--;
	return strndup(url, n);
}

static int server_copy_options(struct sea_ccdb_server *server, const struct sea_ccdb_server_options *options)
{
	server->direct = options->direct;
	server->read_only = options->read_only;
	server->n_bytes_upload_max = options->n_bytes_upload_max ? options->n_bytes_upload_max : N_BYTES_UPLOAD_MAX;
	server->log = options->log;
	server->userdata = options->userdata;
	server->faults = options->faults;
	if (options->url && !(server->public_url = url_copy(options->url)))
		return -ENOMEM;
	for (size_t i = 0; i < options->n_replicas; i++) {
		server->replicas[i] = url_copy(options->replicas[i]);
		if (!server->replicas[i])
			return -ENOMEM;
		server->n_replicas++;
	}
	return 0;
}

/* Socket. -------------------------------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int address_parse(const char *text, uint16_t port, union address *ret_address, socklen_t *ret_n_bytes)
{
	*ret_address = (union address){ 0 };
	if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1) {
		ret_address->v4.sin_family = AF_INET;
		ret_address->v4.sin_port = htons(port);
		*ret_n_bytes = sizeof(ret_address->v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
		ret_address->v6.sin6_family = AF_INET6;
		ret_address->v6.sin6_port = htons(port);
		*ret_n_bytes = sizeof(ret_address->v6);
		return 0;
	}
	return -EINVAL;
}

/* @return a socket that listens; negative errno */
static int server_listen(struct sea_ccdb_server *server, const char *text, uint16_t port, struct sea_error *error)
{
	union address address;
	socklen_t n_bytes = 0;
	SEAI_AUTO_FD int fd = -1;
	const int on = 1;

	if (address_parse(text, port, &address, &n_bytes) < 0)
		return sea_error_set(error, -EINVAL, "address", "%.64s: is no numeric address", text);
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &address.any, n_bytes) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, &address.any, &n_bytes) < 0)
		return sea_error_set(error, -errno, "address", "%.64s, port %u: %s", text, port, strerror(errno));
	server->port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
	snprintf(server->url, sizeof(server->url),
	         address.any.sa_family == AF_INET ? "http://%.64s:%u" : "http://[%.64s]:%u", text, server->port);
	return seai_take_fd(&fd);
}

/* Beginning and end. --------------------------------------------------------------------------- */

/* MHD leaves the URL as it came: what is a slash and what an escaped one has to be told apart. */
static size_t url_leave(void *userdata, struct MHD_Connection *connection, char *text)
{
	(void)userdata;
	(void)connection;
	return strlen(text);
}

/* Messages of MHD are about clients that went away. */
static void mhd_log(void *userdata, const char *format, va_list arguments)
{
	(void)userdata;
	(void)format;
	(void)arguments;
}

static void note_connection(void *userdata, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
	struct sea_ccdb_server *server = userdata;

	(void)connection;
	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		atomic_fetch_add_explicit(&server->counters.n_connections, 1, memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(&server->counters.n_connections, 1, memory_order_relaxed);
}

static int server_start_threads(struct sea_ccdb_server *server, const struct sea_ccdb_server_options *options,
                                int listen_fd, struct sea_error *error)
{
	const bool sleeps = options->faults.delay_ms > 0 || options->faults.slow_bytes_per_s > 0;
	const struct MHD_OptionItem pool[] = {
		/* Not with a thread per connection. */
		{ sleeps ? MHD_OPTION_END : MHD_OPTION_THREAD_POOL_SIZE,
		  options->n_threads ? options->n_threads : N_THREADS, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	/*
	 * Poll and not epoll: MHD uses epoll edge-triggered and stops reading at the first short read, so that it never hears of a client whose
	 * last bytes and end came together; its upload would stay until the patience is over.
	 */
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
	                       (sleeps ? MHD_USE_THREAD_PER_CONNECTION : 0);

	server->daemon = MHD_start_daemon(
		flags | MHD_USE_ERROR_LOG, 0, NULL, NULL, seai_request_handle, server, MHD_OPTION_EXTERNAL_LOGGER,
		mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_URI_LOG_CALLBACK, seai_request_new,
		server, MHD_OPTION_UNESCAPE_CALLBACK, url_leave, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		seai_request_completed, server, MHD_OPTION_NOTIFY_CONNECTION, note_connection, server,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_N_BYTES, MHD_OPTION_CONNECTION_LIMIT,
		options->n_connections_max ? options->n_connections_max : (unsigned)N_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_PATIENCE_S, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
	return server->daemon ? 0 : sea_error_set(error, -EAGAIN, "server", "its threads cannot be started");
}

static void server_cleanup(struct sea_ccdb_server **server)
{
	sea_ccdb_server_stop(*server);
}

int sea_ccdb_server_start(struct sea_ccdb_server **ret_server, struct sea_ccdb_store *store,
                          const struct sea_ccdb_server_options *options, struct sea_error *error)
{
	static const struct sea_ccdb_server_options defaults;
	SEAI_CLEANUP(server_cleanup) struct sea_ccdb_server *server = NULL;
	SEAI_AUTO_FD int fd = -1;
	int r;

	options = options ? options : &defaults;
	r = options_check(options, error);
	if (r < 0)
		return r;
	server = calloc(1, sizeof(*server));
	if (!server)
		return sea_error_set(error, -ENOMEM, "server", "no memory");
	server->store = store;
	server->start_ms = seai_store_now_ms();
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->stop_fd < 0)
		return sea_error_set(error, -errno, "server", "%s", strerror(errno));
	if (server_copy_options(server, options) < 0)
		return sea_error_set(error, -ENOMEM, "server", "no memory");
	fd = server_listen(server, options->address ? options->address : "127.0.0.1", options->port, error);
	if (fd < 0)
		return fd;
	r = server_start_threads(server, options, fd, error);
	if (r < 0)
		return r;
	/* It is MHD's now. */
	(void)seai_take_fd(&fd);
	*ret_server = SEAI_TAKE(server);
	return 0;
}

struct sea_ccdb_server *sea_ccdb_server_stop(struct sea_ccdb_server *server)
{
	const uint64_t one = 1;

	if (!server)
		return NULL;
	if (server->stop_fd >= 0)
		(void)!write(server->stop_fd, &one, sizeof(one));
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	seai_close(server->stop_fd);
	for (size_t i = 0; i < server->n_replicas; i++)
		free(server->replicas[i]);
	free(server->public_url);
	free(server);
	return NULL;
}

uint16_t sea_ccdb_server_port(const struct sea_ccdb_server *server)
{
	return server->port;
}

const char *sea_ccdb_server_url(const struct sea_ccdb_server *server)
{
	return server->url;
}

static uint64_t counter(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

void sea_ccdb_server_get_stats(const struct sea_ccdb_server *server, struct sea_ccdb_server_stats *ret_stats)
{
	const struct seai_counters *counters = &server->counters;

	ret_stats->n_requests = counter(&counters->n_requests);
	for (size_t i = 0; i < 6; i++)
		ret_stats->n_status[i] = counter(&counters->n_status[i]);
	ret_stats->n_not_modified = counter(&counters->n_not_modified);
	ret_stats->n_redirects = counter(&counters->n_redirects);
	ret_stats->n_downloads = counter(&counters->n_downloads);
	ret_stats->n_bytes_down = counter(&counters->n_bytes_down);
	ret_stats->n_uploads = counter(&counters->n_uploads);
	ret_stats->n_bytes_up = counter(&counters->n_bytes_up);
	ret_stats->n_faults = counter(&counters->n_faults);
	ret_stats->n_connections = counter(&counters->n_connections);
}
