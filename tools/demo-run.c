/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, watching and ending the demo's processes. The coordinator opens no session, so that what it
 * forks may open one. Signals are blocked and waited for; there is no handler.
 */
#include "demo-run.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "terminal.h"

#define TICK_NS DEMO_MS_NS
/* With no timeframe at the sink for so many ticks something hangs. Not time: a suspended machine is no hang. */
#define N_TICKS_STALL 30000
/* Ticks without a timeframe at the sink after which those that are on their way are taken to stand still. */
#define N_TICKS_SETTLED 100
/* How long the processes may take to end before they are made to. */
#define END_NS (3000 * DEMO_MS_NS)

enum phase {
	PHASE_WHOLE,     /* all processors at work, one is to be killed */
	PHASE_STOPPED,   /* it is held by SIGSTOP until it surely has a timeframe */
	PHASE_KILLED,    /* the others do its work */
	PHASE_RESTARTED, /* it is there again and is to take part */
	PHASE_LAST,      /* nothing more to do to anybody */
};

struct watch {
	enum phase phase;
	uint64_t n_at_phase; /* timeframes, sent or checked, at the last change of phase */
	uint64_t n_ticks_phase;
	uint64_t n_checked_last;
	uint64_t n_ticks_still;
	bool is_ending; /* the reader is done: the others are told to end, in order */
	bool sink_told;
};

int demo_shared_map(struct demo_shared **ret_shared, const struct demo_plan *plan)
{
	size_t n_faults = (size_t)plan->n_timeframes + 1;
	size_t n_head = (sizeof(struct demo_shared) + 63) & ~(size_t)63;
	size_t n_latency = (n_faults * sizeof(int64_t) + 4095) & ~(size_t)4095;
	size_t n_bytes = n_head + n_latency + DEMO_N_SLOTS * n_faults * sizeof(uint32_t);
	struct demo_shared *shared = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return -errno;
	shared->n_mapped_bytes = n_bytes;
	/* Forked children have it at the same address: plain pointers do. */
	shared->latency_ns = (int64_t *)((char *)shared + n_head);
	for (unsigned i = 0; i < DEMO_N_SLOTS; i++)
		shared->faults[i] = (uint32_t *)((char *)shared + n_head + n_latency) + i * n_faults;
	*ret_shared = shared;
	return 0;
}

void demo_shared_unmap(struct demo_shared *shared)
{
	if (shared)
		munmap(shared, shared->n_mapped_bytes);
}

/* The others mostly follow from the first. */
int demo_run_failed(struct demo_run *run, const char *format, ...)
{
	va_list arguments;

	if (run->reason[0])
		return -EIO;
	va_start(arguments, format);
	vsnprintf(run->reason, sizeof(run->reason), format, arguments);
	va_end(arguments);
	return -EIO;
}

static int child_main(const struct demo_run *run, const struct demo_process *process, pid_t parent)
{
	demo_child_signals();
	prctl(PR_SET_NAME, process->name);
	/* No orphaned processes, should the coordinator itself be killed; also in the moment before this call. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return 1;
	if (process->slot == DEMO_SLOT_READER)
		return demo_reader_run(run->plan, run->shared, process->slot);
	if (process->slot == DEMO_SLOT_SINK)
		return demo_sink_run(run->plan, run->shared, process->slot);
#ifdef SEALANE_COMMAND_CCDB
	if (process->slot == DEMO_SLOT_CACHE)
		return demo_cache_run(run->plan, run->shared, process->slot);
#endif
	return demo_processor_run(run->plan, run->shared, process->slot, process->processor, process->incarnation);
}

static struct demo_process *process_start(struct demo_run *run, unsigned slot, const char *name, unsigned processor,
                                          unsigned incarnation)
{
	struct demo_process *process = &run->processes[run->n_processes];
	pid_t parent = getpid();

	*process = (struct demo_process){ .slot = slot, .processor = processor, .incarnation = incarnation };
	snprintf(process->name, sizeof(process->name), "%s", name);
	fflush(NULL);
	process->pid = fork();
	if (process->pid == 0)
		_exit(child_main(run, process, parent));
	if (process->pid < 0) {
		demo_run_failed(run, "cannot start the %s: %s", name, strerror(errno));
		return NULL;
	}
	process->is_running = true;
	run->n_processes++;
	return process;
}

static int processes_start(struct demo_run *run)
{
	if (!process_start(run, DEMO_SLOT_READER, "reader", 0, 0) || !process_start(run, DEMO_SLOT_SINK, "sink", 0, 0))
		return -EIO;
	if (run->plan->calibration && !process_start(run, DEMO_SLOT_CACHE, "cache", 0, 0))
		return -EIO;
	for (unsigned i = 0; i < run->plan->n_processors; i++) {
		struct demo_process *process;
		char name[40];

		snprintf(name, sizeof(name), "processor %u", i);
		process = process_start(run, DEMO_SLOT_PROCESSOR + i, name, i, 0);
		if (!process)
			return -EIO;
		run->victim = process;
	}
	return 0;
}

static const struct demo_status *process_status(const struct demo_run *run, const struct demo_process *process)
{
	return &run->shared->status[process->slot];
}

static void process_ended(struct demo_run *run, struct demo_process *process, int status, bool is_expected)
{
	const char *reason = process_status(run, process)->reason;

	process->is_running = false;
	if (process->is_killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (WIFSIGNALED(status))
		demo_run_failed(run, "the %s (process %d) was killed by signal %d (%s)%s", process->name,
		                (int)process->pid, WTERMSIG(status), strsignal(WTERMSIG(status)),
		                WTERMSIG(status) == SIGKILL ? ", by somebody else or for lack of memory" : "");
	else if (WEXITSTATUS(status) != 0)
		demo_run_failed(run, "the %s failed: %s", process->name, reason[0] ? reason : "no reason given");
	else if (!is_expected)
		demo_run_failed(run, "the %s ended before its time", process->name);
}

/* Collects whoever has ended. is_told: to end is what they were told. */
static void processes_reap(struct demo_run *run, bool is_told)
{
	for (unsigned i = 0; i < run->n_processes; i++) {
		struct demo_process *process = &run->processes[i];
		bool is_expected = is_told || process->slot == DEMO_SLOT_READER;
		int status;

		if (process->is_running && wait4(process->pid, &status, WNOHANG, &process->usage) == process->pid)
			process_ended(run, process, status, is_expected);
	}
}

static unsigned processes_count(const struct demo_run *run, bool with_sink)
{
	unsigned n = 0;

	for (unsigned i = 0; i < run->n_processes; i++)
		if (run->processes[i].is_running && (with_sink || run->processes[i].slot != DEMO_SLOT_SINK))
			n++;
	return n;
}

static void processes_signal(const struct demo_run *run, int number, bool with_sink)
{
	for (unsigned i = 0; i < run->n_processes; i++) {
		const struct demo_process *process = &run->processes[i];

		if (process->is_running && (with_sink || process->slot != DEMO_SLOT_SINK))
			kill(process->pid, number);
	}
}

void demo_tick(struct demo_run *run, int64_t duration_ns)
{
	const struct timespec duration = { .tv_nsec = duration_ns };
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	number = sigtimedwait(&set, NULL, &duration);
	if (number > 0 && number != SIGCHLD)
		run->signal = number;
}

/* Ends what still runs: politely, then not. Also after a failure, when nobody's end is news any more. */
static void processes_end(struct demo_run *run)
{
	int64_t deadline_ns = demo_now_ns() + END_NS;

	processes_signal(run, SIGTERM, true);
	processes_signal(run, SIGCONT, true);
	while (processes_count(run, true) > 0) {
		for (unsigned i = 0; i < run->n_processes; i++) {
			struct demo_process *process = &run->processes[i];

			if (process->is_running && wait4(process->pid, NULL, WNOHANG, &process->usage) == process->pid)
				process->is_running = false;
		}
		if (processes_count(run, true) == 0)
			return;
		if (demo_now_ns() > deadline_ns)
			processes_signal(run, SIGKILL, true);
		demo_tick(run, TICK_NS);
	}
}

/* The figures of the one who deals timeframes to the processors. */
static const struct demo_status *dealer_status(const struct demo_run *run)
{
	return &run->shared->status[run->plan->calibration ? DEMO_SLOT_CACHE : DEMO_SLOT_READER];
}

static void phase_set(struct watch *watch, enum phase phase, uint64_t n)
{
	watch->phase = phase;
	watch->n_at_phase = n;
	watch->n_ticks_phase = 0;
}

static void victim_stop(struct demo_run *run, struct watch *watch)
{
	siginfo_t info;

	if (kill(run->victim->pid, SIGSTOP) < 0)
		return;
	/* Until it stands still; or has ended, which processes_reap() will see. */
	while (waitid(P_PID, (id_t)run->victim->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	phase_set(watch, PHASE_STOPPED, dealer_status(run)->n_timeframes);
}

static void victim_kill(struct demo_run *run, struct watch *watch, uint64_t n_checked)
{
	run->victim->is_killed = true;
	kill(run->victim->pid, SIGKILL);
	demo_plot_event(&run->plot, "a processor is killed", demo_now_ns());
	phase_set(watch, PHASE_KILLED, n_checked);
}

static void limit_raise(struct demo_run *run, uint64_t n)
{
	uint64_t limit = run->shared->limit + n;

	run->shared->limit = limit < run->plan->n_timeframes ? limit : run->plan->n_timeframes;
}

static int victim_restart(struct demo_run *run, struct watch *watch, uint64_t n_checked)
{
	const struct demo_process *old = run->victim;
	char name[40];

	snprintf(name, sizeof(name), "processor %u again", old->processor);
	run->successor = process_start(run, DEMO_SLOT_PROCESSOR + run->plan->n_processors, name, old->processor, 1);
	if (!run->successor)
		return -EIO;
	demo_plot_event(&run->plot, "and started again", demo_now_ns());
	phase_set(watch, PHASE_RESTARTED, n_checked);
	return 0;
}

/*
 * The killing and the restart. The reader may not run ahead of it: its limit is raised as the phases go by,
 * so that the machine's speed decides nothing.
 */
static int phases_step(struct demo_run *run, struct watch *watch)
{
	const struct demo_status *status = run->shared->status;
	uint64_t n = run->plan->n_timeframes;
	uint64_t n_sent = status[DEMO_SLOT_READER].n_timeframes, n_checked = status[DEMO_SLOT_SINK].n_timeframes;
	bool is_idle = n_sent >= run->shared->limit && n_checked >= n_sent;

	watch->n_ticks_phase++;
	switch (watch->phase) {
	case PHASE_WHOLE:
		if (n_checked >= n / 3)
			victim_stop(run, watch);
		break;
	case PHASE_STOPPED:
		/*
		 * It was stopped over a timeframe; or it had room in its queue, and whoever deals, going round, has
		 * sent more than all the others could get without it; or nothing moves and one is missing: it is there.
		 * It may not stand long: stopped, it pins memory that the reader may need to go on.
		 */
		if (process_status(run, run->victim)->is_busy ||
		    dealer_status(run)->n_timeframes > watch->n_at_phase + run->plan->n_processors || n_sent >= n ||
		    (n_sent > n_checked && watch->n_ticks_still > N_TICKS_SETTLED) ||
		    watch->n_ticks_phase > 3 * N_TICKS_SETTLED)
			victim_kill(run, watch, n_checked);
		else if (n_sent >= run->shared->limit)
			limit_raise(run, 1);
		break;
	case PHASE_KILLED:
		if (run->victim->is_running)
			break;
		if (n_checked >= watch->n_at_phase + n / 10 || run->plan->n_processors == 1 || is_idle)
			return victim_restart(run, watch, n_checked);
		break;
	case PHASE_RESTARTED:
		if (process_status(run, run->successor)->n_taken > 0) {
			run->shared->limit = n;
			phase_set(watch, PHASE_LAST, n_checked);
		} else if (process_status(run, run->successor)->is_ready && is_idle &&
		           dealer_status(run)->n_receivers >= run->plan->n_processors &&
		           watch->n_ticks_phase % 8 == 0) {
			limit_raise(run, run->plan->n_processors);
		}
		break;
	case PHASE_LAST: break;
	}
	return 0;
}

/* The reader ends when nobody holds anything any more: then the processors may end, and after them the sink. */
static void ending_step(struct demo_run *run, struct watch *watch)
{
	if (!watch->is_ending && !run->processes[0].is_running) {
		watch->is_ending = true;
		processes_signal(run, SIGTERM, false);
	}
	if (watch->is_ending && !watch->sink_told && processes_count(run, false) == 0) {
		watch->sink_told = true;
		processes_signal(run, SIGTERM, true);
	}
}

static int stall_step(struct demo_run *run, struct watch *watch)
{
	uint64_t n_checked = run->shared->status[DEMO_SLOT_SINK].n_taken;

	if (n_checked != watch->n_checked_last)
		watch->n_ticks_still = 0;
	watch->n_checked_last = n_checked;
	if (++watch->n_ticks_still < N_TICKS_STALL)
		return 0;
	return demo_run_failed(
		run, "nothing reached the sink for a long time: the reader sent %llu timeframes, %llu arrived",
		(unsigned long long)run->shared->status[DEMO_SLOT_READER].n_timeframes, (unsigned long long)n_checked);
}

static int run_watch(struct demo_run *run)
{
	static const char *const notes[] = {
		[PHASE_WHOLE] = "",
		[PHASE_STOPPED] = "",
		[PHASE_KILLED] = ", one processor killed",
		[PHASE_RESTARTED] = ", started again",
		[PHASE_LAST] = "",
	};
	struct watch watch = { .phase = run->with_kill ? PHASE_WHOLE : PHASE_LAST };
	struct terminal_progress progress;
	int r = 0;

	terminal_progress_init(&progress, "demo", run->quiet);
	while (r == 0 && !run->reason[0] && processes_count(run, true) > 0) {
		const struct demo_status *sink = &run->shared->status[DEMO_SLOT_SINK];
		char note[80];

		demo_tick(run, TICK_NS);
		if (run->signal) {
			r = -ECANCELED;
			break;
		}
		processes_reap(run, watch.is_ending);
		demo_plot_sample(&run->plot, run->shared, demo_now_ns());
#ifdef SEALANE_COMMAND_CCDB
		if (run->calibration)
			(void)demo_server_check(run->calibration, run);
#endif
		if (run->reason[0])
			break;
		r = phases_step(run, &watch);
		ending_step(run, &watch);
		if (r == 0)
			r = stall_step(run, &watch);
		snprintf(note, sizeof(note), "%llu of %llu timeframes%s", (unsigned long long)sink->n_timeframes,
		         (unsigned long long)run->plan->n_timeframes, notes[watch.phase]);
		terminal_progress_update(&progress, sink->n_bytes, run->plan->n_bytes, note);
	}
	terminal_progress_fini(&progress);
	return run->reason[0] ? -EIO : r;
}

static int server_start(struct demo_run *run)
{
#ifdef SEALANE_COMMAND_CCDB
	if (run->calibration) {
		struct terminal_progress progress;
		int r;

		terminal_progress_init(&progress, "demo", run->quiet);
		terminal_progress_update(&progress, 0, 0, "starting the CCDB server, importing objects");
		r = demo_server_start(run->calibration, run);
		terminal_progress_fini(&progress);
		return r;
	}
#endif
	(void)run;
	return 0;
}

int demo_run(struct demo_run *run)
{
	sigset_t set, old;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, &old) < 0)
		return demo_run_failed(run, "cannot block signals: %s", strerror(errno));
	run->shared->limit = run->with_kill ? run->plan->n_timeframes * 2 / 3 : run->plan->n_timeframes;
	r = server_start(run);
	if (r == 0)
		r = processes_start(run);
	if (r == 0)
		r = run_watch(run);
	processes_end(run);
#ifdef SEALANE_COMMAND_CCDB
	if (run->calibration)
		demo_server_stop(run->calibration);
#endif
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
