/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading properties: by key, by type, and queries.
 *
 * The odd rule: the lock is held only to take references; what is read, compared and handed out afterwards cannot change.
 */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/properties.h"
#include "device/value.h"

int sea_properties_get(struct sea_properties *properties, const char *key, struct sea_value **ret_value)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	return entry ? seai_value_copy(entry->value, ret_value) : -ENOENT;
}

enum sea_value_type sea_properties_type(struct sea_properties *properties, const char *key)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	return entry ? entry->value->type : SEA_VALUE_NONE;
}

int sea_properties_get_bool(struct sea_properties *properties, const char *key, bool *ret_value)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type != SEA_VALUE_BOOL)
		return -EPROTOTYPE;
	*ret_value = entry->value->as.boolean;
	return 0;
}

int sea_properties_get_int(struct sea_properties *properties, const char *key, int64_t *ret_value)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type == SEA_VALUE_UINT) {
		if (entry->value->as.uinteger > INT64_MAX)
			return -ERANGE;
		*ret_value = (int64_t)entry->value->as.uinteger;
		return 0;
	}
	if (entry->value->type != SEA_VALUE_INT)
		return -EPROTOTYPE;
	*ret_value = entry->value->as.integer;
	return 0;
}

int sea_properties_get_uint(struct sea_properties *properties, const char *key, uint64_t *ret_value)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type == SEA_VALUE_INT) {
		if (entry->value->as.integer < 0)
			return -ERANGE;
		*ret_value = (uint64_t)entry->value->as.integer;
		return 0;
	}
	if (entry->value->type != SEA_VALUE_UINT)
		return -EPROTOTYPE;
	*ret_value = entry->value->as.uinteger;
	return 0;
}

int sea_properties_get_double(struct sea_properties *properties, const char *key, double *ret_value)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type == SEA_VALUE_INT)
		*ret_value = (double)entry->value->as.integer;
	else if (entry->value->type == SEA_VALUE_UINT)
		*ret_value = (double)entry->value->as.uinteger;
	else if (entry->value->type == SEA_VALUE_DOUBLE)
		*ret_value = entry->value->as.real;
	else
		return -EPROTOTYPE;
	return 0;
}

int sea_properties_get_string(struct sea_properties *properties, const char *key, char **ret_value)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);
	char *copy;

	if (!entry)
		return -ENOENT;
	if (entry->value->type != SEA_VALUE_STRING)
		return -EPROTOTYPE;
	copy = strdup(entry->value->as.string);
	if (!copy)
		return -ENOMEM;
	*ret_value = copy;
	return 0;
}

bool sea_properties_bool_or(struct sea_properties *properties, const char *key, bool otherwise)
{
	bool value = otherwise;

	(void)sea_properties_get_bool(properties, key, &value);
	return value;
}

int64_t sea_properties_int_or(struct sea_properties *properties, const char *key, int64_t otherwise)
{
	int64_t value = otherwise;

	(void)sea_properties_get_int(properties, key, &value);
	return value;
}

uint64_t sea_properties_uint_or(struct sea_properties *properties, const char *key, uint64_t otherwise)
{
	uint64_t value = otherwise;

	(void)sea_properties_get_uint(properties, key, &value);
	return value;
}

double sea_properties_double_or(struct sea_properties *properties, const char *key, double otherwise)
{
	double value = otherwise;

	(void)sea_properties_get_double(properties, key, &value);
	return value;
}

char *sea_properties_string_or(struct sea_properties *properties, const char *key, const char *otherwise)
{
	char *value = NULL;
	int r = sea_properties_get_string(properties, key, &value);

	if (r == -ENOENT || r == -EPROTOTYPE)
		return otherwise ? strdup(otherwise) : NULL;
	return value;
}

int sea_properties_get_text(struct sea_properties *properties, const char *key, char *text, size_t n_bytes)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	return entry ? (int)sea_value_text(entry->value, text, n_bytes) : -ENOENT;
}

int sea_properties_origin(struct sea_properties *properties, const char *key, char *text, size_t n_bytes)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = seai_properties_find(properties, key);

	return entry ? snprintf(text, n_bytes, "%s", entry->origin) : -ENOENT;
}

/* Queries. ------------------------------------------------------------------------------- */

static int entry_compare(const void *a, const void *b)
{
	const struct seai_entry *const *left = a, *const *right = b;

	return strcmp((*left)->key, (*right)->key);
}

/* Calls function for the entries that match, in order, as they were at one moment. */
static int properties_query(struct sea_properties *properties, const char *prefix, const regex_t *regex,
                            sea_property_fn function, void *userdata)
{
	size_t n_prefix = strlen(prefix), n_found = 0, n_called = 0;
	struct seai_entry **found;

	pthread_mutex_lock(&properties->lock);
	found = calloc(properties->n_entries + 1, sizeof(struct seai_entry *));
	for (size_t i = 0; found && i < properties->n_buckets; i++)
		for (struct seai_entry *entry = properties->buckets[i]; entry; entry = entry->next)
			if (strncmp(entry->key, prefix, n_prefix) == 0)
				found[n_found++] = seai_entry_ref(entry);
	pthread_mutex_unlock(&properties->lock);
	if (!found)
		return -ENOMEM;
	qsort(found, n_found, sizeof(struct seai_entry *), entry_compare);
	for (size_t i = 0; i < n_found; i++) {
		regmatch_t match;

		if (!regex || (regexec(regex, found[i]->key, 1, &match, 0) == 0 && match.rm_so == 0 &&
		               !found[i]->key[match.rm_eo])) {
			function(found[i]->key, found[i]->value, found[i]->origin, userdata);
			n_called++;
		}
		seai_entry_unref(found[i]);
	}
	free(found);
	return (int)n_called;
}

int sea_properties_list(struct sea_properties *properties, const char *prefix, sea_property_fn function, void *userdata)
{
	return properties_query(properties, prefix ? prefix : "", NULL, function, userdata);
}

int sea_properties_match(struct sea_properties *properties, const char *regex, sea_property_fn function, void *userdata)
{
	regex_t compiled;
	int r = regcomp(&compiled, regex, REG_EXTENDED);

	if (r)
		return r == REG_ESPACE ? -ENOMEM : -EINVAL;
	r = properties_query(properties, "", &compiled, function, userdata);
	regfree(&compiled);
	return r;
}
