/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From turns to figures: medians, percentiles, paired ratios with their interval.
 *
 * The odd rule: a ratio is never taken of two medians, only within a round; the interval is that of
 * the sign test, which assumes nothing about the distribution.
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

static double percentile(const double *sorted, size_t n, double share)
{
	const size_t index = (size_t)(share * (double)n);

	return sorted[index < n ? index : n - 1];
}

const double bench_quantile_shares[BENCH_N_QUANTILES] = { 0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999 };

void bench_turn_samples(struct bench_turn *turn, double *samples, size_t n)
{
	qsort(samples, n, sizeof *samples, compare_doubles);
	turn->p50_ns = percentile(samples, n, 0.5);
	turn->p99_ns = percentile(samples, n, 0.99);
	for (size_t i = 0; i < BENCH_N_QUANTILES; i++)
		turn->quantiles[i] = percentile(samples, n, bench_quantile_shares[i]);
}

/* Order statistics: x(k) to x(n+1-k) with the largest k for which fewer than 2.5 % of all sign patterns lie outside. */
static struct bench_summary summary_of(const double *values, size_t n)
{
	struct bench_summary summary = { .n = n };
	double *sorted = n > 0 ? malloc(n * sizeof *sorted) : NULL;
	double below = 0;
	size_t k = 0;

	if (sorted == NULL)
		return summary;
	memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_doubles);
	summary.median = n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	summary.min = sorted[0];
	summary.max = sorted[n - 1];
	for (size_t i = 0; i < n / 2; i++) {
		below += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) -
		             (double)n * log(2));
		if (below > 0.025)
			break;
		k = i;
	}
	summary.low = sorted[k];
	summary.high = sorted[n - 1 - k];
	free(sorted);
	return summary;
}

double bench_median(const double *values, size_t n)
{
	return summary_of(values, n).median;
}

size_t bench_values(const struct bench_job *job, bench_value_fn *value, double *ret_values)
{
	for (unsigned r = 0; r < job->n_rounds; r++)
		ret_values[r] = value(job, job->turns + r * (unsigned)job->n_sides);
	return job->n_rounds;
}

struct bench_summary bench_summary_of_job(const struct bench_job *job, bench_value_fn *value)
{
	double *values = calloc(job->n_rounds + 1, sizeof *values);
	struct bench_summary summary = { 0 };

	if (values != NULL)
		summary = summary_of(values, bench_values(job, value, values));
	free(values);
	return summary;
}

double bench_median_of(const struct bench_job *job, bench_value_fn *value)
{
	return job != NULL ? bench_summary_of_job(job, value).median : 0;
}

/* Ratios of ours to another's, round by round. */
struct bench_summary bench_summary_of_ratio(const struct bench_job *ours, const struct bench_job *other,
                                            bench_value_fn *value)
{
	const size_t n = ours->n_rounds < other->n_rounds ? ours->n_rounds : other->n_rounds;
	double *a = calloc(ours->n_rounds + 1, sizeof *a);
	double *b = calloc(other->n_rounds + 1, sizeof *b);
	struct bench_summary summary = { 0 };

	if (a != NULL && b != NULL) {
		bench_values(ours, value, a);
		bench_values(other, value, b);
		for (size_t i = 0; i < n; i++)
			a[i] = b[i] != 0 ? a[i] / b[i] : 0;
		summary = summary_of(a, n);
	}
	free(a);
	free(b);
	return summary;
}

double bench_cpu_per_message(const struct bench_job *job, int side)
{
	double *values = calloc(job->n_rounds + 1, sizeof *values);
	double median;

	if (values == NULL)
		return 0;
	for (unsigned r = 0; r < job->n_rounds; r++) {
		const struct bench_turn *turn = &job->turns[r * (unsigned)job->n_sides + (unsigned)side];

		values[r] = turn->n > 0 ? (double)turn->cpu_ns / (double)turn->n : 0;
	}
	median = bench_median(values, job->n_rounds);
	free(values);
	return median;
}

double bench_faults_per_message(const struct bench_job *job, int side)
{
	double n_faults = 0, n = 0;

	for (unsigned r = 0; r < job->n_rounds; r++) {
		n_faults += (double)job->turns[r * (unsigned)job->n_sides + (unsigned)side].n_faults;
		n += (double)job->turns[r * (unsigned)job->n_sides + (unsigned)side].n;
	}
	return n > 0 ? n_faults / n : 0;
}

static double turn_seconds(const struct bench_job *job, const struct bench_turn *sides)
{
	int64_t end = 0;

	for (int s = 0; s < job->n_sides; s++)
		if (sides[s].end_ns > end)
			end = sides[s].end_ns;
	return (double)(end - sides[0].start_ns) * 1e-9;
}

double bench_value_rate(const struct bench_job *job, const struct bench_turn *sides)
{
	return (double)sides[0].n * 1e-6 / turn_seconds(job, sides);
}

double bench_value_bandwidth(const struct bench_job *job, const struct bench_turn *sides)
{
	return (double)sides[0].n * (double)job->mix->n_bytes * 1e-9 / turn_seconds(job, sides);
}

double bench_value_p50(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].p50_ns;
}
