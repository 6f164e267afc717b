/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 of every process of a chain (kill-world.h), at each numbered point that it passes and at random times: the others
 * go on, no byte is wrong, no message comes twice, none is lost that somebody alive had, the memory of the dead comes
 * back, and who is started again takes part.
 *
 * A round begins and ends with nothing under way. $SEALANE_KILL_CASE="ROLE/POINT/PASS" (POINT: a piece of its name, or
 * "random") plays rounds of that kind only; the seed does the rest.
 */
#include "test.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "kill-world.h"

#define MS_NS INT64_C(1000000)
#define N_KILLS 320
#define N_KILLS_SOAK 10000
#define N_KILLS_SANITIZED 60
#define CAMPAIGN_NS (80000 * MS_NS)
#define SHMEM_TOLERANCE_N_BYTES (UINT64_C(8) << 20)
#define SLOW_NS (1000 * MS_NS) /* a round that is worth a line */

/* How a point is reached. */
enum method {
	METHOD_WORK,  /* it passes it while messages flow */
	METHOD_START, /* when it starts */
	METHOD_CLOSE, /* when it closes its channel and session */
	METHOD_OTHER, /* when another process dies */
	METHOD_RANDOM,
	METHOD_N,
};
static const char *const method_names[METHOD_N] = { "work", "start", "close", "other's death", "random" };

struct plan {
	enum kill_role role;
	int point; /* -1: any time */
	int pass;
	enum method method;
};

struct campaign {
	struct kill_world *world;
	pid_t pids[KILL_N_ROLES];
	struct plan plan;
	bool may_lose; /* two were killed in this round */
	unsigned n_kills, n_rounds, n_lost;
	unsigned n_at_point[KILL_N_ROLES][KILL_N_POINTS_MAX];
	unsigned n_random[KILL_N_ROLES];
	unsigned n_missed[KILL_N_ROLES][KILL_N_POINTS_MAX][METHOD_N];
	int64_t recovery_max_ns, killed_ns;
};

static struct role_start {
	struct kill_world *world;
	enum kill_role role;
} role_starts[KILL_N_ROLES];

static void role_main(void *arg)
{
	struct role_start *start = arg;

	kill_role_run(start->world, start->role);
}

static void campaign_show(const struct campaign *campaign)
{
	struct kill_world *world = campaign->world;
	uint64_t base = atomic_load(&world->base), next = atomic_load(&world->next);
	int n_shown = 0;

	printf("  round %u: SEALANE_KILL_CASE=\"%s/%s/%d\" by %s%s\n", campaign->n_rounds,
	       kill_role_names[campaign->plan.role],
	       campaign->plan.point < 0 ? "random" : kill_point_name(campaign->plan.point), campaign->plan.pass,
	       method_names[campaign->plan.method], campaign->may_lose ? ", two killed" : "");
	for (int i = 0; i < KILL_N_ROLES; i++) {
		struct kill_process *process = &world->processes[i];

		printf("  %s %u: pid %d, worked %llu, idle %llu, used %lld, died at a point: %d\n", kill_role_names[i],
		       atomic_load(&process->instance), (int)campaign->pids[i],
		       (unsigned long long)atomic_load(&process->n_worked),
		       (unsigned long long)atomic_load(&process->n_idle),
		       (long long)atomic_load(&process->n_bytes_used), atomic_load(&process->gate.fired_ns) != 0);
	}
	printf("  messages %llu to %llu; not done:", (unsigned long long)base, (unsigned long long)next);
	for (uint64_t i = base; i < next && n_shown < 20; i++) {
		struct kill_mark *mark = &world->marks[i % KILL_N_MARKS];

		if (atomic_load(&mark->sent) && (atomic_load(&mark->got) & 3) != KILL_DONE)
			n_shown += printf(" %llu(sent %u, sink %u: %u)", (unsigned long long)i,
			                  atomic_load(&mark->sent), atomic_load(&mark->got) >> 2,
			                  atomic_load(&mark->got) & 3) > 0;
	}
	printf("\n");
	fflush(stdout);
}

#define CAMPAIGN_FAIL(campaign, ...)     \
	do {                             \
		campaign_show(campaign); \
		FAIL(__VA_ARGS__);       \
	} while (0)

/* --- processes --- */

static void campaign_start(struct campaign *campaign, enum kill_role role)
{
	struct kill_process *process = &campaign->world->processes[role];

	atomic_fetch_add(&process->instance, 1);
	atomic_store(&process->n_worked, 0);
	atomic_store(&process->n_bytes_used, UINT64_MAX);
	atomic_store(&process->n_idle, 0);
	atomic_store(&process->must_close, false);
	atomic_store(&process->gate.phase, KILL_STARTING);
	atomic_store(&process->gate.fired_ns, 0);
	role_starts[role] = (struct role_start){ campaign->world, role };
	campaign->pids[role] = test_fork(role_main, &role_starts[role]);
}

static void campaign_arm(struct campaign *campaign, enum kill_role role, int point, int pass)
{
	struct kill_gate *gate = &campaign->world->processes[role].gate;

	atomic_store(&gate->countdown, pass);
	atomic_store(&gate->point, point);
}

/* Takes note of a process's end, if it has ended. */
static bool campaign_look(struct campaign *campaign, enum kill_role role)
{
	struct kill_process *process = &campaign->world->processes[role];
	int status;

	if (campaign->pids[role] == 0)
		return true;
	if (waitpid(campaign->pids[role], &status, WNOHANG) <= 0)
		return false;
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL || !atomic_load(&process->gate.fired_ns)
	                        : WEXITSTATUS(status) != 0 || !atomic_load(&process->must_close))
		CAMPAIGN_FAIL(campaign, "%s ended by itself: %s %d", kill_role_names[role],
		              WIFSIGNALED(status) ? "signal" : "exit code",
		              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	campaign->pids[role] = 0;
	atomic_store(&process->gate.point, KILL_NOWHERE);
	if (WIFSIGNALED(status)) {
		campaign->killed_ns = atomic_load(&process->gate.fired_ns);
		campaign->n_kills++;
		campaign->n_at_point[role][campaign->plan.point]++;
	}
	return true;
}

static bool campaign_wait_end(struct campaign *campaign, enum kill_role role, int64_t timeout_ns)
{
	int64_t until_ns = test_now_ns() + timeout_ns;

	while (!campaign_look(campaign, role)) {
		if (test_now_ns() > until_ns)
			return false;
		usleep(200);
	}
	return true;
}

static void campaign_disarm(struct campaign *campaign, enum kill_role role)
{
	struct kill_gate *gate = &campaign->world->processes[role].gate;

	if (atomic_exchange(&gate->point, KILL_NOWHERE) == KILL_FIRED &&
	    !campaign_wait_end(campaign, role, test_patience_ns()))
		CAMPAIGN_FAIL(campaign, "%s does not die", kill_role_names[role]);
}

static void campaign_kill(struct campaign *campaign, enum kill_role role)
{
	campaign_disarm(campaign, role);
	if (campaign_look(campaign, role))
		return; /* it was faster */
	campaign->killed_ns = test_now_ns();
	kill(campaign->pids[role], SIGKILL);
	if (test_wait(campaign->pids[role]) != -SIGKILL)
		CAMPAIGN_FAIL(campaign, "%s ended by itself", kill_role_names[role]);
	campaign->pids[role] = 0;
	campaign->n_kills++;
	campaign->n_random[role]++;
}

static void campaign_look_at_all(struct campaign *campaign)
{
	for (int i = 0; i < KILL_N_ROLES; i++)
		if (campaign->pids[i] && campaign_look(campaign, (enum kill_role)i))
			CAMPAIGN_FAIL(campaign, "%s is gone", kill_role_names[i]);
}

/* Children of the dead live on without doing anything; at the end of a round they have done so long enough. */
static void campaign_end_children(struct campaign *campaign)
{
	struct kill_world *world = campaign->world;

	for (int i = 0; i < KILL_N_CHILDREN; i++) {
		struct kill_child *child = &world->children[i];
		pid_t pid = atomic_load(&child->pid);

		if (pid == 0 || (campaign->pids[child->role] &&
		                 child->instance == atomic_load(&world->processes[child->role].instance)))
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0); /* ours since its parent died */
		atomic_store(&child->pid, 0);
	}
}

/* --- a round --- */

static bool mark_is_over(const struct campaign *campaign, struct kill_mark *mark)
{
	uint32_t got = atomic_load(&mark->got);

	if (atomic_load(&mark->sent) != KILL_SENT || (got & 3) == KILL_DONE)
		return true;
	/* A sink that was killed between before and after the release: either is right. */
	return (got & 3) == KILL_RELEASING && got >> 2 != atomic_load(&campaign->world->processes[KILL_SINK].instance);
}

static unsigned campaign_n_missing(const struct campaign *campaign)
{
	struct kill_world *world = campaign->world;
	uint64_t next = atomic_load(&world->next);
	unsigned n = 0;

	for (uint64_t i = atomic_load(&world->base); i < next; i++)
		n += !mark_is_over(campaign, &world->marks[i % KILL_N_MARKS]);
	return n;
}

static bool campaign_is_quiet(const struct campaign *campaign)
{
	for (int i = 0; i < KILL_N_ROLES; i++) {
		const struct kill_process *process = &campaign->world->processes[i];

		if (atomic_load(&process->n_bytes_used) != 0 || atomic_load(&process->n_idle) < 2)
			return false;
	}
	return true;
}

/* Until all that was sent is done, and nobody holds anything of anybody. */
static void campaign_settle(struct campaign *campaign)
{
	struct kill_world *world = campaign->world;
	int64_t until_ns = test_now_ns() + test_patience_ns();
	uint64_t next;

	atomic_store(&world->is_paused, true);
	/* Twice, since what one of them noted may be older than what another did to it. */
	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < KILL_N_ROLES; j++)
			atomic_store(&world->processes[j].n_idle, 0);
		while (!campaign_is_quiet(campaign) || (!campaign->may_lose && campaign_n_missing(campaign))) {
			campaign_look_at_all(campaign);
			if (test_now_ns() > until_ns) {
				if (campaign_is_quiet(campaign))
					CAMPAIGN_FAIL(campaign, "%u messages are lost", campaign_n_missing(campaign));
				CAMPAIGN_FAIL(campaign, "somebody hangs, or memory does not come back");
			}
			usleep(200);
		}
	}
	if (test_now_ns() - campaign->killed_ns > campaign->recovery_max_ns)
		campaign->recovery_max_ns = test_now_ns() - campaign->killed_ns;
	if (test_now_ns() - campaign->killed_ns > SLOW_NS) {
		printf("  %.0f ms from the kill to the end of this round:\n",
		       (double)(test_now_ns() - campaign->killed_ns) / 1e6);
		campaign_show(campaign);
	}
	campaign->n_lost += campaign_n_missing(campaign);
	next = atomic_load(&world->next);
	for (uint64_t i = atomic_load(&world->base); i < next; i++) {
		atomic_store(&world->marks[i % KILL_N_MARKS].sent, 0);
		atomic_store(&world->marks[i % KILL_N_MARKS].got, 0);
	}
	atomic_store(&world->base, next);
	atomic_fetch_add(&world->round, 1);
}

/* Starts who is missing, and waits until all of them take part. */
static void campaign_restore(struct campaign *campaign)
{
	struct kill_world *world = campaign->world;
	int64_t until_ns = test_now_ns() + test_patience_ns();
	uint64_t before[KILL_N_ROLES];

	for (int i = 0; i < KILL_N_ROLES; i++) {
		before[i] = atomic_load(&world->processes[i].n_worked);
		if (campaign->pids[i])
			continue;
		campaign_start(campaign, (enum kill_role)i);
		before[i] = 0;
	}
	atomic_store(&world->is_paused, false);
	for (int i = 0; i < KILL_N_ROLES; i++)
		while (atomic_load(&world->processes[i].n_worked) == before[i]) {
			campaign_look_at_all(campaign);
			if (test_now_ns() > until_ns)
				CAMPAIGN_FAIL(campaign, "%s takes no part", kill_role_names[i]);
			usleep(200);
		}
}

static void campaign_end_round(struct campaign *campaign)
{
	for (int i = 0; i < KILL_N_ROLES; i++)
		campaign_disarm(campaign, (enum kill_role)i);
	if (test_random() % 2)
		usleep((useconds_t)(test_random() % 3000));
	campaign_restore(campaign);
	campaign_settle(campaign);
	campaign_end_children(campaign);
	campaign->may_lose = false;
	campaign->n_rounds++;
}

/* Returns whether the process died as planned. */
static bool campaign_play(struct campaign *campaign, struct plan plan)
{
	struct kill_world *world = campaign->world;
	bool has_died = false;

	campaign->plan = plan;
	if (getenv("SEALANE_KILL_VERBOSE"))
		printf("  round %u: %s/%s/%d by %s\n", campaign->n_rounds, kill_role_names[plan.role],
		       plan.point < 0 ? "random" : kill_point_name(plan.point), plan.pass, method_names[plan.method]);
	switch (plan.method) {
	case METHOD_WORK:
		campaign_arm(campaign, plan.role, plan.point, plan.pass);
		atomic_store(&world->is_paused, false);
		has_died = campaign_wait_end(campaign, plan.role, 40 * MS_NS);
		break;
	case METHOD_START:
		/* Nobody holds anything: this first kill costs nothing. */
		campaign_kill(campaign, plan.role);
		campaign_arm(campaign, plan.role, plan.point, plan.pass);
		atomic_store(&world->is_paused, false);
		campaign_start(campaign, plan.role);
		has_died = campaign_wait_end(campaign, plan.role, 200 * MS_NS);
		break;
	case METHOD_CLOSE:
		atomic_store(&world->is_paused, false);
		usleep((useconds_t)(test_random() % 5000));
		campaign_arm(campaign, plan.role, plan.point, plan.pass);
		atomic_store(&world->processes[plan.role].must_close, true);
		has_died = campaign_wait_end(campaign, plan.role, test_patience_ns());
		if (!has_died)
			CAMPAIGN_FAIL(campaign, "%s does not come to its end", kill_role_names[plan.role]);
		has_died = atomic_load(&world->processes[plan.role].gate.fired_ns) != 0;
		break;
	case METHOD_OTHER:
		atomic_store(&world->is_paused, false);
		usleep((useconds_t)(1000 + test_random() % 5000));
		campaign->may_lose = true;
		campaign_arm(campaign, plan.role, plan.point, plan.pass);
		campaign_kill(campaign,
		              (enum kill_role)((plan.role + 1 + test_random() % (KILL_N_ROLES - 1)) % KILL_N_ROLES));
		has_died = campaign_wait_end(campaign, plan.role, 100 * MS_NS);
		break;
	default:
		atomic_store(&world->is_paused, false);
		usleep((useconds_t)(test_random() % 8000));
		campaign_kill(campaign, plan.role);
		has_died = true;
		break;
	}
	if (!has_died) {
		campaign->n_missed[plan.role][plan.point][plan.method]++;
		if (campaign->pids[plan.role] && plan.method == METHOD_WORK)
			campaign_kill(campaign, plan.role);
	}
	campaign_end_round(campaign);
	return has_died;
}

/* --- what to play --- */

/* One of the methods by which this role came by this point so far, unless it has failed too often. */
static bool campaign_choose(const struct campaign *campaign, struct plan *plan)
{
	const struct kill_gate *gate = &campaign->world->processes[plan->role].gate;
	const unsigned *missed = campaign->n_missed[plan->role][plan->point];
	uint32_t n_work = atomic_load(&gate->n_passes[KILL_WORKING][plan->point]);
	uint32_t n_start = atomic_load(&gate->n_passes[KILL_STARTING][plan->point]);
	uint32_t n_close = atomic_load(&gate->n_passes[KILL_CLOSING][plan->point]);
	enum method methods[METHOD_N];
	int n = 0;

	/* Some are passed once, soon after the start. */
	if ((n_start || (n_work && missed[METHOD_WORK])) && missed[METHOD_START] < 3)
		methods[n++] = METHOD_START;
	if (n_work && missed[METHOD_WORK] < 2)
		methods[n++] = METHOD_WORK;
	if (n_close && missed[METHOD_CLOSE] < 3)
		methods[n++] = METHOD_CLOSE;
	if ((n_work || n_start) && missed[METHOD_WORK] && missed[METHOD_OTHER] < 6)
		methods[n++] = METHOD_OTHER;
	if (n == 0)
		return false;
	plan->method = methods[test_random() % (unsigned)n];
	plan->pass = test_random() % 2 ? 1 : 1 + (int)(test_random() % (plan->method == METHOD_WORK ? 40 : 4));
	return true;
}

static struct plan plan_random(void)
{
	return (struct plan){ (enum kill_role)(test_random() % KILL_N_ROLES), -1, 0, METHOD_RANDOM };
}

/* Starts of all roles, their ends, and random deaths: shows which points there are to choose from. */
static void campaign_explore(struct campaign *campaign)
{
	for (int i = 0; i < 3 * KILL_N_ROLES; i++)
		campaign_play(campaign, (struct plan){ (enum kill_role)(i % KILL_N_ROLES), -1, 0, METHOD_RANDOM });
	for (int i = 0; i < KILL_N_ROLES; i++)
		campaign_play(campaign, (struct plan){ (enum kill_role)i, 0, -1, METHOD_CLOSE });
}

static void campaign_play_all(struct campaign *campaign, unsigned n_kills)
{
	int64_t until_ns = test_now_ns() + CAMPAIGN_NS;
	int n_points = kill_n_points();
	int i = 0;

	/* Which of them come last does not depend on their names. */
	int offset = (int)(test_random() % (unsigned)(n_points * KILL_N_ROLES));

	for (; campaign->n_kills < n_kills || (i < 2 * n_points * KILL_N_ROLES && test_now_ns() < until_ns); i++) {
		int number = (i * 7919 + offset) % (n_points * KILL_N_ROLES);
		struct plan plan = { (enum kill_role)(number % KILL_N_ROLES), number / KILL_N_ROLES, 1, METHOD_WORK };

		if (campaign_choose(campaign, &plan) && !campaign_play(campaign, plan) && plan.method == METHOD_WORK) {
			/* What it passed when others died. */
			plan.pass = 1;
			plan.method = METHOD_START;
			if (campaign_play(campaign, plan))
				continue;
			plan.method = METHOD_OTHER;
			for (int j = 0; j < 2 && campaign->n_missed[plan.role][plan.point][METHOD_OTHER] < 6; j++)
				if (campaign_play(campaign, plan))
					break;
		}
		if (i % 6 == 0 || (i % 3 == 0 && test_now_ns() > until_ns))
			campaign_play(campaign, plan_random());
	}
}

static bool campaign_play_case(struct campaign *campaign, unsigned n_kills)
{
	const char *text = getenv("SEALANE_KILL_CASE");
	char role_name[32], point_name[80];
	int n_points = kill_n_points(), pass = 0;
	struct plan plan = { 0 };

	if (!text)
		return false;
	if (sscanf(text, "%31[^/]/%79[^/]/%d", role_name, point_name, &pass) < 2)
		FAIL("SEALANE_KILL_CASE is ROLE/POINT/PASS");
	while (plan.role < KILL_N_ROLES && strcmp(kill_role_names[plan.role], role_name) != 0)
		plan.role++;
	while (plan.point < n_points && !strstr(kill_point_name(plan.point), point_name))
		plan.point++;
	if (plan.role == KILL_N_ROLES || (plan.point == n_points && strcmp(point_name, "random") != 0))
		FAIL("no such role or point: %s", text);
	while (campaign->n_kills < n_kills && campaign->n_rounds < 4 * n_kills) {
		struct plan now = plan.point == n_points ? plan_random() : plan;

		now.role = plan.role;
		if (now.point >= 0) {
			memset(campaign->n_missed, 0, sizeof(campaign->n_missed));
			if (!campaign_choose(campaign, &now))
				FAIL("the %s does not pass %s", role_name, kill_point_name(plan.point));
			if (test_random() % 4 == 0)
				now.method = METHOD_OTHER;
			now.pass = pass ? pass : now.pass;
		}
		campaign_play(campaign, now);
	}
	return true;
}

/* --- the end --- */

static void campaign_report(const struct campaign *campaign)
{
	unsigned n_reached = 0, n_at_points = 0;

	printf("  kills by role at points (and at random):\n");
	for (int i = 0; i < KILL_N_ROLES; i++) {
		unsigned n = 0;

		for (int j = 0; j < kill_n_points(); j++)
			n += campaign->n_at_point[i][j];
		n_at_points += n;
		printf("    %-10s %5u (%u)\n", kill_role_names[i], n, campaign->n_random[i]);
	}
	printf("  kills by point: producer, whole, absorb, sink\n");
	for (int j = 0; j < kill_n_points(); j++) {
		const unsigned n[] = { campaign->n_at_point[0][j], campaign->n_at_point[1][j],
			               campaign->n_at_point[2][j], campaign->n_at_point[3][j] };

		n_reached += n[0] || n[1] || n[2] || n[3];
		printf("    %-44s %4u %4u %4u %4u\n", kill_point_name(j), n[0], n[1], n[2], n[3]);
	}
	printf("  %u kills in %u rounds, %u at %u of %d points; %llu messages, %llu of them by a second sink, %u lost by double "
	       "deaths; longest round after a kill %.1f ms\n",
	       campaign->n_kills, campaign->n_rounds, n_at_points, n_reached, kill_n_points(),
	       (unsigned long long)atomic_load(&campaign->world->next),
	       (unsigned long long)atomic_load(&campaign->world->n_again), campaign->n_lost,
	       (double)campaign->recovery_max_ns / 1e6);
	fflush(stdout);
	if (!getenv("SEALANE_KILL_CASE") && !test_is_sanitized())
		CHECK_GE(n_reached, (unsigned)kill_n_points() / 2);
}

/* What the dead left in the directory is gone when the next one has started. */
static void check_directory(void)
{
	struct sea_session *session = NULL;
	struct dirent *entry;
	char own[40];
	DIR *dir;

	CHECK_OK(sea_session_open(&session, NULL));
	snprintf(own, sizeof(own), "p-%016llx", (unsigned long long)sea_session_id(session));
	dir = opendir(sea_session_directory(session));
	CHECK(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' ? strncmp(entry->d_name, own, strlen(own)) != 0 : entry->d_name[1] == 't')
			FAIL("%s is left in the runtime directory", entry->d_name);
	closedir(dir);
	sea_session_close(session);
}

TEST_TIMEOUT(kill_campaign,
             "any process is killed at any point or time: nothing hangs, nothing is wrong, lost, doubled or left", 400)
{
	unsigned n_kills = test_is_soak() ? N_KILLS_SOAK : test_is_sanitized() ? N_KILLS_SANITIZED : N_KILLS;
	static struct campaign campaign;
	uint64_t shmem;

	CHECK_GT(kill_n_points(), 0);
	CHECK_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1));
	campaign.world = test_shared(sizeof(*campaign.world));
	memset(campaign.world, 0, sizeof(*campaign.world));
	atomic_store(&campaign.world->next, 1);
	atomic_store(&campaign.world->base, 1);
	shmem = test_shmem_n_bytes();
	campaign.killed_ns = test_now_ns();
	for (int i = 0; i < KILL_N_ROLES; i++)
		campaign_arm(&campaign, (enum kill_role)i, KILL_NOWHERE, 0);
	campaign_end_round(&campaign);
	campaign_explore(&campaign);
	if (!campaign_play_case(&campaign, n_kills))
		campaign_play_all(&campaign, n_kills);
	for (int i = 0; i < KILL_N_ROLES; i++) {
		campaign.plan = (struct plan){ (enum kill_role)i, -1, 0, METHOD_RANDOM };
		campaign_kill(&campaign, (enum kill_role)i);
	}
	campaign_end_children(&campaign);
	campaign_report(&campaign);
	CHECK_GE(campaign.n_kills, n_kills);
	check_directory();
	CHECK_EVENTUALLY(test_shmem_n_bytes() < shmem + SHMEM_TOLERANCE_N_BYTES);
	CHECK_SYS(munmap(campaign.world, sizeof(*campaign.world)));
}
