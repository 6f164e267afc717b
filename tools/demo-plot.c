/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures over time, drawn by gnuplot if the machine has it. However long a demo takes, there are at most a few thousand
 * samples: when they are full every second one goes, and the step doubles.
 */
#include "demo-plot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "demo.h"

extern char **environ;

#define FIRST_STEP_NS (5 * DEMO_MS_NS)

void demo_plot_sample(struct demo_plot *plot, const struct demo_shared *shared, int64_t now_ns)
{
	const struct demo_status *reader = &shared->status[DEMO_SLOT_READER];

	if (now_ns < plot->next_ns || reader->begin_ns == 0)
		return;
	if (plot->n_samples == DEMO_N_SAMPLES_MAX) {
		for (size_t i = 0; i < DEMO_N_SAMPLES_MAX / 2; i++)
			plot->samples[i] = plot->samples[2 * i];
		plot->n_samples = DEMO_N_SAMPLES_MAX / 2;
		plot->step_ns *= 2;
	}
	if (plot->step_ns == 0)
		plot->step_ns = FIRST_STEP_NS;
	plot->next_ns = now_ns + plot->step_ns;
	plot->samples[plot->n_samples++] = (struct demo_sample){
		.time_ns = now_ns - reader->begin_ns,
		.n_sent = reader->n_timeframes,
		.n_checked = shared->status[DEMO_SLOT_SINK].n_timeframes,
		.n_versions = shared->tables.n_versions,
		.n_bytes_timeframes = reader->n_bytes_memory,
		.n_bytes_objects = shared->status[DEMO_SLOT_CACHE].n_bytes_memory,
	};
	plot->begin_ns = reader->begin_ns;
}

void demo_plot_event(struct demo_plot *plot, const char *name, int64_t now_ns)
{
	if (plot->n_events == DEMO_N_EVENTS_MAX)
		return;
	plot->events[plot->n_events].name = name;
	plot->events[plot->n_events++].time_ns = now_ns;
}

static void rows_write(const struct demo_plot *plot, FILE *file)
{
	for (size_t i = 0; i < plot->n_samples; i++) {
		const struct demo_sample *sample = &plot->samples[i];

		/* What is sent is read before what is checked: never less in flight than there is. */
		fprintf(file, "%.3f\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%.2f\t%.2f\n",
		        (double)sample->time_ns / 1e9, sample->n_checked,
		        sample->n_sent > sample->n_checked ? sample->n_sent - sample->n_checked : 0, sample->n_versions,
		        (double)sample->n_bytes_timeframes / (1 << 20), (double)sample->n_bytes_objects / (1 << 20));
	}
}

static const char tsv_head[] =
	"seconds\ttimeframes_checked\ttimeframes_in_flight\tversions_in_memory\tmib_for_timeframes\tmib_for_objects\n";

static void script_write(const struct demo_plot *plot, const char *path, FILE *file)
{
	const unsigned n_rows = plot->has_tables ? 4 : 3;

	fputs("$data << EOD\n", file);
	rows_write(plot, file);
	fprintf(file, "EOD\nset terminal png size 1000,%u font ',10'\nset output '", 240 * n_rows);
	/* In gnuplot's single quotes only the quote itself means something. */
	for (; *path; path++)
		fputs(*path == '\'' ? "''" : (char[]){ *path, '\0' }, file);
	fprintf(file,
	        "'\nset multiplot layout %u,1 title 'sealane demo'\nset lmargin 10\nset rmargin 3\nset grid\nset key top left\n"
	        "set yrange [0:*]\nset offsets 0,0,graph 0.12,0\nset xrange [0:%.3f]\n",
	        n_rows, (double)(plot->n_samples ? plot->samples[plot->n_samples - 1].time_ns : 1) / 1e9);
	for (unsigned i = 0; i < plot->n_events; i++) {
		const double seconds = (double)(plot->events[i].time_ns - plot->begin_ns) / 1e9;

		fprintf(file,
		        "set arrow from %.3f,graph 0 to %.3f,graph 1 nohead dashtype 2 lc rgb '#c03030'\n"
		        "set label '%s' at %.3f,graph %.2f offset 0.5,0 tc rgb '#c03030'\n",
		        seconds, seconds, plot->events[i].name, seconds, 0.12 + 0.14 * i);
	}
	/* The words once, at the top; the lines in each. */
	fputs("set ylabel 'timeframes'\nplot $data using 1:2 with lines lw 2 lc rgb '#2060a0' title 'checked by the sink'\nunset label\n"
	      "plot $data using 1:3 with steps lw 1.5 lc rgb '#2060a0' title 'on their way between reader and sink'\n",
	      file);
	if (plot->has_tables)
		fputs("set ylabel 'versions'\nplot $data using 1:4 with steps lw 2 lc rgb '#208040' title 'object versions in memory'\n",
		      file);
	fputs("set ylabel 'MiB'\nset xlabel 'seconds since the first timeframe'\n"
	      "plot $data using 1:5 with steps lw 2 lc rgb '#2060a0' title 'memory for timeframes'",
	      file);
	if (plot->has_tables)
		fputs(", $data using 1:6 with steps lw 2 lc rgb '#208040' title 'memory for objects and tables'", file);
	fputs("\nunset multiplot\n", file);
}

/* Runs gnuplot on a script. 0; -ENOENT there is none; -EIO it failed. */
static int gnuplot_run(FILE *script)
{
	char program[] = "gnuplot";
	char *arguments[] = { program, NULL };
	posix_spawn_file_actions_t actions;
	int status, r;
	pid_t pid;

	rewind(script);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	r = posix_spawn_file_actions_adddup2(&actions, fileno(script), 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(&pid, program, &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int tsv_write(const struct demo_plot *plot, const char *path)
{
	FILE *file = fopen(path, "we");
	int r;

	if (!file)
		return -errno;
	fputs(tsv_head, file);
	rows_write(plot, file);
	r = ferror(file) ? -EIO : 0;
	return fclose(file) == 0 ? r : -errno;
}

int demo_plot_write(const struct demo_plot *plot, const char *path, char *ret_path, size_t n_bytes)
{
	TOOL_AUTO_FILE FILE *script = tmpfile();
	TOOL_AUTO_FD int probe = -1;
	size_t n = strlen(path);
	int r;

	if (!script)
		return -errno;
	snprintf(ret_path, n_bytes, "%s", path);
	/* gnuplot would not say why. */
	probe = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (probe < 0)
		return -errno;
	script_write(plot, path, script);
	r = fflush(script) == 0 ? gnuplot_run(script) : -errno;
	if (r == 0)
		return 1;
	(void)unlink(path);
	snprintf(ret_path, n_bytes, "%.*s.tsv", (int)(n > 4 && strcmp(path + n - 4, ".png") == 0 ? n - 4 : n), path);
	return tsv_write(plot, ret_path);
}
