/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a channel's configuration, in one table. */
#ifndef SEALANE_DEVICE_CHANNEL_KEY_H
#define SEALANE_DEVICE_CHANNEL_KEY_H

#include <sealane/device/channel-config.h>

enum seai_channel_key_kind {
	SEAI_CHANNEL_KEY_WORD,   /* an enum, by its words */
	SEAI_CHANNEL_KEY_STRING, /* char *, the configuration's own */
	SEAI_CHANNEL_KEY_NUMBER, /* int32_t in min to max */
	SEAI_CHANNEL_KEY_FLAG,   /* bool */
};

struct seai_channel_key {
	const char *name;
	enum seai_channel_key_kind kind;
	size_t offset; /* in struct sea_channel_config */
	int32_t min;
	int32_t max;
	const char *const *words; /* ended by NULL */
};

extern const struct seai_channel_key seai_channel_keys[SEA_CHANNEL_N_KEYS];

/* The key of a name, or -ENOENT. */
int seai_channel_key_find(const char *name);

/* What numSockets may be; a bound so that a slip of the pen does not eat the memory. */
#define SEAI_CHANNEL_N_SOCKETS_MAX 65536

/* As sea_channel_config_init(), of a name that is taken as it is, brackets and all. */
int seai_channel_config_init(struct sea_channel_config *config, const char *name, uint32_t i);

/* Text of numSockets, with its error. */
int seai_channel_n_sockets(const char *text, int64_t *ret_n_sockets, struct sea_error *error);

/* Makes room for one more channel at the end of a list. @return 0; -ENOMEM. The list takes *config, which is nothing then. */
int seai_channel_list_add(struct sea_channel_list *list, struct sea_channel_config *config);

/* Adds the channels of another list behind a list's own; the other one is empty then. @return 0; -ENOMEM: nothing was done. */
int seai_channel_list_join(struct sea_channel_list *list, struct sea_channel_list *other);

#endif
