/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a configuration, where a number is not enough: a file, a place in it, a key, and a sentence.
 * Caller-owned; functions that take one accept NULL.
 */
#ifndef SEALANE_DEVICE_ERROR_H
#define SEALANE_DEVICE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

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

/** Is told of what is strange but goes on: an unknown key, an option without effect. @param warning borrowed until the return */
typedef void (*sea_warning_fn)(const struct sea_error *warning, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
