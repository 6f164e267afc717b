/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libzmq; see zeromq-library.h. */
#include "channel/zeromq-library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As libzmq names its interface; another number is another interface. */
#define LIBRARY_NAME "libzmq.so.5"

static struct seai_zeromq_library library;
static bool library_is_here;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
static void *context;
static unsigned context_n_users;
static pid_t context_pid;

static void library_load(void)
{
	static const char *const names[] = {
		"zmq_ctx_new",        "zmq_ctx_set",    "zmq_ctx_term",      "zmq_socket",        "zmq_close",
		"zmq_setsockopt",     "zmq_getsockopt", "zmq_bind",          "zmq_unbind",        "zmq_connect",
		"zmq_socket_monitor", "zmq_msg_init",   "zmq_msg_init_size", "zmq_msg_init_data", "zmq_msg_send",
		"zmq_msg_recv",       "zmq_msg_close",  "zmq_msg_move",      "zmq_msg_data",      "zmq_msg_size",
		"zmq_msg_more",
	};
	void *handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
	char *at = (char *)&library;

	_Static_assert(sizeof(names) / sizeof(names[0]) * sizeof(void *) == sizeof(library), "one name each");
	if (!handle)
		return;
	/* In the order of the struct. Never unloaded: its threads may run until the process ends. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *symbol = dlsym(handle, names[i]);

		if (!symbol)
			return;
		memcpy(at + i * sizeof(symbol), &symbol, sizeof(symbol));
	}
	library_is_here = true;
}

const struct seai_zeromq_library *seai_zeromq_library(void)
{
	pthread_once(&library_once, library_load);
	return library_is_here ? &library : NULL;
}

/* Threads for its input and output; $SEALANE_ZEROMQ_IO_THREADS, 1 to 64, else one. */
static int context_n_threads(void)
{
	const char *text = getenv("SEALANE_ZEROMQ_IO_THREADS");
	long n = text ? strtol(text, NULL, 10) : 1;

	return n < 1 ? 1 : n > 64 ? 64 : (int)n;
}

void *seai_zeromq_context_ref(unsigned n_io_threads)
{
	void *found;

	pthread_mutex_lock(&context_lock);
	/* After a fork the parent's is of no use here, nor can it be ended. */
	if (context_pid != getpid()) {
		context = NULL;
		context_n_users = 0;
		context_pid = getpid();
	}
	if (!context) {
		context = library.ctx_new();
		if (context) {
			library.ctx_set(context, ZMQ_IO_THREADS,
			                n_io_threads ? (int)n_io_threads : context_n_threads());
			library.ctx_set(context, ZMQ_MAX_SOCKETS, 65536);
		}
	}
	if (context)
		context_n_users++;
	found = context;
	pthread_mutex_unlock(&context_lock);
	return found;
}

void seai_zeromq_context_unref(void)
{
	void *last = NULL;

	pthread_mutex_lock(&context_lock);
	if (context_pid == getpid() && context_n_users && --context_n_users == 0) {
		last = context;
		context = NULL;
	}
	pthread_mutex_unlock(&context_lock);
	if (last)
		while (library.ctx_term(last) < 0)
			; /* EINTR */
}
