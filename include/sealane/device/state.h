/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a device and the transitions between them: FairMQ's, by FairMQ's names.
 *
 * Some states are for resting (a controller decides how it goes on), in the others the device works and goes on by itself.
 * ERROR can be reached from all of them and is left by none.
 */
#ifndef SEALANE_DEVICE_STATE_H
#define SEALANE_DEVICE_STATE_H

#ifdef __cplusplus
extern "C" {
#endif

/** A state of a device. The numbers are FairMQ's. */
enum sea_device_state {
	SEA_STATE_UNDEFINED = 0, /**< "UNDEFINED": it has not been started */
	SEA_STATE_OK = 1,        /**< "OK": of FairMQ's second region; a device is never in it */
	SEA_STATE_ERROR = 2,     /**< "ERROR": the end, after something went wrong */
	SEA_STATE_IDLE = 3,      /**< "IDLE": rests; nothing is set up */
	SEA_STATE_INITIALIZING_DEVICE =
		4,                  /**< "INITIALIZING DEVICE": takes its configuration, when told COMPLETE INIT */
	SEA_STATE_INITIALIZED = 5,  /**< "INITIALIZED": rests; channels exist */
	SEA_STATE_BINDING = 6,      /**< "BINDING" */
	SEA_STATE_BOUND = 7,        /**< "BOUND": rests; addresses are bound, others can connect */
	SEA_STATE_CONNECTING = 8,   /**< "CONNECTING" */
	SEA_STATE_DEVICE_READY = 9, /**< "DEVICE READY": rests; all channels are attached */
	SEA_STATE_INITIALIZING_TASK = 10, /**< "INITIALIZING TASK" */
	SEA_STATE_READY = 11,             /**< "READY": rests; can run */
	SEA_STATE_RUNNING = 12,           /**< "RUNNING" */
	SEA_STATE_RESETTING_TASK = 13,    /**< "RESETTING TASK" */
	SEA_STATE_RESETTING_DEVICE = 14,  /**< "RESETTING DEVICE" */
	SEA_STATE_EXITING = 15,           /**< "EXITING": the end */
};

/** How many states there are. */
#define SEA_STATE_N 16

/** What a device is told to do. The numbers are FairMQ's. */
enum sea_transition {
	SEA_TRANSITION_AUTO = 0,        /**< "AUTO": from a working state to the next; the device gives it to itself */
	SEA_TRANSITION_INIT_DEVICE = 1, /**< "INIT DEVICE" */
	SEA_TRANSITION_COMPLETE_INIT = 2, /**< "COMPLETE INIT": the configuration is final */
	SEA_TRANSITION_BIND = 3,          /**< "BIND" */
	SEA_TRANSITION_CONNECT = 4,       /**< "CONNECT" */
	SEA_TRANSITION_INIT_TASK = 5,     /**< "INIT TASK" */
	SEA_TRANSITION_RUN = 6,           /**< "RUN" */
	SEA_TRANSITION_STOP = 7,          /**< "STOP" */
	SEA_TRANSITION_RESET_TASK = 8,    /**< "RESET TASK" */
	SEA_TRANSITION_RESET_DEVICE = 9,  /**< "RESET DEVICE" */
	SEA_TRANSITION_END = 10,          /**< "END" */
	SEA_TRANSITION_ERROR_FOUND = 11,  /**< "ERROR FOUND": legal in every state but EXITING */
};

/** How many transitions there are. */
#define SEA_TRANSITION_N 12

/** The name of a state: "DEVICE READY". "UNDEFINED" for a number that is none. Any thread. Since 0.3. */
const char *sea_device_state_name(enum sea_device_state state);

/**
 * Finds a state by its name, in any case; - and _ are taken for a space ("device-ready").
 * @return 0; -EINVAL no such state. Any thread. Since 0.3.
 */
int sea_device_state_parse(const char *name, enum sea_device_state *ret_state);

/** 1 where a device rests until it is told what to do: IDLE, INITIALIZED, BOUND, DEVICE READY, READY; also at both ends. Any thread. Since 0.3. */
int sea_device_state_is_resting(enum sea_device_state state);

/** The name of a transition: "INIT DEVICE". "" for a number that is none. Any thread. Since 0.3. */
const char *sea_transition_name(enum sea_transition transition);

/** As sea_device_state_parse(). @return 0; -EINVAL no such transition. Any thread. Since 0.3. */
int sea_transition_parse(const char *name, enum sea_transition *ret_transition);

/**
 * Where a transition leads.
 * @return 0; -EINVAL the transition is not legal in that state. Any thread. Since 0.3.
 */
int sea_transition_apply(enum sea_transition transition, enum sea_device_state from, enum sea_device_state *ret_to);

#ifdef __cplusplus
}
#endif
#endif
