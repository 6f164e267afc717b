/* SPDX-License-Identifier: Apache-2.0 */
/* Options while they are collected; see sealane/device/options.h. */
#ifndef SEALANE_DEVICE_OPTIONS_PRIVATE_H
#define SEALANE_DEVICE_OPTIONS_PRIVATE_H

#include <sealane/device/channel-config.h>
#include <sealane/device/options.h>
#include <sealane/shm-options.h>

/* Where a value was found; the higher one counts. */
enum seai_option_rank {
	SEAI_OPTION_RANK_DEFAULT,
	SEAI_OPTION_RANK_FOREIGN_ENVIRONMENT, /* another library's variable that means the same */
	SEAI_OPTION_RANK_ENVIRONMENT,
	SEAI_OPTION_RANK_COMMAND_LINE,
};

struct seai_option {
	struct sea_option public;
	/* Copies, where it is not of the table. */
	char *strings[6];
	/* The default was set by sea_options_set_default(). */
	char *own_default;
	/* What was found, of the highest rank: words; only arrays may have many. */
	char **words;
	size_t n_words;
	enum seai_option_rank rank;
	char origin[64];
};

struct sea_options {
	struct seai_option *items;
	size_t n_items;
	char *program; /* argv[0] without folders */
	struct sea_properties *properties;
	struct sea_channel_list channels;
	struct sea_shm_options shm;
	sea_warning_fn warning;
	void *userdata;
	bool is_strict;
	bool is_parsed;
};

/* FairMQ's options and ours, ended by one without a name. */
extern const struct sea_option seai_option_table[];

/* The option of a name or of a letter, or NULL. */
struct seai_option *seai_options_find(const struct sea_options *options, const char *name, size_t n_name);
struct seai_option *seai_options_find_short(const struct sea_options *options, char short_name);

/* Forgets the words found so far. */
void seai_option_forget(struct seai_option *option);

/* The value of an option from words. @return 0; -EINVAL, -ERANGE with *error having key and text; -ENOMEM */
int seai_option_value(const struct sea_option *option, char *const *words, size_t n_words, struct sea_value **ret_value,
                      struct sea_error *error);

/* Cuts text into words at blanks; free() the result, which is in one piece. @return 0; -ENOMEM */
int seai_option_cut(const char *text, char ***ret_words, size_t *ret_n_words);

/* Whether an option may be given many times. */
bool seai_option_is_array(const struct sea_option *option);

#endif
