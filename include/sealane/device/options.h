/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a device: FairMQ's, ours, and those that a program adds; from the command line, the environment, a JSON file and
 * defaults, in this order of precedence. What they come to stands in properties, each with its origin.
 *
 *	sea_options_new(&options);
 *	sea_options_add(options, &(struct sea_option){ .name = "threshold", .type = SEA_VALUE_INT, .default_text = "3",
 *	                                               .help = "least number of hits" });
 *	if (sea_options_parse(options, argc, argv, &error) < 0)
 *		return puts(sea_error_line(&error, line, sizeof(line))), 1;
 *	if (sea_options_answer(options, stdout) > 0)
 *		return 0;
 *	n = sea_properties_int_or(sea_options_properties(options), "threshold", 0);
 *
 * One thread at a time.
 */
#ifndef SEALANE_DEVICE_OPTIONS_H
#define SEALANE_DEVICE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sealane/device/error.h>
#include <sealane/device/properties.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_channel_list;
struct sea_options;
struct sea_shm_options;

/** What is done about an option. */
enum sea_option_effect {
	SEA_OPTION_HONOURED = 0,  /**< it does what its help says */
	SEA_OPTION_NO_EFFECT = 1, /**< FairMQ's: it is accepted, and one warning says why it does nothing */
	SEA_OPTION_REFUSED = 2,   /**< FairMQ's: an error says what to use instead */
};

/** An option. All zero but the name is a string without a default. */
struct sea_option {
	const char *name;              /**< without the dashes: [a-z0-9-] */
	enum sea_value_type type;      /**< SEA_VALUE_NONE: a string. Arrays: may be given many times */
	enum sea_option_effect effect; /**< what is done about it */
	const char *default_text;      /**< NULL: it is not there unless it is given */
	const char *help;              /**< one line */
	const char *note;              /**< for the table: why it has no effect, or what to use instead; may be NULL */
	const char *choices;           /**< NULL: any; else the words that are allowed: "low|high" */
	const char *section;           /**< under what the help shows it; NULL: options of the program */
	int64_t min;                   /**< of an integer; min and max 0: any */
	int64_t max;                   /**< of an integer */
	char short_name;               /**< as h in -h; 0: none */
	bool is_size;                  /**< an unsigned integer that may have K, M, G, T behind it, or KiB to TiB */
	char reserved[6];              /**< 0 */
};

/** Makes options: FairMQ's and ours. @param ret_options receives them; the caller frees them. @return 0; -ENOMEM. Since 0.3. */
int sea_options_new(struct sea_options **ret_options);

/** Frees options with all that was got of them. @param options NULL is allowed. @return NULL. Since 0.3. */
struct sea_options *sea_options_free(struct sea_options *options);

/**
 * Adds an option of the program.
 * @param option copied
 * @return 0; -EINVAL a bad name, type or default; -EEXIST there is one of that name; -ENOMEM. Before parsing. Since 0.3.
 */
int sea_options_add(struct sea_options *options, const struct sea_option *option);

/** Changes the default of an option, FairMQ's or ours. @return 0; -ENOENT; -EINVAL; -ENOMEM. Before parsing. Since 0.3. */
int sea_options_set_default(struct sea_options *options, const char *name, const char *default_text);

/** Has warnings told: unknown options and keys, options without effect. Else they are dropped. Before parsing. Since 0.3. */
void sea_options_on_warning(struct sea_options *options, sea_warning_fn function, void *userdata);

/**
 * Reads the environment (SEALANE_<NAME>, FAIRMQ_SEVERITY), the command line, and the files and channels that they name.
 *
 * @param argv argv[0] is the program's name; what follows is read. Copied
 * @param error NULL: not wanted; receives the first error
 * @return 0; -EINVAL a malformed value, -ERANGE out of its range, -ENOENT a file or a device in it that is not there, or with --strict
 *         an unknown option or key; -ENOTSUP a refused option; -EEXIST a channel or device twice; -ENOMEM; an error of reading the
 *         file. Once. Since 0.3.
 */
int sea_options_parse(struct sea_options *options, int argc, char *const argv[], struct sea_error *error);

/**
 * Answers --help, --version, --print-options where they were given.
 * @return 1 it did: the program ends with 0; 0 none was given; -EIO it could not write. Since 0.3.
 */
int sea_options_answer(struct sea_options *options, FILE *out);

/** Prints the effective value and the origin of each option and of each key of each channel. @return 0; -EIO; -ENOMEM. Since 0.3. */
int sea_options_print(struct sea_options *options, FILE *out);

/** All values by the options' names, and of channels as chans.<name>.<i>.<key>. Borrowed. Since 0.3. */
struct sea_properties *sea_options_properties(struct sea_options *options);

/** The channels that were configured. Borrowed. Since 0.3. */
const struct sea_channel_list *sea_options_channels(const struct sea_options *options);

/** What was said about shared memory. Borrowed. Since 0.3. */
const struct sea_shm_options *sea_options_shm(const struct sea_options *options);

/** Option number i, the built-in ones first, or NULL behind the last. Borrowed. Since 0.3. */
const struct sea_option *sea_options_at(const struct sea_options *options, size_t i);

/** An option by name, or NULL. Borrowed. Since 0.3. */
const struct sea_option *sea_options_find(const struct sea_options *options, const char *name);

#ifdef __cplusplus
}
#endif
#endif
