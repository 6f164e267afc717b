/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the values of options come from: first everything that was said is collected, of which the highest rank counts; then values are
 * made of it, and channels.
 *
 * The odd rule: since --strict decides what an error is, and may come last, nothing is said before all words are read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/mq-config.h>

#include "base/cleanup.h"
#include "device/options.h"
#include "device/value.h"

#define COMMAND_LINE "command line"

/* The words of a command line while they are read. */
struct words {
	struct sea_options *options;
	char *const *argv;
	int argc;
	int next;
	struct sea_error *error;
	/* What is unknown: positions in argv. */
	int *unknown;
	int n_unknown;
};

static int options_fail(struct sea_error *error, int r, const char *file, const char *key, const char *text)
{
	if (!error)
		return r;
	*error = (struct sea_error){ 0 };
	snprintf(error->file, sizeof(error->file), "%s", file);
	return sea_error_set(error, r, key, "%s", text);
}

/* Tells of what is strange; an error if strict. */
static int options_warn(const struct sea_options *options, int code, const char *file, const char *key,
                        const char *text, struct sea_error *error)
{
	struct sea_error warning;

	options_fail(&warning, code, file, key, text);
	if (options->is_strict) {
		if (error)
			*error = warning;
		return code;
	}
	if (options->warning)
		options->warning(&warning, options->userdata);
	return 0;
}

/* Tells of what is known and harmless: no error even if strict. */
static void options_note(const struct sea_options *options, const char *file, const char *key, const char *text)
{
	struct sea_error warning;

	options_fail(&warning, 0, file, key, text);
	if (options->warning)
		options->warning(&warning, options->userdata);
}

/* Collecting. ---------------------------------------------------------------------------- */

/* A word for an option, from a place of some rank: a higher one than before replaces what was found. */
static int option_collect(struct seai_option *option, enum seai_option_rank rank, const char *origin, const char *word)
{
	char **words;

	if (rank > option->rank) {
		seai_option_forget(option);
		option->rank = rank;
		snprintf(option->origin, sizeof(option->origin), "%s", origin);
	}
	words = realloc(option->words, (option->n_words + 1) * sizeof(char *));
	if (!words)
		return -ENOMEM;
	option->words = words;
	words[option->n_words] = strdup(word);
	return words[option->n_words] ? (option->n_words++, 0) : -ENOMEM;
}

/* The words of a variable, if it is set to something. */
static int option_collect_variable(struct seai_option *option, enum seai_option_rank rank, const char *variable)
{
	const char *text = getenv(variable);
	SEAI_AUTO_FREE char **words = NULL;
	char origin[64];
	size_t n_words = 0;
	int r;

	if (!text || !*text)
		return 0;
	snprintf(origin, sizeof(origin), "environment %.50s", variable);
	if (!seai_option_is_array(&option->public))
		return option_collect(option, rank, origin, text);
	r = seai_option_cut(text, &words, &n_words);
	for (size_t i = 0; i < n_words && r == 0; i++)
		r = option_collect(option, rank, origin, words[i]);
	return r;
}

static int options_collect_environment(struct sea_options *options)
{
	int r = 0;

	for (size_t i = 0; i < options->n_items && r == 0; i++) {
		struct seai_option *option = &options->items[i];
		char variable[80] = "SEALANE_";
		size_t n = strlen(variable);

		for (const char *letter = option->public.name; *letter && n < sizeof(variable) - 1; letter++)
			variable[n++] = (char)(*letter == '-' ? '_' : toupper((unsigned char)*letter));
		variable[n] = 0;
		if (strcmp(option->public.name, "severity") == 0)
			r = option_collect_variable(option, SEAI_OPTION_RANK_FOREIGN_ENVIRONMENT, "FAIRMQ_SEVERITY");
		if (r == 0)
			r = option_collect_variable(option, SEAI_OPTION_RANK_ENVIRONMENT, variable);
	}
	return r;
}

/* Whether a word is an option that we know, so that it is no value: values may start with a dash. */
static bool word_is_option(const struct sea_options *options, const char *word)
{
	if (strncmp(word, "--", 2) == 0)
		return !word[2] || seai_options_find(options, word + 2, strcspn(word + 2, "="));
	return word[0] == '-' && seai_options_find_short(options, word[1]);
}

/* The value of an option whose own word is taken; inline_value: what stood behind it in that word, or NULL. */
static int words_take_value(struct words *words, struct seai_option *option, const char *inline_value)
{
	const char *value = inline_value;
	bool flag;
	int r;

	if (option->public.type == SEA_VALUE_BOOL) {
		/* A flag takes the next word only if that is a truth value. */
		if (!value && words->next < words->argc && seai_text_bool(words->argv[words->next], &flag) == 0)
			value = words->argv[words->next++];
		return option_collect(option, SEAI_OPTION_RANK_COMMAND_LINE, COMMAND_LINE, value ? value : "true");
	}
	if (!value && words->next < words->argc && !word_is_option(words->options, words->argv[words->next]))
		value = words->argv[words->next++];
	if (!value)
		return options_fail(words->error, -EINVAL, COMMAND_LINE, option->public.name, "has no value");
	r = option_collect(option, SEAI_OPTION_RANK_COMMAND_LINE, COMMAND_LINE, value);
	while (r == 0 && seai_option_is_array(&option->public) && words->next < words->argc &&
	       words->argv[words->next][0] != '-')
		r = option_collect(option, SEAI_OPTION_RANK_COMMAND_LINE, COMMAND_LINE, words->argv[words->next++]);
	return r;
}

static void words_take_unknown(struct words *words, int i)
{
	const char *word = words->argv[i];

	words->unknown[words->n_unknown++] = i;
	/* What follows an unknown option is likely its value, of which there is nothing more to say. */
	if (word[0] == '-' && !strchr(word, '=') && words->next < words->argc && words->argv[words->next][0] != '-')
		words->next++;
}

/* -h, -hv, -Sfolder, -S folder. */
static int words_take_short(struct words *words, int i)
{
	const char *letter = words->argv[i] + 1;
	int r = 0;

	while (*letter && r == 0) {
		struct seai_option *option = seai_options_find_short(words->options, *letter);

		if (!option) {
			words_take_unknown(words, i);
			break;
		}
		letter++;
		if (option->public.type == SEA_VALUE_BOOL) {
			r = option_collect(option, SEAI_OPTION_RANK_COMMAND_LINE, COMMAND_LINE, "true");
			continue;
		}
		r = words_take_value(words, option, *letter ? letter : NULL);
		break;
	}
	return r;
}

static int words_read(struct words *words)
{
	int r = 0;

	while (words->next < words->argc && r == 0) {
		int i = words->next++;
		const char *word = words->argv[i];

		if (strcmp(word, "--") == 0) {
			while (words->next < words->argc)
				words->unknown[words->n_unknown++] = words->next++;
		} else if (strncmp(word, "--", 2) == 0) {
			const char *name = word + 2, *equals = strchr(name, '=');
			size_t n_name = equals ? (size_t)(equals - name) : strlen(name);
			struct seai_option *option = seai_options_find(words->options, name, n_name);

			if (option)
				r = words_take_value(words, option, equals ? equals + 1 : NULL);
			else
				words_take_unknown(words, i);
		} else if (word[0] == '-' && word[1]) {
			r = words_take_short(words, i);
		} else {
			words->unknown[words->n_unknown++] = i;
		}
	}
	return r;
}

static int words_tell_unknown(const struct words *words)
{
	int r = 0;

	for (int i = 0; i < words->n_unknown && r == 0; i++) {
		const char *word = words->argv[words->unknown[i]];
		char key[128];

		snprintf(key, sizeof(key), "%.*s", (int)strcspn(word, "="), word);
		r = options_warn(words->options, -ENOENT, COMMAND_LINE, key,
		                 word[0] == '-' ? "is no option that is known here; it is ignored"
		                                : "belongs to no option; it is ignored",
		                 words->error);
	}
	return r;
}

/* Values. -------------------------------------------------------------------------------- */

static bool option_is_of_shm(const char *name)
{
	const char *one;

	for (size_t i = 0; (one = sea_shm_option_name(i)); i++)
		if (strcmp(one, name) == 0)
			return true;
	return false;
}

/* Hands an option to those of shared memory, which know what it means there. */
static int options_set_shm(struct sea_options *options, const struct seai_option *option, const struct sea_value *value,
                           struct sea_error *error)
{
	const char *name = option->public.name;
	char text[160], message[256];
	int r;

	sea_value_text(value, text, sizeof(text));
	if (strcmp(name, "transport") == 0 && strcmp(text, "zeromq") == 0)
		return 0;
	r = sea_shm_option_set(&options->shm, name, text, message, sizeof(message));
	if (r < 0)
		return options_fail(error, r, option->origin, name, message);
	if (message[0])
		options_note(options, option->origin, name, message);
	return 0;
}

/* Warnings about an option that was given, and errors. */
static int options_judge(struct sea_options *options, const struct seai_option *option, struct sea_error *error)
{
	const struct sea_option *public = &option->public;
	char text[256];
	int r = 0;

	if (option->n_words > 1 && !seai_option_is_array(public))
		r = options_warn(options, -EINVAL, option->origin, public->name,
		                 "is given more than once; the last counts", error);
	if (r < 0 || public->effect == SEA_OPTION_HONOURED || option_is_of_shm(public->name))
		return r;
	snprintf(text, sizeof(text), "%s: %s", public->effect == SEA_OPTION_REFUSED ? "is refused" : "no effect",
	         public->note ? public->note : "not here");
	if (public->effect == SEA_OPTION_REFUSED)
		return options_fail(error, -ENOTSUP, option->origin, public->name, text);
	options_note(options, option->origin, public->name, text);
	return 0;
}

/* Words of the default, where nothing else was found. */
static int option_collect_default(struct seai_option *option)
{
	SEAI_AUTO_FREE char **words = NULL;
	size_t n_words = 0;
	int r;

	if (!seai_option_is_array(&option->public))
		return option_collect(option, SEAI_OPTION_RANK_DEFAULT, "", option->public.default_text);
	r = seai_option_cut(option->public.default_text, &words, &n_words);
	for (size_t i = 0; i < n_words && r == 0; i++)
		r = option_collect(option, SEAI_OPTION_RANK_DEFAULT, "", words[i]);
	return r;
}

static int options_resolve(struct sea_options *options, struct seai_option *option, struct sea_error *error)
{
	SEAI_AUTO_FREE struct sea_value *value = NULL;
	bool is_given;
	int r;

	/* FairMQ's way to say nothing. */
	if (option->public.choices && option->n_words && !option->words[option->n_words - 1][0]) {
		seai_option_forget(option);
		option->rank = SEAI_OPTION_RANK_DEFAULT;
	}
	is_given = option->rank > SEAI_OPTION_RANK_DEFAULT;
	if (!is_given) {
		if (!option->public.default_text)
			return 0;
		r = option_collect_default(option);
		snprintf(option->origin, sizeof(option->origin), "default");
		if (r < 0)
			return options_fail(error, r, "", option->public.name, "no memory");
	} else {
		r = options_judge(options, option, error);
		if (r < 0)
			return r;
	}
	r = seai_option_value(&option->public, option->words, option->n_words, &value, error);
	if (r < 0) {
		if (error)
			snprintf(error->file, sizeof(error->file), "%s", option->origin);
		return r;
	}
	if ((is_given || option->own_default) && option_is_of_shm(option->public.name))
		r = options_set_shm(options, option, value, error);
	if (r == 0)
		r = sea_properties_set(options->properties, option->public.name, value, option->origin);
	return r;
}

/* Channels. ------------------------------------------------------------------------------- */

static const char *options_word(const struct sea_options *options, const char *name)
{
	const struct seai_option *option = seai_options_find(options, name, strlen(name));

	return option->n_words ? option->words[option->n_words - 1] : "";
}

static int options_read_file(struct sea_options *options, const char *path, struct sea_error *error)
{
	const char *name = options_word(options, "config-key");
	struct sea_mq_config *config;
	int r;

	if (!*name)
		name = options_word(options, "id");
	if (!*name)
		return options_fail(error, -EINVAL, COMMAND_LINE, "id",
		                    "is missing, and so is config-key: which device of mq-config is this");
	r = sea_mq_config_open(&config, path, error);
	if (r < 0)
		return r;
	r = sea_mq_config_channels(config, name, &options->channels, options->is_strict, options->warning,
	                           options->userdata, error);
	sea_mq_config_close(config);
	return r;
}

static int options_read_channels(struct sea_options *options, struct sea_error *error)
{
	const struct seai_option *given = seai_options_find(options, "channel-config", strlen("channel-config"));
	const char *path = options_word(options, "mq-config");
	int r = 0;

	if (*path) {
		if (given->n_words)
			r = options_warn(options, -EINVAL, given->origin, "channel-config",
			                 "is not read, since there is mq-config", error);
		return r < 0 ? r : options_read_file(options, path, error);
	}
	for (size_t i = 0; i < given->n_words && r == 0; i++)
		r = sea_channel_list_parse(&options->channels, given->words[i], given->origin, options->is_strict,
		                           options->warning, options->userdata, error);
	return r;
}

/* Whether --strict is given; what is wrong with it is said later. */
static bool options_find_strict(const struct sea_options *options)
{
	bool is_strict = false;

	(void)seai_text_bool(options_word(options, "strict"), &is_strict);
	return is_strict;
}

int sea_options_parse(struct sea_options *options, int argc, char *const argv[], struct sea_error *error)
{
	SEAI_AUTO_FREE int *unknown = calloc((size_t)argc + 1, sizeof(*unknown));
	struct words words = { options, argv, argc, argc > 0 ? 1 : 0, error, unknown, 0 };
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	int r;

	if (options->is_parsed)
		return sea_error_set(error, -EALREADY, "", "the options were read before");
	options->is_parsed = true;
	if (error)
		*error = (struct sea_error){ 0 };
	options->program = strdup(argc < 1 ? "device" : slash ? slash + 1 : argv[0]);
	r = unknown && options->program ? options_collect_environment(options) : -ENOMEM;
	if (r == 0)
		r = words_read(&words);
	options->is_strict = options_find_strict(options);
	if (r == 0)
		r = words_tell_unknown(&words);
	for (size_t i = 0; i < options->n_items && r == 0; i++)
		r = options_resolve(options, &options->items[i], error);
	/* Who only asks gets an answer, whatever the files are. */
	if (r == 0 && !sea_properties_bool_or(options->properties, "help", false) &&
	    !sea_properties_bool_or(options->properties, "version", false))
		r = options_read_channels(options, error);
	if (r == 0)
		r = sea_channel_list_store(&options->channels, options->properties);
	if (r < 0 && error && !error->text[0])
		sea_error_set(error, r, error->key, "%s", r == -ENOMEM ? "no memory" : strerror(-r));
	return r;
}
