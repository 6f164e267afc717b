/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading from a CCDB: objects, wherever they are, and listings.
 *
 * The odd rule: what a sink has taken cannot be taken back, so after its first byte no other place is tried.
 */
#include "ccdb/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Whether an earlier header of the same hop names the same place. */
static bool place_is_known(const struct seai_remote_answer *answer, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcasecmp(answer->headers[k].key +
		                       (strncasecmp(answer->headers[k].key, "Content-", 8) == 0 ? 8 : 0),
		               "Location") == 0 &&
		    strcmp(answer->headers[k].value, answer->headers[i].value) == 0)
			return true;
	return false;
}

/* Tries each place that the first answer names. */
static int remote_follow(struct sea_ccdb_remote *remote, struct seai_remote_answer *answer, struct sea_error *error)
{
	const size_t n_headers = answer->public.n_headers;
	int r = sea_error_set(error, -EPROTO, "", "%s: %d names no place that can be read by HTTP", answer->public.url,
	                      answer->public.status);

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n_headers; i++) {
			char *url;

			if (strcasecmp(answer->headers[i].key, pass ? "Content-Location" : "Location") != 0 ||
			    (pass && place_is_known(answer, i)))
				continue;
			url = seai_remote_place(remote, answer->headers[i].value);
			if (!url)
				continue;
			seai_remote_prepare(remote, answer, 0);
			r = seai_remote_perform(remote, answer, url, NULL, error);
			if (r == 0 && answer->public.status == 200)
				return seai_remote_answer_check(answer, error);
			if (r == 0)
				r = seai_remote_answer_error(answer, error);
			/* What the sink has taken cannot be taken back; and its own error is final. */
			if (answer->error < 0 ||
			    (answer->sink && answer->public.n_bytes > 0 && answer->public.status == 200))
				return r;
		}
	}
	return r;
}

int sea_ccdb_remote_get(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int head,
                        sea_ccdb_sink_fn *sink, void *userdata, struct sea_ccdb_answer **ret_answer,
                        struct sea_error *error)
{
	SEAI_CLEANUP(seai_remote_answer_cleanup) struct seai_remote_answer *answer = seai_remote_answer_new(remote);
	int r = seai_remote_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	answer->sink = sink;
	answer->userdata = userdata;
	r = seai_remote_ask(remote, head ? "HEAD" : "GET", "", address, NULL, 0, NULL, answer, error);
	if (r < 0)
		return r;
	if (answer->public.status == 200)
		r = head ? 0 : seai_remote_answer_check(answer, error);
	else if (answer->public.status >= 301 && answer->public.status <= 308 && answer->public.status != 304)
		r = head ? 0 : remote_follow(remote, answer, error);
	else
		r = seai_remote_answer_error(answer, error);
	if (r < 0)
		return r;
	*ret_answer = &SEAI_TAKE(answer)->public;
	return 0;
}

int sea_ccdb_remote_browse(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int latest,
                           uint64_t n_max, struct sea_ccdb_answer **ret_answer, struct sea_error *error)
{
	SEAI_CLEANUP(seai_remote_answer_cleanup) struct seai_remote_answer *answer = seai_remote_answer_new(remote);
	char limit[64];
	const char *more[] = { "Accept: application/json", n_max ? limit : NULL, NULL };
	int r = seai_remote_check(address, true, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	snprintf(limit, sizeof(limit), "Browse-Limit: %" PRIu64, n_max);
	r = seai_remote_ask(remote, "GET", latest ? "latest/" : "browse/", address, NULL, 0, more, answer, error);
	if (r == 0 && answer->public.status != 200)
		r = seai_remote_answer_error(answer, error);
	if (r < 0)
		return r;
	*ret_answer = &SEAI_TAKE(answer)->public;
	return 0;
}
