/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. Every call returns 0 or a count on success and a negative errno on
 * failure. This table says what each number means in Sealane; a function's own
 * comment says which of them it returns and why.
 *
 *   -EAGAIN        not now: no message, no room, or no memory within the time given as 0
 *   -ETIMEDOUT     the time given is over (a timeout above 0)
 *   -EINTR         a signal handler ran while the call was waiting, or the process was stopped and continued; call again
 *   -EINVAL        an argument is out of its range
 *   -ENOMEM        no memory: the process is out of it, or a heap is at its quota
 *   -E2BIG         larger than a heap's quota or a format allows: no waiting would help
 *   -EMFILE        this process has no free file descriptor: close some and call again
 *   -ENFILE        the machine has no free file descriptor
 *   -ENOSPC        the runtime directory's file system is full
 *   -EADDRINUSE    another live process is bound to that address
 *   -EACCES        the runtime directory or a peer belongs to another user or group; a receiver does not trust files
 *   -ENOTSUP       this kernel, machine or configuration cannot do that
 *   -EBADMSG       bytes from a peer are malformed; they were refused
 *   -ENOENT        not there (yet): no such address, file, or arena
 *   -ESTALE        the name of a part that was freed
 *   -EOWNERDEAD    the owner of a named part has ended, and its memory is not mapped here
 *   -EREMOTE       the name of a part of another session or host
 *   -EPIPE         the peer that the message was meant for is gone
 *   -EPROTO        out of turn: a replier that has no request, a requester that has none out
 *   -EPROTOTYPE    the channel at that address has a pattern that does not fit
 *   -EBUSY         still in use: close what stands on it first
 *   -EDEADLK       a waiting call inside a callback
 *   -EPERM         the process is a forked child; only its parent may use the object
 *   -ECANCELED     the wait was ended by sea_channel_interrupt()
 */
#ifndef SEALANE_ERROR_H
#define SEALANE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A few English words for an error of this library, without a full stop.
 * @param error an errno, negative or positive
 * @return a static string, never NULL. Any thread. Since 0.1.
 */
const char *sea_error_text(int error);

/*
 * Where a number is not enough (a configuration, a table, an answer over HTTP) the last parameter of a call is a caller-owned
 * struct sea_error that may be NULL.
 */

/** An error that a person is to read. All zero is none. */
struct sea_error {
	int code;        /**< the negative errno that the call returned */
	unsigned line;   /**< in the file, from 1; 0: not in a file */
	unsigned column; /**< in that line, from 1 */
	char file[256];  /**< the file, or "command line", or the variable of the environment; may be cut */
	char key[128];   /**< the key or option that is wrong, with its path: devices[2].channels[0].sndBufSize */
	char text[512];  /**< what is wrong with it, without a full stop */
};

/**
 * Sets an error.
 * @param error may be NULL: then only the code is returned
 * @param code negative errno
 * @return code. Any thread. Since 0.3.
 */
int sea_error_set(struct sea_error *error, int code, const char *key, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 4, 5)))
#endif
	;

/**
 * One line for a person: "topology.json:12:7: devices[0].id: is missing".
 * @param line receives it, cut to fit, always terminated
 * @return line. Any thread. Since 0.3.
 */
char *sea_error_line(const struct sea_error *error, char *line, unsigned n_bytes);

#ifdef __cplusplus
}
#endif
#endif
