/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client, for its files. A request is what the user wants; a fetch is what is asked of servers, for one or more equal
 * requests; a transfer is one HTTP request of a fetch.
 *
 *	client.c            requests: made, cancelled, waited for, delivered
 *	client-answer.c     what requests get: from memory, from a fetch
 *	client-fetch.c      hosts and tries
 *	client-reply.c      what an answer means, redirects among them
 *	client-transfer.c   one HTTP request, its head checked, its body put where it belongs
 *	client-loop.c       libcurl's sockets and timers behind one descriptor
 *
 * The odd rule: user callbacks run in client_deliver() alone, where nothing of a fetch is in an intermediate state; allocators run anywhere, and may
 * not call the client.
 */
#ifndef SEALANE_CCDB_CLIENT_PRIVATE_H
#define SEALANE_CCDB_CLIENT_PRIVATE_H

#include <curl/curl.h>
#include <md5.h>

#include "base/clock.h"
#include "ccdb/client-cache.h"
#include "ccdb/client-disk.h"
#include "ccdb/client-list.h"
#include "ccdb/client-object.h"
#include "ccdb/client-url.h"

#define SEAI_N_BUCKETS 1024

struct sea_ccdb_client {
	struct sea_ccdb_client_options
		options; /* all values final; its strings are not used but url and disk_dir at making */
	struct seai_hosts hosts;
	struct seai_remap *remap;
	char *user_agent;
	struct seai_cache *cache;
	struct seai_disk *disk; /* NULL: none */
	CURLM *multi;
	int epoll_fd;
	int timer_fd;
	int64_t curl_due_ns;    /* libcurl's timer */
	int64_t wake_ns;        /* the first deadline or second try */
	int64_t armed_ns;       /* what the timer is set to */
	struct seai_link fresh; /* requests that nobody has looked at */
	struct seai_link ready; /* requests that have a result */
	struct seai_link all;   /* fetches */
	struct seai_link queue; /* fetches that wait for a connection */
	unsigned n_active;      /* fetches that have one */
	bool is_dispatching;    /* callbacks may be running */
	uint64_t random;        /* of waits between tries */
	struct sea_ccdb_client_stats stats;
	struct seai_link buckets[SEAI_N_BUCKETS]; /* fetches by hash, that others may join */
};

struct sea_ccdb_request {
	struct seai_link link; /* fresh, ready, or a fetch's requests */
	struct sea_ccdb_client *client;
	struct seai_fetch *fetch; /* NULL: none yet, or no more */
	char *path;
	char *tail;                          /* of the URL */
	char *key;                           /* of the question */
	char (*held)[SEA_CCDB_UUID_N_BYTES]; /* copies */
	size_t n_held;
	int64_t timestamp_ms;
	int64_t not_before_ms;
	int64_t not_after_ms;
	bool has_metadata;
	bool must_transfer; /* another fetch came to a version that this request has not: no If-None-Match */
	uint32_t flags;
	int64_t begun_ns;
	int64_t deadline_ns;
	sea_ccdb_allocate_fn allocate;
	sea_ccdb_release_fn release;
	void *allocate_userdata;
	sea_ccdb_done_fn done;
	void *userdata;
	/* Once it is ready: */
	struct sea_ccdb_result result; /* owns the object, and the content where an allocator gave it */
	struct sea_error error;
};

/* Why the body of an answer is not taken. */
enum seai_stop {
	SEAI_STOP_NONE = 0,
	SEAI_STOP_NAMED,     /* everybody has that version */
	SEAI_STOP_FAULT,     /* the answer is no good: error and code say why */
	SEAI_STOP_REPLACED,  /* it is of another version than the redirect said */
	SEAI_STOP_NO_MEMORY, /* the allocator of the request it was for had none */
	SEAI_STOP_IGNORED,   /* a body that nobody wants is too long */
};

struct seai_transfer {
	CURL *easy; /* NULL: none is running */
	struct curl_slist *lines;
	char *url;
	bool is_location; /* a redirect led here */
	bool is_head_done;
	enum seai_stop stop;
	int stop_code;
	char stop_text[256];
	char curl_text[CURL_ERROR_SIZE];
	struct seai_answer answer;
	struct seai_object *object; /* of its head, redirects included */
	/* Where the content goes: */
	void *memory;
	size_t n_bytes;                 /* there */
	size_t n_room;                  /* there is room for */
	int64_t n_length;               /* as announced; -1: not */
	struct sea_ccdb_request *owner; /* whose allocator gave memory; NULL: malloc() */
	size_t n_ignored;
	bool has_md5;
	uint8_t md5[MD5_DIGEST_LENGTH];
	MD5_CTX md5_context;
};

enum seai_host_state { SEAI_HOST_OPEN = 0, SEAI_HOST_HAS_NONE, SEAI_HOST_FAILED };

struct seai_fetch {
	struct seai_link link;      /* client->all */
	struct seai_link in_queue;  /* client->queue */
	struct seai_link in_bucket; /* client->buckets */
	struct seai_link requests;
	struct sea_ccdb_client *client;
	char *path, *tail, *key;
	int64_t timestamp_ms, not_before_ms, not_after_ms;
	uint32_t flags;
	bool must_transfer;
	bool is_sent;
	bool is_active;
	const struct seai_hosts *hosts;
	uint8_t host_states[SEAI_HOSTS_N_MAX];
	unsigned host;
	unsigned n_rounds; /* through the hosts, this one included */
	unsigned n_tries;  /* HTTP requests at hosts */
	int64_t retry_ns;  /* 0: it does not wait */
	int64_t begun_ns;
	/* This try at this host: */
	char none_match[SEA_CCDB_UUID_N_BYTES];
	char *request_url;
	struct seai_headers chain; /* of the redirects */
	char expected[SEA_CCDB_UUID_N_BYTES];
	char **locations;
	size_t n_locations, next_location;
	unsigned n_redirects;
	bool is_replaced; /* a redirect led to nothing, or to another version */
	unsigned n_replaced;
	struct seai_transfer transfer;
	int http_status;
	struct sea_error error; /* the last failure */
};

/* client-loop.c: 0; -errno. */
int seai_loop_init(struct sea_ccdb_client *client);
void seai_loop_fini(struct sea_ccdb_client *client);
/* Lets libcurl work; seai_fetch_transferred() is called for what is done. Whether something happened. */
bool seai_loop_run(struct sea_ccdb_client *client);
/* Sets the timer to what comes first. */
void seai_loop_arm(struct sea_ccdb_client *client);
void seai_loop_wake_at(struct sea_ccdb_client *client, int64_t ns);

/* client-options.c */
int seai_options_take(struct sea_ccdb_client *client, const struct sea_ccdb_client_options *given,
                      struct sea_error *error);

/* client-fetch.c: joins a fetch of the same, or makes one; the request is in it then. 0; -ENOMEM. */
int seai_fetch_begin(struct sea_ccdb_client *client, struct sea_ccdb_request *request);
/* Gives connections to those that wait for one. */
void seai_fetch_pump(struct sea_ccdb_client *client);
/* The request that asked first. */
struct sea_ccdb_request *seai_fetch_first(const struct seai_fetch *fetch);
/* For its error, until the next. */
void seai_fetch_note(struct seai_fetch *fetch, int code, const char *url, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Asks the next location of a redirect; there is one. */
void seai_fetch_next_location(struct seai_fetch *fetch);
/* From the start, behind those that wait. */
void seai_fetch_again(struct seai_fetch *fetch);
/* One location, or the host itself, failed in this try; the error is noted. may_pass: trying it again makes sense. */
void seai_fetch_place_failed(struct seai_fetch *fetch, bool may_pass);
void seai_fetch_host_failed(struct seai_fetch *fetch, bool may_pass);
void seai_fetch_host_has_none(struct seai_fetch *fetch);
/* Takes a version's content from the disk; the newest headers count. Whether the fetch has ended by that. */
bool seai_fetch_from_disk(struct seai_fetch *fetch, const char *uuid);

/* client-reply.c: a transfer has ended. */
void seai_fetch_transferred(struct seai_fetch *fetch, CURLcode code);

/* client-fetch.c */
/* A request leaves; the rest goes on, from the start where the content was being put into its memory. */
void seai_fetch_leave(struct sea_ccdb_request *request);
void seai_fetch_free(struct seai_fetch *fetch);
/* Those whose time has come try again. */
void seai_fetch_wake(struct seai_fetch *fetch, int64_t now_ns);

/* client-transfer.c: sends a request. 0; -ENOMEM, -EINVAL libcurl does not take the URL. */
int seai_transfer_start(struct seai_fetch *fetch, const char *url, bool is_location);
/* Checks and takes the whole body. 0, or the reason is in stop. */
int seai_transfer_finish(struct seai_fetch *fetch);
/* Room for the content of an object, by the first request of the fetch. -ENOMEM: stop says whose. */
int seai_transfer_reserve(struct seai_fetch *fetch, struct seai_object *object, size_t n_bytes);
/* Ends it; what it holds is released. */
void seai_transfer_drop(struct seai_fetch *fetch);
/* What is wrong with a version as the answer to a fetch; NULL: nothing. */
const char *seai_transfer_complaint(const struct seai_fetch *fetch, const struct sea_ccdb_version *version);

/* client-answer.c */
bool seai_request_holds(const struct sea_ccdb_request *request, const char *uuid);
/* Whether all who wait for a fetch can do with the name of that version alone. */
bool seai_answer_is_enough(const struct seai_fetch *fetch, const char *uuid);
/* 0: the result is filled; -EAGAIN it is not known, or must be asked. */
int seai_answer_from_memory(struct sea_ccdb_client *client, struct sea_ccdb_request *request,
                            struct sea_ccdb_result *ret_result);
/* Everybody who waits for a fetch gets this, and the fetch is freed. */
void seai_answer_object(struct seai_fetch *fetch, enum sea_ccdb_source source, int64_t promised_until_ms);
void seai_answer_named(struct seai_fetch *fetch, const struct sea_ccdb_version *version);
void seai_answer_not_found(struct seai_fetch *fetch);
void seai_answer_failed(struct seai_fetch *fetch);
/* One request alone fails, and is ready. */
void seai_answer_fail_one(struct sea_ccdb_request *request, int code, const char *url, const char *text);

/* client.c: frees a request with what its result holds. */
void seai_request_free(struct sea_ccdb_request *request);

/* client-snapshot.c: 0; -ENOENT; -errno. The object has its content. */
int seai_snapshot_read(struct seai_object **ret_object, const char *dir, const char *path, uint64_t n_bytes_max);

/* client-log.c */
void seai_client_log(const struct sea_ccdb_client *client, enum sea_ccdb_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The line of an answer that came: url is the host's. */
void seai_client_log_answer(const struct sea_ccdb_client *client, enum sea_ccdb_level level, const char *url,
                            const char *path, const struct sea_ccdb_version *version, int64_t timestamp_ms,
                            const char *how, size_t n_bytes, int64_t spent_ns);

#endif
