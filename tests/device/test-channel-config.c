/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of channels: FairMQ's validation matrix and suboption forms, names, addresses, properties. */
#include <stdio.h>
#include <string.h>

#include <sealane/device/device.h>

#include "test.h"

static struct sea_channel_config new_config(void)
{
	struct sea_channel_config config;

	CHECK_OK(sea_channel_config_init(&config, "data", 0));
	return config;
}

static void set(struct sea_channel_config *config, const char *key, const char *value)
{
	CHECK_OK(sea_channel_config_set(config, key, value, "command line", NULL));
}

/* What validation says of a pair channel with an address; -1 for an error. */
static int validate_address(const char *method, const char *address)
{
	struct sea_channel_config config = new_config();
	struct sea_error error = { 0 };
	int r;

	set(&config, "type", "pair");
	set(&config, "method", method);
	set(&config, "address", address);
	r = sea_channel_config_validate(&config, &error);
	if (r != 1)
		CHECK(error.key[0] && error.text[0]);
	sea_channel_config_fini(&config);
	return r;
}

TEST(defaults, "a configuration starts with FairMQ's defaults")
{
	static const char *const expected[SEA_CHANNEL_N_KEYS] = {
		"unspecified", "unspecified", "unspecified", "default", "1000",  "1000",  "0",   "0",
		"-1",          "-1",          "500",         "1",       "22000", "23000", "true"
	};
	struct sea_channel_config config = new_config();
	char text[40];

	for (size_t key = 0; key < SEA_CHANNEL_N_KEYS; key++) {
		CHECK_OK(sea_channel_config_get(&config, sea_channel_key_name(key), text, sizeof(text)));
		CHECK_STR_EQ(text, expected[key]);
		CHECK(!config.origins[key]);
	}
	CHECK(!sea_channel_key_name(SEA_CHANNEL_N_KEYS));
	CHECK_ERR(sea_channel_config_get(&config, "sndBuffSize", text, sizeof(text)), -ENOENT);
	sea_channel_config_fini(&config);
}

TEST(keys, "each key is set from text, with its origin, and refuses what is none of its values")
{
	static const struct {
		const char *key, *good, *bad;
		int r;
	} cases[] = {
		{ "type", "pull", "publish", -EINVAL },
		{ "method", "connect", "listen", -EINVAL },
		{ "address", "tcp://localhost:5555", NULL, 0 },
		{ "transport", "shmem", "nanomsg", -EINVAL },
		{ "sndBufSize", "10", "-1", -ERANGE },
		{ "rcvBufSize", "10", "many", -EINVAL },
		{ "sndKernelSize", "8000", "-1", -ERANGE },
		{ "rcvKernelSize", "8000", "2147483648", -ERANGE },
		{ "sndTimeoutMs", "100", "-2", -ERANGE },
		{ "rcvTimeoutMs", "100", "1.5", -EINVAL },
		{ "linger", "-1", "-2", -ERANGE },
		{ "rateLogging", "0", "-1", -ERANGE },
		{ "portRangeMin", "1024", "0", -ERANGE },
		{ "portRangeMax", "65535", "65536", -ERANGE },
		{ "autoBind", "false", "perhaps", -EINVAL },
	};
	struct sea_channel_config config = new_config(), copy;
	struct sea_error error;
	char text[40];

	CHECK_EQ(sizeof(cases) / sizeof(cases[0]), SEA_CHANNEL_N_KEYS);
	for (size_t i = 0; i < SEA_CHANNEL_N_KEYS; i++) {
		CHECK_STR_EQ(cases[i].key, sea_channel_key_name(i));
		if (cases[i].bad) {
			error = (struct sea_error){ 0 };
			CHECK_ERR(sea_channel_config_set(&config, cases[i].key, cases[i].bad, "o", &error), cases[i].r);
			CHECK_STR_EQ(error.key, cases[i].key);
			CHECK(strstr(error.text, cases[i].bad));
			CHECK(!config.origins[i]);
		}
		set(&config, cases[i].key, cases[i].good);
		CHECK_OK(sea_channel_config_get(&config, cases[i].key, text, sizeof(text)));
		CHECK_STR_EQ(text, cases[i].good);
		CHECK_STR_EQ(config.origins[i], "command line");
	}
	CHECK_ERR(sea_channel_config_set(&config, "name", "x", "o", &error), -ENOENT);
	CHECK_OK(sea_channel_config_copy(&copy, &config));
	sea_channel_config_fini(&config);
	CHECK_STR_EQ(copy.address, "tcp://localhost:5555");
	CHECK_EQ(copy.linger_ms, -1);
	CHECK_STR_EQ(copy.origins[SEA_CHANNEL_KEY_LINGER], "command line");
	CHECK_EQ(sea_channel_config_validate(&copy, NULL), 1);
	sea_channel_config_fini(&copy);
}

TEST(validation, "validation tells what is not yet valid from what never can be, as FairMQ's does")
{
	struct sea_channel_config config = new_config();
	struct sea_error error = { 0 };

	CHECK_ERR(sea_channel_config_validate(&config, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "type");
	set(&config, "type", "pair");
	CHECK_EQ(sea_channel_config_validate(&config, &error), 0);
	CHECK_STR_EQ(error.key, "address");
	set(&config, "address", "bla");
	CHECK_ERR(sea_channel_config_validate(&config, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "method");
	set(&config, "method", "connect");
	CHECK_EQ(sea_channel_config_validate(&config, &error), 0);
	CHECK_STR_EQ(error.key, "address");
	set(&config, "address", "tcp://localhost:5555");
	CHECK_EQ(sea_channel_config_validate(&config, &error), 1);
	/* And back. */
	set(&config, "address", "unspecified");
	CHECK_EQ(sea_channel_config_validate(&config, &error), 0);
	sea_channel_config_fini(&config);
}

TEST(addresses, "an address needs a known kind and something behind it")
{
	static const char *const invalid[] = { "ipc://",          "verbs://",         "inproc://", "tcp://",
		                               "memfd://",        "shmem://",         "udp://x",   "data",
		                               "tcp://localhost", "ipc://a,,ipc://b", "@" };
	static const char *const valid[] = { "tcp://localhost:5555", "tcp://*:*",     "ipc://name",
		                             "ipc://@abstract",      "inproc://name", "verbs://127.0.0.1:1",
		                             "memfd://name",         "shmem://name",  "tcp://a:1,tcp://b:2",
		                             "tcp://a:1;tcp://b:2" };

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		if (validate_address("connect", invalid[i]) != 0)
			FAIL("%s is not invalid", invalid[i]);
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
		if (validate_address("bind", valid[i]) != 1)
			FAIL("%s is not valid", valid[i]);
	CHECK_EQ(validate_address("unspecified", "@tcp://a:1,+ipc://b;>ipc://c"), 1);
	CHECK_EQ(validate_address("unspecified", "@tcp://a:1,ipc://b"), -EINVAL);
	CHECK_EQ(validate_address("connect", "tcp://localhost:5555,tcp://nowhere"), 0);
}

TEST(numbers, "a negative size or rate is an error whichever way it came in, a positive one is good")
{
	struct sea_channel_config config = new_config();
	int32_t *const numbers[] = { &config.snd_buf_size, &config.rcv_buf_size, &config.snd_kernel_size,
		                     &config.rcv_kernel_size, &config.rate_logging_s };
	static const char *const keys[] = { "sndBufSize", "rcvBufSize", "sndKernelSize", "rcvKernelSize",
		                            "rateLogging" };

	set(&config, "type", "pair");
	set(&config, "address", "@tcp://localhost:5555");
	for (int i = 0; i < 5; i++) {
		struct sea_error error = { 0 };

		*numbers[i] = -1;
		CHECK_ERR(sea_channel_config_validate(&config, &error), -EINVAL);
		CHECK_STR_EQ(error.key, keys[i]);
		*numbers[i] = 1000;
		CHECK_EQ(sea_channel_config_validate(&config, &error), 1);
	}
	config.port_range_min = 23001;
	CHECK_ERR(sea_channel_config_validate(&config, NULL), -EINVAL);
	sea_channel_config_fini(&config);
}

TEST(types, "all types of FairMQ are known; those of zeromq alone are refused over shared memory")
{
	static const char *const types[] = { "push", "pull", "pair", "req",    "rep",   "pub",
		                             "sub",  "xpub", "xsub", "dealer", "router" };
	struct sea_channel_config config = new_config();

	set(&config, "address", "@tcp://localhost:5555");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		set(&config, "type", types[i]);
		CHECK_STR_EQ(sea_channel_type_name(config.type), types[i]);
		set(&config, "transport", "zeromq");
		CHECK_EQ(sea_channel_config_validate(&config, NULL), 1);
		set(&config, "transport", "shmem");
		CHECK_EQ(sea_channel_config_validate(&config, NULL), i < 7 ? 1 : -ENOTSUP);
	}
	sea_channel_config_fini(&config);
}

TEST(names, "names have FairMQ's characters, and are taken apart into prefix and index")
{
	struct sea_channel_config config;
	char prefix[40];
	uint32_t i = 9;

	CHECK(sea_channel_name_is_legal("data-in_2#[0]"));
	CHECK(!sea_channel_name_is_legal(""));
	CHECK(!sea_channel_name_is_legal("data.in"));
	CHECK(!sea_channel_name_is_legal("data in"));
	CHECK_OK(sea_channel_name_split("data[12]", prefix, sizeof(prefix), &i));
	CHECK_STR_EQ(prefix, "data");
	CHECK_EQ(i, 12);
	CHECK_OK(sea_channel_name_split("data", prefix, sizeof(prefix), &i));
	CHECK_STR_EQ(prefix, "data");
	CHECK_EQ(i, 0);
	CHECK_ERR(sea_channel_name_split("data[]", NULL, 0, NULL), -EINVAL);
	CHECK_ERR(sea_channel_name_split("data[1", NULL, 0, NULL), -EINVAL);
	CHECK_ERR(sea_channel_name_split("data]", NULL, 0, NULL), -EINVAL);
	CHECK_ERR(sea_channel_name_split("[1]", NULL, 0, NULL), -EINVAL);
	CHECK_ERR(sea_channel_name_split("data[1]x", NULL, 0, NULL), -EINVAL);
	CHECK_ERR(sea_channel_name_split("data[4294967296]", NULL, 0, NULL), -EINVAL);
	CHECK_OK(sea_channel_config_init(&config, "data[3]", 0));
	CHECK_STR_EQ(config.name, "data");
	CHECK_EQ(config.i, 3);
	sea_channel_config_fini(&config);
	CHECK_OK(sea_channel_config_init(&config, "no good", 0));
	set(&config, "type", "pair");
	CHECK_EQ(sea_channel_config_validate(&config, NULL), 0);
	sea_channel_config_fini(&config);
}

TEST(endpoints, "several addresses are taken one by one, each with its method")
{
	const char *cursor = "tcp://a:1 , @tcp://b:2;+ipc://c;>ipc://@d ";
	struct sea_endpoint endpoint;
	char longest[600];

	CHECK_EQ(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_CONNECT, &endpoint), 1);
	CHECK_STR_EQ(endpoint.address, "tcp://a:1");
	CHECK(!endpoint.is_bound);
	CHECK_EQ(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_CONNECT, &endpoint), 1);
	CHECK_STR_EQ(endpoint.address, "tcp://b:2");
	CHECK(endpoint.is_bound);
	CHECK_EQ(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_BIND, &endpoint), 1);
	CHECK_STR_EQ(endpoint.address, "ipc://c");
	CHECK(!endpoint.is_bound);
	CHECK_EQ(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_UNSPECIFIED, &endpoint), 1);
	CHECK_STR_EQ(endpoint.address, "ipc://@d");
	CHECK_EQ(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_BIND, &endpoint), 0);
	cursor = "ipc://a";
	CHECK_ERR(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_UNSPECIFIED, &endpoint), -EINVAL);
	cursor = ",ipc://a";
	CHECK_ERR(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_BIND, &endpoint), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	cursor = longest;
	CHECK_ERR(sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_BIND, &endpoint), -ENAMETOOLONG);
}

/* --channel-config. ------------------------------------------------------------------------ */

struct warned {
	int n;
	struct sea_error last;
};

static void warn(const struct sea_error *warning, void *userdata)
{
	struct warned *warned = userdata;

	warned->n++;
	warned->last = *warning;
}

static int parse(struct sea_channel_list *list, const char *text, struct warned *warned, struct sea_error *error)
{
	*error = (struct sea_error){ 0 };
	return sea_channel_list_parse(list, text, "command line", false, warn, warned, error);
}

TEST(suboptions, "both forms of --channel-config make the same channel, one sub-channel per address")
{
	static const char *const forms[] = {
		"name=data,type=push,method=bind,address=ipc://x,transport=shmem,rateLogging=0,address=ipc://y",
		"data:type=push,method=bind,address=ipc://x,transport=shmem,rateLogging=0,address=ipc://y",
		"data:address=ipc://x,,address=ipc://y,type=push,method=bind,transport=shmem,rateLogging=0,",
	};
	struct warned warned = { 0 };
	struct sea_error error;

	for (int i = 0; i < 3; i++) {
		struct sea_channel_list list = { 0 };

		CHECK_OK(parse(&list, forms[i], &warned, &error));
		CHECK_EQ(list.n_channels, 2);
		CHECK_EQ(sea_channel_list_count(&list, "data"), 2);
		for (uint32_t at = 0; at < 2; at++) {
			const struct sea_channel_config *config = sea_channel_list_find(&list, "data", at);

			CHECK(config);
			CHECK_EQ(config->type, SEA_CHANNEL_TYPE_PUSH);
			CHECK_EQ(config->method, SEA_CHANNEL_METHOD_BIND);
			CHECK_EQ(config->transport, SEA_CHANNEL_TRANSPORT_SHMEM);
			CHECK_EQ(config->rate_logging_s, 0);
			CHECK_EQ(config->snd_buf_size, 1000);
			CHECK_STR_EQ(config->address, at ? "ipc://y" : "ipc://x");
			CHECK_STR_EQ(config->origins[SEA_CHANNEL_KEY_ADDRESS], "command line");
			CHECK_EQ(sea_channel_config_validate(config, NULL), 1);
		}
		CHECK(!sea_channel_list_find(&list, "data", 2));
		sea_channel_list_fini(&list);
	}
	CHECK_EQ(warned.n, 0);
}

TEST(all_suboptions, "every key is a suboption, and numSockets makes equal sub-channels")
{
	struct sea_channel_list list = { 0 };
	struct warned warned = { 0 };
	struct sea_error error;

	CHECK_OK(parse(&list,
	               "name=d[x],numSockets=3,type=sub,method=connect,transport=memfd,sndBufSize=1,rcvBufSize=2,"
	               "sndKernelSize=3,rcvKernelSize=4,sndTimeoutMs=5,rcvTimeoutMs=6,linger=7,rateLogging=8,"
	               "portRangeMin=9,portRangeMax=10,autoBind=0",
	               &warned, &error));
	CHECK_EQ(list.n_channels, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct sea_channel_config *config = sea_channel_list_find(&list, "d[x]", i);

		CHECK(config && !config->auto_bind && config->type == SEA_CHANNEL_TYPE_SUB);
		CHECK_EQ(config->snd_buf_size + 10 * config->rcv_buf_size + 100 * config->snd_kernel_size, 321);
		CHECK_EQ(config->rcv_kernel_size + 10 * config->snd_timeout_ms + 100 * config->rcv_timeout_ms, 654);
		CHECK_EQ(config->linger_ms + 10 * config->rate_logging_s + 100 * config->port_range_min, 987);
		CHECK_EQ(config->port_range_max, 10);
		CHECK_STR_EQ(config->address, "");
	}
	CHECK_EQ(warned.n, 0);
	CHECK_OK(parse(&list, "name=other,numSockets=2,address=ipc://x", &warned, &error));
	CHECK_EQ(warned.n, 1);
	CHECK_STR_EQ(warned.last.key, "address");
	CHECK_EQ(sea_channel_list_count(&list, "other"), 2);
	CHECK_STR_EQ(sea_channel_list_find(&list, "other", 0)->address, "");
	sea_channel_list_fini(&list);
}

TEST(wrong_suboptions, "an unknown suboption is one warning or, if strict, an error; what is malformed is an error")
{
	static const struct {
		const char *text, *key;
		int r;
	} cases[] = {
		{ "type=push", "name", -EINVAL },
		{ "name=,type=push", "name", -EINVAL },
		{ ":type=push", "name", -EINVAL },
		{ "", "name", -EINVAL },
		{ "data:type", "type", -EINVAL },
		{ "data:type=shove", "type", -EINVAL },
		{ "data:sndBufSize=-1", "sndBufSize", -ERANGE },
		{ "data:numSockets=x", "numSockets", -EINVAL },
		{ "data:numSockets=1000000000", "numSockets", -ERANGE },
		{ "taken:type=push", "name", -EEXIST },
	};
	struct sea_channel_list list = { 0 };
	struct warned warned = { 0 };
	struct sea_error error;
	char line[200];

	CHECK_OK(parse(&list, "taken:type=push", &warned, &error));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(&list, cases[i].text, &warned, &error) != cases[i].r)
			FAIL("%s", cases[i].text);
		CHECK_STR_EQ(error.key, cases[i].key);
		CHECK_STR_EQ(error.file, "command line");
		CHECK_EQ(error.code, cases[i].r);
		CHECK_EQ(list.n_channels, 1);
	}
	CHECK_EQ(warned.n, 0);
	CHECK_OK(parse(&list, "data:type=push,colour=red,shape=round", &warned, &error));
	CHECK_EQ(warned.n, 2);
	CHECK_STR_EQ(sea_error_line(&warned.last, line, sizeof(line)),
	             "command line: shape: is no key of a channel; it is ignored");
	CHECK_ERR(sea_channel_list_parse(&list, "strict:type=push,colour=red", "command line", true, warn, &warned,
	                                 &error),
	          -ENOENT);
	CHECK_STR_EQ(error.key, "colour");
	CHECK_EQ(warned.n, 2);
	CHECK_EQ(list.n_channels, 2);
	sea_channel_list_fini(&list);
}

/* Properties. ------------------------------------------------------------------------------ */

TEST(properties, "channels go into properties with types and origins, and come back as they were changed there")
{
	struct sea_channel_list list = { 0 }, loaded = { 0 };
	struct sea_properties *properties;
	struct warned warned = { 0 };
	struct sea_error error;
	char text[40];

	CHECK_OK(sea_properties_new(&properties));
	CHECK_OK(parse(&list, "data[1]:type=push,numSockets=12", &warned, &error));
	CHECK_OK(parse(&list, "ack:type=pull,address=ipc://x", &warned, &error));
	CHECK_OK(sea_channel_list_store(&list, properties));
	CHECK_EQ(sea_properties_type(properties, "chans.ack.0.autoBind"), SEA_VALUE_BOOL);
	CHECK_EQ(sea_properties_type(properties, "chans.ack.0.linger"), SEA_VALUE_INT);
	CHECK_OK(sea_properties_get_text(properties, "chans.data[1].11.type", text, sizeof(text)));
	CHECK_STR_EQ(text, "push");
	CHECK_OK(sea_properties_origin(properties, "chans.ack.0.address", text, sizeof(text)));
	CHECK_STR_EQ(text, "command line");
	CHECK_OK(sea_properties_origin(properties, "chans.ack.0.linger", text, sizeof(text)));
	CHECK_STR_EQ(text, "default");
	/* A controller hands out an address. */
	CHECK_OK(sea_properties_parse(properties, "chans.data[1].11.address", "tcp://here:1", NULL));
	CHECK_OK(sea_channel_list_load(&loaded, properties, &error));
	CHECK_EQ(loaded.n_channels, 13);
	CHECK_EQ(sea_channel_list_count(&loaded, "data[1]"), 12);
	CHECK_STR_EQ(sea_channel_list_find(&loaded, "data[1]", 11)->address, "tcp://here:1");
	CHECK_STR_EQ(sea_channel_list_find(&loaded, "data[1]", 11)->origins[SEA_CHANNEL_KEY_ADDRESS],
	             "set at run time");
	CHECK_STR_EQ(sea_channel_list_find(&loaded, "ack", 0)->address, "ipc://x");
	sea_channel_list_fini(&loaded);

	CHECK_OK(sea_properties_set_string(properties, "chans.ack.0.type", "shove"));
	CHECK_ERR(sea_channel_list_load(&loaded, properties, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "chans.ack.0.type");
	CHECK_OK(sea_properties_set_string(properties, "chans.ack.0.type", "pull"));
	CHECK_OK(sea_properties_set_string(properties, "chans.ack.2.type", "pull"));
	CHECK_ERR(sea_channel_list_load(&loaded, properties, &error), -ENOENT);
	CHECK_OK(sea_properties_delete(properties, "chans.ack.2.type"));
	CHECK_OK(sea_properties_set_string(properties, "chans.ack.first.type", "pull"));
	CHECK_ERR(sea_channel_list_load(&loaded, properties, &error), -EINVAL);
	CHECK_EQ(loaded.n_channels, 0);
	sea_properties_free(properties);
	sea_channel_list_fini(&list);
}
