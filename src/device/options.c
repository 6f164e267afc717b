/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a device: which there are, their values, and what is printed of them; options-parse.c finds the values.
 *
 * The odd rule: a user's option is not told from one of the table but by where its strings live.
 */
#include "device/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/version.h>

#include "base/cleanup.h"
#include "device/value.h"

#define NAME_N_BYTES_MAX 63

struct seai_option *seai_options_find(const struct sea_options *options, const char *name, size_t n_name)
{
	for (size_t i = 0; i < options->n_items; i++) {
		const char *one = options->items[i].public.name;

		if (strncmp(one, name, n_name) == 0 && !one[n_name])
			return &options->items[i];
	}
	return NULL;
}

struct seai_option *seai_options_find_short(const struct sea_options *options, char short_name)
{
	for (size_t i = 0; i < options->n_items; i++)
		if (short_name && options->items[i].public.short_name == short_name)
			return &options->items[i];
	return NULL;
}

bool seai_option_is_array(const struct sea_option *option)
{
	return option->type >= SEA_VALUE_BOOL_ARRAY && option->type <= SEA_VALUE_STRING_ARRAY;
}

/* Values. ------------------------------------------------------------------------------- */

int seai_option_cut(const char *text, char ***ret_words, size_t *ret_n_words)
{
	static const char blanks[] = " \t\n";
	size_t n_text = strlen(text) + 1, n_most = n_text / 2 + 1, n_words = 0;
	char **words = malloc(n_most * sizeof(char *) + n_text), *cut, *rest;

	if (!words)
		return -ENOMEM;
	cut = memcpy(words + n_most, text, n_text);
	for (char *word = strtok_r(cut, blanks, &rest); word; word = strtok_r(NULL, blanks, &rest))
		words[n_words++] = word;
	*ret_words = words;
	*ret_n_words = n_words;
	return 0;
}

/* The choice that a word is, in any case, with its spelling in the option; n: how long it is. NULL: none. */
static const char *option_choice(const struct sea_option *option, const char *word, size_t *ret_n)
{
	for (const char *choice = option->choices; *choice; choice += *ret_n + (choice[*ret_n] == '|')) {
		*ret_n = strcspn(choice, "|");
		if (strncasecmp(choice, word, *ret_n) == 0 && !word[*ret_n])
			return choice;
	}
	return NULL;
}

static int option_check_range(const struct sea_option *option, const struct sea_value *value, const char *word,
                              struct sea_error *error)
{
	bool is_out = false;

	if (option->min == 0 && option->max == 0)
		return 0;
	if (value->type == SEA_VALUE_INT)
		is_out = value->as.integer < option->min || value->as.integer > option->max;
	else if (value->type == SEA_VALUE_UINT)
		is_out = value->as.uinteger > (uint64_t)option->max ||
		         (option->min > 0 && value->as.uinteger < (uint64_t)option->min);
	if (!is_out)
		return 0;
	return sea_error_set(error, -ERANGE, option->name, "is %.40s, which is not from %lld to %lld", word,
	                     (long long)option->min, (long long)option->max);
}

static int option_wrong(const struct sea_option *option, int r, const char *word, struct sea_error *error)
{
	if (r == -ERANGE)
		return sea_error_set(error, r, option->name, "is %.60s, which is out of the range of %s", word,
		                     sea_value_type_name(option->type));
	if (r == -ENOMEM)
		return sea_error_set(error, r, option->name, "no memory");
	return sea_error_set(error, r, option->name, "is '%.200s', which is no %s", word,
	                     sea_value_type_name(option->type));
}

/* The value of an array: words are items, or lists of items that commas separate where they are no strings. */
static int option_array(const struct sea_option *option, char *const *words, size_t n_words,
                        struct sea_value **ret_value)
{
	struct sea_value strings = { .type = SEA_VALUE_STRING_ARRAY,
		                     .n_items = n_words,
		                     .as.strings = (const char *const *)words };
	SEAI_AUTO_FREE char *joined = NULL;
	size_t n_bytes = 1;

	if (option->type == SEA_VALUE_STRING_ARRAY)
		return seai_value_copy(&strings, ret_value);
	n_bytes += sea_value_text(&strings, NULL, 0);
	joined = malloc(n_bytes);
	if (!joined)
		return -ENOMEM;
	sea_value_text(&strings, joined, n_bytes);
	return seai_value_parse(option->type, joined, ret_value);
}

int seai_option_value(const struct sea_option *option, char *const *words, size_t n_words, struct sea_value **ret_value,
                      struct sea_error *error)
{
	enum sea_value_type type = option->type ? option->type : SEA_VALUE_STRING;
	const char *word = n_words ? words[n_words - 1] : "";
	SEAI_AUTO_FREE struct sea_value *value = NULL;
	SEAI_AUTO_FREE char *spelled = NULL;
	bool flag;
	int r;

	if (option->choices && type == SEA_VALUE_STRING) {
		size_t n = 0;
		const char *choice = option_choice(option, word, &n);

		/* Where true and false are choices, so are the other words for them. */
		if (!choice && seai_text_bool(word, &flag) == 0)
			choice = option_choice(option, flag ? "true" : "false", &n);
		if (!choice)
			return sea_error_set(error, -EINVAL, option->name, "is '%.60s', which is none of %s", word,
			                     option->choices);
		spelled = strndup(choice, n);
		if (!spelled)
			return option_wrong(option, -ENOMEM, word, error);
		word = spelled;
	}
	if (seai_option_is_array(option)) {
		r = option_array(option, words, n_words, &value);
	} else if (option->is_size && type == SEA_VALUE_UINT) {
		struct sea_value size = { .type = SEA_VALUE_UINT };

		r = seai_text_size(word, &size.as.uinteger);
		if (r == 0)
			r = seai_value_copy(&size, &value);
	} else {
		r = seai_value_parse(type, word, &value);
	}
	if (r < 0 || !value)
		return option_wrong(option, r, word, error);
	r = option_check_range(option, value, word, error);
	if (r == 0)
		*ret_value = SEAI_TAKE(value);
	return r;
}

/* Which there are. ------------------------------------------------------------------------ */

void seai_option_forget(struct seai_option *option)
{
	for (size_t i = 0; i < option->n_words; i++)
		free(option->words[i]);
	free(option->words);
	option->words = NULL;
	option->n_words = 0;
}

static void option_fini(struct seai_option *option)
{
	seai_option_forget(option);
	for (size_t i = 0; i < sizeof(option->strings) / sizeof(option->strings[0]); i++)
		free(option->strings[i]);
	free(option->own_default);
}

int sea_options_new(struct sea_options **ret_options)
{
	struct sea_options *options = calloc(1, sizeof(*options));
	size_t n_items = 0;

	while (seai_option_table[n_items].name)
		n_items++;
	if (options)
		options->items = calloc(n_items + 1, sizeof(*options->items));
	if (!options || !options->items || sea_properties_new(&options->properties) < 0) {
		sea_options_free(options);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_items; i++)
		options->items[i].public = seai_option_table[i];
	options->n_items = n_items;
	*ret_options = options;
	return 0;
}

struct sea_options *sea_options_free(struct sea_options *options)
{
	if (!options)
		return NULL;
	for (size_t i = 0; i < options->n_items; i++)
		option_fini(&options->items[i]);
	free(options->items);
	free(options->program);
	sea_channel_list_fini(&options->channels);
	sea_properties_free(options->properties);
	free(options);
	return NULL;
}

/* Whether text would do as a value. */
static int option_try(const struct sea_option *option, const char *text)
{
	SEAI_AUTO_FREE struct sea_value *value = NULL;
	SEAI_AUTO_FREE char **words = NULL;
	char *one = (char *)text;
	size_t n_words = 1;

	if (seai_option_is_array(option) && seai_option_cut(text, &words, &n_words) < 0)
		return -ENOMEM;
	return seai_option_value(option, words ? words : &one, n_words, &value, NULL);
}

static bool option_is_well_formed(const struct sea_option *option)
{
	size_t n = option->name ? strlen(option->name) : 0;

	return n > 0 && n <= NAME_N_BYTES_MAX && option->name[0] != '-' &&
	       strspn(option->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == n &&
	       (unsigned)option->type <= SEA_VALUE_STRING_ARRAY && (unsigned)option->effect <= SEA_OPTION_REFUSED &&
	       option->min <= option->max;
}

int sea_options_add(struct sea_options *options, const struct sea_option *option)
{
	struct seai_option added = { .public = *option };
	const char **members[] = { &added.public.name, &added.public.default_text, &added.public.help,
		                   &added.public.note, &added.public.choices,      &added.public.section };
	struct seai_option *items;
	int r = option_is_well_formed(option) && !options->is_parsed ? 0 : -EINVAL;

	if (r == 0 && option->default_text)
		r = option_try(option, option->default_text);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	if (seai_options_find(options, option->name, strlen(option->name)) ||
	    seai_options_find_short(options, option->short_name))
		return -EEXIST;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && r == 0; i++) {
		if (!*members[i])
			continue;
		added.strings[i] = strdup(*members[i]);
		*members[i] = added.strings[i];
		r = added.strings[i] ? 0 : -ENOMEM;
	}
	items = r == 0 ? realloc(options->items, (options->n_items + 1) * sizeof(*items)) : NULL;
	if (!items) {
		option_fini(&added);
		return -ENOMEM;
	}
	items[options->n_items++] = added;
	options->items = items;
	return 0;
}

int sea_options_set_default(struct sea_options *options, const char *name, const char *default_text)
{
	struct seai_option *option = seai_options_find(options, name, strlen(name));
	char *copy;
	int r;

	if (!option)
		return -ENOENT;
	r = default_text && !options->is_parsed ? option_try(&option->public, default_text) : -EINVAL;
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	copy = strdup(default_text);
	if (!copy)
		return -ENOMEM;
	free(option->own_default);
	option->own_default = copy;
	option->public.default_text = copy;
	return 0;
}

void sea_options_on_warning(struct sea_options *options, sea_warning_fn function, void *userdata)
{
	options->warning = function;
	options->userdata = userdata;
}

struct sea_properties *sea_options_properties(struct sea_options *options)
{
	return options->properties;
}

const struct sea_channel_list *sea_options_channels(const struct sea_options *options)
{
	return &options->channels;
}

const struct sea_shm_options *sea_options_shm(const struct sea_options *options)
{
	return &options->shm;
}

const struct sea_option *sea_options_at(const struct sea_options *options, size_t i)
{
	return i < options->n_items ? &options->items[i].public : NULL;
}

const struct sea_option *sea_options_find(const struct sea_options *options, const char *name)
{
	const struct seai_option *option = seai_options_find(options, name, strlen(name));

	return option ? &option->public : NULL;
}

/* What is printed. ------------------------------------------------------------------------- */

static void print_help_line(const struct sea_option *option, FILE *out)
{
	char left[96], letter[8] = "";

	if (option->short_name)
		snprintf(letter, sizeof(letter), "-%c, ", option->short_name);
	snprintf(left, sizeof(left), "  %s--%s%s", letter, option->name, option->type == SEA_VALUE_BOOL ? "" : " ARG");
	fprintf(out, "%-36s %s", left, option->help ? option->help : "");
	if (option->choices)
		fprintf(out, " (%s)", option->choices);
	if (option->default_text && *option->default_text)
		fprintf(out, " [%s]", option->default_text);
	if (option->effect != SEA_OPTION_HONOURED)
		fprintf(out, " - %s: %s", option->effect == SEA_OPTION_REFUSED ? "refused" : "no effect",
		        option->note ? option->note : "");
	fputc('\n', out);
}

static void print_help(const struct sea_options *options, FILE *out)
{
	const char *section = "";

	fprintf(out, "%s [OPTIONS]\n", options->program ? options->program : "device");
	for (size_t i = 0; i < options->n_items; i++) {
		const struct sea_option *option = &options->items[i].public;
		const char *its_section = option->section ? option->section : "Options of this program";

		if (strcmp(section, its_section) != 0)
			fprintf(out, "\n%s\n", its_section);
		section = its_section;
		print_help_line(option, out);
	}
	fputs("\nEach may be given by the environment as well: --log-format is $SEALANE_LOG_FORMAT.\n", out);
}

/* FairMQ's names of types: scripts read them. */
static const char *fairmq_type_name(enum sea_value_type type)
{
	static const char *const names[] = { "string",        "bool",          "int",
		                             "uint64_t",      "float",         "string",
		                             "vector<bool>",  "vector<int>",   "vector<uint64_t>",
		                             "vector<float>", "vector<string>" };

	return (unsigned)type <= SEA_VALUE_STRING_ARRAY ? names[type] : "<unknown>";
}

/* A property as text. NULL: it is not there, or there is no memory. */
static char *property_text(struct sea_properties *properties, const char *key)
{
	int n = sea_properties_get_text(properties, key, NULL, 0);
	char *text = n < 0 ? NULL : malloc((size_t)n + 1);

	if (text)
		sea_properties_get_text(properties, key, text, (size_t)n + 1);
	return text;
}

static void print_options(const struct sea_options *options, FILE *out)
{
	for (size_t i = 0; i < options->n_items; i++) {
		const struct sea_option *option = &options->items[i].public;
		SEAI_AUTO_FREE char *text = property_text(options->properties, option->name);

		fprintf(out, "%s:%s:%s:%s\n", option->name, text ? text : "",
		        text ? fairmq_type_name(option->type) : "<unknown>", option->help ? option->help : "");
	}
}

static void print_property(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	FILE *out = userdata;
	size_t n_bytes = sea_value_text(value, NULL, 0) + 1;
	SEAI_AUTO_FREE char *text = malloc(n_bytes);

	if (text)
		sea_value_text(value, text, n_bytes);
	fprintf(out, "%-36s = %-24s [%s]\n", key, text ? text : "", origin);
}

int sea_options_print(struct sea_options *options, FILE *out)
{
	int r;

	for (size_t i = 0; i < options->n_items; i++) {
		const char *name = options->items[i].public.name;
		SEAI_AUTO_FREE char *text = property_text(options->properties, name);
		char origin[300] = "not given";

		sea_properties_origin(options->properties, name, origin, sizeof(origin));
		fprintf(out, "%-36s = %-24s [%s]\n", name, text ? text : "", origin);
	}
	r = sea_properties_list(options->properties, "chans.", print_property, out);
	if (r < 0)
		return r;
	return fflush(out) || ferror(out) ? -EIO : 0;
}

int sea_options_answer(struct sea_options *options, FILE *out)
{
	unsigned version = sea_version();

	if (sea_properties_bool_or(options->properties, "help", false))
		print_help(options, out);
	else if (sea_properties_bool_or(options->properties, "version", false))
		fprintf(out, "sealane %u.%u.%u\n", version / 10000, version / 100 % 100, version % 100);
	else if (sea_properties_bool_or(options->properties, "print-options", false))
		print_options(options, out);
	else if (sea_properties_bool_or(options->properties, "print-config", false))
		return sea_options_print(options, out) < 0 ? -EIO : 1;
	else
		return 0;
	return fflush(out) || ferror(out) ? -EIO : 1;
}
