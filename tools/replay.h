/* SPDX-License-Identifier: Apache-2.0 */
/* What `sealane replay` says of a recording without sending it: --info and --verify. */
#ifndef SEALANE_TOOLS_REPLAY_H
#define SEALANE_TOOLS_REPLAY_H

#include <stdbool.h>

#include "recording.h"

/* Both return what the program exits with: 1 unless the recording is whole. */
int replay_info(const struct recording *recording, bool json);
int replay_verify(struct recording *recording, bool json, bool quiet);

/* One line on standard error about a recording that was cut short or is damaged. */
void replay_warn(const struct recording *recording);

#endif
