/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane bench`: options, the list of benches, and the directory that lives as
 * long as the run.
 *
 * The odd rule: this process itself never opens a session or a socket of a contender; it may be interrupted at any
 * time, and takes its children, its directory and the huge pages it asked for with it.
 */
#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGEPAGES_PATH "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
/* 4 GiB: three large frames of ours and of the plain mapping, in whole arenas. */
#define HUGEPAGES_WANTED 2048

/* With FairMQ's, which getopt_long() gives back as one. */
#define OPTIONS_N_MAX 64u
#define OPTION_SHM 1000

struct bench_config bench_config;
_Atomic int bench_interrupted;

static const struct {
	const char *name;
	const char *text;
	int (*run)(void);
} benches[] = {
	{ "limits", "what two cores and this kernel do without any library", bench_limits },
	{ "rate", "allocate, send, receive, release; nothing is written or read", bench_rate },
	{ "rtt", "one message there and back, spinning and blocking", bench_rtt },
	{ "timeframe", "frames of many parts: passed on, written, written and read", bench_timeframe },
	{ "alloc", "allocate and free a warm block", bench_alloc },
	{ "fanout", "one message to 1, 2, 4, 8, 16 receivers, one of them stopped", bench_fanout },
	{ "forward", "chains of 1 to 6 processes in the middle; a subset of parts passed on", bench_forward },
	{ "crowd", "16 processes on two cores; what idle ones cost", bench_crowd },
	{ "resolve", "names of parts: found, checked, a million of them", bench_resolve },
	{ "region", "messages over user-managed memory, and the release callback", bench_region },
	{ "fragmentation", "64 MiB asked for among blocks of all sizes that come and go", bench_fragmentation },
	{ "attach", "joining a session whose peer has 64 GiB", bench_attach },
	{ "pubsub", "one publisher, every message to each of 1, 2, 4, 8 subscribers", bench_pubsub },
	{ "poller", "64 channels of which one is active, against one", bench_poller },
	{ "zeromq", "over libzmq, against bare libzmq, ipc and tcp", bench_zeromq },
#ifdef SEALANE_COMMAND_DEVICES
	{ "device", "a sampler and a sink as devices, against the bare channel", bench_device },
	{ "topology", "20 devices from the start to RUNNING", bench_topology },
#endif
#ifdef SEALANE_COMMAND_CCDB
	{ "table", "tables of calibration objects: built, sent, every cell resolved", bench_table },
	{ "ccdb", "the CCDB server: queries at 2000 a second, a download of 64 MiB", bench_ccdb },
	{ "cache", "a key table of 100 columns is answered, and nothing has changed", bench_cache },
#endif
};
#define N_BENCHES (sizeof benches / sizeof *benches)

static void print_help(void)
{
	puts("Usage: sealane bench [OPTIONS] NAME...\n"
	     "Measures Sealane beside the limits of this machine and beside other libraries, in turns.\n"
	     "\n"
	     "  all           every bench\n"
	     "  --json        one JSON object per line\n"
	     "  --csv FILE    also writes a CSV file\n"
	     "  --out FOLDER  also writes FOLDER/bench.csv and FOLDER/bench.jsonl\n"
	     "  --quick       few rounds and few cases: to see that it works\n"
	     "  --runs N      rounds, 1 to 1000 (21)\n"
	     "  --seconds S   how long one turn should take (0.1)\n"
	     "  --cpus A,B    the two cores (the first two of this process's affinity mask)\n"
	     "  --only TEXT   limits, rate, rtt, timeframe, alloc, zeromq: the cases whose name contains TEXT\n"
	     "  --mix NAME    timeframe: ktf-s, ktf-l, pbpb32 or tiny only\n"
	     "  --pages KIND  timeframe: 4k, thp, collapse or hugetlb only\n"
	     "  --full        timeframe: pbpb32 with parts of full size (1.7 GB a frame) instead of a tenth\n"
	     "  --subset P%   forward: only the part in which P per cent of the parts go on\n"
	     "  --peers LIST  of zmq,nng,iceoryx; or none (all that this build has)\n"
	     "  --transport T memfd (sealed heaps, the default) or shmem (shared heaps); FairMQ's other options\n"
	     "                for shared memory are taken as well\n"
	     "  --hugepages   fills the pool of 2 MiB pages for the run (needs root) and empties it afterwards\n"
	     "  --help        this text\n"
	     "\n"
	     "Exit: 0; 1 when a bench failed (a wrong byte, a lost message, a call that failed); 2 for a wrong option.\n"
	     "What the columns mean: bench/README.md.");
}

static void print_list(void)
{
	for (size_t i = 0; i < N_BENCHES; i++)
		printf("%-13s %s\n", benches[i].name, benches[i].text);
	puts("all           every one of them\n\nsealane bench --help lists the options.");
}

static void on_signal(int number)
{
	(void)number;
	atomic_store(&bench_interrupted, 1);
}

/* The first two processors that this process may use. */
static int default_cpus(int *cpus)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			cpus[n++] = cpu;
	return n;
}

static int usable_cpu(int cpu)
{
	cpu_set_t set;

	return cpu >= 0 && cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof set, &set) == 0 &&
	       CPU_ISSET((size_t)cpu, &set);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	remove(path);
	return 0;
}

/* Sets the pool's size. @return what it was, or -1 */
static long hugepages_set(long n)
{
	FILE *file = fopen(HUGEPAGES_PATH, "r+e");
	long before = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%ld", &before) != 1)
		before = -1;
	if (before >= 0 && n >= 0) {
		rewind(file);
		fprintf(file, "%ld\n", n);
	}
	if (fclose(file) != 0)
		return -1;
	return before;
}

static int wrong_option(const char *name, const char *value, const char *what)
{
	fprintf(stderr, "sealane bench: %s %s: %s\n", name, value, what);
	return 2;
}

static int open_csv(const char *name, const char *path)
{
	bench_config.csv = fopen(path, "we");
	if (bench_config.csv == NULL)
		return wrong_option(name, path, strerror(errno));
	fputs("bench,case,who,unit,median,min,max,runs,ratio_to_limit,ratio_low,ratio_high,cpu_ns_producer,cpu_ns_consumer\n",
	      bench_config.csv);
	return 0;
}

static int open_out(const char *folder)
{
	char path[4096];

	if (mkdir(folder, 0777) != 0 && errno != EEXIST)
		return wrong_option("--out", folder, strerror(errno));
	snprintf(path, sizeof path, "%s/bench.jsonl", folder);
	bench_config.lines = fopen(path, "we");
	if (bench_config.lines == NULL)
		return wrong_option("--out", path, strerror(errno));
	snprintf(path, sizeof path, "%s/bench.csv", folder);
	return open_csv("--out", path);
}

/* One of FairMQ's options. */
static int shm_option(const char *name, const char *value)
{
	char text[256];
	const int r = sea_shm_option_set(&bench_config.shm, name, value, text, sizeof text);

	if (r >= 0 && text[0] != '\0')
		fprintf(stderr, "sealane bench: --%s: %s\n", name, text);
	return r < 0 ? wrong_option(name, value, text) : 0;
}

static int parse_options(int argc, char **argv)
{
	struct option options[OPTIONS_N_MAX] = {
		{ "json", no_argument, NULL, 'j' },        { "csv", required_argument, NULL, 'c' },
		{ "out", required_argument, NULL, 'o' },   { "quick", no_argument, NULL, 'q' },
		{ "runs", required_argument, NULL, 'r' },  { "seconds", required_argument, NULL, 's' },
		{ "cpus", required_argument, NULL, 'u' },  { "only", required_argument, NULL, 'n' },
		{ "mix", required_argument, NULL, 'm' },   { "pages", required_argument, NULL, 'p' },
		{ "full", no_argument, NULL, 'f' },        { "subset", required_argument, NULL, 'b' },
		{ "peers", required_argument, NULL, 'e' }, { "hugepages", no_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
	};
	struct sea_heap_options heap = { 0 };
	char *end;
	int option, result, at = 0;
	size_t n_options = 0;

	while (options[n_options].name != NULL)
		n_options++;
	for (size_t i = 0; sea_shm_option_name(i) != NULL && n_options + 1 < OPTIONS_N_MAX; i++)
		options[n_options++] = (struct option){ sea_shm_option_name(i), required_argument, NULL, OPTION_SHM };
	optind = 1;
	while ((option = getopt_long(argc, argv, "h", options, &at)) != -1) {
		switch (option) {
		case 'j': bench_config.json = true; break;
		case 'c':
			result = open_csv("--csv", optarg);
			if (result != 0)
				return result;
			break;
		case 'o':
			result = open_out(optarg);
			if (result != 0)
				return result;
			break;
		case 'q': bench_config.quick = true; break;
		case 'r': {
			const long n = strtol(optarg, &end, 10);

			if (end == optarg || *end != '\0' || n < 1 || n > 1000)
				return wrong_option("--runs", optarg, "not a number from 1 to 1000");
			bench_config.n_rounds = (unsigned)n;
			break;
		}
		case 's':
			bench_config.seconds = strtod(optarg, &end);
			if (end == optarg || *end != '\0' ||
			    !(bench_config.seconds >= 0.001 && bench_config.seconds <= 60))
				return wrong_option("--seconds", optarg, "not a time from 0.001 to 60 s");
			break;
		case 'u': {
			char rest;

			if (sscanf(optarg, "%d,%d%c", &bench_config.cpus[0], &bench_config.cpus[1], &rest) != 2 ||
			    !usable_cpu(bench_config.cpus[0]) || !usable_cpu(bench_config.cpus[1]))
				return wrong_option("--cpus", optarg, "not two processors that this process may use");
			break;
		}
		case 'n': bench_config.only = optarg; break;
		case 'm':
			if (bench_mix_find(optarg) == NULL)
				return wrong_option("--mix", optarg, "not one of ktf-s, ktf-l, pbpb32, tiny");
			bench_config.mix = optarg;
			break;
		case 'p':
			if (strcmp(optarg, "4k") != 0 && strcmp(optarg, "thp") != 0 &&
			    strcmp(optarg, "collapse") != 0 && strcmp(optarg, "hugetlb") != 0)
				return wrong_option("--pages", optarg, "not one of 4k, thp, collapse, hugetlb");
			bench_config.pages = optarg;
			break;
		case 'f': bench_config.full = true; break;
		case 'b':
			bench_config.subset = strtod(optarg, &end) / 100;
			if (end == optarg || (*end != '\0' && strcmp(end, "%") != 0) ||
			    !(bench_config.subset > 0 && bench_config.subset <= 1))
				return wrong_option("--subset", optarg, "not a share from above 0% to 100%");
			break;
		case 'e': bench_config.peers = optarg; break;
		case 'g': bench_config.hugepages = true; break;
		case OPTION_SHM:
			result = shm_option(options[at].name, optarg);
			if (result != 0)
				return result;
			break;
		case 'h': print_help(); exit(0);
		default: return 2;
		}
	}
	sea_shm_options_apply(&bench_config.shm, NULL, &heap);
	bench_config.protection = heap.protection;
	return 0;
}

bool bench_wanted(const char *name)
{
	return bench_config.only == NULL || strstr(name, bench_config.only) != NULL;
}

size_t bench_add_peers(struct bench_job **jobs, size_t n_jobs, const struct bench_job *like)
{
	const struct {
		const char *name;
		const struct bench_road *road;
	} peers[] = {
		{ "zmq", bench_road_zmq() },
		{ "nng", bench_road_nng() },
		{ "iceoryx", bench_road_iceoryx() },
	};

	for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
		struct bench_job *job;

		if (peers[i].road == NULL ||
		    (bench_config.peers != NULL && strstr(bench_config.peers, peers[i].name) == NULL))
			continue;
		job = bench_job_new(peers[i].road->name, BENCH_PEER, peers[i].road,
		                    like->duplex ? bench_turn_ping : bench_turn_stream);
		job->mix = like->mix;
		job->fill = like->fill;
		job->read = like->read;
		job->duplex = like->duplex;
		job->window = like->window;
		jobs[n_jobs++] = job;
	}
	return n_jobs;
}

static int run_named(int n_names, char **names)
{
	int result = 0;

	for (size_t i = 0; i < N_BENCHES; i++) {
		bool wanted = false;

		for (int k = 0; k < n_names; k++)
			wanted = wanted || strcmp(names[k], benches[i].name) == 0 || strcmp(names[k], "all") == 0;
		if (!wanted || atomic_load(&bench_interrupted) != 0)
			continue;
		if (benches[i].run() != 0) {
			fprintf(stderr, "sealane bench: %s failed\n", benches[i].name);
			result = 1;
		}
	}
	return atomic_load(&bench_interrupted) != 0 ? 130 : result;
}

int bench_main(int argc, char **argv)
{
	char directory[200];
	const char *base = getenv("TMPDIR");
	long hugepages_before = -1;
	int result;

	bench_config = (struct bench_config){ .cpus = { -1, -1 } };
	if (default_cpus(bench_config.cpus) < 2 && bench_config.cpus[1] < 0)
		bench_config.cpus[1] = bench_config.cpus[0];
	result = parse_options(argc, argv);
	if (result != 0)
		return result;
	if (bench_config.n_rounds == 0)
		bench_config.n_rounds = bench_config.quick ? 5 : 21;
	if (bench_config.seconds == 0)
		bench_config.seconds = bench_config.quick ? 0.02 : 0.1;
	if (optind == argc) {
		print_list();
		return 0;
	}
	for (int i = optind; i < argc; i++) {
		bool known = strcmp(argv[i], "all") == 0;

		for (size_t k = 0; k < N_BENCHES; k++)
			known = known || strcmp(argv[i], benches[k].name) == 0;
		if (!known)
			return wrong_option("bench", argv[i],
			                    "there is no bench of that name; without a name they are listed");
	}
	if (bench_config.cpus[0] == bench_config.cpus[1]) {
		fprintf(stderr, "sealane bench: two processors are needed, this process may use one\n");
		return 1;
	}
	snprintf(directory, sizeof directory, "%.150s/sealane-bench-XXXXXX",
	         base != NULL && base[0] == '/' ? base : "/tmp");
	if (mkdtemp(directory) == NULL) {
		fprintf(stderr, "sealane bench: %s: %s\n", directory, strerror(errno));
		return 1;
	}
	bench_config.directory = directory;
	setenv("SEALANE_RUNTIME_DIR", directory, 1);
	unsetenv("SEALANE_SESSION");
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (bench_config.hugepages) {
		hugepages_before = hugepages_set(HUGEPAGES_WANTED);
		if (hugepages_before < 0)
			fprintf(stderr, "sealane bench: %s: %s; hugetlb uses what there is\n", HUGEPAGES_PATH,
			        strerror(errno));
	}
	result = run_named(argc - optind, argv + optind);
	if (hugepages_before >= 0)
		hugepages_set(hugepages_before);
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (bench_config.csv != NULL && fclose(bench_config.csv) != 0) {
		fprintf(stderr, "sealane bench: the CSV file: %s\n", strerror(errno));
		result = 1;
	}
	if (bench_config.lines != NULL && fclose(bench_config.lines) != 0) {
		fprintf(stderr, "sealane bench: the file of JSON lines: %s\n", strerror(errno));
		result = 1;
	}
	return result;
}
