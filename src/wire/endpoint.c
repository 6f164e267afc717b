/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See endpoint.h.
 *
 * The odd rule: what an endpoint does when it is idle is called without the lock, so its channel waits, before it goes, until it is not called.
 */
#include "wire/endpoint.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "wire/link.h"

void seai_endpoint_add(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	endpoint->id = wire->next_endpoint_id++;
	endpoint->next = wire->endpoints;
	wire->endpoints = endpoint;
}

void seai_endpoint_remove(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	for (struct seai_endpoint **at = &wire->endpoints; *at; at = &(*at)->next)
		if (*at == endpoint) {
			*at = endpoint->next;
			break;
		}
	for (struct seai_target **at = &wire->targets; *at;) {
		struct seai_target *target = *at;

		if (target->endpoint != endpoint) {
			at = &target->next;
			continue;
		}
		*at = target->next;
		if (target->link)
			target->link->target = NULL;
		free(target);
	}
	for (struct seai_link *link = wire->links, *next; link; link = next) {
		next = link->next;
		if (link->endpoint == endpoint)
			seai_link_let_go(link);
	}
}

struct seai_endpoint *seai_endpoint_find_bound(struct seai_wire *wire, const char *name)
{
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next)
		for (uint32_t i = 0; i < endpoint->n_names; i++)
			if (strcmp(endpoint->names[i], name) == 0)
				return endpoint;
	return NULL;
}

bool seai_endpoint_has_peer(struct seai_wire *wire, const struct seai_endpoint *endpoint)
{
	for (const struct seai_link *link = wire->links; link; link = link->next)
		if (link->endpoint == endpoint && atomic_load(&link->state) <= SEAI_LINK_OPEN)
			return true;
	return false;
}

void seai_endpoints_run_idle(struct seai_wire *wire)
{
	for (;;) {
		struct seai_endpoint *endpoint;
		bool again;

		{
			SEAI_LOCKED(&wire->control, control);
			endpoint = wire->endpoints;
			while (endpoint && !(endpoint->wants_idle && endpoint->on_idle))
				endpoint = endpoint->next;
			if (!endpoint)
				break;
			endpoint->wants_idle = false;
			endpoint->is_idling = true;
		}
		again = endpoint->on_idle(endpoint);
		{
			SEAI_LOCKED(&wire->control, control);
			endpoint->is_idling = false;
			wire->n_idle_again += again;
			endpoint->wants_idle_again = again;
		}
	}
	SEAI_LOCKED(&wire->control, control);
	if (!wire->n_idle_again)
		return;
	/* In the next round, after a while. */
	wire->n_idle_again = 0;
	wire->wants_retry = true;
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next) {
		endpoint->wants_idle |= endpoint->wants_idle_again;
		endpoint->wants_idle_again = false;
	}
}

void seai_endpoint_hold_off(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	for (;;) {
		{
			SEAI_LOCKED(&wire->control, control);
			endpoint->on_idle = NULL;
			if (!endpoint->is_idling)
				return;
		}
		sched_yield();
	}
}
