/* SPDX-License-Identifier: Apache-2.0 */
/* From a command line to the end of a device; see sea_device_main(). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

static int main_fail(const char *program, const struct sea_error *error)
{
	char line[800];

	fprintf(stderr, "%s: %s\n", program, sea_error_line(error, line, sizeof(line)));
	return 1;
}

static void main_warn(const struct sea_error *warning, void *userdata)
{
	char line[800];

	(void)userdata;
	sea_log(SEA_SEVERITY_WARN, "%s", sea_error_line(warning, line, sizeof(line)));
}

static int main_add_options(struct sea_options *options, const struct sea_device_options *device,
                            struct sea_error *error)
{
	int r = 0;

	for (const struct sea_option *option = device->options; option && option->name && r == 0; option++) {
		r = sea_options_add(options, option);
		if (r < 0)
			sea_error_set(error, r, option->name, "cannot be added: %s", strerror(-r));
	}
	for (const char *const *pair = device->defaults; pair && pair[0] && r == 0; pair += 2) {
		r = sea_options_set_default(options, pair[0], pair[1]);
		if (r < 0)
			sea_error_set(error, r, pair[0], "cannot have the default %s: %s", pair[1], strerror(-r));
	}
	return r;
}

static int main_set_log(struct sea_properties *properties, struct sea_error *error)
{
	char *values[6] = { NULL };
	static const char *const names[] = { "severity",   "file-severity", "verbosity",
		                             "log-format", "color",         "log-to-file" };
	struct sea_log_options options = { 0 };
	char *id = sea_properties_string_or(properties, "id", ""),
	     *session = sea_properties_string_or(properties, "session", "default");
	const char *wrong = NULL;
	int r;

	for (size_t i = 0; i < 6; i++)
		values[i] = sea_properties_string_or(properties, names[i], "");
	options.severity = values[0];
	options.file_severity = values[1];
	options.verbosity = values[2];
	options.format = values[3];
	options.color = values[4];
	options.file = values[5];
	options.device = id;
	options.session = session;
	r = sea_log_setup(&options, &wrong);
	if (r < 0)
		sea_error_set(error, r, wrong ? wrong : "log", "the log cannot be set up: %s", strerror(-r));
	for (size_t i = 0; i < 6; i++)
		free(values[i]);
	free(id);
	free(session);
	return r;
}

/* What is in effect, and where it comes from: a line each. */
static void main_log_configuration(struct sea_options *options)
{
	char *text = NULL, *rest, *line;
	size_t n_bytes = 0;
	FILE *file;

	if (!sea_log_wants(SEA_SEVERITY_INFO))
		return;
	file = open_memstream(&text, &n_bytes);
	if (!file)
		return;
	(void)sea_options_print(options, file);
	fclose(file);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		/* Sixty defaults are for those who look for something. */
		sea_log(strstr(line, "[default]") || strstr(line, "[not given]") ? SEA_SEVERITY_DEBUG
		                                                                 : SEA_SEVERITY_INFO,
		        "%s", line);
	free(text);
}

static int main_print_channels(const struct sea_device_options *options)
{
	for (const struct sea_device_endpoint *endpoint = options->endpoints; endpoint && endpoint->name; endpoint++)
		printf("%s:%u:%u\n", endpoint->name, endpoint->n_min, endpoint->n_max);
	return fflush(stdout) == 0 ? 0 : 1;
}

static void main_print_peers(void *userdata)
{
	struct sea_device *device = userdata;

	for (size_t i = 0; i < device->n_channels; i++) {
		struct sea_device_counts counts;

		if (sea_device_get_counts(device, device->channels[i].config.name, device->channels[i].config.i,
		                          &counts) == 0)
			printf("%s: %llu peers\n", device->channels[i].label, (unsigned long long)counts.n_peers);
	}
	fflush(stdout);
}

static int main_drive(struct sea_device *device, struct sea_error *error)
{
	struct sea_control_options options = {
		.id = device->id, .properties = device->properties, .print_peers = main_print_peers, .userdata = device
	};
	char mode[32] = "", directory[1024];
	struct sea_control *control = NULL;
	int r;

	sea_properties_get_text(device->properties, "control", mode, sizeof(mode));
	r = sea_control_mode_parse(mode, &options.mode);
	options.no_signals = sea_properties_int_or(device->properties, "catch-signals", 1) == 0;
	if (r == 0 && sea_properties_bool_or(device->properties, "control-socket", true) &&
	    sea_control_directory(device->session_name, NULL, directory, sizeof(directory)) == 0) {
		struct sea_session *session;

		/* The directory is the session's to make. */
		r = sea_device_session(device, &session);
		options.directory = directory;
	}
	if (r == 0)
		r = sea_control_start(&control, device->machine, &options);
	if (r < 0)
		return sea_error_set(error, r, "control", "%s",
		                     r == -EADDRINUSE ? "a device of this id lives in this session"
		                                      : sea_error_text(r));
	r = sea_machine_run(device->machine);
	/* While signals are still taken note of: this may take as long as libzmq lingers. */
	seai_device_close(device);
	sea_control_stop(control);
	return r < 0 ? 1 : 0;
}

static void main_note_state(enum sea_device_state state, void *userdata)
{
	seai_device_show_state(userdata, state);
}

static int main_run(struct sea_options *parsed, const struct sea_device_options *options, struct sea_error *error)
{
	struct sea_device *device;
	int r = main_set_log(sea_options_properties(parsed), error);

	if (r < 0)
		return r;
	main_log_configuration(parsed);
	r = sea_device_new(&device, options, parsed, error);
	if (r < 0)
		return r;
	r = sea_machine_subscribe_states(device->machine, "0-session", main_note_state, device);
	if (r == 0)
		r = main_drive(device, error);
	sea_device_free(device);
	return r;
}

int sea_device_main(int argc, char **argv, const struct sea_device_options *options)
{
	struct sea_error error = { 0 };
	struct sea_options *parsed;
	int r = sea_options_new(&parsed);

	if (r < 0) {
		sea_error_set(&error, r, "", "%s", sea_error_text(r));
		return main_fail(argv[0], &error);
	}
	sea_options_on_warning(parsed, main_warn, NULL);
	r = main_add_options(parsed, options, &error);
	if (r == 0)
		r = sea_options_parse(parsed, argc, argv, &error);
	if (r == 0 && options->about && sea_properties_bool_or(sea_options_properties(parsed), "help", false))
		printf("%s\n\n", options->about);
	if (r == 0)
		r = sea_options_answer(parsed, stdout);
	if (r == 0 && sea_properties_bool_or(sea_options_properties(parsed), "print-channels", false))
		r = main_print_channels(options) ? -EIO : 1;
	/* 1: it was answered. */
	r = r > 0 ? 0 : r < 0 ? r : main_run(parsed, options, &error);
	if (r < 0)
		r = main_fail(argv[0], &error);
	sea_options_free(parsed);
	return r;
}
