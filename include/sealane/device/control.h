/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who drives the state machine of a device: a sequence by itself, keys, a socket, signals; all from one thread that sleeps until
 * something happens. It also tells a service manager (notify.h) how the device is doing.
 *
 * The socket. Each device listens at d-ID.sock in the directory of its session, for processes of the same user (SOCK_SEQPACKET,
 * mode 0600). A request is one packet of text of up to 4096 bytes, and so is an answer:
 *
 *	state                     ok STATE
 *	transition NAME           ok, when it has been accepted
 *	wait STATE TIMEOUT_MS     ok STATE, when it is there and not about to be left, or has been entered since; -1: for ever
 *	get KEY                   ok VALUE
 *	set KEY VALUE             ok; only for a property that is there, VALUE is read as its type
 *	list [PREFIX]             items, then one line KEY=VALUE each, in any number of packets; then ok COUNT
 *	subscribe                 ok STATE, and from then on a packet `state STATE` for each state that is entered
 *	(anything else)           error ERRNO TEXT, for instance: error EINVAL no transition RUN in state IDLE
 *
 * In values \n stands for a newline and \\ for a backslash. While a client waits its other requests are answered by EBUSY. A client
 * that does not read its answers is dropped.
 */
#ifndef SEALANE_DEVICE_CONTROL_H
#define SEALANE_DEVICE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/device/machine.h>
#include <sealane/device/properties.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_control;

/** Most bytes of a request. */
#define SEA_CONTROL_REQUEST_N_MAX 4096
/** Most bytes of an answer. */
#define SEA_CONTROL_ANSWER_N_MAX 32768

/** Who drives a device. FairMQ's --control. */
enum sea_control_mode {
	SEA_CONTROL_DYNAMIC = 0, /**< "dynamic": interactive where keys come from a terminal, else static */
	SEA_CONTROL_STATIC = 1,  /**< "static": up to RUNNING; when that ends, down again and END */
	SEA_CONTROL_INTERACTIVE =
		2,                /**< "interactive": up to RUNNING, then by FairMQ's keys, from a terminal or a pipe */
	SEA_CONTROL_EXTERNAL = 3, /**< "external": rests in IDLE until the socket says something */
	SEA_CONTROL_GUI = 4,      /**< "gui": up to RUNNING, and then until a signal */
	SEA_CONTROL_NONE = 5,     /**< "none": the program does it, by sea_machine_change_state() */
};

/** How to drive a device. All zero is a good start; unset members must be zero. */
struct sea_control_options {
	enum sea_control_mode mode; /**< who */
	/**
	 * 1: SIGINT and SIGTERM are not caught. Else the first of them shuts the device down from whatever state it is in, and the second
	 * aborts the process. FairMQ's --catch-signals 0
	 */
	int no_signals;
	int no_notify;  /**< 1: nothing is told to a service manager */
	int in_fd;      /**< where keys come from; 0 is standard input */
	const char *id; /**< of the device: the name of its socket. NULL or "": the program's name and its process id */
	const char *directory; /**< of the session, see sea_control_directory(). NULL: no socket */
	struct sea_properties
		*properties; /**< for get, set and list; borrowed until sea_control_stop(). NULL: there are none */
	void (*print_peers)(void *userdata); /**< for the key p: prints how many peers each channel has. NULL: none */
	void *userdata;                      /**< passed to print_peers */
	uint64_t reserved[6];                /**< must be 0 */
};

/** Finds a mode by name. @return 0; -EINVAL. Any thread. Since 0.3. */
int sea_control_mode_parse(const char *name, enum sea_control_mode *ret_mode);

/** The name of a mode. "" for a number that is none. Any thread. Since 0.3. */
const char *sea_control_mode_name(enum sea_control_mode mode);

/**
 * Begins to drive a machine; sea_machine_run() may be called before or after. Where signals are caught this is done for the whole
 * process: several machines in it end together.
 *
 * @param ret_control receives it; the caller stops it before the machine is freed
 * @param options NULL for the defaults
 * @return 0; -EINVAL external without a directory, an impossible mode, a reserved member that is not 0; -EADDRINUSE a device of that id
 *         lives in the session; -EBUSY the directory's lock is not to be had; -EACCES, -ENOENT, -ENAMETOOLONG from the directory; -ENOMEM, -EAGAIN, -EMFILE. Since 0.3.
 */
int sea_control_start(struct sea_control **ret_control, struct sea_machine *machine,
                      const struct sea_control_options *options);

/**
 * Ends the control: its socket is removed, its thread has ended, the terminal is as it was. The machine goes on if it was running.
 * @param control NULL is allowed
 * @return NULL. Not on the state thread while the machine runs. Since 0.3.
 */
struct sea_control *sea_control_stop(struct sea_control *control);

/** Shuts the device down from whatever state it is in, as a signal does. Any thread. Since 0.3. */
void sea_control_shut_down(struct sea_control *control);

/**
 * Where the processes of a session meet: $SEALANE_RUNTIME_DIR, else /run/sealane/UID, else /tmp/sealane-UID, and in it the session.
 * @param session NULL: $SEALANE_SESSION, else "default"
 * @param runtime_dir NULL: as above
 * @return 0; -EINVAL not a name of a session; -ENAMETOOLONG. Nothing is made. Any thread. Since 0.3.
 */
int sea_control_directory(const char *session, const char *runtime_dir, char *path, size_t n_bytes);

/**
 * Connects to the socket of a device.
 * @return a descriptor, which the caller closes; -ENOENT no such device; -ECONNREFUSED it has ended without removing its socket;
 *         -EACCES it is another user's; -EAGAIN too many at once. Any thread. Since 0.3.
 */
int sea_control_connect(const char *directory, const char *device);

/** Is told of a device. @param pid of its process; 0: it has ended without removing its socket; -1: it is not to be reached */
typedef void (*sea_control_device_fn)(const char *device, int64_t pid, void *userdata);

/** Calls for each device of a session that has a socket, in no order. @return how many; -ENOENT no such session. Any thread. Since 0.3. */
int sea_control_list(const char *directory, sea_control_device_fn call, void *userdata);

/**
 * Sends a request and waits for the packet that comes next, which need not be the answer where the client has subscribed.
 * @param fd from sea_control_connect()
 * @param request NULL: only waits for a packet
 * @param answer receives it, terminated, cut to fit
 * @param timeout_ns -1 for ever
 * @return bytes of the answer; -ETIMEDOUT; -EPIPE the device has ended; -EMSGSIZE the request is too long. Any thread. Since 0.3.
 */
int sea_control_request(int fd, const char *request, char *answer, size_t n_bytes, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
