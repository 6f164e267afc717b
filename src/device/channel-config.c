/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a channel: keys, words, ranges, validation; names and addresses.
 *
 * The odd rule: what makes a channel invalid and what makes its configuration an error is told apart as FairMQ does, since a channel
 * without an address may still get one from whoever controls the device.
 */
#include <sealane/device/channel-config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "device/channel-key.h"
#include "device/value.h"

static const char *const type_words[] = { "unspecified", "push", "pull", "pair",   "req",    "rep", "pub",
	                                  "sub",         "xpub", "xsub", "dealer", "router", NULL };
static const char *const method_words[] = { "unspecified", "bind", "connect", NULL };
static const char *const transport_words[] = { "default", "zeromq", "shmem", "memfd", NULL };

#define MEMBER(member) offsetof(struct sea_channel_config, member)

const struct seai_channel_key seai_channel_keys[SEA_CHANNEL_N_KEYS] = {
	[SEA_CHANNEL_KEY_TYPE] = { "type", SEAI_CHANNEL_KEY_WORD, MEMBER(type), 0, 0, type_words },
	[SEA_CHANNEL_KEY_METHOD] = { "method", SEAI_CHANNEL_KEY_WORD, MEMBER(method), 0, 0, method_words },
	[SEA_CHANNEL_KEY_ADDRESS] = { "address", SEAI_CHANNEL_KEY_STRING, MEMBER(address), 0, 0, NULL },
	[SEA_CHANNEL_KEY_TRANSPORT] = { "transport", SEAI_CHANNEL_KEY_WORD, MEMBER(transport), 0, 0, transport_words },
	[SEA_CHANNEL_KEY_SND_BUF_SIZE] = { "sndBufSize", SEAI_CHANNEL_KEY_NUMBER, MEMBER(snd_buf_size), 0, INT32_MAX,
	                                   NULL },
	[SEA_CHANNEL_KEY_RCV_BUF_SIZE] = { "rcvBufSize", SEAI_CHANNEL_KEY_NUMBER, MEMBER(rcv_buf_size), 0, INT32_MAX,
	                                   NULL },
	[SEA_CHANNEL_KEY_SND_KERNEL_SIZE] = { "sndKernelSize", SEAI_CHANNEL_KEY_NUMBER, MEMBER(snd_kernel_size), 0,
	                                      INT32_MAX, NULL },
	[SEA_CHANNEL_KEY_RCV_KERNEL_SIZE] = { "rcvKernelSize", SEAI_CHANNEL_KEY_NUMBER, MEMBER(rcv_kernel_size), 0,
	                                      INT32_MAX, NULL },
	[SEA_CHANNEL_KEY_SND_TIMEOUT_MS] = { "sndTimeoutMs", SEAI_CHANNEL_KEY_NUMBER, MEMBER(snd_timeout_ms), -1,
	                                     INT32_MAX, NULL },
	[SEA_CHANNEL_KEY_RCV_TIMEOUT_MS] = { "rcvTimeoutMs", SEAI_CHANNEL_KEY_NUMBER, MEMBER(rcv_timeout_ms), -1,
	                                     INT32_MAX, NULL },
	[SEA_CHANNEL_KEY_LINGER] = { "linger", SEAI_CHANNEL_KEY_NUMBER, MEMBER(linger_ms), -1, INT32_MAX, NULL },
	[SEA_CHANNEL_KEY_RATE_LOGGING] = { "rateLogging", SEAI_CHANNEL_KEY_NUMBER, MEMBER(rate_logging_s), 0, INT32_MAX,
	                                   NULL },
	[SEA_CHANNEL_KEY_PORT_RANGE_MIN] = { "portRangeMin", SEAI_CHANNEL_KEY_NUMBER, MEMBER(port_range_min), 1, 65535,
	                                     NULL },
	[SEA_CHANNEL_KEY_PORT_RANGE_MAX] = { "portRangeMax", SEAI_CHANNEL_KEY_NUMBER, MEMBER(port_range_max), 1, 65535,
	                                     NULL },
	[SEA_CHANNEL_KEY_AUTO_BIND] = { "autoBind", SEAI_CHANNEL_KEY_FLAG, MEMBER(auto_bind), 0, 0, NULL },
};

int seai_channel_key_find(const char *name)
{
	for (int key = 0; key < SEA_CHANNEL_N_KEYS; key++)
		if (strcmp(seai_channel_keys[key].name, name) == 0)
			return key;
	return -ENOENT;
}

const char *sea_channel_key_name(size_t key)
{
	return key < SEA_CHANNEL_N_KEYS ? seai_channel_keys[key].name : NULL;
}

const char *sea_channel_type_name(enum sea_channel_type type)
{
	return type_words[(unsigned)type <= SEA_CHANNEL_TYPE_ROUTER ? type : 0];
}

const char *sea_channel_method_name(enum sea_channel_method method)
{
	return method_words[(unsigned)method <= SEA_CHANNEL_METHOD_CONNECT ? method : 0];
}

const char *sea_channel_transport_name(enum sea_channel_transport transport)
{
	return transport_words[(unsigned)transport <= SEA_CHANNEL_TRANSPORT_MEMFD ? transport : 0];
}

/* Names. --------------------------------------------------------------------------------- */

bool sea_channel_name_is_legal(const char *name)
{
	return *name && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_[]#")];
}

int sea_channel_name_split(const char *name, char *prefix, size_t n_bytes, uint32_t *ret_i)
{
	size_t n_prefix = strcspn(name, "[");
	uint64_t i = 0;

	if (name[n_prefix] || strchr(name, ']')) {
		const char *digits = name + n_prefix + 1;
		size_t n_digits = name[n_prefix] ? strspn(digits, "0123456789") : 0;
		char number[12];

		if (!n_prefix || !n_digits || n_digits >= sizeof(number) || strcmp(digits + n_digits, "]") != 0)
			return -EINVAL;
		memcpy(number, digits, n_digits);
		number[n_digits] = 0;
		if (seai_text_uint(number, &i) < 0 || i > UINT32_MAX)
			return -EINVAL;
	}
	if (prefix && n_bytes)
		snprintf(prefix, n_bytes, "%.*s", (int)n_prefix, name);
	if (ret_i)
		*ret_i = (uint32_t)i;
	return 0;
}

/* The configuration. --------------------------------------------------------------------- */

int seai_channel_config_init(struct sea_channel_config *config, const char *name, uint32_t i)
{
	struct sea_channel_config made = {
		.name = strdup(name),
		.i = i,
		.address = strdup(""),
		.snd_buf_size = 1000,
		.rcv_buf_size = 1000,
		.snd_timeout_ms = -1,
		.rcv_timeout_ms = -1,
		.linger_ms = 500,
		.rate_logging_s = 1,
		.port_range_min = 22000,
		.port_range_max = 23000,
		.auto_bind = true,
	};

	if (!made.name || !made.address) {
		sea_channel_config_fini(&made);
		return -ENOMEM;
	}
	*config = made;
	return 0;
}

int sea_channel_config_init(struct sea_channel_config *config, const char *name, uint32_t i)
{
	size_t n_prefix = strcspn(name, "[");
	int r;

	/* A name that cannot be taken apart stays as it is: validation says so. */
	if (!name[n_prefix] || sea_channel_name_split(name, NULL, 0, &i) < 0)
		n_prefix = strlen(name);
	r = seai_channel_config_init(config, name, i);
	if (r == 0)
		config->name[n_prefix] = 0;
	return r;
}

void sea_channel_config_fini(struct sea_channel_config *config)
{
	free(config->name);
	free(config->address);
	for (int key = 0; key < SEA_CHANNEL_N_KEYS; key++)
		free(config->origins[key]);
	memset(config, 0, sizeof(*config));
}

int sea_channel_config_copy(struct sea_channel_config *config, const struct sea_channel_config *other)
{
	struct sea_channel_config copy = *other;
	bool is_whole;

	copy.name = strdup(other->name);
	copy.address = strdup(other->address);
	is_whole = copy.name && copy.address;
	for (int key = 0; key < SEA_CHANNEL_N_KEYS; key++)
		if (other->origins[key]) {
			copy.origins[key] = strdup(other->origins[key]);
			is_whole = is_whole && copy.origins[key];
		}
	if (!is_whole) {
		sea_channel_config_fini(&copy);
		return -ENOMEM;
	}
	*config = copy;
	return 0;
}

/* "push, pull, ...", for an error. */
static const char *words_text(const char *const *words, char *text, size_t n_bytes)
{
	size_t n_used = 0;

	text[0] = 0;
	for (; *words && n_used < n_bytes; words++)
		n_used += (size_t)snprintf(text + n_used, n_bytes - n_used, "%s%s", n_used ? ", " : "", *words);
	return text;
}

static int key_set_word(const struct seai_channel_key *key, int *member, const char *value, struct sea_error *error)
{
	char text[160];

	for (int word = 0; key->words[word]; word++)
		if (strcmp(key->words[word], value) == 0) {
			*member = word;
			return 0;
		}
	return sea_error_set(error, -EINVAL, key->name, "is '%.60s', which is none of %s", value,
	                     words_text(key->words, text, sizeof(text)));
}

static int key_out_of_range(const struct seai_channel_key *key, int code, const char *value, struct sea_error *error)
{
	if (key->min == 0 && key->max == INT32_MAX && value[0] == '-')
		return sea_error_set(error, code, key->name, "is %.40s; it cannot be negative", value);
	return sea_error_set(error, code, key->name, "is %.40s, which is not from %d to %d", value, key->min, key->max);
}

static int key_set_number(const struct seai_channel_key *key, int32_t *member, const char *value,
                          struct sea_error *error)
{
	int64_t number = 0;
	int r = seai_text_int(value, &number);

	if (r == -EINVAL)
		return sea_error_set(error, r, key->name, "is '%.60s', which is no whole number", value);
	if (r < 0 || number < key->min || number > key->max)
		return key_out_of_range(key, -ERANGE, value, error);
	*member = (int32_t)number;
	return 0;
}

int sea_channel_config_set(struct sea_channel_config *config, const char *key, const char *value, const char *origin,
                           struct sea_error *error)
{
	int i = seai_channel_key_find(key);
	const struct seai_channel_key *known = &seai_channel_keys[i < 0 ? 0 : i];
	SEAI_AUTO_FREE char *new_origin = NULL;
	void *member = (char *)config + known->offset;
	char *string;
	int r = 0;

	if (i < 0)
		return sea_error_set(error, i, key, "is no key of a channel");
	new_origin = strdup(origin);
	if (!new_origin)
		return sea_error_set(error, -ENOMEM, key, "no memory");
	switch (known->kind) {
	case SEAI_CHANNEL_KEY_WORD: r = key_set_word(known, member, value, error); break;
	case SEAI_CHANNEL_KEY_NUMBER: r = key_set_number(known, member, value, error); break;
	case SEAI_CHANNEL_KEY_FLAG:
		r = seai_text_bool(value, member);
		if (r < 0)
			sea_error_set(error, r, key, "is '%.60s', which is neither true nor false", value);
		break;
	case SEAI_CHANNEL_KEY_STRING:
		string = strdup(strcmp(value, "unspecified") == 0 ? "" : value);
		if (!string)
			return sea_error_set(error, -ENOMEM, key, "no memory");
		free(*(char **)member);
		*(char **)member = string;
		break;
	}
	if (r < 0)
		return r;
	free(config->origins[i]);
	config->origins[i] = SEAI_TAKE(new_origin);
	return 0;
}

int sea_channel_config_get(const struct sea_channel_config *config, const char *key, char *text, size_t n_bytes)
{
	int i = seai_channel_key_find(key);
	const struct seai_channel_key *known = &seai_channel_keys[i < 0 ? 0 : i];
	const void *member = (const char *)config + known->offset;
	const char *string;

	if (i < 0)
		return i;
	switch (known->kind) {
	case SEAI_CHANNEL_KEY_NUMBER: return snprintf(text, n_bytes, "%d", *(const int32_t *)member);
	case SEAI_CHANNEL_KEY_FLAG: string = *(const bool *)member ? "true" : "false"; break;
	case SEAI_CHANNEL_KEY_WORD: string = known->words[*(const int *)member]; break;
	default:
		string = *(char *const *)member;
		if (!*string)
			string = "unspecified";
		break;
	}
	return snprintf(text, n_bytes, "%s", string);
}

/* Addresses. ------------------------------------------------------------------------------ */

int sea_endpoint_next(const char **cursor, enum sea_channel_method method, struct sea_endpoint *ret_endpoint)
{
	const char *text = *cursor + strspn(*cursor, " \t");
	size_t n = strcspn(text, ",;");
	const char *next = text + n + (text[n] != 0);

	if (!*text)
		return 0;
	while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	if (n && (*text == '@' || *text == '+' || *text == '>')) {
		method = *text == '@' ? SEA_CHANNEL_METHOD_BIND : SEA_CHANNEL_METHOD_CONNECT;
		text++;
		n--;
	}
	if (!n || (method != SEA_CHANNEL_METHOD_BIND && method != SEA_CHANNEL_METHOD_CONNECT))
		return -EINVAL;
	if (n >= sizeof(ret_endpoint->address))
		return -ENAMETOOLONG;
	ret_endpoint->is_bound = method == SEA_CHANNEL_METHOD_BIND;
	memcpy(ret_endpoint->address, text, n);
	ret_endpoint->address[n] = 0;
	*cursor = next;
	return 1;
}

/* What is wrong with an address, or NULL. */
static const char *address_fault(const char *address)
{
	static const char *const schemes[] = { "ipc://", "inproc://", "verbs://", "memfd://", "shmem://" };

	if (strncmp(address, "tcp://", 6) == 0)
		return strchr(address + 6, ':') ? NULL : "has no port";
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(address, schemes[i], strlen(schemes[i])) == 0)
			return address[strlen(schemes[i])] ? NULL : "has no name behind ://";
	return "starts with none of tcp://, ipc://, inproc://, memfd://, shmem://";
}

/* As sea_channel_config_validate(), of the addresses. */
static int channel_validate_address(const struct sea_channel_config *config, struct sea_error *error)
{
	const char *cursor = config->address, *fault;
	struct sea_endpoint endpoint;
	unsigned n_endpoints = 0;
	int r;

	while ((r = sea_endpoint_next(&cursor, config->method, &endpoint)) == 1) {
		n_endpoints++;
		fault = address_fault(endpoint.address);
		if (fault) {
			sea_error_set(error, 0, "address", "'%.200s' %s", endpoint.address, fault);
			return 0;
		}
	}
	if (r == -ENAMETOOLONG)
		return sea_error_set(error, r, "address", "is longer than %zu bytes", sizeof(endpoint.address) - 1);
	if (r < 0) {
		/* With any method an address of something is one: then it was the method. */
		bool lacks_method = sea_endpoint_next(&cursor, SEA_CHANNEL_METHOD_BIND, &endpoint) == 1;

		if (lacks_method)
			return sea_error_set(error, -EINVAL, "method",
			                     "is neither bind nor connect, and '%.200s' has no @, + or > in front",
			                     endpoint.address);
		sea_error_set(error, 0, "address", "has an empty one in '%.200s'", config->address);
		return 0;
	}
	if (!n_endpoints) {
		sea_error_set(error, 0, "address", "is unspecified");
		return 0;
	}
	return 1;
}

int sea_channel_config_validate(const struct sea_channel_config *config, struct sea_error *error)
{
	int r;

	if (!sea_channel_name_is_legal(config->name)) {
		sea_error_set(error, 0, "name", "'%.100s' is empty or has characters other than a-z A-Z 0-9 - _ [ ] #",
		              config->name);
		return 0;
	}
	if (config->type == SEA_CHANNEL_TYPE_UNSPECIFIED)
		return sea_error_set(error, -EINVAL, "type", "is unspecified");
	if (config->type >= SEA_CHANNEL_TYPE_XPUB &&
	    (config->transport == SEA_CHANNEL_TRANSPORT_SHMEM || config->transport == SEA_CHANNEL_TRANSPORT_MEMFD))
		return sea_error_set(error, -ENOTSUP, "type", "%s is there over zeromq only, not over %s",
		                     sea_channel_type_name(config->type),
		                     sea_channel_transport_name(config->transport));
	r = channel_validate_address(config, error);
	if (r <= 0)
		return r;
	for (int i = 0; i < SEA_CHANNEL_N_KEYS; i++) {
		const struct seai_channel_key *key = &seai_channel_keys[i];
		int32_t number = *(const int32_t *)((const char *)config + key->offset);
		char text[16];

		if (key->kind != SEAI_CHANNEL_KEY_NUMBER || (number >= key->min && number <= key->max))
			continue;
		snprintf(text, sizeof(text), "%d", number);
		return key_out_of_range(key, -EINVAL, text, error);
	}
	if (config->port_range_min > config->port_range_max)
		return sea_error_set(error, -EINVAL, "portRangeMin", "is %d, above portRangeMax, %d",
		                     config->port_range_min, config->port_range_max);
	return 1;
}
