/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane ccdb serve`: a folder as a CCDB server, until it is told to end. And `sealane ccdb gc`, which cleans such a folder.
 *
 * The odd rule: the port file appears by a rename when the server listens, so that who waits for it can connect at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccdb.h"
#include "cleanup.h"
#include "command.h"
#include "terminal.h"

#define COMMAND "ccdb serve"
#define DEFAULT_PORT 8080
#define REPLICAS_N_MAX 8

enum {
	OPT_DIR = 1,
	OPT_BIND,
	OPT_PORT,
	OPT_PORT_FILE,
	OPT_DIRECT,
	OPT_READ_ONLY,
	OPT_URL,
	OPT_REPLICA,
	OPT_THREADS,
	OPT_CONNECTIONS,
	OPT_MAX_UPLOAD,
	OPT_FAULT,
	OPT_LOG,
	OPT_NO_SYNC,
	OPT_JSON
};

static const struct option_spec specs[] = {
	{ OPT_DIR, 'd', "dir", "DIR", "the folder; it is made where it does not exist" },
	{ OPT_PORT, 'p', "port", "N", "where to listen, default 8080; 0: any that is free" },
	{ OPT_BIND, 0, "bind", "ADDRESS", "at which address, default 127.0.0.1; 0.0.0.0: at all" },
	{ OPT_PORT_FILE, 0, "port-file", "FILE", "write the port there when it listens" },
	{ OPT_DIRECT, 0, "direct", NULL, "answer objects by 200 and their content; else by 303 (local.copy.first)" },
	{ OPT_READ_ONLY, 0, "read-only", NULL, "change nothing" },
	{ OPT_URL, 0, "url", "URL", "how clients reach it; else as they say themselves" },
	{ OPT_REPLICA, 0, "replica", "URL", "another place of the same objects; several are allowed" },
	{ OPT_THREADS, 0, "threads", "N", "default 2" },
	{ OPT_CONNECTIONS, 0, "connections", "N", "most connections at once, default 1024" },
	{ OPT_MAX_UPLOAD, 0, "max-upload", "SIZE", "default 4 GiB" },
	{ OPT_NO_SYNC, 0, "no-sync", NULL, "do not wait for the disk: a loss of power may lose uploads" },
	{ OPT_FAULT, 0, "fault", "FAULT", "do something wrong, for tests; several are allowed" },
	{ OPT_LOG, 'l', "log", NULL, "a line per request on standard error" },
	{ OPT_JSON, 0, "json", NULL, "one JSON object when it listens" },
	{ 0 },
};

static const struct option_page page = {
	.command = COMMAND,
	.usage = "--dir DIR [OPTIONS]",
	.summary =
		"Serves a folder as a CCDB, as O2's clients know it: upload, fetch, browse. It listens on this machine alone unless "
		"--bind says otherwise, and asks nobody for a password. Runs until SIGINT or SIGTERM. Several may serve one folder.",
	.specs = specs,
	.epilogue = "Faults:\n"
		    "  delay=MS  5xx=PERCENT  cut=PERCENT  wrong-length=PERCENT  slow=BYTES_PER_S\n"
		    "  dead-replica-first  alien-first  replace-before-download\n\n"
		    "Examples:\n"
		    "  sealane ccdb serve --dir store\n"
		    "  sealane ccdb serve --dir store --port 0 --port-file port --direct --log\n"
		    "  sealane ccdb serve --dir store --fault cut=10 --fault delay=50\n\n"
		    "Exit status: 0 told to end, 1 the folder or the port is not to be had, 2 wrong usage.\n",
};

struct serve {
	struct sea_ccdb_server_options server;
	struct sea_ccdb_store_options store;
	const char *replicas[REPLICAS_N_MAX];
	const char *directory;
	const char *port_file;
	bool json;
};

static void serve_log(const char *line, void *userdata)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	(void)userdata;
	pthread_mutex_lock(&lock);
	fprintf(stderr, "%s\n", line);
	pthread_mutex_unlock(&lock);
}

static int serve_option(struct serve *serve, struct options *options, int id)
{
	struct sea_error error = { 0 };
	uint64_t number = 0;
	int r = 0;

	switch (id) {
	case OPT_DIR: serve->directory = options->value; break;
	case OPT_BIND: serve->server.address = options->value; break;
	case OPT_PORT:
		r = options_number(options, 0, 65535, &number);
		serve->server.port = (uint16_t)number;
		break;
	case OPT_PORT_FILE: serve->port_file = options->value; break;
	case OPT_DIRECT: serve->server.direct = 1; break;
	case OPT_READ_ONLY: serve->server.read_only = serve->store.read_only = 1; break;
	case OPT_URL: serve->server.url = options->value; break;
	case OPT_REPLICA:
		if (serve->server.n_replicas == REPLICAS_N_MAX)
			return options_wrong(options, "--replica: more than %d", REPLICAS_N_MAX);
		serve->replicas[serve->server.n_replicas++] = options->value;
		break;
	case OPT_THREADS:
		r = options_number(options, 1, 256, &number);
		serve->server.n_threads = (unsigned)number;
		break;
	case OPT_CONNECTIONS:
		r = options_number(options, 1, 65536, &number);
		serve->server.n_connections_max = (unsigned)number;
		break;
	case OPT_MAX_UPLOAD: r = options_size(options, 1, UINT64_C(1) << 46, &serve->server.n_bytes_upload_max); break;
	case OPT_NO_SYNC: serve->store.no_sync = 1; break;
	case OPT_FAULT:
		if (sea_ccdb_faults_parse(&serve->server.faults, options->value, &error) < 0)
			return options_wrong(options, "--fault %s", error.text);
		break;
	case OPT_LOG: serve->server.log = serve_log; break;
	case OPT_JSON: serve->json = true; break;
	default: break;
	}
	return r;
}

static int serve_write_port(const struct serve *serve, const struct sea_ccdb_server *server)
{
	char name[PATH_MAX];
	FILE *file;

	if (!serve->port_file)
		return COMMAND_OK;
	snprintf(name, sizeof(name), "%s.%d", serve->port_file, (int)getpid());
	file = fopen(name, "w");
	if (file) {
		const bool written = fprintf(file, "%u\n", sea_ccdb_server_port(server)) > 0;

		if (fclose(file) == 0 && written && rename(name, serve->port_file) == 0)
			return COMMAND_OK;
	}
	terminal_error(COMMAND, "%s: %s", serve->port_file, strerror(errno));
	unlink(name);
	return COMMAND_FAILED;
}

static int serve_announce(const struct serve *serve, const struct sea_ccdb_server *server)
{
	if (serve->json) {
		TOOL_AUTO_JSON json_t *object = json_pack("{s:i, s:s, s:i, s:s}", "pid", (int)getpid(), "url",
		                                          sea_ccdb_server_url(server), "port",
		                                          (int)sea_ccdb_server_port(server), "dir", serve->directory);

		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		printf("serving %s at %s\n", serve->directory, sea_ccdb_server_url(server));
	}
	fflush(stdout);
	return serve_write_port(serve, server);
}

static int serve_run(const struct serve *serve, const sigset_t *ends)
{
	struct sea_ccdb_store *store = NULL;
	struct sea_ccdb_server *server = NULL;
	struct sea_error error = { 0 };
	int r = COMMAND_FAILED, number;

	if (sea_ccdb_store_open(&store, serve->directory, &serve->store, &error) < 0 ||
	    sea_ccdb_server_start(&server, store, &serve->server, &error) < 0) {
		ccdb_failed(COMMAND, &error);
	} else {
		r = serve_announce(serve, server);
		if (r == COMMAND_OK)
			sigwait(ends, &number);
		if (serve->port_file)
			unlink(serve->port_file);
	}
	sea_ccdb_server_stop(server);
	sea_ccdb_store_close(store);
	return r;
}

int ccdb_serve_main(int argc, char **argv)
{
	struct serve serve = { .server = { .port = DEFAULT_PORT } };
	struct options options;
	sigset_t ends;
	int id;

	options_init(&options, &page, argc, argv);
	while ((id = options_next(&options)) > 0)
		if (serve_option(&serve, &options, id) < 0)
			return options.exit_code;
	if (id < 0 || ccdb_arguments(&options, 0, 0, "only options") < 0)
		return options.exit_code;
	if (!serve.directory) {
		options_wrong(&options, "--dir is missing");
		return options.exit_code;
	}
	serve.server.replicas = serve.replicas;
	/* Blocked before there is a thread: they are waited for. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	return serve_run(&serve, &ends);
}

/* gc. ------------------------------------------------------------------------------------------ */

static const struct option_spec gc_specs[] = {
	{ OPT_JSON, 0, "json", NULL, "one JSON object" },
	{ 0 },
};

static const struct option_page gc_page = {
	.command = "ccdb gc",
	.usage = "DIR",
	.summary =
		"Removes contents that no object of the folder names: what a process left that was killed in the middle of an upload. "
		"Servers may run on the folder meanwhile.",
	.specs = gc_specs,
};

int ccdb_gc_main(int argc, char **argv)
{
	struct sea_ccdb_store *store = NULL;
	struct sea_ccdb_gc gc = { 0 };
	struct sea_error error = { 0 };
	struct options options;
	bool json = false;
	int id, r;

	options_init(&options, &gc_page, argc, argv);
	while ((id = options_next(&options)) > 0)
		json |= id == OPT_JSON;
	if (id < 0 || ccdb_arguments(&options, 1, 1, "DIR") < 0)
		return options.exit_code;
	if (access(argv[options.first], F_OK) < 0) {
		terminal_error("ccdb gc", "%s: %s", argv[options.first], strerror(errno));
		return COMMAND_FAILED;
	}
	if (sea_ccdb_store_open(&store, argv[options.first], NULL, &error) < 0)
		return ccdb_failed("ccdb gc", &error);
	r = sea_ccdb_store_gc(store, &gc);
	sea_ccdb_store_close(store);
	if (r < 0) {
		terminal_error("ccdb gc", "%s: %s", argv[options.first], sea_error_text(r));
		return COMMAND_FAILED;
	}
	printf(json ? "{\"kept\":%" PRIu64 ",\"removed\":%" PRIu64 ",\"n_bytes_removed\":%" PRIu64 "}\n"
	            : "%" PRIu64 " contents kept, %" PRIu64 " removed (%" PRIu64 " bytes)\n",
	       gc.n_contents, gc.n_removed, gc.n_bytes_removed);
	return COMMAND_OK;
}
