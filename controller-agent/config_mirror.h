/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: mirrors of a switch (ofproto/of_mirror.h says what they do).
 *
 * Threads: the loop.
 */
#pragma once

#include "controller-agent/config.h"

struct config_mirror {
	char name[CONFIG_NAME_MAX + 1];
	char *src_ports; /* "A,B,.."; NULL: none */
	char *dst_ports;
	bool select_all;
	bool has_vlans;
	uint64_t vlans[64];
	char *filter;         /* as flows' matches; NULL: everything */
	char *output_port;    /* NULL: into the VLAN */
	uint16_t output_vlan; /* 0: none */
	uint16_t snap_len;    /* 0: whole packets */
};

/* NULL: none. */
struct config_mirror *config_mirror_find(const struct config_switch *sw, const char *name);
/* Checks name and uniqueness; config_mirrors_check() wants more. */
struct config_mirror *config_mirror_add(
	struct config_switch *sw, const char *name, struct weft_error *err) WEFT_MUST_CHECK;
void config_mirror_del(struct config_switch *sw, struct config_mirror *m);
/* Sets one property from text. */
bool config_mirror_set(struct config_mirror *m, const char *key, const char *value,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Each property that is set, as config_mirror_set() takes it. */
void config_mirror_each(const struct config_mirror *m,
	void (*put)(void *user, const char *key, const char *value), void *user);
/* Whether each mirror selects something, has one output, and names ports of the switch. */
bool config_mirrors_check(const struct config_switch *sw, struct weft_error *err) WEFT_MUST_CHECK;
/* The first that names the port; NULL: none. */
const struct config_mirror *config_mirror_of_port(const struct config_switch *sw, const char *name);
/* Takes the first name off a list; the rest, NULL: it was the last. */
const char *config_mirror_next_port(const char *names, char name[CONFIG_NAME_MAX + 1]);
bool config_mirrors_equal(const struct config_switch *a, const struct config_switch *b);

/* For config.c: all of a switch. @to has none. */
void config_mirrors_copy(struct config_switch *to, const struct config_switch *from);
void config_mirrors_free(struct config_switch *sw);
