/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzmq, loaded when the first channel wants it: who does not talk to other hosts does not need it. One context a process, shared by its
 * sessions, so that inproc:// works between them.
 */
#ifndef SEALANE_CHANNEL_ZEROMQ_LIBRARY_H
#define SEALANE_CHANNEL_ZEROMQ_LIBRARY_H

#include <zmq.h>

/* Those of its functions that are used, by their own names. */
struct seai_zeromq_library {
	void *(*ctx_new)(void);
	int (*ctx_set)(void *context, int option, int value);
	int (*ctx_term)(void *context);
	void *(*socket)(void *context, int type);
	int (*close)(void *socket);
	int (*setsockopt)(void *socket, int option, const void *value, size_t n_bytes);
	int (*getsockopt)(void *socket, int option, void *value, size_t *n_bytes);
	int (*bind)(void *socket, const char *address);
	int (*unbind)(void *socket, const char *address);
	int (*connect)(void *socket, const char *address);
	int (*socket_monitor)(void *socket, const char *address, int events);
	int (*msg_init)(zmq_msg_t *message);
	int (*msg_init_size)(zmq_msg_t *message, size_t n_bytes);
	int (*msg_init_data)(zmq_msg_t *message, void *data, size_t n_bytes, zmq_free_fn *free_data, void *hint);
	int (*msg_send)(zmq_msg_t *message, void *socket, int flags);
	int (*msg_recv)(zmq_msg_t *message, void *socket, int flags);
	int (*msg_close)(zmq_msg_t *message);
	int (*msg_move)(zmq_msg_t *to, zmq_msg_t *from);
	void *(*msg_data)(zmq_msg_t *message);
	size_t (*msg_size)(const zmq_msg_t *message);
	int (*msg_more)(const zmq_msg_t *message);
};

/* NULL: it is not on this machine, or too old. Any thread. */
const struct seai_zeromq_library *seai_zeromq_library(void);

/* The process's context, with one user more. NULL: no descriptor or memory. */
void *seai_zeromq_context_ref(unsigned n_io_threads);
/* One user less; with the last it ends, which waits for what lingers. */
void seai_zeromq_context_unref(void);

#endif
