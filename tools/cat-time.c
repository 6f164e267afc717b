/* SPDX-License-Identifier: Apache-2.0 */
/* Times of all units as ISO 8601, and decimals of up to 256 bits. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cat.h"

static const int64_t unit_per_s[] = { 1, 1000, 1000000, 1000000000 };
static const char *const unit_names[] = { "s", "ms", "us", "ns" };

/* Rounds down, also below 0. */
static int64_t floor_divide(int64_t value, int64_t by, int64_t *ret_rest)
{
	int64_t quotient = value / by, rest = value % by;

	if (rest < 0) {
		rest += by;
		quotient--;
	}
	*ret_rest = rest;
	return quotient;
}

/* The date of a day since 1970, in the calendar of today for all times. */
static void day_add(struct cat_text *text, int64_t day)
{
	int64_t rest, year, month;
	/* Years that begin in March have their leap day at the end; 400 of them have 146097 days. */
	int64_t era = floor_divide(day + 719468, 146097, &rest);
	int64_t year_of_era = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
	int64_t day_of_year = rest - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;

	month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	year = era * 400 + year_of_era + (month <= 2);
	cat_text_printf(text, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year, month,
	                day_of_year - (153 * month_from_march + 2) / 5 + 1);
}

/* A second of a day, and the part behind the point with as many digits as the unit has. */
static void clock_add(struct cat_text *text, int64_t second, int64_t part, int unit)
{
	cat_text_printf(text, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, second / 3600, second / 60 % 60, second % 60);
	if (unit)
		cat_text_printf(text, ".%0*" PRId64, 3 * unit, part);
}

void cat_time_add(struct cat_text *text, const struct sea_arrow_type *type, int64_t value)
{
	int unit = type->unit & 3;
	int64_t second, part, day;

	switch (type->id) {
	case SEA_ARROW_DATE: day_add(text, type->bits == 32 ? value : floor_divide(value, 86400000, &part)); return;
	case SEA_ARROW_TIME:
		second = floor_divide(value, unit_per_s[unit], &part);
		if (second < 0 || second > 86400)
			cat_text_printf(text, "%" PRId64 " %s", value, unit_names[unit]);
		else
			clock_add(text, second, part, unit);
		return;
	case SEA_ARROW_TIMESTAMP:
		second = floor_divide(value, unit_per_s[unit], &part);
		day = floor_divide(second, 86400, &second);
		day_add(text, day);
		cat_text_add(text, "T", 1);
		clock_add(text, second, part, unit);
		/* With a timezone, whichever, the value is of UTC. */
		if (type->timezone)
			cat_text_add(text, "Z", 1);
		return;
	default: cat_text_printf(text, "%" PRId64 " %s", value, unit_names[unit]); return;
	}
}

/* Divides a number of several words, the least first, by ten. @return the rest */
static unsigned words_divide(uint32_t *words, size_t n_words)
{
	uint64_t rest = 0;

	for (size_t i = n_words; i-- > 0;) {
		rest = rest << 32 | words[i];
		words[i] = (uint32_t)(rest / 10);
		rest %= 10;
	}
	return (unsigned)rest;
}

static bool words_are_zero(const uint32_t *words, size_t n_words)
{
	for (size_t i = 0; i < n_words; i++)
		if (words[i])
			return false;
	return true;
}

void cat_decimal_add(struct cat_text *text, const struct sea_arrow_type *type, const void *bytes, size_t n_bytes)
{
	uint32_t words[8] = { 0 };
	size_t n_words = n_bytes / 4;
	char digits[100];
	int n = 0, scale = type->scale;
	bool is_negative;

	memcpy(words, bytes, n_bytes <= sizeof(words) ? n_bytes : sizeof(words));
	is_negative = words[n_words - 1] >> 31;
	if (is_negative) {
		uint64_t carry = 1;

		for (size_t i = 0; i < n_words; i++) {
			carry += (uint32_t)~words[i];
			words[i] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	/* One digit in front of the point; scales outside of the digits there are become exponents. */
	while (n < 80 && (!words_are_zero(words, n_words) || n == 0 || (scale > 0 && scale < 80 && n <= scale)))
		digits[n++] = (char)('0' + words_divide(words, n_words));
	if (is_negative)
		cat_text_add(text, "-", 1);
	while (n-- > 0) {
		cat_text_add(text, &digits[n], 1);
		if (n == scale && n > 0)
			cat_text_add(text, ".", 1);
	}
	if (scale < 0 || scale >= 80)
		cat_text_printf(text, "e%d", -scale);
}
