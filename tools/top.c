/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane top`: a session, full screen. Signals only set a flag: the terminal is put back by the same path by which
 * it was taken, whatever ended the loop.
 */
#include "monitor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "terminal.h"
#include "top.h"

#ifndef SEALANE_NCURSES

int top_run(const struct monitor_plan *plan)
{
	terminal_error(plan->command,
	               "this build has no full-screen view (ncurses was missing); use sealane monitor --view");
	return COMMAND_FAILED;
}

#else

#include <ctype.h>
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#define TOP_LOOK_NS INT64_C(1000000000)
#define TOP_KEY_MS 200
static volatile sig_atomic_t top_signal;

static void top_on_signal(int number)
{
	top_signal = number;
}

void top_line(struct top *top, int attributes, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (top->skip > 0) {
		top->skip--;
		return;
	}
	if (top->row >= LINES - 1)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	attrset((attr_t)attributes);
	mvaddnstr(top->row++, 0, text, COLS);
	attrset(A_NORMAL);
}

/* The hold of the selected process with that number, or NULL. */
static const struct sea_monitor_hold *top_find_hold(const struct top *top, size_t number)
{
	for (size_t i = 0; i < top->snapshot->n_holds; i++)
		if (top->snapshot->holds[i].process_id == top->selected_id && number-- == 0)
			return &top->snapshot->holds[i];
	return NULL;
}

static void top_draw_memory(struct top *top)
{
	const struct sea_monitor_snapshot *snapshot = top->snapshot;

	top_line(top, A_REVERSE, "%4s %-6s %9s %9s %9s %9s %9s %7s", "HEAP", "KIND", "QUOTA", "BACKED", "USED",
	         "PINNED", "LARGEST", "BLOCKS");
	for (size_t i = 0; i < snapshot->n_heaps; i++) {
		const struct sea_monitor_heap *heap = &snapshot->heaps[i];
		char text[5][TERMINAL_TEXT_N_BYTES];

		if (heap->process_id != top->selected_id)
			continue;
		top_line(top, A_NORMAL, "%4u %-6s %9s %9s %9s %9s %9s %7" PRIu64, heap->id, monitor_kind(heap),
		         terminal_size(text[0], heap->n_bytes_quota), terminal_size(text[1], heap->n_bytes_backed),
		         terminal_size(text[2], heap->n_bytes_used), terminal_size(text[3], heap->n_bytes_pinned),
		         terminal_size(text[4], heap->n_bytes_largest), heap->n_blocks);
	}
}

static void top_draw_holds(struct top *top)
{
	const struct sea_monitor_hold *hold;

	top_line(top, A_REVERSE, "%12s %-28s %9s %12s  (d dumps)", "HELD SINCE", "HOLDER", "SIZE", "BLOCK");
	for (size_t i = 0; (hold = top_find_hold(top, i)); i++) {
		char holder[MONITOR_NAME_N_BYTES], age[TERMINAL_TEXT_N_BYTES], size[TERMINAL_TEXT_N_BYTES];

		top_line(top, i == top->selected_hold ? A_STANDOUT : A_NORMAL, "%12s %-28.28s %9s %5u/%-6u",
		         terminal_duration(age, hold->age_ns), monitor_name(holder, top->snapshot, hold->holder_id),
		         terminal_size(size, hold->n_bytes), hold->arena_id, hold->block_id);
	}
}

static void top_draw_details(struct top *top)
{
	const struct sea_monitor_process *process = monitor_find(top->snapshot, top->selected_id);
	char size[TERMINAL_TEXT_N_BYTES], age[TERMINAL_TEXT_N_BYTES], holder[MONITOR_NAME_N_BYTES];

	if (!process) {
		top_line(top, A_BOLD, "It has gone. (q back)");
		return;
	}
	top_line(top, A_BOLD, "%s, pid %d, %s %s  (q back)", process->name, (int)process->pid,
	         monitor_condition(process), process->state);
	if (process->n_out)
		top_line(top, A_NORMAL, "%" PRIu64 " messages in flight, %s; the oldest for %s, held by %s",
		         process->n_out, terminal_size(size, process->n_bytes_out),
		         terminal_duration(age, process->out_age_ns),
		         monitor_name(holder, top->snapshot, process->out_holder_id));
	top_draw_memory(top);
	top_draw_channels(top, process->id);
	top_draw_holds(top);
}

static void top_draw_all_channels(struct top *top)
{
	const struct sea_monitor_snapshot *snapshot = top->snapshot;

	top_line(top, A_BOLD, "sealane top  session %s  %zu channels  (up/down, q back)", snapshot->session,
	         snapshot->n_channels);
	top->skip = top->first;
	top_draw_channels(top, 0);
}

static void top_draw_dump(struct top *top)
{
	char size[TERMINAL_TEXT_N_BYTES];

	top_line(top, A_BOLD, "block %u/%u, %s  (up/down, q back)", top->dumped.arena_id, top->dumped.block_id,
	         terminal_size(size, top->dumped.n_bytes));
	if (top->n_dump < 0)
		top_line(top, A_NORMAL, "cannot read it: %s", strerror((int)-top->n_dump));
	for (int64_t at = 0; at < top->n_dump; at += 16) {
		char hex[16 * 3 + 1] = "", ascii[17] = "";

		for (int64_t i = 0; i < 16 && at + i < top->n_dump; i++) {
			unsigned char byte = top->dump[at + i];

			snprintf(hex + 3 * i, 4, "%02x ", byte);
			ascii[i] = byte >= ' ' && byte < 127 ? (char)byte : '.';
		}
		top_line(top, A_NORMAL, "%08" PRIx64 "  %-48s %s", (uint64_t)at, hex, ascii);
	}
}

static void top_draw_help(struct top *top)
{
	static const char *const lines[] = {
		"Keys",
		"  up, down     choose a process, or in its details a held block; scroll a dump",
		"  enter        details of a process: heaps, channels, oldest holds",
		"  c            all channels: rates, queues, latency",
		"  s            sort by the next: age, name, pid, rate, in flight, oldest, backed,",
		"               used, heartbeat",
		"  d            in the details: show the first bytes of the chosen block",
		"  h            this text",
		"  q            back, and from the list: quit",
		"",
		"FLIGHT: messages sent and still held by others, SIZE of them; OLDEST: since when",
		"the oldest is, HELD BY: who has it; HOLDS: blocks of others that it holds.",
		"LATENCY: from send to receive, as sampled; empty: the queue was.",
		"A wider terminal shows more columns.",
		"hanging: it lives and its heartbeat is old. stopped: by a signal or a debugger.",
		"dead: its files are left; sealane monitor --cleanup removes them.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		top_line(top, i ? A_NORMAL : A_BOLD, "%s", lines[i]);
}

static void top_draw(struct top *top)
{
	erase();
	top->row = 0;
	top->skip = top->screen == TOP_DUMP ? top->first : 0;
	switch (top->screen) {
	case TOP_LIST: top_draw_list(top); break;
	case TOP_CHANNELS: top_draw_all_channels(top); break;
	case TOP_DETAILS: top_draw_details(top); break;
	case TOP_DUMP: top_draw_dump(top); break;
	case TOP_HELP: top_draw_help(top); break;
	}
	refresh();
}

static void top_move(struct top *top, int by)
{
	size_t at;

	if (top->screen == TOP_DUMP) {
		int n_lines = top->n_dump > 0 ? (int)(top->n_dump / 16) : 0;

		top->first = top->first + by < 0 ? 0 : top->first + by > n_lines ? n_lines : top->first + by;
	} else if (top->screen == TOP_CHANNELS) {
		int n_lines = (int)top->snapshot->n_channels;

		top->first = top->first + by < 0 ? 0 : top->first + by > n_lines ? n_lines : top->first + by;
	} else if (top->screen == TOP_DETAILS) {
		at = by < 0 && top->selected_hold == 0 ? 0 : top->selected_hold + (size_t)by;
		if (top_find_hold(top, at))
			top->selected_hold = at;
	} else if (top->screen == TOP_LIST && top->snapshot->n_processes) {
		at = top_selected_index(top);
		at = by < 0 && at == 0 ? 0 : at + (size_t)by;
		if (at < top->snapshot->n_processes)
			top->selected_id = top->snapshot->processes[at].id;
	}
}

static void top_dump(struct top *top)
{
	const struct sea_monitor_process *process = monitor_find(top->snapshot, top->selected_id);
	const struct sea_monitor_hold *hold = top_find_hold(top, top->selected_hold);

	if (!process || !hold)
		return;
	top->dumped = *hold;
	top->n_dump = sea_monitor_read(process->pid, hold, 0, top->dump, sizeof(top->dump));
	top->first = 0;
	top->screen = TOP_DUMP;
}

/* @return whether to go on */
static bool top_key(struct top *top, int key)
{
	switch (key) {
	case KEY_UP: top_move(top, -1); break;
	case KEY_DOWN: top_move(top, 1); break;
	case 's':
		top->sort = (top->sort + 1) % SORT_N;
		top_sort_processes(top);
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		if (top->screen == TOP_LIST && top->snapshot->n_processes) {
			top->selected_id = top->snapshot->processes[top_selected_index(top)].id;
			top->selected_hold = 0;
			top->screen = TOP_DETAILS;
		}
		break;
	case 'c':
		if (top->screen == TOP_LIST) {
			top->first = 0;
			top->screen = TOP_CHANNELS;
		}
		break;
	case 'd':
		if (top->screen == TOP_DETAILS)
			top_dump(top);
		break;
	case 'h':
		if (top->screen != TOP_HELP)
			top->before_help = top->screen;
		top->screen = TOP_HELP;
		break;
	case 'q':
		if (top->screen == TOP_LIST)
			return false;
		top->screen = top->screen == TOP_HELP   ? top->before_help
		              : top->screen == TOP_DUMP ? TOP_DETAILS
		                                        : TOP_LIST;
		break;
	default: break;
	}
	return true;
}

static int top_look(struct top *top)
{
	struct sea_monitor_snapshot *now;
	int r = monitor_look(top->plan, &now);

	if (r < 0)
		return r;
	sea_monitor_free(top->snapshot);
	top->snapshot = now;
	top_sort_processes(top);
	return 0;
}

static int top_loop(struct top *top)
{
	struct monitor_end end = { .start_ns = monitor_now_ns() };
	int64_t look_ns = 0;

	while (!top_signal) {
		int key;

		if (monitor_now_ns() >= look_ns) {
			int r = top_look(top);

			if (r < 0)
				return r;
			if (monitor_is_over(&end, top->plan, top->snapshot))
				return 0;
			look_ns = monitor_now_ns() + TOP_LOOK_NS;
		}
		top_draw(top);
		key = getch();
		if (key != ERR && !top_key(top, key))
			return 0;
	}
	return 0;
}

int top_run(const struct monitor_plan *plan)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = top_on_signal };
	struct top top = { .plan = plan };
	SCREEN *screen;
	int r;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		terminal_error(plan->command, "the full-screen view wants a terminal; use sealane monitor --view");
		return COMMAND_FAILED;
	}
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		terminal_error(plan->command, "this terminal (TERM=%s) is not known; use sealane monitor --view",
		               getenv("TERM") ? getenv("TERM") : "");
		return COMMAND_FAILED;
	}
	/* After newterm(), which has handlers of its own for some. */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	timeout(TOP_KEY_MS);
	r = top_loop(&top);
	endwin();
	delscreen(screen);
	sea_monitor_free(top.snapshot);
	if (r < 0)
		terminal_error(plan->command, "cannot go on: %s", strerror(-r));
	return r < 0 ? COMMAND_FAILED : COMMAND_OK;
}

#endif
