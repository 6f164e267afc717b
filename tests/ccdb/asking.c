/* SPDX-License-Identifier: Apache-2.0 */
/* A client and the scripted server that it asks; see asking.h. */
#include "asking.h"

struct sea_ccdb_client *asking_client(const char *url)
{
	struct sea_ccdb_client_options options = { .url = url, .backoff_ms = 1, .no_environment = true };
	struct sea_ccdb_client *client;
	struct sea_error error;

	if (sea_ccdb_client_new(&client, &options, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	return client;
}

void asking_wait(struct sea_ccdb_client *client, const struct sea_ccdb_query *query, struct sea_ccdb_result *ret_result,
                 struct sea_error *error)
{
	CHECK_OK(sea_ccdb_client_get(client, query, ret_result, ASKING_PATIENCE_NS, error));
}

void asking_start(struct asking *asking, script_fn function, void *arg)
{
	*asking = (struct asking){ 0 };
	script_start(&asking->script, function, arg);
	asking->client = asking_client(asking->script.url);
}

void asking_stop(struct asking *asking)
{
	sea_ccdb_result_fini(&asking->result);
	sea_ccdb_client_free(asking->client);
	script_stop(&asking->script);
}

void asking_get(struct asking *asking, const struct sea_ccdb_query *query, struct sea_error *error)
{
	sea_ccdb_result_fini(&asking->result);
	asking_wait(asking->client, query, &asking->result, error);
}

bool asking_say_object(int fd, const struct script_request *request, void *arg)
{
	(void)request;
	(void)arg;
	return script_object(fd, script_uuid(7), 1000, 2000, 500, "hello");
}
