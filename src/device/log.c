/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of the process: its settings, and where lines go; see sealane/device/log.h.
 *
 * The odd rule: a line is put together without the lock and written by one write(2); the lock guards the settings only, so a
 * console that blocks blocks whoever writes to it, and nobody else.
 */
#include "device/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Severities are compared with these; none is what no line reaches. */
#define LOG_NONE (SEA_SEVERITY_FATAL + 1)

/* How long a line waits for a console that is set not to block, and is full. */
#define LOG_PATIENCE_MS 1000

struct log_settings {
	enum sea_severity severity;
	enum sea_severity file_severity;
	enum sea_verbosity verbosity;
	enum sea_log_format format;
	bool has_colours;
	int file_fd;    /* -1: none */
	int journal_fd; /* -1: none */
	struct sockaddr_un journal;
	char device[256];
	char session[80];
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_file_name[PATH_MAX]; /* while there is a file */
static struct log_settings log_now = {
	.severity = SEA_SEVERITY_INFO, .verbosity = SEA_VERBOSITY_MEDIUM, .file_fd = -1, .journal_fd = -1
};
/* The least severity that anyone wants; relaxed, a line more or less at the moment of a change is no harm. */
static atomic_int log_least = SEA_SEVERITY_INFO;

static const char *const severity_names[] = { "NOLOG",  "TRACE",     "DEBUG4", "DEBUG3", "DEBUG2",
	                                      "DEBUG1", "DEBUG",     "DETAIL", "INFO",   "STATE",
	                                      "WARN",   "IMPORTANT", "ALARM",  "ERROR",  "FATAL" };
static const char *const verbosity_names[] = { "verylow", "low", "medium", "high", "veryhigh" };
static const char *const format_names[] = { "fairlogger", "json", "journal" };
static const char *const color_names[] = { "auto", "never", "always", "true", "false", "1", "0" };
static const enum sea_log_color colors[] = { SEA_LOG_COLOR_AUTO, SEA_LOG_COLOR_NEVER, SEA_LOG_COLOR_ALWAYS,
	                                     SEA_LOG_COLOR_AUTO, SEA_LOG_COLOR_NEVER, SEA_LOG_COLOR_AUTO,
	                                     SEA_LOG_COLOR_NEVER };

#define N_NAMES(names) ((int)(sizeof(names) / sizeof((names)[0])))

static int log_find(const char *const *names, int n_names, const char *name)
{
	for (int i = 0; i < n_names; i++) {
		size_t n = 0;

		while (name[n] && tolower((unsigned char)name[n]) == tolower((unsigned char)names[i][n]))
			n++;
		if (!name[n] && !names[i][n])
			return i;
	}
	return -EINVAL;
}

const char *sea_severity_name(enum sea_severity severity)
{
	return (unsigned)severity < N_NAMES(severity_names) ? severity_names[severity] : "";
}

int sea_severity_parse(const char *name, enum sea_severity *ret_severity)
{
	const int i = log_find(severity_names, N_NAMES(severity_names), name);

	if (i < 0 && log_find((const char *const[]){ "warning" }, 1, name) < 0)
		return -EINVAL;
	*ret_severity = i < 0 ? SEA_SEVERITY_WARN : (enum sea_severity)i;
	return 0;
}

const char *sea_verbosity_name(enum sea_verbosity verbosity)
{
	return (unsigned)verbosity < N_NAMES(verbosity_names) ? verbosity_names[verbosity] : "";
}

int sea_verbosity_parse(const char *name, enum sea_verbosity *ret_verbosity)
{
	const int i = log_find(verbosity_names, N_NAMES(verbosity_names), name);

	if (i < 0)
		return i;
	*ret_verbosity = (enum sea_verbosity)i;
	return 0;
}

/* Settings. --------------------------------------------------------------------------------- */

/* Lock held. */
static void log_update_least(void)
{
	int least = log_now.severity == SEA_SEVERITY_NOLOG ? LOG_NONE : (int)log_now.severity;

	if (log_now.file_fd >= 0 && log_now.file_severity != SEA_SEVERITY_NOLOG && (int)log_now.file_severity < least)
		least = (int)log_now.file_severity;
	atomic_store_explicit(&log_least, least, memory_order_relaxed);
}

static bool log_wants_colours(enum sea_log_color color)
{
	const char *term = getenv("TERM");

	if (color != SEA_LOG_COLOR_AUTO)
		return color == SEA_LOG_COLOR_ALWAYS;
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && !(term && strcmp(term, "dumb") == 0);
}

/* Whether the console is a stream that systemd has connected to the journal. */
static bool log_is_in_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat stat;
	char end;

	return stream && sscanf(stream, "%llu:%llu%c", &device, &inode, &end) == 2 &&
	       fstat(STDOUT_FILENO, &stat) == 0 && stat.st_dev == device && stat.st_ino == inode;
}

static void log_open_journal(struct log_settings *settings, const char *path)
{
	if (!path && !log_is_in_journal())
		return;
	if (!path)
		path = "/run/systemd/journal/socket";
	if (strlen(path) >= sizeof(settings->journal.sun_path))
		return;
	settings->journal.sun_family = AF_UNIX;
	strcpy(settings->journal.sun_path, path);
	settings->journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int log_open_file(struct log_settings *settings, const char *name, char path[static PATH_MAX])
{
	const time_t now = time(NULL);
	char moment[32];
	struct tm local;
	int n;

	localtime_r(&now, &local);
	strftime(moment, sizeof(moment), "%Y-%m-%d_%H_%M_%S", &local);
	n = snprintf(path, PATH_MAX, "%s_%s.log", name, moment);
	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	settings->file_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
	if (settings->file_fd < 0)
		return -errno;
	/* As in FairMQ: the file instead of the console. */
	settings->severity = SEA_SEVERITY_NOLOG;
	return 0;
}

/* @return 0, or the name of the member that is wrong. */
static const char *log_read_names(struct log_settings *settings, const struct sea_log_options *options,
                                  enum sea_log_color *ret_color)
{
	const char *severity = options->severity ? options->severity : getenv("FAIRMQ_SEVERITY");
	int i;

	if (sea_severity_parse(severity && *severity ? severity : "info", &settings->severity) < 0)
		return "severity";
	if (sea_severity_parse(options->file_severity ? options->file_severity : "debug", &settings->file_severity) < 0)
		return "file_severity";
	if (sea_verbosity_parse(options->verbosity ? options->verbosity : "medium", &settings->verbosity) < 0)
		return "verbosity";
	i = log_find(format_names, N_NAMES(format_names), options->format ? options->format : "fairlogger");
	if (i < 0)
		return "format";
	settings->format = (enum sea_log_format)i;
	i = log_find(color_names, N_NAMES(color_names), options->color ? options->color : "auto");
	if (i < 0)
		return "color";
	*ret_color = colors[i];
	return NULL;
}

int sea_log_setup(const struct sea_log_options *options, const char **ret_wrong)
{
	static const struct sea_log_options defaults;
	enum sea_log_color color = SEA_LOG_COLOR_AUTO;
	struct log_settings settings = { .file_fd = -1, .journal_fd = -1 };
	char path[PATH_MAX] = "";
	const char *wrong;
	int r;

	if (!options)
		options = &defaults;
	wrong = log_read_names(&settings, options, &color);
	if (!wrong && memcmp(options->reserved, defaults.reserved, sizeof(defaults.reserved)) != 0)
		wrong = "reserved";
	if (wrong) {
		if (ret_wrong)
			*ret_wrong = wrong;
		return -EINVAL;
	}
	settings.has_colours = log_wants_colours(color);
	snprintf(settings.device, sizeof(settings.device), "%s", options->device ? options->device : "");
	snprintf(settings.session, sizeof(settings.session), "%s", options->session ? options->session : "");
	if (options->file && options->file[0]) {
		r = log_open_file(&settings, options->file, path);
		if (r < 0) {
			if (ret_wrong)
				*ret_wrong = "file";
			return r;
		}
	}
	if (settings.format == SEA_LOG_JOURNAL)
		log_open_journal(&settings, options->journal_socket);
	pthread_mutex_lock(&log_lock);
	/* The old descriptors: nobody writes to them but under the lock. */
	seai_close(log_now.file_fd);
	seai_close(log_now.journal_fd);
	log_now = settings;
	memcpy(log_file_name, path, sizeof(path));
	log_update_least();
	pthread_mutex_unlock(&log_lock);
	return 0;
}

void sea_log_reset(void)
{
	pthread_mutex_lock(&log_lock);
	seai_close(log_now.file_fd);
	seai_close(log_now.journal_fd);
	log_now = (struct log_settings){
		.severity = SEA_SEVERITY_INFO, .verbosity = SEA_VERBOSITY_MEDIUM, .file_fd = -1, .journal_fd = -1
	};
	log_update_least();
	pthread_mutex_unlock(&log_lock);
}

char *sea_log_file(char *name, unsigned n_bytes)
{
	pthread_mutex_lock(&log_lock);
	snprintf(name, n_bytes, "%s", log_now.file_fd >= 0 ? log_file_name : "");
	pthread_mutex_unlock(&log_lock);
	return name;
}

enum sea_severity sea_log_severity(void)
{
	enum sea_severity severity;

	pthread_mutex_lock(&log_lock);
	severity = log_now.severity;
	pthread_mutex_unlock(&log_lock);
	return severity;
}

int sea_log_set_severity(enum sea_severity severity)
{
	if ((unsigned)severity > SEA_SEVERITY_FATAL)
		return -EINVAL;
	pthread_mutex_lock(&log_lock);
	log_now.severity = severity;
	log_update_least();
	pthread_mutex_unlock(&log_lock);
	return 0;
}

enum sea_verbosity sea_log_verbosity(void)
{
	enum sea_verbosity verbosity;

	pthread_mutex_lock(&log_lock);
	verbosity = log_now.verbosity;
	pthread_mutex_unlock(&log_lock);
	return verbosity;
}

int sea_log_set_verbosity(enum sea_verbosity verbosity)
{
	if ((unsigned)verbosity > SEA_VERBOSITY_VERYHIGH)
		return -EINVAL;
	pthread_mutex_lock(&log_lock);
	log_now.verbosity = verbosity;
	pthread_mutex_unlock(&log_lock);
	return 0;
}

/* Lines. ------------------------------------------------------------------------------------ */

int sea_log_wants(enum sea_severity severity)
{
	return (int)severity >= atomic_load_explicit(&log_least, memory_order_relaxed) ||
	       severity == SEA_SEVERITY_FATAL;
}

/* What cannot be written is lost: a log has nobody to complain to. */
static void log_write(int fd, const char *data, size_t n)
{
	while (n > 0) {
		const ssize_t written = write(fd, data, n);

		if (written >= 0) {
			data += written;
			n -= (size_t)written;
		} else if (errno == EAGAIN) {
			struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

			if (poll(&poll_fd, 1, LOG_PATIENCE_MS) == 0)
				return;
		} else if (errno != EINTR) {
			return;
		}
	}
}

static bool log_reaches(enum sea_severity severity, enum sea_severity limit)
{
	return severity == SEA_SEVERITY_FATAL || (limit != SEA_SEVERITY_NOLOG && severity >= limit);
}

static void log_console(const struct log_settings *settings, int journal_fd, const struct seai_log_line *line)
{
	struct seai_log_text text;

	seai_log_text_init(&text);
	if (settings->format == SEA_LOG_JSON) {
		seai_log_form_json(&text, line);
	} else if (settings->format == SEA_LOG_JOURNAL) {
		if (journal_fd >= 0) {
			seai_log_form_journal(&text, line);
			if (sendto(journal_fd, text.data, text.n, MSG_NOSIGNAL,
			           (const struct sockaddr *)&settings->journal, sizeof(settings->journal)) >= 0) {
				seai_log_text_fini(&text);
				return;
			}
			text.n = 0; /* no journal there, or the line is too long for a datagram */
		}
		seai_log_form_prefixed(&text, line);
	} else {
		seai_log_form_fairlogger(&text, line, settings->verbosity, settings->has_colours);
	}
	log_write(STDOUT_FILENO, text.data, text.n);
	seai_log_text_fini(&text);
}

static void log_line(const struct seai_log_line *given)
{
	SEAI_AUTO_FD int file_fd = -1;
	SEAI_AUTO_FD int journal_fd = -1;
	struct seai_log_line line = *given;
	struct log_settings settings;

	clock_gettime(CLOCK_REALTIME, &line.time);
	pthread_mutex_lock(&log_lock);
	settings = log_now;
	/* Duplicates, so that they may be closed meanwhile. The console needs none, and costs no call. */
	if (settings.file_fd >= 0 && log_reaches(line.severity, settings.file_severity))
		file_fd = fcntl(settings.file_fd, F_DUPFD_CLOEXEC, 3);
	if (settings.journal_fd >= 0)
		journal_fd = fcntl(settings.journal_fd, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_unlock(&log_lock);
	line.device = settings.device;
	line.session = settings.session;
	if (log_reaches(line.severity, settings.severity))
		log_console(&settings, journal_fd, &line);
	if (file_fd >= 0) {
		struct seai_log_text text;

		seai_log_text_init(&text);
		seai_log_form_fairlogger(&text, &line, settings.verbosity, false);
		log_write(file_fd, text.data, text.n);
		seai_log_text_fini(&text);
	}
}

/* Short texts need no memory; n_left_out is appended where there are any. */
__attribute__((format(printf, 6, 0))) static void log_format(enum sea_severity severity, const char *file, int number,
                                                             const char *function, uint64_t n_left_out,
                                                             const char *format, va_list arguments)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	struct seai_log_line line = {
		.severity = severity, .file = slash ? slash + 1 : file, .line = number, .function = function
	};
	SEAI_AUTO_FREE char *large = NULL;
	const int saved = errno;
	char small[1024], *text = small;
	va_list again;
	int n;

	va_copy(again, arguments);
	n = vsnprintf(small, sizeof(small) - 64, format, arguments);
	if (n >= (int)sizeof(small) - 64) {
		large = malloc((size_t)n + 64);
		if (large) {
			vsnprintf(large, (size_t)n + 1, format, again);
			text = large;
		} else {
			n = (int)sizeof(small) - 65;
		}
	}
	va_end(again);
	if (n < 0)
		n = 0;
	/* A newline at the end would be an empty line. */
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n_left_out > 0)
		n += snprintf(text + n, 64, " (%llu more of these left out)", (unsigned long long)n_left_out);
	line.text = text;
	line.n_text = (size_t)n;
	log_line(&line);
	errno = saved;
}

void sea_log_print(enum sea_severity severity, const char *file, int line, const char *function, const char *format,
                   ...)
{
	va_list arguments;

	if (!sea_log_wants(severity))
		return;
	va_start(arguments, format);
	log_format(severity, file, line, function, 0, format, arguments);
	va_end(arguments);
}

void sea_log_from_session(enum sea_log_level level, const char *line, void *userdata)
{
	static const enum sea_severity severities[] = {
		[SEA_LOG_DEBUG] = SEA_SEVERITY_DEBUG,
		[SEA_LOG_INFO] = SEA_SEVERITY_INFO,
		[SEA_LOG_WARNING] = SEA_SEVERITY_WARN,
		[SEA_LOG_ERROR] = SEA_SEVERITY_ERROR,
	};

	(void)userdata;
	sea_log_print((unsigned)level <= SEA_LOG_ERROR ? severities[level] : SEA_SEVERITY_INFO, NULL, 0, NULL, "%s",
	              line);
}

/* Alarms. ------------------------------------------------------------------------------------ */

static pthread_mutex_t alarm_lock = PTHREAD_MUTEX_INITIALIZER;

int sea_log_alarm_is_due(struct sea_log_alarm *alarm, int64_t interval_ns, uint64_t *ret_n_left_out)
{
	const int64_t now_ns = seai_now_ns();
	int is_due;

	pthread_mutex_lock(&alarm_lock);
	is_due = now_ns >= alarm->next_ns;
	if (is_due) {
		*ret_n_left_out = alarm->n_left_out;
		alarm->n_left_out = 0;
		alarm->next_ns = interval_ns > SEAI_FOR_EVER - now_ns ? SEAI_FOR_EVER : now_ns + interval_ns;
	} else {
		alarm->n_left_out++;
	}
	pthread_mutex_unlock(&alarm_lock);
	return is_due;
}

void sea_log_alarm_print(struct sea_log_alarm *alarm, int64_t interval_ns, enum sea_severity severity, const char *file,
                         int line, const char *function, const char *format, ...)
{
	uint64_t n_left_out = 0;
	va_list arguments;

	if (!sea_log_wants(severity) || !sea_log_alarm_is_due(alarm, interval_ns, &n_left_out))
		return;
	va_start(arguments, format);
	log_format(severity, file, line, function, n_left_out, format, arguments);
	va_end(arguments);
}
