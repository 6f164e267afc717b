/* SPDX-License-Identifier: Apache-2.0 */
/* The log: forms, severities, where lines go, alarms. */
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <sealane/device/device.h>

#include "test.h"

/* Standard output goes into a file while a test writes. */
struct capture {
	int file_fd, saved_fd;
	char text[65536];
};

static void capture_begin(struct capture *capture)
{
	fflush(stdout);
	capture->file_fd = (int)CHECK_SYS(memfd_create("output", MFD_CLOEXEC));
	capture->saved_fd = (int)CHECK_SYS(dup(STDOUT_FILENO));
	CHECK_SYS(dup2(capture->file_fd, STDOUT_FILENO));
}

static const char *capture_end(struct capture *capture)
{
	ssize_t n;

	CHECK_SYS(dup2(capture->saved_fd, STDOUT_FILENO));
	close(capture->saved_fd);
	n = CHECK_SYS(pread(capture->file_fd, capture->text, sizeof(capture->text) - 1, 0));
	capture->text[n] = 0;
	close(capture->file_fd);
	return capture->text;
}

static struct capture capture;

static void setup(const struct sea_log_options *options)
{
	const char *wrong = "nothing";
	const int r = sea_log_setup(options, &wrong);

	if (r < 0)
		FAIL("sea_log_setup: %d, %s", r, wrong);
}

/* Whether text is of a pattern in which 0 stands for any digit. */
static bool has_form(const char *text, const char *pattern)
{
	for (; *text && *pattern; text++, pattern++)
		if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
			return false;
	return !*text && !*pattern;
}

static void check_form(const char *verbosity, const char *pattern)
{
	setup(&(struct sea_log_options){ .verbosity = verbosity });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_INFO, "some %s", "text");
	capture_end(&capture);
	if (!has_form(capture.text, pattern))
		FAIL("%s: %s", verbosity, capture.text);
}

TEST(fairlogger, "a line has FairLogger's form in each verbosity")
{
	check_form("verylow", "some text\n");
	check_form("low", "[INFO] some text\n");
	check_form("medium", "[00:00:00][INFO] some text\n");
	check_form("high", "[test-log][00:00:00][INFO] some text\n");
	check_form("veryhigh", "[test-log][00:00:00.000000][INFO][test-log.c:00:check_form] some text\n");
	check_form("MEDIUM", "[00:00:00][INFO] some text\n");
}

TEST(severities, "the console shows its severity and above, nolog only fatal; names are FairLogger's")
{
	static const char *const names[] = { "nolog",  "trace",     "debug4", "debug3", "debug2",
		                             "debug1", "debug",     "detail", "info",   "state",
		                             "warn",   "important", "alarm",  "error",  "fatal" };
	enum sea_severity severity;

	for (int i = 0; i <= SEA_SEVERITY_FATAL; i++) {
		int n = 0;

		CHECK_OK(sea_severity_parse(names[i], &severity));
		CHECK_EQ(severity, i);
		setup(&(struct sea_log_options){ .severity = names[i] });
		capture_begin(&capture);
		for (int j = 1; j <= SEA_SEVERITY_FATAL; j++) {
			CHECK_EQ(sea_log_wants((enum sea_severity)j), (i != 0 && j >= i) || j == SEA_SEVERITY_FATAL);
			sea_log((enum sea_severity)j, "x");
		}
		capture_end(&capture);
		for (const char *at = capture.text; (at = strchr(at, '\n')); at++)
			n++;
		CHECK_EQ(n, i == 0 ? 1 : SEA_SEVERITY_FATAL - i + 1);
	}
	CHECK_OK(sea_severity_parse("WARNING", &severity));
	CHECK_EQ(severity, SEA_SEVERITY_WARN);
	CHECK_ERR(sea_severity_parse("loud", &severity), -EINVAL);
	CHECK_ERR(sea_severity_parse("", &severity), -EINVAL);
}

TEST(environment, "FAIRMQ_SEVERITY is the severity where none is given")
{
	CHECK_SYS(setenv("FAIRMQ_SEVERITY", "error", 1));
	setup(NULL);
	CHECK_EQ(sea_log_severity(), SEA_SEVERITY_ERROR);
	setup(&(struct sea_log_options){ .severity = "debug" });
	CHECK_EQ(sea_log_severity(), SEA_SEVERITY_DEBUG);
	CHECK_SYS(unsetenv("FAIRMQ_SEVERITY"));
	setup(NULL);
	CHECK_EQ(sea_log_severity(), SEA_SEVERITY_INFO);
	CHECK_EQ(sea_log_verbosity(), SEA_VERBOSITY_MEDIUM);
	CHECK_OK(sea_log_set_severity(SEA_SEVERITY_TRACE));
	CHECK_OK(sea_log_set_verbosity(SEA_VERBOSITY_LOW));
	CHECK_EQ(sea_log_severity(), SEA_SEVERITY_TRACE);
	CHECK_EQ(sea_log_verbosity(), SEA_VERBOSITY_LOW);
	CHECK_ERR(sea_log_set_severity((enum sea_severity)99), -EINVAL);
	CHECK_ERR(sea_log_set_verbosity((enum sea_verbosity) - 1), -EINVAL);
}

TEST(wrong, "what cannot be set up is named, and leaves the log as it was")
{
	static const struct {
		struct sea_log_options options;
		const char *name;
	} wrong[] = {
		{ { .severity = "loud" }, "severity" }, { { .file_severity = "x" }, "file_severity" },
		{ { .verbosity = "x" }, "verbosity" },  { { .format = "xml" }, "format" },
		{ { .color = "blue" }, "color" },       { { .file = "/nowhere/at/all" }, "file" },
		{ { .reserved = { 1 } }, "reserved" },
	};

	setup(&(struct sea_log_options){ .severity = "error", .verbosity = "low" });
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *name = "";

		CHECK_LT(sea_log_setup(&wrong[i].options, &name), 0);
		CHECK_STR_EQ(name, wrong[i].name);
		CHECK_EQ(sea_log_severity(), SEA_SEVERITY_ERROR);
	}
}

TEST(colours, "colours come only where they are asked for, or on a terminal")
{
	setup(&(struct sea_log_options){ .verbosity = "low", .color = "true" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_ERROR, "x");
	CHECK_STR_EQ(capture_end(&capture), "[ERROR] x\n");
	setup(&(struct sea_log_options){ .verbosity = "low", .color = "always" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_ERROR, "x");
	CHECK_STR_EQ(capture_end(&capture), "[\033[01;31mERROR\033[0m] x\n");
}

TEST(file, "a file takes the place of the console, with a severity of its own, its time in its name, and no colours")
{
	char name[256], path[512], text[256] = "";
	FILE *file;

	snprintf(name, sizeof(name), "%s/device", test_runtime_dir());
	setup(&(struct sea_log_options){
		.file = name, .file_severity = "warn", .verbosity = "low", .color = "always", .severity = "trace" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_INFO, "not this");
	sea_log(SEA_SEVERITY_WARN, "but this");
	CHECK_STR_EQ(capture_end(&capture), "");
	sea_log_file(path, sizeof(path));
	CHECK_EQ(strncmp(path, name, strlen(name)), 0);
	CHECK(has_form(path + strlen(name), "_0000-00-00_00_00_00.log"));
	file = fopen(path, "r");
	CHECK(file && fgets(text, sizeof(text), file));
	CHECK_STR_EQ(text, "[WARN] but this\n");
	fclose(file);
	sea_log_reset();
	CHECK_STR_EQ(sea_log_file(path, sizeof(path)), "");
}

TEST(json, "JSON is one valid object per line, whatever the text holds")
{
	static const char text[] =
		"quote \" backslash \\ newline \n tab \t bell \a utf8 \xc3\xa4 bad \xff\xc3 \xed\xa0\x80 end";
	json_error_t error;
	json_t *object;

	setup(&(struct sea_log_options){ .format = "json", .device = "dev \"1\"", .session = "s" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_WARN, "%s", text);
	capture_end(&capture);
	CHECK_EQ(strchr(capture.text, '\n') - capture.text, (ptrdiff_t)strlen(capture.text) - 1);
	object = json_loads(capture.text, 0, &error);
	if (!object)
		FAIL("%s: %s", error.text, capture.text);
	CHECK_STR_EQ(json_string_value(json_object_get(object, "severity")), "warn");
	CHECK_STR_EQ(json_string_value(json_object_get(object, "device")), "dev \"1\"");
	CHECK_STR_EQ(json_string_value(json_object_get(object, "session")), "s");
	CHECK_EQ(json_integer_value(json_object_get(object, "pid")), getpid());
	CHECK_STR_EQ(json_string_value(json_object_get(object, "file")), "test-log.c");
	CHECK(has_form(json_string_value(json_object_get(object, "time")), "0000-00-00T00:00:00.000000Z"));
	CHECK_STR_EQ(json_string_value(json_object_get(object, "text")),
	             "quote \" backslash \\ newline \n tab \t bell \a utf8 \xc3\xa4 bad \xef\xbf\xbd\xef\xbf\xbd "
	             "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd end");
	json_decref(object);
}

TEST(long, "a line of a megabyte is whole in every form, and one write")
{
	static const char *const formats[] = { "fairlogger", "json", "journal" };
	const size_t n = 1 << 20;
	char *text = malloc(n + 1), *read_back = malloc(2 * n);
	int fd, saved_fd;

	memset(text, 'x', n);
	text[n] = 0;
	for (int i = 0; i < 3; i++) {
		struct stat stat;

		setup(&(struct sea_log_options){ .format = formats[i] });
		fd = (int)CHECK_SYS(memfd_create("output", MFD_CLOEXEC));
		saved_fd = (int)CHECK_SYS(dup(STDOUT_FILENO));
		CHECK_SYS(dup2(fd, STDOUT_FILENO));
		sea_log(SEA_SEVERITY_INFO, "%s", text);
		CHECK_SYS(dup2(saved_fd, STDOUT_FILENO));
		CHECK_SYS(fstat(fd, &stat));
		CHECK_GT(stat.st_size, (off_t)n);
		CHECK_EQ(pread(fd, read_back, 2 * n, 0), stat.st_size);
		read_back[stat.st_size] = 0;
		CHECK(strstr(read_back, text) != NULL);
		close(fd);
		close(saved_fd);
	}
	free(text);
	free(read_back);
}

TEST(prefixed, "in journal form each line has its priority in front, also the second of a text")
{
	CHECK_SYS(unsetenv("JOURNAL_STREAM"));
	setup(&(struct sea_log_options){ .format = "journal", .device = "dev" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_ERROR, "one\ntwo");
	sea_log(SEA_SEVERITY_STATE, "IDLE");
	CHECK_STR_EQ(capture_end(&capture), "<3>dev: one\n<3>dev: two\n<5>dev: IDLE\n");
	setup(&(struct sea_log_options){ .format = "journal" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_INFO, "one");
	CHECK_STR_EQ(capture_end(&capture), "<6>one\n");
}

TEST(journal, "to the journal's socket go fields, which a text with a newline cannot forge")
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char packet[4096], expected[64];
	uint64_t n_text;
	ssize_t n;
	int fd;

	fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/journal", test_runtime_dir());
	CHECK_SYS(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	setup(&(struct sea_log_options){
		.format = "journal", .journal_socket = address.sun_path, .device = "dev", .session = "s" });
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_WARN, "plain");
	sea_log(SEA_SEVERITY_WARN, "x\nPRIORITY=0");
	CHECK_STR_EQ(capture_end(&capture), "");
	n = CHECK_SYS(recv(fd, packet, sizeof(packet) - 1, 0));
	packet[n] = 0;
	CHECK_EQ(strncmp(packet, "MESSAGE=plain\nPRIORITY=4\nSYSLOG_IDENTIFIER=test-log\n", 51), 0);
	CHECK(strstr(packet, "\nSEALANE_SEVERITY=WARN\nSEALANE_DEVICE=dev\nSEALANE_SESSION=s\n") != NULL);
	CHECK(strstr(packet, "\nCODE_FILE=test-log.c\nCODE_LINE=") != NULL);
	n = CHECK_SYS(recv(fd, packet, sizeof(packet) - 1, 0));
	CHECK_MEM_EQ(packet, "MESSAGE\n", 8);
	memcpy(&n_text, packet + 8, 8);
	CHECK_EQ(n_text, 12);
	snprintf(expected, sizeof(expected), "x\nPRIORITY=0\nPRIORITY=4\n");
	CHECK_MEM_EQ(packet + 16, expected, strlen(expected));
	/* Nobody there any more: the console. */
	close(fd);
	unlink(address.sun_path);
	capture_begin(&capture);
	sea_log(SEA_SEVERITY_WARN, "lost?");
	CHECK_STR_EQ(capture_end(&capture), "<4>dev: lost?\n");
	sea_log_reset();
}

static void *writes(void *userdata)
{
	for (int i = 0; i < 500; i++)
		sea_log(SEA_SEVERITY_INFO, "thread %p line %03d of many, and a few words more to make it long",
		        userdata, i);
	return NULL;
}

TEST(threads, "lines of many threads do not mix, while the log is set up again and again")
{
	char line[256], thread[2], *at;
	pthread_t threads[4];
	struct capture *large = &capture;
	int n = 0, fd, saved_fd;
	FILE *file;

	(void)large;
	setup(&(struct sea_log_options){ .verbosity = "low" });
	fd = (int)CHECK_SYS(memfd_create("output", MFD_CLOEXEC));
	saved_fd = (int)CHECK_SYS(dup(STDOUT_FILENO));
	CHECK_SYS(fcntl(fd, F_SETFL, O_APPEND));
	CHECK_SYS(dup2(fd, STDOUT_FILENO));
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, writes, &thread[i % 2]), 0);
	for (int i = 0; i < 200; i++)
		sea_log_setup(&(struct sea_log_options){ .verbosity = i % 2 ? "low" : "verylow" }, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_SYS(dup2(saved_fd, STDOUT_FILENO));
	close(saved_fd);
	CHECK_SYS(lseek(fd, 0, SEEK_SET));
	file = fdopen(fd, "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		at = strncmp(line, "[INFO] ", 7) == 0 ? line + 7 : line;
		CHECK_EQ(strncmp(at, "thread 0x", 9), 0);
		CHECK_STR_EQ(strstr(at, " of many"), " of many, and a few words more to make it long\n");
		n++;
	}
	CHECK_EQ(n, 2000);
	fclose(file);
}

static int evaluations;

static int evaluate(void)
{
	return ++evaluations;
}

TEST(lazy, "the arguments of a line that nobody wants are not looked at, and errno is kept")
{
	setup(&(struct sea_log_options){ .severity = "warn" });
	sea_log(SEA_SEVERITY_INFO, "%d", evaluate());
	CHECK_EQ(evaluations, 0);
	capture_begin(&capture);
	errno = 77;
	sea_log(SEA_SEVERITY_WARN, "%d\n", evaluate());
	CHECK_EQ(errno, 77);
	capture_end(&capture);
	CHECK_EQ(evaluations, 1);
	CHECK(strstr(capture.text, "[WARN] 1\n") != NULL);
}

static void alarms(int n)
{
	for (int i = 0; i < n; i++)
		sea_log_every(3600, SEA_SEVERITY_ALARM, "queue %d is full", i);
}

TEST(alarms, "an alarm is said once per interval, and then how many were left out")
{
	struct sea_log_alarm alarm = { 0 };
	uint64_t n_left_out = 99;

	setup(&(struct sea_log_options){ .verbosity = "low" });
	capture_begin(&capture);
	alarms(1000);
	CHECK_STR_EQ(capture_end(&capture), "[ALARM] queue 0 is full\n");
	CHECK_EQ(sea_log_alarm_is_due(&alarm, INT64_MAX, &n_left_out), 1);
	CHECK_EQ(n_left_out, 0);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(sea_log_alarm_is_due(&alarm, INT64_MAX, &n_left_out), 0);
	CHECK_EQ(alarm.n_left_out, 5);
	/* As if the time were over. */
	alarm.next_ns = 0;
	capture_begin(&capture);
	sea_log_alarm_print(&alarm, 1, SEA_SEVERITY_ALARM, NULL, 0, NULL, "full");
	CHECK_STR_EQ(capture_end(&capture), "[ALARM] full (5 more of these left out)\n");
}

TEST(session, "lines of the core's log come with its severity")
{
	setup(&(struct sea_log_options){ .verbosity = "low", .severity = "debug" });
	capture_begin(&capture);
	sea_log_from_session(SEA_LOG_WARNING, "peer 7 lies 100%", NULL);
	sea_log_from_session(SEA_LOG_DEBUG, "x", NULL);
	CHECK_STR_EQ(capture_end(&capture), "[WARN] peer 7 lies 100%\n[DEBUG] x\n");
}

TEST(closed, "a console that is closed or full loses lines, not the program")
{
	int fds[2], saved_fd;

	setup(NULL);
	signal(SIGPIPE, SIG_IGN);
	saved_fd = (int)CHECK_SYS(dup(STDOUT_FILENO));
	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	CHECK_SYS(dup2(fds[1], STDOUT_FILENO));
	close(fds[0]);
	sea_log(SEA_SEVERITY_INFO, "nobody reads");
	close(STDOUT_FILENO);
	sea_log(SEA_SEVERITY_INFO, "nobody is there");
	CHECK_SYS(dup2(saved_fd, STDOUT_FILENO));
	close(saved_fd);
	close(fds[1]);
}
