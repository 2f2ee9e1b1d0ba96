/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: bonds and their members.
 */
#include <errno.h>
#include <string.h>

#include "controller-agent/config.h"
#include "lib/error.h"

static bool
is_bond(const struct config_port *p)
{
	return p->type && strcmp(p->type, "bond") == 0;
}

bool
config_bond_has(const struct config_port *p, const char *name)
{
	const char *at = is_bond(p) ? config_port_option(p, "members") : NULL;
	size_t len = strlen(name);

	while (at) {
		if (strcspn(at, ",") == len && memcmp(at, name, len) == 0) {
			return true;
		}
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return false;
}

const struct config_port *
config_bond_of(const struct config_switch *sw, const char *name)
{
	for (size_t i = 0; i < sw->n_ports; i++) {
		if (config_bond_has(sw->ports[i], name)) {
			return sw->ports[i];
		}
	}
	return NULL;
}

static const struct config_port *
find_port(const struct config_switch *sw, const char *name, size_t len)
{
	for (size_t i = 0; i < sw->n_ports; i++) {
		if (strlen(sw->ports[i]->name) == len &&
			memcmp(sw->ports[i]->name, name, len) == 0) {
			return sw->ports[i];
		}
	}
	return NULL;
}

/* One of the names, of @len characters. */
static bool
check_member(const struct config_switch *sw, const struct config_port *bond, const char *name,
	size_t len, struct weft_error *err)
{
	const struct config_port *p = find_port(sw, name, len);

	if (!p) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENOENT,
			"bond %s: there is no port \"%.*s\" on switch %s: members are ports that were "
			"added before",
			bond->name, (int)len, name, sw->name);
	}
	if (is_bond(p)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"bond %s: port %s is a bond, which cannot be a member", bond->name,
			p->name);
	}
	for (size_t i = 0; sw->ports[i] != bond; i++) {
		if (config_bond_has(sw->ports[i], p->name)) {
			return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
				"bond %s: port %s is a member of bond %s already", bond->name,
				p->name, sw->ports[i]->name);
		}
	}
	return true;
}

bool
config_bonds_check(const struct config_switch *sw, struct weft_error *err)
{
	for (size_t i = 0; i < sw->n_ports; i++) {
		const struct config_port *bond = sw->ports[i];
		const char *at = is_bond(bond) ? config_port_option(bond, "members") : NULL;

		if (is_bond(bond) && !at) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"port type bond needs members=: ports of the switch, A[,B..]");
		}
		while (at) {
			size_t len = strcspn(at, ",");

			if (!check_member(sw, bond, at, len, err)) {
				return false;
			}
			at = at[len] ? at + len + 1 : NULL;
		}
	}
	return true;
}
