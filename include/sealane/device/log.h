/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a device: one for the process, as FairLogger's is, and in its form by default:
 *
 *	[07:16:41][INFO] text
 *
 * A line is one write(2), so lines of several threads and processes never mix (in a pipe: up to 4 KiB). Until it is set up,
 * the log prints lines of severity info and above on standard output.
 */
#ifndef SEALANE_DEVICE_LOG_H
#define SEALANE_DEVICE_LOG_H

#include <stdint.h>

#include <sealane/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How serious a line is: FairLogger's severities, in its order. */
enum sea_severity {
	SEA_SEVERITY_NOLOG = 0,      /**< as a limit: print nothing but fatal */
	SEA_SEVERITY_TRACE = 1,      /**< "TRACE" */
	SEA_SEVERITY_DEBUG4 = 2,     /**< "DEBUG4" */
	SEA_SEVERITY_DEBUG3 = 3,     /**< "DEBUG3" */
	SEA_SEVERITY_DEBUG2 = 4,     /**< "DEBUG2" */
	SEA_SEVERITY_DEBUG1 = 5,     /**< "DEBUG1" */
	SEA_SEVERITY_DEBUG = 6,      /**< "DEBUG" */
	SEA_SEVERITY_DETAIL = 7,     /**< "DETAIL" */
	SEA_SEVERITY_INFO = 8,       /**< "INFO" */
	SEA_SEVERITY_STATE = 9,      /**< "STATE": a device changes its state */
	SEA_SEVERITY_WARN = 10,      /**< "WARN" */
	SEA_SEVERITY_IMPORTANT = 11, /**< "IMPORTANT" */
	SEA_SEVERITY_ALARM = 12,     /**< "ALARM" */
	SEA_SEVERITY_ERROR = 13,     /**< "ERROR" */
	SEA_SEVERITY_FATAL = 14,     /**< "FATAL": always printed. The log does not end the program */
};

/** What stands in front of a line in FairLogger's form. */
enum sea_verbosity {
	SEA_VERBOSITY_VERYLOW = 0,  /**< nothing */
	SEA_VERBOSITY_LOW = 1,      /**< [INFO] */
	SEA_VERBOSITY_MEDIUM = 2,   /**< [07:16:41][INFO]; the default, as in FairMQ */
	SEA_VERBOSITY_HIGH = 3,     /**< [program][07:16:41][INFO] */
	SEA_VERBOSITY_VERYHIGH = 4, /**< [program][07:16:41.123456][INFO][file.c:12:function] */
};

/** The form of a line on the console. The file is always in FairLogger's. */
enum sea_log_format {
	SEA_LOG_FAIRLOGGER = 0, /**< "fairlogger": see enum sea_verbosity */
	SEA_LOG_JSON =
		1, /**< "json": an object with time, severity, device, session, pid, file, line, function, text */
	/**
	 * "journal": with fields to the journal's own socket where the console is connected to the journal (see journal_socket), else
	 * each line with <N> in front, as systemd takes it from what it started.
	 */
	SEA_LOG_JOURNAL = 2,
};

/** When the console is coloured. */
enum sea_log_color {
	SEA_LOG_COLOR_AUTO = 0,   /**< on a terminal, unless NO_COLOR is set */
	SEA_LOG_COLOR_NEVER = 1,  /**< never */
	SEA_LOG_COLOR_ALWAYS = 2, /**< also into files and pipes */
};

/** How to set up the log. Strings are copied. Unset members must be zero. */
struct sea_log_options {
	const char *severity;      /**< least of what the console shows, by name; NULL: $FAIRMQ_SEVERITY, else "info" */
	const char *file_severity; /**< the same for the file; NULL: "debug" */
	const char *verbosity;     /**< by name; NULL: "medium" */
	const char *format;        /**< "fairlogger", "json", "journal"; NULL: fairlogger */
	const char *color;         /**< "auto", "always", "never"; "true" is auto and "false" is never; NULL: auto */
	/**
	 * Append to the file NAME_YYYY-MM-DD_HH_MM_SS.log, and say nothing on the console. NULL or "": the console. FairMQ's --log-to-file
	 */
	const char *file;
	const char *device;  /**< id of the device, for the forms that have fields; NULL: none */
	const char *session; /**< the same of the session */
	const char *
		journal_socket; /**< NULL: /run/systemd/journal/socket if $JOURNAL_STREAM names the console; a path: that one */
	uint64_t reserved[6]; /**< must be 0 */
};

/**
 * Sets the log up; may be called again. What the calls below have changed is forgotten.
 * @param options NULL for the defaults
 * @param ret_wrong NULL, or receives the name of the member that is wrong: "severity"
 * @return 0; -EINVAL no such severity, verbosity, format or colour, or a reserved member is not 0; else of opening the file. Then
 *         nothing is changed. Any thread. Since 0.3.
 */
int sea_log_setup(const struct sea_log_options *options, const char **ret_wrong);

/** Closes the file, and goes back to the defaults. Any thread. Since 0.3. */
void sea_log_reset(void);

/** The name of the file that is written; "" for none. @return name. Any thread. Since 0.3. */
char *sea_log_file(char *name, unsigned n_bytes);

/** 1 if a line of that severity would be printed anywhere. Costs one load. Any thread. Since 0.3. */
int sea_log_wants(enum sea_severity severity);

#if defined(__GNUC__)
#define SEA_LOG_PRINTF(n_format, n_first) __attribute__((format(printf, n_format, n_first)))
#else
/** Lets compilers check the arguments. */
#define SEA_LOG_PRINTF(n_format, n_first)
#endif

/**
 * Prints a line, printf-like, without a newline; see sea_log().
 * @param file, line, function where it stands, for the forms that show it; NULL and 0: nowhere
 * Any thread, not in a signal handler. Keeps errno. Since 0.3.
 */
void sea_log_print(enum sea_severity severity, const char *file, int line, const char *function, const char *format,
                   ...) SEA_LOG_PRINTF(5, 6);

/** Prints a line: sea_log(SEA_SEVERITY_INFO, "%u messages", n). Its arguments are not looked at where nobody wants the line. */
#define sea_log(severity, ...)                                                              \
	do {                                                                                \
		if (sea_log_wants(severity))                                                \
			sea_log_print(severity, __FILE__, __LINE__, __func__, __VA_ARGS__); \
	} while (0)

/** An alarm that may come often: what it takes to say it seldom. All zero at first; memory of the caller. */
struct sea_log_alarm {
	int64_t next_ns;     /**< not before; of the log */
	uint64_t n_left_out; /**< since it was printed last */
};

/**
 * Whether an alarm is to be printed now, and counts it if not.
 * @param interval_ns it is printed at most so often
 * @param ret_n_left_out receives how many were left out since it was last printed
 * @return 1 print it; 0 leave it out. Any thread. Since 0.3.
 */
int sea_log_alarm_is_due(struct sea_log_alarm *alarm, int64_t interval_ns, uint64_t *ret_n_left_out);

/** sea_log_print() of an alarm, if it is due; " (N more of these left out)" is appended where some were. Since 0.3. */
void sea_log_alarm_print(struct sea_log_alarm *alarm, int64_t interval_ns, enum sea_severity severity, const char *file,
                         int line, const char *function, const char *format, ...) SEA_LOG_PRINTF(7, 8);

/** sea_log() at most every so many seconds from this place of the program, with the count of those left out. */
#define sea_log_every(seconds, severity, ...)                                                                        \
	do {                                                                                                         \
		static struct sea_log_alarm sea_log_alarm_;                                                          \
		if (sea_log_wants(severity))                                                                         \
			sea_log_alarm_print(&sea_log_alarm_, (int64_t)((seconds)*1e9), severity, __FILE__, __LINE__, \
			                    __func__, __VA_ARGS__);                                                  \
	} while (0)

/** Takes the lines of the core's log: for log of struct sea_session_options. Any thread. Since 0.3. */
void sea_log_from_session(enum sea_log_level level, const char *line, void *userdata);

/** The name of a severity: "INFO". Any thread. Since 0.3. */
const char *sea_severity_name(enum sea_severity severity);

/** Finds a severity by name, in any case; "warning" is warn. @return 0; -EINVAL. Any thread. Since 0.3. */
int sea_severity_parse(const char *name, enum sea_severity *ret_severity);

/** The name of a verbosity: "medium". Any thread. Since 0.3. */
const char *sea_verbosity_name(enum sea_verbosity verbosity);

/** Finds a verbosity by name, in any case. @return 0; -EINVAL. Any thread. Since 0.3. */
int sea_verbosity_parse(const char *name, enum sea_verbosity *ret_verbosity);

/** Least severity of the console. Any thread. Since 0.3. */
enum sea_severity sea_log_severity(void);

/** Sets it. @return 0; -EINVAL. Any thread. Since 0.3. */
int sea_log_set_severity(enum sea_severity severity);

/** What stands in front of a line. Any thread. Since 0.3. */
enum sea_verbosity sea_log_verbosity(void);

/** Sets it. @return 0; -EINVAL. Any thread. Since 0.3. */
int sea_log_set_verbosity(enum sea_verbosity verbosity);

#ifdef __cplusplus
}
#endif
#endif
