/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting: look for the time that was configured, then ask to be rung, look once more, sleep.
 * A doorbell is drained only on the way to sleep or to -EAGAIN, before asking, so that the channel's descriptor
 * stays readable as long as there may be something. Where nobody else waits on that descriptor it is edge-triggered, and the bells
 * are drained only so often that they never fill: that is one system call less per sleep.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kernel.h"
#include "channel/transport.h"
#include "wire/doorbell.h"

#define WAIT_N_EVENTS 32
/* Sleeps after which a doorbell is drained; each leaves one byte in it at most, and a pipe has room for a page of them at least. */
#define WAIT_N_UNDRAINED 1024

static bool wait_is_over(struct sea_channel *channel, unsigned what)
{
	if (atomic_load_explicit(&channel->has_changes, memory_order_acquire) ||
	    atomic_load_explicit(&channel->is_interrupted, memory_order_relaxed) ||
	    atomic_load_explicit(&channel->is_held, memory_order_relaxed))
		return true;
	for (uint32_t i = 0; i < channel->n_links; i++) {
		if (what & SEAI_WAIT_DATA && seai_link_has_data(channel->links[i]))
			return true;
		if (what & SEAI_WAIT_ROOM && seai_link_can_send(channel->links[i]))
			return true;
		if (what & SEAI_WAIT_AWAITED && channel->links[i]->is_awaited &&
		    (atomic_load_explicit(&channel->links[i]->state, memory_order_acquire) != SEAI_LINK_OPEN ||
		     seai_link_has_room(channel->links[i])))
			return true;
		if (what & SEAI_WAIT_TAKEN && channel->links[i]->out.capacity &&
		    atomic_load_explicit(&channel->links[i]->out.theirs->tail, memory_order_acquire) !=
		            channel->links[i]->out.tail_cached)
			return true;
	}
	return false;
}

/* Notes which doorbells are ringing, from what epoll says. */
static void wait_note(struct sea_channel *channel, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		struct seai_link *link = events[i].data.ptr;

		if (link)
			link->is_rung = true;
		else
			channel->is_kicked = true;
	}
}

static void wait_drain(struct sea_channel *channel)
{
	if (channel->is_kicked) {
		channel->is_kicked = false;
		(void)!read(channel->kick_fd, &(uint64_t){ 0 }, sizeof(uint64_t));
	}
	for (uint32_t i = 0; i < channel->n_links; i++)
		if (channel->links[i]->is_rung &&
		    (channel->is_fd_given || ++channel->links[i]->n_undrained >= WAIT_N_UNDRAINED)) {
			channel->links[i]->is_rung = false;
			channel->links[i]->n_undrained = 0;
			seai_doorbell_drain(channel->links[i]->bell_in_fd);
		}
}

/*
 * Asks all peers to ring, then fences. Whoever publishes afterwards sees it; what was published before is seen by the look that follows.
 *
 * The first sleep after a time of business pays for the order with a membarrier, which interrupts the peer; with it the
 * peers are asked to fence for themselves, so that the sleeps that follow cost next to nothing. seai_link_note_use() takes that back.
 */
static void wait_arm(struct sea_channel *channel, unsigned what)
{
	bool needs_membarrier = false, has_news = false;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];
		uint64_t position = atomic_load_explicit(&link->in.position, memory_order_relaxed);

		link->n_since_sleep = 0;
		if (what & SEAI_WAIT_DATA && link->n_slots_theirs && link->armed_data != position) {
			link->armed_data = position;
			atomic_store_explicit(&link->mine->want_data, position, memory_order_relaxed);
			has_news = true;
		}
		if (what & (SEAI_WAIT_ROOM | SEAI_WAIT_TAKEN | SEAI_WAIT_AWAITED) && link->out.capacity &&
		    link->armed_room != link->out.tail_cached) {
			link->armed_room = link->out.tail_cached;
			atomic_store_explicit(&link->mine->want_room, link->out.tail_cached, memory_order_relaxed);
			has_news = true;
		}
		if (link->asymmetric && !link->wants_fences) {
			link->wants_fences = true;
			atomic_store_explicit(&link->mine->wants_fences, 1, memory_order_relaxed);
			needs_membarrier = true;
		}
	}
	/* What is armed already was fenced when it was. */
	if (has_news || needs_membarrier)
		seai_fence_heavy(needs_membarrier);
}

bool seai_channel_arm_for_poll(struct sea_channel *channel, unsigned what)
{
	struct epoll_event events[WAIT_N_EVENTS] = { { 0 } };

	if (!channel->is_fd_given)
		return false;
	/* Those that rang without our having slept. */
	wait_note(channel, events, epoll_wait(channel->epoll_fd, events, WAIT_N_EVENTS, 0));
	wait_drain(channel);
	wait_arm(channel, what);
	if (!wait_is_over(channel, what))
		return false;
	/* The bell was drained, and will not be rung for what is there already: the descriptor has to stay readable. */
	seai_channel_kick(channel);
	return true;
}

/* How many short waits in a row mean that two processes run in lock-step. */
#define WAIT_N_SHORT 8
/* Looks after which a wait was short. */
#define WAIT_N_SHORT_LOOKS 2
#define WAIT_BACK_OFF_MIN_NS INT64_C(250)
#define WAIT_BACK_OFF_MAX_NS INT64_C(2000)
/* So many messages, or free slots, at the end of a wait say that it could have been longer. */
#define WAIT_N_PLENTY 16

static bool wait_has_plenty(const struct sea_channel *channel, unsigned what, uint64_t n)
{
	for (uint32_t i = 0; i < channel->n_links; i++) {
		const struct seai_link *link = channel->links[i];
		uint64_t position = atomic_load_explicit(&link->in.position, memory_order_relaxed) + n - 1;

		if (what & SEAI_WAIT_DATA && link->in.capacity >= n &&
		    atomic_load_explicit(&link->in.slots[position & link->in.mask].sequence, memory_order_relaxed) ==
		            position + 1)
			return true;
		if (what & SEAI_WAIT_ROOM && link->out.capacity >= n &&
		    atomic_load_explicit(&link->out.position, memory_order_relaxed) -
		                    atomic_load_explicit(&link->out.theirs->tail, memory_order_relaxed) <=
		            link->out.capacity - n)
			return true;
	}
	return false;
}

/*
 * A receiver that has caught up with its sender, and looks again at once, takes the very cache line away that the sender is about to
 * write: both then run at the speed of that line going to and fro, message by message. Where waits have been short of late it
 * looks away first, for longer while there is plenty at the end, for shorter when there is not; a wait for an answer is never short.
 */
static void wait_learn(struct sea_channel *channel, unsigned what, unsigned n_looks)
{
	if (channel->back_off_ns == 0) {
		channel->n_short_waits = n_looks <= WAIT_N_SHORT_LOOKS ? channel->n_short_waits + 1 : 0;
		if (channel->n_short_waits >= WAIT_N_SHORT)
			channel->back_off_ns = WAIT_BACK_OFF_MIN_NS;
		return;
	}
	if (wait_has_plenty(channel, what, WAIT_N_PLENTY)) {
		if (channel->back_off_ns < WAIT_BACK_OFF_MAX_NS)
			channel->back_off_ns *= 2;
	} else if (!wait_has_plenty(channel, what, 2)) {
		channel->back_off_ns = channel->back_off_ns > WAIT_BACK_OFF_MIN_NS ? channel->back_off_ns / 2 : 0;
		channel->n_short_waits = 0;
	}
}

static void wait_look_away(const struct sea_channel *channel)
{
	int64_t until_ns = seai_now_ns() + channel->back_off_ns;

	while (seai_now_ns() < until_ns)
		seai_relax();
}

/* Looks without sleeping. Returns whether there is something. */
static bool wait_spin(struct sea_channel *channel, unsigned what, int64_t deadline_ns, int64_t *spin_until_ns)
{
	int64_t now_ns = seai_now_ns(), until_ns;
	unsigned n_looks = 0;

	/* The time counts from the beginning of the call, not from each look. */
	if (*spin_until_ns == 0)
		*spin_until_ns = channel->spin_ns > SEAI_FOR_EVER - now_ns ? SEAI_FOR_EVER : now_ns + channel->spin_ns;
	until_ns = *spin_until_ns < deadline_ns ? *spin_until_ns : deadline_ns;
	if (channel->back_off_ns && now_ns + channel->back_off_ns < until_ns)
		wait_look_away(channel);
	while (now_ns < until_ns) {
		/* The clock is read now and then only. */
		for (int i = 0; i < 64; i++) {
			n_looks++;
			if (wait_is_over(channel, what)) {
				wait_learn(channel, what, n_looks);
				return true;
			}
			seai_relax();
		}
		now_ns = until_ns == SEAI_FOR_EVER ? 0 : seai_now_ns();
	}
	channel->n_short_waits = 0;
	channel->back_off_ns = 0;
	return false;
}

int seai_channel_sleep(struct sea_channel *channel, int64_t deadline_ns)
{
	struct epoll_event events[WAIT_N_EVENTS] = { { 0 } };
	int n, r;

	if (channel->session->hooks->is_service_thread(channel->session))
		return -EDEADLK;
	r = seai_channel_take_interrupt(channel);
	if (r < 0)
		return r;
	seai_count(&channel->n_sleeps, 1);
	n = seai_epoll_wait(channel->epoll_fd, events, WAIT_N_EVENTS, deadline_ns);
	if (n < 0)
		return n;
	wait_note(channel, events, n);
	wait_drain(channel);
	r = seai_channel_take_interrupt(channel);
	return r < 0 ? r : n == 0 ? -ETIMEDOUT : 0;
}

int seai_channel_wait(struct sea_channel *channel, unsigned what, int64_t deadline_ns, int64_t *spin_until_ns,
                      int64_t retry_ns)
{
	struct epoll_event events[WAIT_N_EVENTS] = { { 0 } };
	int64_t wake_ns = deadline_ns;
	int n, r;

	if (channel->session->hooks->is_service_thread(channel->session))
		return -EDEADLK;
	r = seai_channel_take_interrupt(channel);
	if (r < 0)
		return r;
	if (channel->spin_ns && retry_ns < 0 && wait_spin(channel, what, deadline_ns, spin_until_ns))
		return seai_channel_take_interrupt(channel);
	wait_drain(channel);
	wait_arm(channel, what);
	if (retry_ns < 0 && wait_is_over(channel, what))
		return seai_channel_take_interrupt(channel);
	if (retry_ns >= 0 && seai_now_ns() + retry_ns < deadline_ns)
		wake_ns = seai_now_ns() + retry_ns;
	seai_count(&channel->n_sleeps, 1);
	n = seai_epoll_wait(channel->epoll_fd, events, WAIT_N_EVENTS, wake_ns);
	if (n < 0)
		return n;
	wait_note(channel, events, n);
	r = seai_channel_take_interrupt(channel);
	if (r < 0)
		return r;
	if (n == 0 && wake_ns == deadline_ns)
		return -ETIMEDOUT;
	return 0;
}

static unsigned wait_n_peers(const struct sea_channel *channel)
{
	unsigned n = 0;

	if (channel->endpoint.pattern != SEA_PUB)
		return channel->n_links - channel->n_ending;
	/* Subscribers count from when it is known what they want. */
	for (uint32_t i = 0; i < channel->n_links; i++)
		n += channel->links[i]->topics != NULL &&
		     atomic_load_explicit(&channel->links[i]->state, memory_order_relaxed) == SEAI_LINK_OPEN;
	return n;
}

static int wait_peers(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns)
{
	int64_t deadline_ns = seai_deadline(timeout_ns), spin_until_ns = 1;

	for (;;) {
		int r;

		seai_channel_update(channel);
		if (wait_n_peers(channel) >= n_peers)
			return 0;
		r = atomic_load_explicit(&channel->endpoint.error, memory_order_relaxed);
		if (r < 0)
			return r;
		if (timeout_ns == 0)
			return -EAGAIN;
		/* Spun already: peers take their time. */
		r = seai_channel_wait(channel, SEAI_WAIT_PEERS, deadline_ns, &spin_until_ns, -1);
		if (r < 0)
			return r;
	}
}

int sea_channel_wait_peers(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns)
{
	int r;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (channel->transport)
		return channel->transport->wait_peers(channel, n_peers, timeout_ns);
	seai_publish_enter(channel);
	r = wait_peers(channel, n_peers, timeout_ns);
	seai_publish_leave(channel);
	return r;
}
