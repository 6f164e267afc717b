/* SPDX-License-Identifier: Apache-2.0 */
/* The header Range, and dates as HTTP writes them. */
#include "ccdb/range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Digits. @return whether there were any; a number beyond 64 bits is the largest */
static bool range_number(const char **at, uint64_t *ret_number)
{
	const char *begin = *at;
	uint64_t number = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**at - '0'), &number))
			number = UINT64_MAX;
	*ret_number = number;
	return *at > begin;
}

int seai_range_parse(const char *text, uint64_t n_bytes, uint64_t *ret_first, uint64_t *ret_n_bytes)
{
	uint64_t first, last;
	bool has_first, has_last;

	if (strncasecmp(text, "bytes=", 6) != 0)
		return 0;
	text += 6;
	if (strchr(text, ','))
		return 0;
	text += strspn(text, " ");
	has_first = range_number(&text, &first);
	if (*text++ != '-')
		return -ERANGE;
	has_last = range_number(&text, &last);
	text += strspn(text, " ");
	if (*text || (!has_first && !has_last) || (has_first && has_last && last < first))
		return -ERANGE;
	if (!has_first) {
		/* The last so many bytes. */
		first = last < n_bytes ? n_bytes - last : 0;
		if (last == 0 || n_bytes == 0)
			return -ERANGE;
		last = n_bytes - 1;
	}
	if (first >= n_bytes)
		return -ERANGE;
	if (!has_last || last >= n_bytes)
		last = n_bytes - 1;
	*ret_first = first;
	*ret_n_bytes = last - first + 1;
	return 1;
}

char *seai_http_date(int64_t time_ms, char text[static SEAI_DATE_N_BYTES])
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const time_t time_s = (time_t)(time_ms / 1000);
	struct tm parts;

	/* Not strftime(): that speaks the user's language. */
	if (!gmtime_r(&time_s, &parts) || parts.tm_year < 0 || parts.tm_year > 8000) {
		text[0] = 0;
		return text;
	}
	snprintf(text, SEAI_DATE_N_BYTES, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3L * parts.tm_wday,
	         parts.tm_mday, months + 3L * parts.tm_mon, 1900 + parts.tm_year, parts.tm_hour, parts.tm_min,
	         parts.tm_sec);
	return text;
}
