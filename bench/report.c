/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the result, in three forms: table, JSON lines, CSV.
 *
 * The odd rule: a row knows what must be reached and says so; nothing is left out because it was not.
 */
#include "bench.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void bench_row_extra(struct bench_row *row, const char *name, double value)
{
	if (row->n_extras == BENCH_EXTRAS_MAX)
		return;
	row->extras[row->n_extras].name = name;
	row->extras[row->n_extras++].value = value;
}

void bench_row_init(struct bench_row *row, const char *bench, const char *name, const char *unit, bench_value_fn *value,
                    struct bench_job **jobs, size_t n_jobs)
{
	memset(row, 0, sizeof *row);
	row->bench = bench;
	row->unit = unit;
	row->value = value;
	snprintf(row->name, sizeof row->name, "%s", name);
	for (size_t i = 0; i < n_jobs; i++) {
		if (jobs[i]->skipped) {
			bench_print_skip(bench, jobs[i]->name, jobs[i]->why);
			continue;
		}
		if (jobs[i]->role == BENCH_LIMIT && row->limit == NULL)
			row->limit = jobs[i];
		else if (jobs[i]->role == BENCH_OURS && row->ours == NULL)
			row->ours = jobs[i];
		else
			row->peers[row->n_peers++] = jobs[i];
	}
}

/* The worse side's. */
static double row_faults(const struct bench_row *row)
{
	double worst = 0;

	for (int s = 0; row->ours != NULL && s < row->ours->n_sides; s++)
		worst = fmax(worst, bench_faults_per_message(row->ours, s));
	return worst;
}

/* 1 reached, 0 not, -1 nothing was asked. */
static int row_reached(const struct bench_row *row, const struct bench_summary *ours, const struct bench_summary *ratio)
{
	int reached = -1;
	const struct {
		bool asked, ok;
	} checks[] = {
		{ row->ratio_at_least > 0 && ratio->n > 0, ratio->median >= row->ratio_at_least },
		{ row->ratio_at_most > 0 && ratio->n > 0, ratio->median <= row->ratio_at_most },
		{ row->value_at_least > 0, ours->median >= row->value_at_least },
		{ row->value_at_most > 0, ours->median <= row->value_at_most },
		{ row->faults_at_most > 0 && row->ours != NULL, row_faults(row) <= row->faults_at_most },
	};

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		if (checks[i].asked)
			reached = checks[i].ok && reached != 0;
	return reached;
}

static json_t *row_json(const struct bench_row *row, const struct bench_summary *ours,
                        const struct bench_summary *limit, const struct bench_summary *ratio)
{
	json_t *peers = json_object();
	json_t *object = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:i}", "bench", row->bench, "case", row->name,
	                           "unit", row->unit, "median", ours->median, "min", ours->min, "max", ours->max,
	                           "runs", (int)ours->n);
	const int reached = row_reached(row, ours, ratio);

	bench_check(object != NULL && peers != NULL, "no memory for a line of JSON");
	json_object_set_new(object, "limit", limit->n > 0 ? json_real(limit->median) : json_null());
	json_object_set_new(object, "ratio_to_limit", ratio->n > 0 ? json_real(ratio->median) : json_null());
	if (ratio->n > 0)
		json_object_set_new(object, "ratio_interval_95", json_pack("[f, f]", ratio->low, ratio->high));
	if (row->ours != NULL) {
		json_object_set_new(object, "cpu_ns_per_message",
		                    json_pack("{s:f, s:f}", "producer", bench_cpu_per_message(row->ours, 0), "consumer",
		                              row->ours->n_sides > 1 ? bench_cpu_per_message(row->ours, 1) : 0.0));
		json_object_set_new(object, "faults_per_message",
		                    json_pack("{s:f, s:f}", "producer", bench_faults_per_message(row->ours, 0),
		                              "consumer",
		                              row->ours->n_sides > 1 ? bench_faults_per_message(row->ours, 1) : 0.0));
	}
	for (size_t i = 0; i < row->n_extras; i++)
		json_object_set_new(object, row->extras[i].name, json_real(row->extras[i].value));
	for (size_t i = 0; i < row->n_peers; i++) {
		const struct bench_summary peer = bench_summary_of_job(row->peers[i], row->value);
		json_t *entry = json_pack("{s:f, s:f, s:f}", "median", peer.median, "min", peer.min, "max", peer.max);

		if (row->ours != NULL)
			json_object_set_new(
				entry, "ratio",
				json_real(bench_summary_of_ratio(row->ours, row->peers[i], row->value).median));
		json_object_set_new(
			entry, "cpu_ns_per_message",
			json_pack("{s:f, s:f}", "producer", bench_cpu_per_message(row->peers[i], 0), "consumer",
		                  row->peers[i]->n_sides > 1 ? bench_cpu_per_message(row->peers[i], 1) : 0.0));
		json_object_set_new(peers, row->peers[i]->name, entry);
	}
	json_object_set_new(object, "peers", peers);
	if (reached >= 0)
		json_object_set_new(object, "reached", json_boolean(reached));
	if (row->note[0] != '\0')
		json_object_set_new(object, "note", json_string(row->note));
	return object;
}

static void print_json(json_t *object)
{
	FILE *const files[] = { bench_config.json ? stdout : NULL, bench_config.lines };

	for (size_t i = 0; i < 2; i++) {
		if (files[i] == NULL)
			continue;
		bench_check(json_dumpf(object, files[i], JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0,
		            "a line of JSON was not written");
		putc('\n', files[i]);
		fflush(files[i]);
	}
	json_decref(object);
}

static void csv_line(const struct bench_row *row, const char *who, const struct bench_summary *value,
                     const struct bench_summary *ratio, const struct bench_job *job)
{
	fprintf(bench_config.csv, "%s,%s,%s,%s,%.6g,%.6g,%.6g,%zu,", row->bench, row->name, who, row->unit,
	        value->median, value->min, value->max, value->n);
	if (ratio != NULL && ratio->n > 0)
		fprintf(bench_config.csv, "%.4g,%.4g,%.4g,", ratio->median, ratio->low, ratio->high);
	else
		fputs(",,,", bench_config.csv);
	fprintf(bench_config.csv, "%.6g,%.6g\n", bench_cpu_per_message(job, 0),
	        job->n_sides > 1 ? bench_cpu_per_message(job, 1) : 0);
}

static void row_print_csv(const struct bench_row *row, const struct bench_summary *ours,
                          const struct bench_summary *limit, const struct bench_summary *ratio)
{
	if (row->ours != NULL)
		csv_line(row, "sealane", ours, ratio, row->ours);
	if (row->limit != NULL)
		csv_line(row, "limit", limit, NULL, row->limit);
	for (size_t i = 0; i < row->n_peers; i++) {
		const struct bench_summary peer = bench_summary_of_job(row->peers[i], row->value);

		csv_line(row, row->peers[i]->name, &peer, NULL, row->peers[i]);
	}
	fflush(bench_config.csv);
}

static void row_print_table(const struct bench_row *row, const struct bench_summary *ours,
                            const struct bench_summary *limit, const struct bench_summary *ratio)
{
	const int reached = row_reached(row, ours, ratio);
	char text[64];

	printf("%-26s %-8s", row->name, row->unit);
	snprintf(text, sizeof text, "%.4g [%.4g - %.4g]", ours->median, ours->min, ours->max);
	printf(" %-32s", text);
	snprintf(text, sizeof text, limit->n > 0 ? "%.4g" : "", limit->median);
	printf(" %-9s", text);
	snprintf(text, sizeof text, ratio->n > 0 ? "%.3f [%.3f - %.3f]" : "", ratio->median, ratio->low, ratio->high);
	printf(" %-22s", text);
	if (row->ours != NULL) {
		const bool two = row->ours->n_sides > 1;

		snprintf(text, sizeof text, "%.4g %.4g", bench_cpu_per_message(row->ours, 0),
		         two ? bench_cpu_per_message(row->ours, 1) : 0);
		printf(" %-18s", text);
		snprintf(text, sizeof text, "%.2g %.2g", bench_faults_per_message(row->ours, 0),
		         two ? bench_faults_per_message(row->ours, 1) : 0);
		printf(" %-18s", text);
	}
	printf("%s\n", reached < 0 ? "" : reached ? "ok" : "NOT REACHED");
	for (size_t i = 0; i < row->n_extras; i++)
		printf("%s%s %.4g", i == 0 ? "    " : ", ", row->extras[i].name, row->extras[i].value);
	if (row->n_extras > 0)
		putchar('\n');
	for (size_t i = 0; i < row->n_peers; i++) {
		const struct bench_summary peer = bench_summary_of_job(row->peers[i], row->value);

		printf("    %-31s %.4g [%.4g - %.4g]", row->peers[i]->name, peer.median, peer.min, peer.max);
		if (row->ours != NULL)
			printf(", ours is %.3g x", bench_summary_of_ratio(row->ours, row->peers[i], row->value).median);
		printf(", cpu ns %.4g %.4g\n", bench_cpu_per_message(row->peers[i], 0),
		       row->peers[i]->n_sides > 1 ? bench_cpu_per_message(row->peers[i], 1) : 0);
	}
	if (row->note[0] != '\0')
		printf("    %s\n", row->note);
	fflush(stdout);
}

void bench_row_print(const struct bench_row *row)
{
	struct bench_summary ours = { 0 }, limit = { 0 }, ratio = { 0 };

	if (row->ours != NULL)
		ours = bench_summary_of_job(row->ours, row->value);
	if (row->limit != NULL)
		limit = bench_summary_of_job(row->limit, row->value);
	/* Where there is nothing of ours the row is about the limit. */
	if (row->ours == NULL)
		ours = limit;
	if (row->ours != NULL && row->limit != NULL)
		ratio = bench_summary_of_ratio(row->ours, row->limit, row->value);
	if (bench_config.csv != NULL)
		row_print_csv(row, &ours, &limit, &ratio);
	if (bench_config.json || bench_config.lines != NULL)
		print_json(row_json(row, &ours, &limit, &ratio));
	if (!bench_config.json)
		row_print_table(row, &ours, &limit, &ratio);
}

static void job_distribution(const struct bench_row *row, const struct bench_job *job, const char *who)
{
	double *values = calloc(job->n_rounds + 1, sizeof *values);

	for (size_t i = 0; values != NULL && i < BENCH_N_QUANTILES; i++) {
		for (unsigned r = 0; r < job->n_rounds; r++)
			values[r] = job->turns[r * (unsigned)job->n_sides].quantiles[i];
		fprintf(bench_config.csv, "%s-distribution,%s,%s,p%g,%.6g,,,%u,,,,,\n", row->bench, row->name, who,
		        bench_quantile_shares[i] * 100, bench_median(values, job->n_rounds), job->n_rounds);
	}
	free(values);
}

void bench_row_distribution(const struct bench_row *row)
{
	if (bench_config.csv == NULL)
		return;
	if (row->limit != NULL)
		job_distribution(row, row->limit, "limit");
	if (row->ours != NULL)
		job_distribution(row, row->ours, "sealane");
	for (size_t i = 0; i < row->n_peers; i++)
		job_distribution(row, row->peers[i], row->peers[i]->name);
	fflush(bench_config.csv);
}

void bench_print_skip(const char *bench, const char *name, const char *why)
{
	if (bench_config.json || bench_config.lines != NULL) {
		json_t *object = json_pack("{s:s, s:s, s:s}", "bench", bench, "case", name, "skipped", why);

		if (object != NULL)
			print_json(object);
	}
	if (!bench_config.json)
		printf("    %s: skipped: %s\n", name, why);
	fflush(stdout);
}

void bench_print_header(const char *bench, const char *text)
{
	if (bench_config.json)
		return;
	printf("\n%s: %s\n%-26s %-8s %-32s %-9s %-22s %-18s %-18s\n", bench, text, "case", "unit", "median [min - max]",
	       "limit", "ratio [95 %]", "cpu ns out/in", "faults/msg");
	fflush(stdout);
}
