/* SPDX-License-Identifier: Apache-2.0 */
/* The client's log. People grep it for "ccdb reads URL/PATH/FROM/UUID for TIME (load to memory, agent_id: ...)", so that stays as it is. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ccdb/client.h"

void seai_client_log(const struct sea_ccdb_client *client, enum sea_ccdb_level level, const char *format, ...)
{
	va_list arguments;
	char *line = NULL;

	if (!client->options.log)
		return;
	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) < 0)
		line = NULL;
	va_end(arguments);
	client->options.log(level, line ? line : "no memory for a line of the log", client->options.log_userdata);
	free(line);
}

void seai_client_log_answer(const struct sea_ccdb_client *client, enum sea_ccdb_level level, const char *url,
                            const char *path, const struct sea_ccdb_version *version, int64_t timestamp_ms,
                            const char *how, size_t n_bytes, int64_t spent_ns)
{
	if (!client->options.log)
		return;
	seai_client_log(client, level,
	                "ccdb reads %s/%s/%" PRId64 "/%s for %" PRId64
	                " (load to memory, agent_id: %s): %s, valid %" PRId64 " to %" PRId64 ", %zu bytes, %.3f ms",
	                url, path, version->valid_from_ms, version->uuid, timestamp_ms, client->user_agent, how,
	                version->valid_from_ms, version->valid_until_ms, n_bytes, (double)spent_ns / 1e6);
}
