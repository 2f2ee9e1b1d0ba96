/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: mirrors of a switch.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config_mirror.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/of_mirror.h"
#include "ofproto/of_text.h"

#define VLAN_MAX 4094
#define SNAP_MIN 14 /* an Ethernet header */
#define SNAP_MAX 65535

static bool check_mirror(
	const struct config_switch *sw, const struct config_mirror *m, struct weft_error *err);
static bool check_ports(const struct config_switch *sw, const struct config_mirror *m,
	const char *key, const char *names, struct weft_error *err);

#define fail(ERR, ...) weft_error_set(ERR, WEFT_ERR_INVALID, EINVAL, __VA_ARGS__)

/* --- life --------------------------------------------------------------------------------------- */

struct config_mirror *
config_mirror_find(const struct config_switch *sw, const char *name)
{
	for (size_t i = 0; i < sw->n_mirrors; i++) {
		if (strcmp(sw->mirrors[i]->name, name) == 0) {
			return sw->mirrors[i];
		}
	}
	return NULL;
}

struct config_mirror *
config_mirror_add(struct config_switch *sw, const char *name, struct weft_error *err)
{
	struct config_mirror *m;

	if (!config_name_check("mirror", name, err)) {
		return NULL;
	}
	if (config_mirror_find(sw, name)) {
		fail(err, "switch %s has a mirror %s already: choose another name", sw->name, name);
		return NULL;
	}
	if (sw->n_mirrors == OF_MIRRORS_MAX) {
		fail(err, "switch %s has %d mirrors, which is as many as it can have", sw->name,
			OF_MIRRORS_MAX);
		return NULL;
	}
	m = xcalloc(1, sizeof(*m));
	snprintf(m->name, sizeof(m->name), "%s", name);
	sw->mirrors = xrealloc(sw->mirrors, (sw->n_mirrors + 1) * sizeof(sw->mirrors[0]));
	sw->mirrors[sw->n_mirrors++] = m;
	return m;
}

static void
mirror_free(struct config_mirror *m)
{
	free(m->src_ports);
	free(m->dst_ports);
	free(m->filter);
	free(m->output_port);
	free(m);
}

void
config_mirror_del(struct config_switch *sw, struct config_mirror *m)
{
	for (size_t i = 0; i < sw->n_mirrors; i++) {
		if (sw->mirrors[i] == m) {
			memmove(&sw->mirrors[i], &sw->mirrors[i + 1],
				(sw->n_mirrors - i - 1) * sizeof(sw->mirrors[0]));
			sw->n_mirrors--;
			mirror_free(m);
			return;
		}
	}
}

void
config_mirrors_free(struct config_switch *sw)
{
	for (size_t i = 0; i < sw->n_mirrors; i++) {
		mirror_free(sw->mirrors[i]);
	}
	free(sw->mirrors);
	sw->mirrors = NULL;
	sw->n_mirrors = 0;
}

static char *
copy_text(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

void
config_mirrors_copy(struct config_switch *to, const struct config_switch *from)
{
	to->n_mirrors = from->n_mirrors;
	to->mirrors = xcalloc(from->n_mirrors + 1, sizeof(to->mirrors[0]));
	for (size_t i = 0; i < from->n_mirrors; i++) {
		struct config_mirror *m = xmemdup(from->mirrors[i], sizeof(*m));

		m->src_ports = copy_text(m->src_ports);
		m->dst_ports = copy_text(m->dst_ports);
		m->filter = copy_text(m->filter);
		m->output_port = copy_text(m->output_port);
		to->mirrors[i] = m;
	}
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool
config_mirrors_equal(const struct config_switch *a, const struct config_switch *b)
{
	bool same = a->n_mirrors == b->n_mirrors;

	for (size_t i = 0; same && i < a->n_mirrors; i++) {
		const struct config_mirror *x = a->mirrors[i], *y = b->mirrors[i];

		same = strcmp(x->name, y->name) == 0 && same_text(x->src_ports, y->src_ports) &&
		       same_text(x->dst_ports, y->dst_ports) && same_text(x->filter, y->filter) &&
		       same_text(x->output_port, y->output_port) &&
		       x->select_all == y->select_all && x->has_vlans == y->has_vlans &&
		       x->output_vlan == y->output_vlan && x->snap_len == y->snap_len &&
		       memcmp(x->vlans, y->vlans, sizeof(x->vlans)) == 0;
	}
	return same;
}

/* --- properties --------------------------------------------------------------------------------- */

static void
set_text(char **slot, const char *value)
{
	free(*slot);
	*slot = *value ? xstrdup(value) : NULL;
}

static bool
set_filter(struct config_mirror *m, const char *value, struct weft_error *err)
{
	struct of_match match;

	if (*value && !of_text_parse_match(value, strlen(value), NULL, &match, err)) {
		weft_error_prefix(err, "filter=%s", value);
		return false;
	}
	set_text(&m->filter, value);
	return true;
}

bool
config_mirror_set(
	struct config_mirror *m, const char *key, const char *value, struct weft_error *err)
{
	unsigned n = 0;

	if (strlen(value) > CONFIG_VALUE_MAX) {
		return fail(
			err, "%s: the value is longer than %d characters", key, CONFIG_VALUE_MAX);
	}
	if (strcmp(key, "select-src-port") == 0) {
		set_text(&m->src_ports, value);
	} else if (strcmp(key, "select-dst-port") == 0) {
		set_text(&m->dst_ports, value);
	} else if (strcmp(key, "output-port") == 0) {
		set_text(&m->output_port, value);
	} else if (strcmp(key, "filter") == 0) {
		return set_filter(m, value, err);
	} else if (strcmp(key, "select-all") == 0) {
		m->select_all = false;
		return !*value || config_bool_parse(key, value, "yes", "no", &m->select_all, err);
	} else if (strcmp(key, "select-vlan") == 0) {
		m->has_vlans = *value != '\0';
		return config_vlans_parse(key, value, m->vlans, err);
	} else if (strcmp(key, "output-vlan") == 0) {
		if (*value && !config_number_parse(key, value, 1, VLAN_MAX, &n, err)) {
			return false;
		}
		m->output_vlan = (uint16_t)n;
	} else if (strcmp(key, "snap-len") == 0) {
		if (*value && !config_number_parse(key, value, SNAP_MIN, SNAP_MAX, &n, err)) {
			return false;
		}
		m->snap_len = (uint16_t)n;
	} else {
		return fail(err,
			"a mirror has no property %s: there are select-src-port, select-dst-port, "
			"select-vlan, select-all, filter, output-port, output-vlan and snap-len",
			key);
	}
	return true;
}

/* --- checks ------------------------------------------------------------------------------------- */

bool
config_mirrors_check(const struct config_switch *sw, struct weft_error *err)
{
	for (size_t i = 0; i < sw->n_mirrors; i++) {
		if (!check_mirror(sw, sw->mirrors[i], err)) {
			weft_error_prefix(err, "mirror %s", sw->mirrors[i]->name);
			return false;
		}
	}
	return true;
}

static bool
check_mirror(const struct config_switch *sw, const struct config_mirror *m, struct weft_error *err)
{
	if (!m->select_all && !m->src_ports && !m->dst_ports) {
		return fail(err,
			"it selects no packets: say select-src-port=, select-dst-port= or select-all=yes");
	}
	if (m->select_all && (m->src_ports || m->dst_ports)) {
		return fail(err, "select-all=yes selects every port: name none beside it");
	}
	if (!m->output_port == !m->output_vlan) {
		return fail(err, "it needs output-port= or output-vlan=, one of them");
	}
	if (m->snap_len && !m->output_port) {
		return fail(err, "snap-len= goes with output-port= only");
	}
	if (m->output_port && strchr(m->output_port, ',')) {
		return fail(err, "output-port=%s: must be one port", m->output_port);
	}
	return check_ports(sw, m, "select-src-port", m->src_ports, err) &&
	       check_ports(sw, m, "select-dst-port", m->dst_ports, err) &&
	       check_ports(sw, m, "output-port", m->output_port, err);
}

const char *
config_mirror_next_port(const char *names, char name[CONFIG_NAME_MAX + 1])
{
	size_t len = strcspn(names, ",");

	snprintf(name, CONFIG_NAME_MAX + 1, "%.*s", (int)len, names);
	return names[len] ? names + len + 1 : NULL;
}

/* Each name is that of a port of the switch that can be used so. */
static bool
check_ports(const struct config_switch *sw, const struct config_mirror *m, const char *key,
	const char *names, struct weft_error *err)
{
	char name[CONFIG_NAME_MAX + 1];
	const struct config_port *bond;

	while (names) {
		size_t i = 0;

		names = config_mirror_next_port(names, name);
		while (i < sw->n_ports && strcmp(sw->ports[i]->name, name) != 0) {
			i++;
		}
		if (i == sw->n_ports) {
			return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
				"%s: there is no port \"%s\" on switch %s", key, name, sw->name);
		}
		bond = config_bond_of(sw, name);
		if (bond) {
			return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
				"%s: port %s is a member of bond %s: name the bond", key, name,
				bond->name);
		}
		if (m->output_port && strcmp(key, "output-port") != 0 &&
			strcmp(name, m->output_port) == 0) {
			return fail(err, "%s: port %s is its output port", key, name);
		}
		if (m->snap_len && strcmp(key, "output-port") == 0 &&
			config_port_is_patch(sw->ports[i])) {
			return fail(err, "snap-len= does not go with a port of type %s",
				sw->ports[i]->type);
		}
	}
	return true;
}

static bool
names_port(const char *names, const char *wanted)
{
	char name[CONFIG_NAME_MAX + 1];

	while (names) {
		names = config_mirror_next_port(names, name);
		if (strcmp(name, wanted) == 0) {
			return true;
		}
	}
	return false;
}

const struct config_mirror *
config_mirror_of_port(const struct config_switch *sw, const char *name)
{
	for (size_t i = 0; i < sw->n_mirrors; i++) {
		const struct config_mirror *m = sw->mirrors[i];

		if (names_port(m->src_ports, name) || names_port(m->dst_ports, name) ||
			names_port(m->output_port, name)) {
			return m;
		}
	}
	return NULL;
}

void
config_mirror_each(const struct config_mirror *m,
	void (*put)(void *user, const char *key, const char *value), void *user)
{
	char *vlans = m->has_vlans ? config_trunks_format(m->vlans) : NULL;
	char number[16];
	const struct {
		const char *key;
		const char *value;
	} rows[] = {
		{"select-src-port", m->src_ports},
		{"select-dst-port", m->dst_ports},
		{"select-vlan", vlans},
		{"select-all", m->select_all ? "yes" : NULL},
		{"filter", m->filter},
		{"output-port", m->output_port},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].value) {
			put(user, rows[i].key, rows[i].value);
		}
	}
	if (m->output_vlan) {
		snprintf(number, sizeof(number), "%u", m->output_vlan);
		put(user, "output-vlan", number);
	}
	if (m->snap_len) {
		snprintf(number, sizeof(number), "%u", m->snap_len);
		put(user, "snap-len", number);
	}
	free(vlans);
}
