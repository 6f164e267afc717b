/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a channel, with FairMQ's keys and defaults; and a list of them, from `--channel-config` or a JSON file.
 *
 *	sea_channel_config_init(&config, "data", 0);
 *	sea_channel_config_set(&config, "type", "push", "command line", &error);
 *	sea_channel_config_set(&config, "method", "bind", "command line", &error);
 *	sea_channel_config_set(&config, "address", "tcp://127.0.0.1:5555", "command line", &error);
 *	if (sea_channel_config_validate(&config, &error) == 1)
 *		...
 *	sea_channel_config_fini(&config);
 *
 * One thread at a time per configuration.
 */
#ifndef SEALANE_DEVICE_CHANNEL_CONFIG_H
#define SEALANE_DEVICE_CHANNEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/device/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_properties;

/** What a channel does with its peers: key type. */
enum sea_channel_type {
	SEA_CHANNEL_TYPE_UNSPECIFIED = 0, /**< not said */
	SEA_CHANNEL_TYPE_PUSH = 1,        /**< push */
	SEA_CHANNEL_TYPE_PULL = 2,        /**< pull */
	SEA_CHANNEL_TYPE_PAIR = 3,        /**< pair */
	SEA_CHANNEL_TYPE_REQ = 4,         /**< req */
	SEA_CHANNEL_TYPE_REP = 5,         /**< rep */
	SEA_CHANNEL_TYPE_PUB = 6,         /**< pub */
	SEA_CHANNEL_TYPE_SUB = 7,         /**< sub */
	SEA_CHANNEL_TYPE_XPUB = 8,        /**< xpub, over zeromq only */
	SEA_CHANNEL_TYPE_XSUB = 9,        /**< xsub, over zeromq only */
	SEA_CHANNEL_TYPE_DEALER = 10,     /**< dealer, over zeromq only */
	SEA_CHANNEL_TYPE_ROUTER = 11,     /**< router, over zeromq only */
};

/** How it gets to its addresses: key method. */
enum sea_channel_method {
	SEA_CHANNEL_METHOD_UNSPECIFIED = 0, /**< not said: each address has a modifier */
	SEA_CHANNEL_METHOD_BIND = 1,        /**< bind */
	SEA_CHANNEL_METHOD_CONNECT = 2,     /**< connect */
};

/** What carries its messages: key transport. */
enum sea_channel_transport {
	SEA_CHANNEL_TRANSPORT_DEFAULT = 0, /**< default: the one of the device */
	SEA_CHANNEL_TRANSPORT_ZEROMQ = 1,  /**< zeromq */
	SEA_CHANNEL_TRANSPORT_SHMEM = 2,   /**< shmem */
	SEA_CHANNEL_TRANSPORT_MEMFD = 3,   /**< memfd */
};

/** The keys of a channel, in the order in which they are printed. */
enum sea_channel_key {
	SEA_CHANNEL_KEY_TYPE = 0,            /**< type */
	SEA_CHANNEL_KEY_METHOD = 1,          /**< method */
	SEA_CHANNEL_KEY_ADDRESS = 2,         /**< address */
	SEA_CHANNEL_KEY_TRANSPORT = 3,       /**< transport */
	SEA_CHANNEL_KEY_SND_BUF_SIZE = 4,    /**< sndBufSize */
	SEA_CHANNEL_KEY_RCV_BUF_SIZE = 5,    /**< rcvBufSize */
	SEA_CHANNEL_KEY_SND_KERNEL_SIZE = 6, /**< sndKernelSize */
	SEA_CHANNEL_KEY_RCV_KERNEL_SIZE = 7, /**< rcvKernelSize */
	SEA_CHANNEL_KEY_SND_TIMEOUT_MS = 8,  /**< sndTimeoutMs */
	SEA_CHANNEL_KEY_RCV_TIMEOUT_MS = 9,  /**< rcvTimeoutMs */
	SEA_CHANNEL_KEY_LINGER = 10,         /**< linger */
	SEA_CHANNEL_KEY_RATE_LOGGING = 11,   /**< rateLogging */
	SEA_CHANNEL_KEY_PORT_RANGE_MIN = 12, /**< portRangeMin */
	SEA_CHANNEL_KEY_PORT_RANGE_MAX = 13, /**< portRangeMax */
	SEA_CHANNEL_KEY_AUTO_BIND = 14,      /**< autoBind */
};

/** How many keys a channel has. */
#define SEA_CHANNEL_N_KEYS 15

/** The configuration of one channel, or of one of several sub-channels of a name. Read it as you like; strings are its own. */
struct sea_channel_config {
	char *name;                           /**< without index: data */
	uint32_t i;                           /**< which sub-channel of that name */
	enum sea_channel_type type;           /**< type */
	enum sea_channel_method method;       /**< method; for addresses without a modifier */
	enum sea_channel_transport transport; /**< transport */
	char *address;                        /**< one or many addresses; empty: unspecified */
	int32_t snd_buf_size;                 /**< messages; default 1000; 0: 2^20 */
	int32_t rcv_buf_size;                 /**< messages; default 1000; 0: 2^20 */
	int32_t snd_kernel_size;              /**< bytes; default 0: the kernel's own. Of the transport zeromq */
	int32_t rcv_kernel_size;              /**< bytes; default 0: the kernel's own. Of the transport zeromq */
	int32_t snd_timeout_ms;               /**< default -1: for ever */
	int32_t rcv_timeout_ms;               /**< default -1: for ever */
	int32_t linger_ms;                    /**< how long to go on sending at the end; default 500; -1: for ever */
	int32_t rate_logging_s;               /**< seconds between lines with rates; default 1; 0: none */
	int32_t port_range_min;               /**< for auto_bind; default 22000 */
	int32_t port_range_max;               /**< for auto_bind; default 23000 */
	bool auto_bind;                       /**< take another port where the address is in use; default true */
	char *origins
		[SEA_CHANNEL_N_KEYS]; /**< by enum sea_channel_key: where each comes from; NULL: it is the default */
};

/** Channels, the sub-channels of one name one after the other. All zero: none. */
struct sea_channel_list {
	struct sea_channel_config *channels; /**< the list's own */
	size_t n_channels;                   /**< how many */
};

/** The name of a key, as "sndBufSize"; NULL behind the last. Any thread. Since 0.3. */
const char *sea_channel_key_name(size_t key);

/** The word for a type: "push", "unspecified". Any thread. Since 0.3. */
const char *sea_channel_type_name(enum sea_channel_type type);
/** The word for a method: "bind", "unspecified". Any thread. Since 0.3. */
const char *sea_channel_method_name(enum sea_channel_method method);
/** The word for a transport: "zeromq", "default". Any thread. Since 0.3. */
const char *sea_channel_transport_name(enum sea_channel_transport transport);

/**
 * Makes a configuration of defaults.
 * @param name with or without an index: data[2] sets i as well. Its characters are looked at by sea_channel_config_validate()
 * @param i which sub-channel, where the name has no index
 * @return 0; -ENOMEM. Since 0.3.
 */
int sea_channel_config_init(struct sea_channel_config *config, const char *name, uint32_t i);

/** Makes a configuration like another one. @return 0; -ENOMEM. Since 0.3. */
int sea_channel_config_copy(struct sea_channel_config *config, const struct sea_channel_config *other);

/** Frees what it holds. All zero is allowed. Since 0.3. */
void sea_channel_config_fini(struct sea_channel_config *config);

/**
 * Sets one key from text.
 * @param key as sea_channel_key_name()
 * @param origin where it comes from, for people; copied
 * @param error may be NULL; receives key and text; file and line are the caller's
 * @return 0; -ENOENT no such key; -EINVAL a word that is none of the key's, or no number; -ERANGE a number out of the key's range;
 *         -ENOMEM. Since 0.3.
 */
int sea_channel_config_set(struct sea_channel_config *config, const char *key, const char *value, const char *origin,
                           struct sea_error *error);

/**
 * One key as text.
 * @param text receives it, cut to fit, always terminated if n_bytes is not 0
 * @return how many bytes it has without the end; -ENOENT no such key. Since 0.3.
 */
int sea_channel_config_get(const struct sea_channel_config *config, const char *key, char *text, size_t n_bytes);

/**
 * Whether a channel can be made of it, as FairMQ's Validate().
 *
 * @param error may be NULL; receives the key that is wrong and why, also where 0 is returned
 * @return 1 it can; 0 not (yet): an illegal name, or an address that is missing, of no known kind, without a port or empty; -EINVAL it
 *         never can: no type, no method for an address without a modifier, a number out of its range; -ENOTSUP a type that only
 *         zeromq has, over another transport. Since 0.3.
 */
int sea_channel_config_validate(const struct sea_channel_config *config, struct sea_error *error);

/** One of the addresses of a channel. */
struct sea_endpoint {
	bool is_bound;     /**< bind it; else connect to it */
	char address[512]; /**< without a modifier */
};

/**
 * Takes the next of several addresses, which ',' or ';' separates: '@' in front binds, '+' or '>' connects, else method says.
 *
 * @param cursor where to go on; at first the whole text. Moved behind what was taken
 * @return 1 there is one; 0 there is none any more; -EINVAL an empty address, or neither a modifier nor a method;
 *         -ENAMETOOLONG. Any thread. Since 0.3.
 */
int sea_endpoint_next(const char **cursor, enum sea_channel_method method, struct sea_endpoint *ret_endpoint);

/** Whether a name has legal characters only: a-z A-Z 0-9 - _ [ ] #; and is not empty. Any thread. Since 0.3. */
bool sea_channel_name_is_legal(const char *name);

/**
 * Takes a name apart: data[2] is data and 2, data is data and 0.
 * @param prefix receives the name without index, cut to fit; may be NULL
 * @param ret_i receives the index; may be NULL
 * @return 0; -EINVAL brackets that hold no number or stand elsewhere than at the end. Any thread. Since 0.3.
 */
int sea_channel_name_split(const char *name, char *prefix, size_t n_bytes, uint32_t *ret_i);

/** Frees a list; it is empty then. Since 0.3. */
void sea_channel_list_fini(struct sea_channel_list *list);

/** One channel of a list, or NULL. Borrowed. Since 0.3. */
struct sea_channel_config *sea_channel_list_find(const struct sea_channel_list *list, const char *name, uint32_t i);

/** How many sub-channels a name has. Since 0.3. */
uint32_t sea_channel_list_count(const struct sea_channel_list *list, const char *name);

/**
 * Adds the channel of one `--channel-config`: name=data,type=push,address=A,address=B or data:type=push,address=A. Each address is a
 * sub-channel; numSockets makes so many that are equal.
 *
 * @param origin for people: "command line"; it is also the file of errors
 * @param is_strict what would be a warning is an error
 * @param warning may be NULL; is told of each unknown key
 * @return 0; -EINVAL, -ERANGE as sea_channel_config_set(), or no name; -EEXIST a channel of that name is there; -ENOENT an unknown key,
 *         if strict; -ENOMEM. The list is unchanged then. Since 0.3.
 */
int sea_channel_list_parse(struct sea_channel_list *list, const char *text, const char *origin, bool is_strict,
                           sea_warning_fn warning, void *userdata, struct sea_error *error);

/** Writes all keys of all channels into properties, as chans.<name>.<i>.<key>. @return 0; -ENOMEM; -EINVAL too long a name. Since 0.3. */
int sea_channel_list_store(const struct sea_channel_list *list, struct sea_properties *properties);

/**
 * Reads the channels that properties have, as written by sea_channel_list_store() and changed since then.
 * @param list all zero or empty
 * @return 0; -EINVAL, -ERANGE as sea_channel_config_set(), -ENOENT an unknown key or a gap in the indices; -ENOMEM. Since 0.3.
 */
int sea_channel_list_load(struct sea_channel_list *list, struct sea_properties *properties, struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
