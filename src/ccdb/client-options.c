/* SPDX-License-Identifier: Apache-2.0 */
/* A client's options: what is said, else what the environment says, else the default. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ccdb/client.h"

/* So that a factor of two never overflows, and libcurl's long has room everywhere. */
#define MS_MAX (INT32_MAX / 4)

static void number_default(uint32_t *number, uint32_t otherwise)
{
	if (*number == 0)
		*number = otherwise;
	if (*number > MS_MAX)
		*number = MS_MAX;
}

/* O2's variable is in seconds. */
static int options_timeout(struct sea_ccdb_client_options *options, struct sea_error *error)
{
	const char *name = "ALICEO2_CCDB_CURL_TIMEOUT_DOWNLOAD", *text = getenv(name);
	int64_t seconds;

	if (options->timeout_ms || options->no_environment || !text || !*text)
		return 0;
	if (seai_number_parse(text, &seconds) < 0 || seconds < 1 || seconds > MS_MAX / 1000)
		return sea_error_set(error, -EINVAL, name, "\"%s\" is no number of seconds", text);
	options->timeout_ms = (uint32_t)seconds * 1000;
	return 0;
}

/* As O2: the folder of snapshots stands before all servers where that is asked for, without a look at times. */
static int options_snapshot(struct sea_ccdb_client *client, const char *dir, struct sea_error *error)
{
	const char *ignore = getenv("IGNORE_VALIDITYCHECK_OF_CCDB_LOCALCACHE");
	SEAI_AUTO_FREE char *url = NULL;

	if (!ignore || !*ignore || strcmp(ignore, "0") == 0)
		return 0;
	if (asprintf(&url, "file://%s", dir) < 0) {
		url = NULL;
		return sea_error_set(error, -ENOMEM, "url", "no memory");
	}
	return seai_hosts_add(&client->hosts, url, "ALICEO2_CCDB_LOCALCACHE", error);
}

static int options_disk(struct sea_ccdb_client *client, struct sea_error *error)
{
	struct sea_ccdb_client_options *options = &client->options;
	const char *dir = options->disk_dir;
	int result;

	if (!dir && !options->no_environment) {
		dir = getenv("ALICEO2_CCDB_LOCALCACHE");
		if (dir && *dir) {
			result = options_snapshot(client, dir, error);
			if (result < 0)
				return result;
		}
	}
	if (!dir || !*dir)
		return 0;
	return seai_disk_open(&client->disk, dir, options->n_disk_bytes_max ? options->n_disk_bytes_max : 10ull << 30,
	                      error);
}

static int options_user_agent(struct sea_ccdb_client *client)
{
	char host[65] = "";
	uint32_t random;

	if (getrandom(&client->random, sizeof(client->random), GRND_NONBLOCK) != sizeof(client->random))
		client->random = (uint64_t)seai_now_ns() ^ (uint64_t)getpid() << 40;
	client->random |= 1;
	random = (uint32_t)(client->random >> 32);
	if (client->options.user_agent) {
		client->user_agent = strdup(client->options.user_agent);
		return client->user_agent ? 0 : -ENOMEM;
	}
	(void)gethostname(host, sizeof(host) - 1);
	if (asprintf(&client->user_agent, "%s-%d-%08" PRIx32, *host ? host : "host", (int)getpid(), random) < 0) {
		client->user_agent = NULL;
		return -ENOMEM;
	}
	return 0;
}

int seai_options_take(struct sea_ccdb_client *client, const struct sea_ccdb_client_options *given,
                      struct sea_error *error)
{
	struct sea_ccdb_client_options *options = &client->options;
	int result;

	*options = *given;
	if (options->user_agent && strpbrk(options->user_agent, "\r\n"))
		return sea_error_set(error, -EINVAL, "user_agent", "has more than one line");
	if (options->not_after_ms < 0 || options->not_before_ms < 0)
		return sea_error_set(error, -EINVAL, "not_after_ms", "bounds of creation are below 0");
	if (options->not_after_ms == 0)
		options->not_after_ms = SEA_CCDB_NOT_AFTER_MS;
	result = options_timeout(options, error);
	if (result < 0)
		return result;
	number_default(&options->connect_timeout_ms, 5000);
	number_default(&options->timeout_ms, 60000);
	number_default(&options->low_speed_bytes, 100);
	number_default(&options->low_speed_ms, 10000);
	number_default(&options->n_tries, 3);
	number_default(&options->backoff_ms, 100);
	number_default(&options->backoff_max_ms, 5000);
	number_default(&options->n_redirects_max, 8);
	number_default(&options->n_header_bytes_max, 64u << 10);
	number_default(&options->n_connections, 64);
	number_default(&options->n_versions_max, 65536);
	if (options->n_object_bytes_max == 0)
		options->n_object_bytes_max = UINT64_C(4) << 30;
	if (options->n_memory_bytes_max == 0)
		options->n_memory_bytes_max = 256u << 20;
	if (options_user_agent(client) < 0)
		return sea_error_set(error, -ENOMEM, "user_agent", "no memory");
	result = options_disk(client, error);
	if (result == 0)
		result = seai_hosts_add(&client->hosts, options->url ? options->url : "", "url", error);
	if (result == 0 && options->remap)
		result = seai_remap_parse(&client->remap, options->remap, error);
	if (result == 0 && client->hosts.n == 0)
		result = sea_error_set(error, -EINVAL, "url", "is missing: no host to ask");
	/* Strings are the caller's; what is wanted of them was taken. */
	options->url = options->remap = options->disk_dir = options->user_agent = NULL;
	return result;
}
