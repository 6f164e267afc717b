/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns of a cache as text: NAME=PATHS[,key=value]*, and which path counts in which run.
 *
 * The odd rule: ranges of runs include both their ends, and the first that fits counts, as in O2.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/cache.h>

/* A number up to end; false: there is none, or more than it. */
static bool column_number(const char *text, const char *end, int64_t *ret_number)
{
	int64_t number = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || number > (INT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (*text - '0');
	}
	*ret_number = number;
	return true;
}

/* One of the entries between semicolons. -1: malformed; 0: a path for all; 1: a range. */
static int column_entry(const char *entry, const char *end, int64_t *ret_low, int64_t *ret_high, const char **ret_path)
{
	const char *equals = memchr(entry, '=', (size_t)(end - entry)), *dash;

	*ret_low = 0;
	*ret_high = INT64_MAX;
	*ret_path = entry;
	if (!equals)
		return entry == end ? -1 : 0;
	dash = memchr(entry, '-', (size_t)(equals - entry));
	if (!dash || equals + 1 == end || (dash == entry && dash + 1 == equals))
		return -1;
	if ((dash > entry && !column_number(entry, dash, ret_low)) ||
	    (dash + 1 < equals && !column_number(dash + 1, equals, ret_high)) || *ret_low > *ret_high)
		return -1;
	*ret_path = equals + 1;
	return 1;
}

int sea_ccdb_column_path(const struct sea_ccdb_column *column, int64_t run, char *path, size_t n_bytes)
{
	const char *entry = column->paths;

	for (;;) {
		const char *end = strchrnul(entry, ';'), *found;
		int64_t low, high;
		int r = column_entry(entry, end, &low, &high, &found);

		if (r == 0 || (r == 1 && run >= low && run <= high)) {
			if ((size_t)(end - found) >= n_bytes)
				return -E2BIG;
			memcpy(path, found, (size_t)(end - found));
			path[end - found] = 0;
			return 0;
		}
		if (!*end)
			return -ENOENT;
		entry = end + 1;
	}
}

bool sea_ccdb_column_wants_run(const struct sea_ccdb_column *column)
{
	return column->run_mode != SEA_CCDB_RUN_NONE || column->is_per_run || strchr(column->paths, '=');
}

static int column_check_paths(const struct sea_ccdb_column *column, struct sea_error *error)
{
	const char *entry = column->paths;
	bool is_last = false;

	for (;;) {
		const char *end = strchrnul(entry, ';'), *path;
		int64_t low, high;
		int r = column_entry(entry, end, &low, &high, &path);

		if (r < 0)
			return sea_error_set(error, -EINVAL, column->name,
			                     "\"%.*s\" is neither a path nor a range of runs LOW-HIGH=PATH",
			                     (int)(end - entry), entry);
		if (is_last)
			return sea_error_set(error, -EINVAL, column->name,
			                     "\"%.*s\" stands behind a path that is good for every run",
			                     (int)(end - entry), entry);
		is_last = r == 0;
		if (!*end)
			return 0;
		entry = end + 1;
	}
}

/* check=N, check=Ts, check=never. */
static int column_set_check(struct sea_ccdb_column *column, const char *value, const char *end)
{
	const size_t n_value = (size_t)(end - value);
	int64_t number;

	if (n_value == 5 && memcmp(value, "never", 5) == 0) {
		column->is_checked_never = true;
		return 0;
	}
	if (n_value > 1 && end[-1] == 's' && column_number(value, end - 1, &number) && number <= 1000000) {
		column->check_every_ns = number * INT64_C(1000000000);
		return 0;
	}
	if (!column_number(value, end, &number) || number < 1 || number > UINT32_MAX)
		return -EINVAL;
	column->check_every_n_tables = (uint32_t)number;
	return 0;
}

static int column_set(struct sea_ccdb_column *column, const char *key, const char *end, struct sea_error *error)
{
	const size_t n = (size_t)(end - key);

	if (n == 5 && memcmp(key, "run=", 4) == 0 && key[4] >= '0' && key[4] <= '2') {
		column->run_mode = (enum sea_ccdb_run_mode)(key[4] - '0');
		return 0;
	}
	if (n == 7 && memcmp(key, "per=", 4) == 0 &&
	    (memcmp(key + 4, "row", 3) == 0 || memcmp(key + 4, "run", 3) == 0)) {
		column->is_per_run = key[5] == 'u';
		return 0;
	}
	if (n > 6 && memcmp(key, "check=", 6) == 0 && column_set_check(column, key + 6, end) == 0)
		return 0;
	return sea_error_set(
		error, -EINVAL, column->name,
		"\"%.*s\" is none of run=0, run=1, run=2, per=row, per=run, check=N (tables), check=Ns (seconds), check=never",
		(int)n, key);
}

int sea_ccdb_column_parse(struct sea_ccdb_column *ret_column, const char *text, struct sea_error *error)
{
	struct sea_ccdb_column column = { 0 };
	const char *equals = strchr(text, '='), *end;
	int r;

	if (!equals || equals == text || (size_t)(equals - text) >= sizeof(column.name))
		return sea_error_set(error, -EINVAL, "column", "\"%s\" is not NAME=PATH, the name of at most %zu bytes",
		                     text, sizeof(column.name) - 1);
	memcpy(column.name, text, (size_t)(equals - text));
	end = strchrnul(equals + 1, ',');
	if (end == equals + 1 || (size_t)(end - equals - 1) >= sizeof(column.paths))
		return sea_error_set(error, -EINVAL, column.name, "has no path, or one of more than %zu bytes",
		                     sizeof(column.paths) - 1);
	memcpy(column.paths, equals + 1, (size_t)(end - equals - 1));
	r = column_check_paths(&column, error);
	while (r == 0 && *end) {
		const char *key = end + 1;

		end = strchrnul(key, ',');
		r = column_set(&column, key, end, error);
	}
	if (r == 0)
		*ret_column = column;
	return r;
}
