/* SPDX-License-Identifier: Apache-2.0
 *
 * Port types that are a DPDK device: how each one's options become device arguments.
 */
#pragma once

#include <stdbool.h>

#include "datapath/port_provider.h"

struct weft_error;

struct ethdev_kind {
	const char *type;
	/* The device's name and arguments, to be freed; NULL and @err when the options cannot be. What
	 * can be found out before DPDK is asked is checked here, for its errors name no cause. */
	char *(*devargs)(const struct port_config *config, struct weft_error *err);
	const char *const
		*peer;   /* options that say what is at the other end; NULL: the arguments do */
	bool only_sends; /* nothing ever comes in: no reason to poll */
	bool waits;      /* loses nothing when it is not polled */
};

/* The row of a type that is a DPDK device. */
const struct ethdev_kind *ethdev_kind_find(const char *type);
