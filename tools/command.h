/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of `sealane`, and what each of them promises. Help texts and man
 * pages (docs/man) say the same.
 *
 *   sealane demo   [--input PATH]... [--size BYTES|--quick] [--processors N] [--no-kill] [--part-min BYTES]
 *                  [--part-max BYTES] [--memory BYTES] [--seed N] [--session NAME] [--json] [--quiet]
 *                  --size: 2 GiB unless given; --input: the shared libraries below /usr/lib
 *   sealane send   PATH... [--to ADDRESS] [--session NAME] [--json] [--quiet]
 *   sealane recv   [--out DIR] [--from ADDRESS] [--session NAME] [--json] [--quiet]
 *   sealane bench  NAME|all [--json] [--csv FILE] [--quick] [--runs N] [--cpus A,B]
 *   sealane doctor [--session NAME] [--runtime-dir DIR] [--clean] [--quiet] [--json]
 *   sealane monitor [--session NAME] [--runtime-dir DIR] [--timeout MS] [--cleanup | --view | --list-all | --interactive]
 *                  [--self-destruct] [--json | --prometheus | --influx]
 *   sealane top    [--session NAME] [--runtime-dir DIR] [--timeout MS] [--self-destruct]
 *   sealane keep   --region NAME=SIZE | --heap NAME=SIZE ... [--pages KIND] [--mlock] [--session NAME] [--runtime-dir DIR] [--json]
 *   sealane record --from ADDRESS --out FILE [--pattern pull|pair|sub] [--subscribe PREFIX]... [--count N] [--size BYTES] [--seconds S] [--no-checksum]
 *                  [--force] [--session NAME] [--json] [--quiet]
 *   sealane replay FILE --to ADDRESS [--speed X|max] [--loop N] [--from-message A] [--to-message B] [--pattern push|pair|pub]
 *                  [--peers N] [--map | --copy] [--check] [--linger S] [--session NAME] [--json] [--quiet]
 *   sealane replay FILE --info | --verify [--json]
 *   sealane tap    --from ADDRESS --to ADDRESS --side ADDRESS [--percent P] [--side-max N] [--side-pattern push|pair|pub] [--count N]
 *                  [--session NAME] [--json] [--quiet]
 *   sealane cat    FILE|-|CHANNEL... [--head N] [--schema] [--json] [--count N] [--pattern pull|pair|sub] [--subscribe PREFIX]...
 *                  [--session NAME] [--quiet]
 *   sealane run    TOPOLOGY.json [--exec|--count|--restart|--cpus ID=VALUE]... [--session NAME] [--runtime-dir DIR]
 *                  [--stop-timeout S] [--timeout S] [--keep-going] [--strict] [--dry-run | --dot] [--json] [--quiet]
 *                  [-- OPTIONS OF ALL DEVICES]
 *   sealane control [--session NAME] [--runtime-dir DIR] [--json] [DEVICE [state | transition NAME | wait STATE [TIMEOUT_MS] |
 *                  get KEY | set KEY VALUE | list [PREFIX] | watch]]
 *   sealane ccdb   serve | put | get | ls | set | rm | truncate | import | gc, each with its own --help
 *   sealane help [NAME], sealane --help, sealane --version
 *
 * Common to all: --help; sizes are a number with an optional K, M, G, T (powers of 1024,
 * also KiB, MiB, GiB, TiB); --json prints one JSON object per line on standard output and
 * nothing else there; progress and errors go to standard error; an error is one line
 * `sealane NAME: what and where`. Environment: SEALANE_SESSION, SEALANE_RUNTIME_DIR, NO_COLOR.
 */
#ifndef SEALANE_TOOLS_COMMAND_H
#define SEALANE_TOOLS_COMMAND_H

#include <stdbool.h>

/* What every command returns and the program exits with. */
enum command_exit {
	COMMAND_OK = 0,     /* done, everything verified */
	COMMAND_FAILED = 1, /* something failed; standard error says what and where */
	COMMAND_USAGE = 2,  /* the command line is wrong; nothing was done */
};

/* Each is given its own name in argv[0]; getopt_long() starts afresh. */
int demo_main(int argc, char **argv);
int send_main(int argc, char **argv);
int recv_main(int argc, char **argv);
int bench_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int monitor_main(int argc, char **argv);
int top_main(int argc, char **argv);
int keep_main(int argc, char **argv);
int record_main(int argc, char **argv);
int replay_main(int argc, char **argv);
int tap_main(int argc, char **argv);
int cat_main(int argc, char **argv);
int run_main(int argc, char **argv);

/* Whether `sealane NAME` is a command. */
bool command_exists(const char *name);
int control_main(int argc, char **argv);
int ccdb_main(int argc, char **argv);
int sampler_main(int argc, char **argv);
int sink_main(int argc, char **argv);
int proxy_main(int argc, char **argv);
int merger_main(int argc, char **argv);
int splitter_main(int argc, char **argv);
int multiplier_main(int argc, char **argv);

#endif
