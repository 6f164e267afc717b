/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted HTTP server; see script.h. */
#include "script.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <md5.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

struct server {
	int fd;
	script_fn function;
	void *arg;
	struct script_log *log;
};

struct connection {
	struct server *server;
	int fd;
};

bool script_bytes(int fd, const void *bytes, size_t n_bytes)
{
	for (size_t n = 0; n < n_bytes;) {
		ssize_t sent = send(fd, (const char *)bytes + n, n_bytes - n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		n += (size_t)sent;
	}
	return true;
}

bool script_say(int fd, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	bool good;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	good = n >= 0 && script_bytes(fd, text, (size_t)n);
	free(text);
	return good;
}

/* Reads to the end of a head. False: the connection has ended. */
static bool read_head(int fd, char *text, size_t n_room)
{
	size_t n = 0;

	while (n + 1 < n_room) {
		ssize_t got = recv(fd, text + n, 1, 0);

		if (got <= 0)
			return false;
		text[++n] = '\0';
		if (n >= 4 && memcmp(text + n - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

static void *serve(void *arg)
{
	struct connection connection = *(struct connection *)arg;
	struct server *server = connection.server;
	struct script_request *request = calloc(1, sizeof(*request));

	free(arg);
	while (request && read_head(connection.fd, request->text, sizeof(request->text))) {
		request->i = atomic_fetch_add(&server->log->n, 1);
		if (request->i < SCRIPT_N_KEPT)
			snprintf(server->log->texts[request->i], sizeof(server->log->texts[0]), "%.4000s",
			         request->text);
		if (sscanf(request->text, "%7s %1023s", request->method, request->target) != 2)
			break;
		if (!server->function(connection.fd, request, server->arg))
			break;
	}
	free(request);
	shutdown(connection.fd, SHUT_RDWR);
	close(connection.fd);
	return NULL;
}

static void run(void *arg)
{
	struct server *server = arg;

	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct connection *connection = malloc(sizeof(*connection));
		pthread_t thread;

		if (!connection)
			continue;
		connection->server = server;
		connection->fd = accept(server->fd, NULL, NULL);
		if (connection->fd < 0 || pthread_create(&thread, NULL, serve, connection) != 0) {
			free(connection);
			continue;
		}
		pthread_detach(thread);
	}
}

static int listen_somewhere(int *ret_port, bool is_listening)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = (int)CHECK_SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	socklen_t n = sizeof(address);

	CHECK_SYS(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	if (is_listening)
		CHECK_SYS(listen(fd, 1024));
	CHECK_SYS(getsockname(fd, (struct sockaddr *)&address, &n));
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int script_dead_port(int *ret_fd)
{
	int port;

	*ret_fd = listen_somewhere(&port, false);
	return port;
}

void script_start(struct script *script, script_fn function, void *arg)
{
	struct server server = { .function = function, .arg = arg };

	/* No proxy of the environment stands between a test and its server. */
	setenv("no_proxy", "*", 1);
	script->log = test_shared(sizeof(*script->log));
	server.log = script->log;
	server.fd = listen_somewhere(&script->port, true);
	snprintf(script->url, sizeof(script->url), "http://127.0.0.1:%d", script->port);
	script->pid = test_fork(run, &server);
	close(server.fd);
}

void script_stop(struct script *script)
{
	test_kill(script->pid);
}

const char *script_header(const char *text, const char *name, unsigned i)
{
	static _Thread_local char value[512];
	size_t n_name = strlen(name);

	for (const char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n')) {
		if (strncasecmp(line + 1, name, n_name) != 0 || line[1 + n_name] != ':')
			continue;
		if (i-- > 0)
			continue;
		sscanf(line + 2 + n_name, " %511[^\r\n]", value);
		return value;
	}
	return "";
}

int64_t script_time(const char *target)
{
	for (const char *at = strchr(target, '/'); at; at = strchr(at + 1, '/')) {
		size_t n = strspn(at + 1, "0123456789");

		if (n && (at[1 + n] == '/' || at[1 + n] == '\0'))
			return strtoll(at + 1, NULL, 10);
	}
	return -1;
}

const char *script_uuid(unsigned number)
{
	static _Thread_local char uuids[8][40];
	static _Thread_local unsigned next;
	char *uuid = uuids[next++ % 8];

	snprintf(uuid, sizeof(uuids[0]), "%08x-1111-11ee-8000-000000000000", number);
	return uuid;
}

const char *script_md5(const void *bytes, size_t n_bytes)
{
	static _Thread_local char hex[MD5_DIGEST_STRING_LENGTH];

	return MD5Data(bytes, n_bytes, hex);
}

bool script_object(int fd, const char *uuid, int64_t from, int64_t until, int64_t created, const char *content)
{
	return script_say(fd,
	                  "HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nValid-From: %" PRId64 "\r\nValid-Until: %" PRId64
	                  "\r\nCreated: %" PRId64 "\r\nCache-Valid-Until: %" PRId64
	                  "\r\nContent-Length: %zu\r\nContent-MD5: %s\r\n\r\n%s",
	                  uuid, from, until, created, until, strlen(content), script_md5(content, strlen(content)),
	                  content);
}
