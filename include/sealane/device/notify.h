/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a service manager how a program is doing, by the protocol that systemd documents in sd_notify(3): a datagram to the socket
 * that $NOTIFY_SOCKET names. Without that variable nothing is done. The control of a device (control.h) calls it by itself.
 */
#ifndef SEALANE_DEVICE_NOTIFY_H
#define SEALANE_DEVICE_NOTIFY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Sends assignments, one per line: "READY=1", "STATUS=RUNNING\nWATCHDOG=1".
 * @return 1 sent; 0 nobody wants to know; negative errno: it could not be sent, -EAGAIN: within a second. Any thread. Since 0.3.
 */
int sea_notify(const char *assignments);

/**
 * How often the service manager wants to hear "WATCHDOG=1" of this process at most, as $WATCHDOG_USEC and $WATCHDOG_PID say.
 * @return nanoseconds; 0: it does not. Any thread. Since 0.3.
 */
int64_t sea_notify_watchdog_ns(void);

#ifdef __cplusplus
}
#endif
#endif
