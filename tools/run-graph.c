/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sends to whom: endpoints of channels that have the same address. All devices run on one machine, so addresses of
 * tcp are the same if their ports are, and one of the hosts stands for all of the machine's and the other is local.
 *
 * The odd rule: where the graph has a circle, it is opened at the device that comes first in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

static bool graph_is_one_of(const char *type, const char *const *types)
{
	for (; *types; types++)
		if (strcmp(type, *types) == 0)
			return true;
	return false;
}

static bool graph_is_source(const char *type)
{
	return graph_is_one_of(type, (const char *const[]){ "push", "pub", "xpub", "req", "dealer", NULL });
}

static bool graph_is_target(const char *type)
{
	return graph_is_one_of(type, (const char *const[]){ "pull", "sub", "xsub", "rep", "router", NULL });
}

/* A member of a socket, else of its channel, that has to be a text. */
static const char *graph_text(struct run_topology *topology, json_t *channel, json_t *socket, const char *name,
                              const char *at, const char *socket_at)
{
	json_t *own = json_object_get(socket, name);
	json_t *value = own ? own : json_object_get(channel, name);
	char path[160];

	if (!value || json_is_string(value))
		return value ? json_string_value(value) : "";
	snprintf(path, sizeof(path), "%s.%s", own ? socket_at : at, name);
	run_topology_error(topology, path, "is no text");
	return "";
}

/* The addresses of a socket, separated by ',' or ';': '@' before one binds it, '+' or '>' connects. */
static void graph_add_addresses(struct run_topology *topology, const struct run_endpoint *model, const char *text)
{
	while (*text) {
		struct run_endpoint *endpoints, *endpoint;
		size_t n;

		text += strspn(text, " ,;");
		n = strcspn(text, " ,;");
		if (n == 0)
			break;
		endpoints = realloc(topology->endpoints, (topology->n_endpoints + 1) * sizeof(*endpoints));
		if (!endpoints) {
			run_topology_error(topology, NULL, "no memory");
			return;
		}
		topology->endpoints = endpoints;
		endpoint = &endpoints[topology->n_endpoints++];
		*endpoint = *model;
		endpoint->address = text;
		endpoint->n_address = n;
		if (strchr("@+>", *text)) {
			endpoint->is_bound = *text == '@';
			endpoint->address++;
			endpoint->n_address--;
		}
		text += n;
	}
}

static void graph_add_socket(struct run_topology *topology, struct run_endpoint *endpoint, json_t *channel,
                             json_t *socket, const char *at, const char *socket_at)
{
	static const char *const known[] = { "",    "unspecified", "push", "pull", "pair",   "req",    "rep",
		                             "pub", "sub",         "xpub", "xsub", "dealer", "router", NULL };
	const char *method = graph_text(topology, channel, socket, "method", at, socket_at);
	const char *address = graph_text(topology, channel, socket, "address", at, socket_at);
	char path[160];

	endpoint->type = graph_text(topology, channel, socket, "type", at, socket_at);
	endpoint->is_bound = strcmp(method, "bind") == 0;
	if (!graph_is_one_of(endpoint->type, known)) {
		snprintf(path, sizeof(path), "%s.type", json_object_get(socket, "type") ? socket_at : at);
		run_topology_error(topology, path, "'%s' is no type of a channel: push, pull, pair, req, rep, pub, sub",
		                   endpoint->type);
	}
	if (!graph_is_one_of(method, (const char *const[]){ "", "unspecified", "bind", "connect", NULL })) {
		snprintf(path, sizeof(path), "%s.method", json_object_get(socket, "method") ? socket_at : at);
		run_topology_error(topology, path, "'%s' is neither bind nor connect", method);
	}
	if (strcmp(address, "unspecified") != 0)
		graph_add_addresses(topology, endpoint, address);
}

static void graph_add_channel(struct run_topology *topology, size_t index, json_t *channel, const char *at)
{
	json_t *sockets = json_object_get(channel, "sockets"), *socket;
	json_t *name = json_object_get(channel, "name");
	struct run_endpoint endpoint = { .entry = index };
	char path[160];
	size_t i;

	if (!json_is_object(channel)) {
		run_topology_error(topology, at, "is no object");
		return;
	}
	if (!json_is_string(name) || !json_string_length(name)) {
		snprintf(path, sizeof(path), "%s.name", at);
		run_topology_error(topology, name ? path : at, name ? "is no text" : "has no name");
		return;
	}
	snprintf(endpoint.channel, sizeof(endpoint.channel), "%s", json_string_value(name));
	snprintf(path, sizeof(path), "%s.sockets", at);
	if (sockets && !json_is_array(sockets)) {
		run_topology_error(topology, path, "is no list");
		return;
	}
	if (json_array_size(sockets) == 0)
		graph_add_socket(topology, &endpoint, channel, NULL, at, at);
	json_array_foreach(sockets, i, socket)
	{
		snprintf(path, sizeof(path), "%s.sockets[%zu]", at, i);
		if (!json_is_object(socket))
			run_topology_error(topology, path, "is no object");
		else
			graph_add_socket(topology, &endpoint, channel, socket, at, path);
	}
}

/* The host of tcp://HOST:PORT. @return the port, or NULL */
static const char *graph_port(const struct run_endpoint *endpoint, char host[static 128])
{
	const char *at = endpoint->address + 6, *colon = NULL;

	if (endpoint->n_address < 8 || strncmp(endpoint->address, "tcp://", 6) != 0)
		return NULL;
	for (const char *c = at; c < endpoint->address + endpoint->n_address; c++)
		if (*c == ':')
			colon = c;
	if (!colon)
		return NULL;
	snprintf(host, 128, "%.*s", (int)(colon - at), at);
	return colon + 1;
}

static bool graph_is_here(const char *host)
{
	char own[128] = "";

	gethostname(own, sizeof(own) - 1);
	return strcmp(host, own) == 0 ||
	       graph_is_one_of(
		       host, (const char *const[]){ "*", "0.0.0.0", "[::]", "localhost", "127.0.0.1", "[::1]", NULL });
}

static bool graph_is_same(const struct run_endpoint *a, const struct run_endpoint *b)
{
	char host_a[128], host_b[128];
	const char *port_a = graph_port(a, host_a), *port_b = graph_port(b, host_b);
	size_t n_a, n_b;

	if (a->n_address == b->n_address && memcmp(a->address, b->address, a->n_address) == 0)
		return true;
	if (!port_a || !port_b)
		return false;
	n_a = (size_t)(a->address + a->n_address - port_a);
	n_b = (size_t)(b->address + b->n_address - port_b);
	return n_a == n_b && memcmp(port_a, port_b, n_a) == 0 && graph_is_here(host_a) && graph_is_here(host_b);
}

static void graph_add_edge(struct run_topology *topology, const struct run_endpoint *bound,
                           const struct run_endpoint *connected)
{
	struct run_edge *edges = realloc(topology->edges, (topology->n_edges + 1) * sizeof(*edges));
	bool is_backwards = !graph_is_source(bound->type) &&
	                    (graph_is_source(connected->type) || graph_is_target(bound->type));

	if (!edges) {
		run_topology_error(topology, NULL, "no memory");
		return;
	}
	topology->edges = edges;
	edges[topology->n_edges++] = (struct run_edge){
		.from = is_backwards ? connected : bound,
		.to = is_backwards ? bound : connected,
		.is_both_ways = strcmp(bound->type, "pair") == 0 ||
		                (!is_backwards && !graph_is_source(bound->type) && !graph_is_target(connected->type)),
	};
}

/* Whether somebody who is not yet in a level below sends to it. */
static bool graph_is_fed(const struct run_topology *topology, size_t entry, const unsigned *level, unsigned now)
{
	for (size_t i = 0; i < topology->n_edges; i++) {
		const struct run_edge *edge = &topology->edges[i];

		if (edge->to->entry == entry && edge->from->entry != entry && !edge->is_both_ways &&
		    level[edge->from->entry] >= now)
			return true;
	}
	return false;
}

/* Sources first, then along the graph. */
static void graph_make_levels(struct run_topology *topology)
{
	unsigned *level = malloc(topology->n_entries * sizeof(*level));
	size_t n_left = topology->n_entries;

	if (!level) {
		run_topology_error(topology, NULL, "no memory");
		return;
	}
	for (size_t i = 0; i < topology->n_entries; i++)
		level[i] = UINT32_MAX;
	for (unsigned now = 0; n_left > 0; now++) {
		size_t n_before = n_left;

		for (size_t i = 0; i < topology->n_entries; i++) {
			if (level[i] == UINT32_MAX && !graph_is_fed(topology, i, level, now)) {
				level[i] = now;
				n_left--;
			}
		}
		for (size_t i = 0; n_left == n_before && i < topology->n_entries; i++) {
			if (level[i] == UINT32_MAX) {
				level[i] = now;
				n_left--;
			}
		}
	}
	for (size_t i = 0; i < topology->n_entries; i++)
		topology->entries[i].level = level[i];
	free(level);
}

void run_graph_make(struct run_topology *topology)
{
	json_t *devices = json_object_get(json_object_get(topology->root, "fairMQOptions"), "devices"), *device,
	       *channel;
	size_t i, j;

	json_array_foreach(devices, i, device)
	{
		json_t *channels = json_object_get(device, "channels");
		unsigned n_errors = topology->n_errors;
		char path[96];

		snprintf(path, sizeof(path), "fairMQOptions.devices[%zu].channels", i);
		if (channels && !json_is_array(channels))
			run_topology_error(topology, path, "is no list");
		json_array_foreach(channels, j, channel)
		{
			snprintf(path, sizeof(path), "fairMQOptions.devices[%zu].channels[%zu]", i, j);
			graph_add_channel(topology, i, channel, path);
		}
		topology->entries[i].has_bad_channels = !json_is_object(device) || topology->n_errors > n_errors;
	}
	for (i = 0; i < topology->n_endpoints; i++)
		for (j = 0; j < topology->n_endpoints; j++)
			if (topology->endpoints[i].is_bound && !topology->endpoints[j].is_bound &&
			    graph_is_same(&topology->endpoints[i], &topology->endpoints[j]))
				graph_add_edge(topology, &topology->endpoints[i], &topology->endpoints[j]);
	graph_make_levels(topology);
}
