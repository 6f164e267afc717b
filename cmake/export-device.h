/* SPDX-License-Identifier: Apache-2.0 */
/* As export.h, for libsealane-device. */
#ifndef SEALANE_EXPORT_DEVICE_H
#define SEALANE_EXPORT_DEVICE_H

#pragma GCC visibility push(default)
#include <sealane/device/device.h>
#pragma GCC visibility pop

#endif
