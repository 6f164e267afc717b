/* SPDX-License-Identifier: Apache-2.0 */
/* All of libsealane-device. */
#ifndef SEALANE_DEVICE_DEVICE_H
#define SEALANE_DEVICE_DEVICE_H

#include <sealane/device/channel-config.h>
#include <sealane/device/control.h>
#include <sealane/device/error.h>
#include <sealane/device/log.h>
#include <sealane/device/machine.h>
#include <sealane/device/mq-config.h>
#include <sealane/device/notify.h>
#include <sealane/device/options.h>
#include <sealane/device/properties.h>
#include <sealane/device/state.h>

#endif
