/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control of a device, as its files see it: control.c (the thread, and what it does in which state), control-signal.c,
 * control-keys.c, control-socket.c (clients), control-request.c (what they ask), control-path.c (names and directories).
 *
 * Everything but the wake descriptor and must_stop, must_shut_down belongs to the control thread.
 */
#ifndef SEALANE_DEVICE_CONTROL_PRIVATE_H
#define SEALANE_DEVICE_CONTROL_PRIVATE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

#include <sealane/device/control.h>

#define SEAI_CONTROL_N_CLIENTS 32u

/* What the control is after. */
enum seai_control_plan {
	SEAI_CONTROL_REST, /* nothing by itself */
	SEAI_CONTROL_UP,   /* to RUNNING */
	SEAI_CONTROL_DOWN, /* to EXITING; there is no way back */
};

struct seai_control_keys {
	int fd; /* -1: no keys */
	bool is_terminal;
	struct termios before;
	char waiting[64]; /* keys that have come while a transition was under way */
	size_t n_waiting;
	bool is_completing; /* after key i: COMPLETE INIT is to follow */
};

struct seai_control_packet {
	struct seai_control_packet *next;
	size_t n;
	char text[];
};

struct seai_control_client {
	int fd; /* -1: free */
	bool is_subscribed;
	bool is_waiting;
	enum sea_device_state awaited;
	int64_t wait_deadline_ns;
	int64_t active_ns; /* when it last asked for something */
	int64_t stuck_ns;  /* since when nothing of what is queued has gone out */
	struct seai_control_packet *first, **last;
	size_t n_queued; /* bytes, and something for each packet */
};

struct seai_control_socket {
	int directory_fd; /* -1: no socket */
	int listen_fd;
	char name[224]; /* d-ID.sock */
	struct seai_control_client clients[SEAI_CONTROL_N_CLIENTS];
};

struct sea_control {
	struct sea_control *next; /* of all in the process */
	bool is_forked;           /* this is a copy in a child: its thread is not here, nor are its descriptors */
	struct sea_machine *machine;
	struct sea_properties *properties;
	enum sea_control_mode mode;
	bool no_notify;
	void (*print_peers)(void *userdata);
	void *userdata;
	char key[40]; /* of the subscription to states */

	pthread_t thread;
	int wake_fd;   /* an eventfd: a state, or one of the next two */
	int signal_fd; /* an eventfd: a signal; -1: they are not caught */
	atomic_bool must_stop;
	atomic_bool must_shut_down;

	enum seai_control_plan plan;
	enum sea_device_state state; /* the last that was taken note of */
	uint64_t position;
	bool is_acting_due; /* the state is new, or the plan */
	bool has_run;       /* RUNNING has been reached by plan */
	bool is_ready_told, is_stopping_told;
	int64_t watchdog_ns, next_watchdog_ns; /* 0: none */

	struct seai_control_keys keys;
	struct seai_control_socket socket;
};

/* control.c: takes note of the states that have been entered; acts later. @return -ECANCELED at the end of the machine */
int seai_device_control_catch_up(struct sea_control *control);
void seai_device_control_go_down(struct sea_control *control, const char *why);

/* control-signal.c: has a signal written to fd. @return 0; -ENFILE too many machines */
int seai_device_signals_add(int fd);
void seai_device_signals_remove(int fd);
int seai_device_signals_last(void);
/* In a forked child: signals do there what they did before. */
void seai_device_signals_forget(void);
/* What a second signal is to put right before it aborts. */
void seai_device_signals_set_terminal(int fd, const struct termios *before);
void seai_device_signals_clear_terminal(void);

/* control-keys.c */
void seai_device_keys_init(struct sea_control *control, int fd);
void seai_device_keys_fini(struct sea_control *control);
void seai_device_keys_greet(struct sea_control *control);
void seai_device_keys_read(struct sea_control *control);
/* Goes on with keys that had to wait; called in each new state. */
void seai_device_keys_go_on(struct sea_control *control);

/* control-socket.c */
int seai_device_socket_open(struct seai_control_socket *socket, const char *directory, const char *id);
void seai_device_socket_close(struct seai_control_socket *socket);
/* In a forked child: closes what is the parent's, and removes nothing. */
void seai_device_socket_forget(struct seai_control_socket *socket);
/* Appends what is to be polled. @return how many; *deadline_ns is brought forward where something is due earlier */
size_t seai_device_socket_poll(struct sea_control *control, struct pollfd *fds, int64_t *deadline_ns);
void seai_device_socket_handle(struct sea_control *control, const struct pollfd *fds, size_t n_fds);
/* A state has been entered. */
void seai_device_socket_tell(struct sea_control *control, enum sea_device_state state);
/* Answers those whose wait can end no more. */
void seai_device_socket_finish(struct sea_control *control);
/* Queues a packet; a client that has too much queued is dropped. */
void seai_device_client_send(struct seai_control_client *client, const char *text, size_t n);
__attribute__((format(printf, 2, 3))) void seai_device_client_print(struct seai_control_client *client,
                                                                    const char *format, ...);

/* control-request.c: text is terminated, and may be changed. */
void seai_device_request(struct sea_control *control, struct seai_control_client *client, char *text);

/* control-path.c: the file name of a device, %XX for what is not plain. @return 0; -ENAMETOOLONG */
int seai_device_path_encode(const char *id, const char *end, char *name, size_t n_bytes);
/* @return 0; -EINVAL it is not one */
int seai_device_path_decode(const char *name, const char *end, char *id, size_t n_bytes);
/* Opens a session's directory, and makes it where it is missing. @return a descriptor; -EACCES others may write in it */
int seai_device_path_open(const char *directory);

#endif
