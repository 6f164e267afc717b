/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane control`: asks a running device for its state and properties, and tells it what to do, over its control socket.
 *
 * The odd rule: it never guesses whether a device is alive; what the socket says, or that it is refused, is the answer.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <sealane/device/device.h>
#include <sealane/error.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "terminal.h"

/* A device answers at once, unless it is stopped, or its machine is as busy as can be. */
#define CONTROL_PATIENCE_NS INT64_C(10000000000)

enum { OPT_SESSION = 1, OPT_RUNTIME_DIR, OPT_JSON };

static const struct option_spec specs[] = {
	{ OPT_SESSION, 's', "session", "NAME", "the session (default: $SEALANE_SESSION, else default)" },
	{ OPT_RUNTIME_DIR, 0, "runtime-dir", "DIR", "where the processes meet" },
	{ OPT_JSON, 0, "json", NULL, "answers as JSON objects, one per line" },
	{ 0 },
};

static const struct option_page page = {
	.command = "control",
	.usage = "[DEVICE [REQUEST [ARGUMENT...]]]",
	.summary =
		"Asks a running device for its state, and tells it what to do. Without DEVICE it lists the devices of the "
		"session. DEVICE is the id that it was started with.",
	.specs = specs,
	.epilogue = "Requests:\n"
		    "  state                    the state that it is in (this is asked where nothing is)\n"
		    "  transition NAME          INIT DEVICE, COMPLETE INIT, BIND, CONNECT, INIT TASK, RUN, STOP,\n"
		    "                           RESET TASK, RESET DEVICE, END, ERROR FOUND; also as init-device\n"
		    "  wait STATE [TIMEOUT_MS]  until it is in that state; without a time for ever\n"
		    "  get KEY                  a property\n"
		    "  set KEY VALUE            changes a property that is there\n"
		    "  list [PREFIX]            all properties, or those whose key begins with PREFIX\n"
		    "  watch                    its states from now on, until it ends\n\n"
		    "Examples:\n"
		    "  sealane control\n"
		    "  sealane control sampler1 transition stop && sealane control sampler1 wait ready 5000\n"
		    "  sealane control sink set chans.data.0.rcvBufSize 10\n\n"
		    "Exit status: 0 done, 1 the device is not there, refuses, or the time is over, 2 wrong usage.\n",
};

struct control {
	const char *directory;
	const char *device;
	int fd;
	bool json;
	char answer[SEA_CONTROL_ANSWER_N_MAX + 1];
};

/* Prints an object on a line of its own. */
static void control_print_json(json_t *object)
{
	if (object) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	}
	json_decref(object);
}

/* A value that came with \n and \\ as it is. */
static void control_unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (text[0] == '\\' && (text[1] == 'n' || text[1] == '\\'))
			*out++ = *++text == 'n' ? '\n' : '\\';
		else
			*out++ = *text;
	}
	*out = 0;
}

static void control_escape(char *out, size_t n_max, const char *text)
{
	size_t n = 0;

	for (; *text && n + 3 <= n_max; text++) {
		if (*text == '\n' || *text == '\\')
			out[n++] = '\\';
		out[n++] = *text == '\n' ? 'n' : *text;
	}
	out[n] = 0;
}

/* JSON is UTF-8; what is not is left out. */
static json_t *control_json_string(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_null();
}

/* One request and its answer. @return COMMAND_OK with the answer, "ok" taken off; or COMMAND_FAILED, which has been said */
static int control_ask(struct control *control, const char *request, int64_t timeout_ns)
{
	const int r = sea_control_request(control->fd, request, control->answer, sizeof(control->answer), timeout_ns);
	char *text = control->answer;

	if (r < 0) {
		terminal_error("control", "%s: %s", control->device,
		               r == -EPIPE       ? "the device has ended"
		               : r == -ETIMEDOUT ? "the device does not answer"
		                                 : sea_error_text(r));
		return COMMAND_FAILED;
	}
	if (strncmp(text, "error ", 6) == 0) {
		text += 6;
		text += strcspn(text, " ");
		terminal_error("control", "%s:%s", control->device, text);
		return COMMAND_FAILED;
	}
	if (strncmp(text, "ok", 2) == 0)
		memmove(text, text + 2 + (text[2] == ' '), strlen(text + 2 + (text[2] == ' ')) + 1);
	return COMMAND_OK;
}

static int control_open(struct control *control)
{
	control->fd = sea_control_connect(control->directory, control->device);
	if (control->fd >= 0)
		return COMMAND_OK;
	if (control->fd == -ENOENT)
		terminal_error("control", "%s: no such device in this session (which there are: sealane control)",
		               control->device);
	else if (control->fd == -ECONNREFUSED)
		terminal_error("control", "%s: the device has ended", control->device);
	else
		terminal_error("control", "%s: %s", control->device, sea_error_text(control->fd));
	return COMMAND_FAILED;
}

/* Requests. ------------------------------------------------------------------------------------ */

static int control_state(struct control *control, const char *argument)
{
	(void)argument;
	if (control_ask(control, "state", CONTROL_PATIENCE_NS) != COMMAND_OK)
		return COMMAND_FAILED;
	if (control->json)
		control_print_json(json_pack("{s:s, s:s}", "device", control->device, "state", control->answer));
	else
		puts(control->answer);
	return COMMAND_OK;
}

static int control_transition(struct control *control, const char *argument)
{
	char request[128];

	snprintf(request, sizeof(request), "transition %s", argument);
	if (control_ask(control, request, CONTROL_PATIENCE_NS) != COMMAND_OK)
		return COMMAND_FAILED;
	if (control->json)
		control_print_json(json_pack("{s:s, s:s}", "device", control->device, "accepted", argument));
	return COMMAND_OK;
}

/* A number at the end of the argument is the time. */
static int control_wait(struct control *control, const char *argument)
{
	const char *blank = strrchr(argument, ' ');
	uint64_t timeout_ms = 0;
	const bool has_time = blank && options_parse_number(blank + 1, &timeout_ms) == 0 && timeout_ms <= INT_MAX;
	char request[128];

	snprintf(request, sizeof(request), "wait %s%s", argument, has_time ? "" : " -1");
	if (control_ask(control, request, has_time ? (int64_t)timeout_ms * 1000000 + CONTROL_PATIENCE_NS : -1) !=
	    COMMAND_OK)
		return COMMAND_FAILED;
	if (control->json)
		control_print_json(json_pack("{s:s, s:s}", "device", control->device, "state", control->answer));
	else
		puts(control->answer);
	return COMMAND_OK;
}

static int control_get(struct control *control, const char *argument)
{
	char request[512];

	snprintf(request, sizeof(request), "get %s", argument);
	if (control_ask(control, request, CONTROL_PATIENCE_NS) != COMMAND_OK)
		return COMMAND_FAILED;
	control_unescape(control->answer);
	if (control->json)
		control_print_json(json_pack("{s:s, s:s, s:o}", "device", control->device, "key", argument, "value",
		                             control_json_string(control->answer)));
	else
		puts(control->answer);
	return COMMAND_OK;
}

static int control_set(struct control *control, const char *argument)
{
	char request[SEA_CONTROL_REQUEST_N_MAX + 2];

	memcpy(request, "set ", 4);
	control_escape(request + 4, sizeof(request) - 4, argument);
	if (control_ask(control, request, CONTROL_PATIENCE_NS) != COMMAND_OK)
		return COMMAND_FAILED;
	if (control->json)
		control_print_json(json_pack("{s:s, s:s}", "device", control->device, "accepted", "set"));
	return COMMAND_OK;
}

/* The lines of one packet of items. */
static void control_items(char *text, json_t *object)
{
	for (char *line = strchr(text, '\n'); line;) {
		char *next = strchr(++line, '\n'), *equals;

		if (next)
			*next = 0;
		equals = strchr(line, '=');
		if (!object) {
			puts(line);
		} else if (equals) {
			*equals = 0;
			control_unescape(equals + 1);
			json_object_set_new(object, line, control_json_string(equals + 1));
		}
		line = next;
	}
}

static int control_list(struct control *control, const char *argument)
{
	TOOL_AUTO_JSON json_t *object = control->json ? json_object() : NULL;
	char request[512];
	int r;

	snprintf(request, sizeof(request), "list %s", argument);
	r = control_ask(control, request, CONTROL_PATIENCE_NS);
	while (r == COMMAND_OK && strncmp(control->answer, "items", 5) == 0) {
		control_items(control->answer, object);
		r = control_ask(control, NULL, CONTROL_PATIENCE_NS);
	}
	if (r == COMMAND_OK && object)
		control_print_json(json_pack("{s:s, s:O}", "device", control->device, "properties", object));
	return r;
}

static int control_watch(struct control *control, const char *argument)
{
	int r;

	(void)argument;
	if (control_ask(control, "subscribe", CONTROL_PATIENCE_NS) != COMMAND_OK)
		return COMMAND_FAILED;
	for (;;) {
		if (control->json)
			control_print_json(
				json_pack("{s:s, s:s}", "device", control->device, "state", control->answer));
		else
			puts(control->answer);
		fflush(stdout);
		if (ferror(stdout))
			return COMMAND_FAILED;
		r = sea_control_request(control->fd, NULL, control->answer, sizeof(control->answer), -1);
		if (r < 0)
			break;
		if (strncmp(control->answer, "state ", 6) == 0)
			memmove(control->answer, control->answer + 6, (size_t)r - 6 + 1);
	}
	if (r == -EPIPE)
		return COMMAND_OK;
	terminal_error("control", "%s: %s", control->device, sea_error_text(r));
	return COMMAND_FAILED;
}

/* The devices of a session. --------------------------------------------------------------------- */

struct control_devices {
	const char *directory;
	json_t *list; /* NULL: as text */
	int n;
};

static void control_add_device(const char *device, int64_t pid, void *userdata)
{
	struct control_devices *devices = userdata;
	char answer[64] = "";
	const char *state = pid == 0 ? "ended" : "does not answer";

	if (pid > 0) {
		TOOL_AUTO_FD int fd = sea_control_connect(devices->directory, device);

		/* A device that is stopped does not hold the list up for long. */
		if (fd >= 0 && sea_control_request(fd, "state", answer, sizeof(answer), CONTROL_PATIENCE_NS / 10) > 0 &&
		    strncmp(answer, "ok ", 3) == 0)
			state = answer + 3;
	}
	if (devices->list)
		json_array_append_new(devices->list, json_pack("{s:o, s:I, s:s}", "device", control_json_string(device),
		                                               "pid", (json_int_t)(pid > 0 ? pid : 0), "state", state));
	else
		printf("%-24s %8lld  %s\n", device, (long long)(pid > 0 ? pid : 0), state);
	devices->n++;
}

static int control_list_devices(const char *directory, bool json)
{
	struct control_devices devices = { .directory = directory, .list = json ? json_array() : NULL };
	const int r = sea_control_list(directory, control_add_device, &devices);

	if (r < 0 && r != -ENOENT) {
		terminal_error("control", "%s: %s", directory, sea_error_text(r));
		json_decref(devices.list);
		return COMMAND_FAILED;
	}
	if (devices.list)
		control_print_json(json_pack("{s:o}", "devices", devices.list));
	else if (devices.n == 0)
		fputs("no devices in this session\n", stderr);
	return COMMAND_OK;
}

/* ----------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int n_min, n_max; /* arguments; names may be of several words */
	int (*run)(struct control *control, const char *argument);
} requests[] = {
	{ "state", 0, 0, control_state }, { "transition", 1, 2, control_transition }, { "wait", 1, 3, control_wait },
	{ "get", 1, 1, control_get },     { "set", 2, INT_MAX, control_set },         { "list", 0, 1, control_list },
	{ "watch", 0, 0, control_watch },
};

#define N_REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* Words with a blank in between. @return false: too long */
static bool control_join(char *text, size_t n_bytes, int argc, char **argv)
{
	size_t n = 0;

	text[0] = 0;
	for (int i = 0; i < argc; i++) {
		const int r = snprintf(text + n, n_bytes - n, "%s%s", i ? " " : "", argv[i]);

		if (r < 0 || (size_t)r >= n_bytes - n)
			return false;
		n += (size_t)r;
	}
	return true;
}

static int control_device(const char *directory, bool json, int argc, char **argv)
{
	struct control *control;
	const char *name = argc > 1 ? argv[1] : "state", *names[N_REQUESTS];
	const int n_arguments = argc > 2 ? argc - 2 : 0;
	char argument[SEA_CONTROL_REQUEST_N_MAX / 2];
	size_t i = 0;
	int r;

	for (size_t j = 0; j < N_REQUESTS; j++)
		names[j] = requests[j].name;
	while (i < N_REQUESTS && strcmp(requests[i].name, name) != 0)
		i++;
	if (i == N_REQUESTS) {
		r = options_nearest(name, names, N_REQUESTS);
		terminal_error("control", "no request '%s'%s%s%s (all of them: sealane control --help)", name,
		               r >= 0 ? ", did you mean '" : "", r >= 0 ? names[r] : "", r >= 0 ? "'?" : "");
		return COMMAND_USAGE;
	}
	if (n_arguments < requests[i].n_min || n_arguments > requests[i].n_max) {
		terminal_error("control", "%s: too %s arguments (see: sealane control --help)", name,
		               n_arguments < requests[i].n_min ? "few" : "many");
		return COMMAND_USAGE;
	}
	if (!control_join(argument, sizeof(argument), n_arguments, argv + 2)) {
		terminal_error("control", "%s: that is too long for a request", name);
		return COMMAND_USAGE;
	}
	control = calloc(1, sizeof(*control));
	if (!control) {
		terminal_error("control", "%s", sea_error_text(-ENOMEM));
		return COMMAND_FAILED;
	}
	control->directory = directory;
	control->device = argv[0];
	control->json = json;
	r = control_open(control);
	if (r == COMMAND_OK) {
		r = requests[i].run(control, argument);
		close(control->fd);
	}
	free(control);
	return r;
}

int control_main(int argc, char **argv)
{
	const char *session = NULL, *runtime_dir = NULL;
	struct options options;
	char directory[PATH_MAX];
	bool json = false;
	int id, r;

	options_init(&options, &page, argc, argv);
	while ((id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_SESSION: session = options.value; break;
		case OPT_RUNTIME_DIR: runtime_dir = options.value; break;
		case OPT_JSON: json = true; break;
		default: break;
		}
	}
	if (id < 0)
		return options.exit_code;
	r = sea_control_directory(session, runtime_dir, directory, sizeof(directory));
	if (r < 0) {
		terminal_error("control", "session %s: %s", session ? session : "",
		               r == -EINVAL ? "a name is 1 to 64 of A-Z a-z 0-9 . _ -, and does not start with a dot"
		                            : sea_error_text(r));
		return COMMAND_USAGE;
	}
	if (options.first >= argc)
		return control_list_devices(directory, json);
	return control_device(directory, json, argc - options.first, argv + options.first);
}
