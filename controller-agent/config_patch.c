/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: patch ports, in pairs.
 *
 * Order: the first of a pair may be added while the second is not there yet; whatever is there under the name
 *        must be its counterpart.
 */
#include <errno.h>
#include <string.h>

#include "controller-agent/config.h"
#include "lib/error.h"

typedef bool check_fn(const struct config *c, const struct config_switch *sw,
	const struct config_port *p, struct weft_error *err);

static bool each_patch(const struct config *c, check_fn *check, struct weft_error *err);
static check_fn check_port;
static check_fn check_peer;

bool
config_port_is_patch(const struct config_port *p)
{
	return p->type && strcmp(p->type, "patch") == 0;
}

const char *
config_patch_peer(const struct config_port *p)
{
	return config_port_is_patch(p) ? config_port_option(p, "peer") : NULL;
}

bool
config_patches_check(const struct config *c, struct weft_error *err)
{
	return each_patch(c, check_port, err) && each_patch(c, check_peer, err);
}

static bool
each_patch(const struct config *c, check_fn *check, struct weft_error *err)
{
	for (size_t i = 0; i < c->n_switches; i++) {
		const struct config_switch *sw = c->switches[i];

		for (size_t n = 0; n < sw->n_ports; n++) {
			if (config_port_is_patch(sw->ports[n]) &&
				!check(c, sw, sw->ports[n], err)) {
				return false;
			}
		}
	}
	return true;
}

/* By itself. */
static bool
check_port(const struct config *c, const struct config_switch *sw, const struct config_port *p,
	struct weft_error *err)
{
	const char *name = config_patch_peer(p);

	(void)c;
	(void)sw;
	if (!name) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"port type patch needs peer=: the patch port of the other switch");
	}
	if (p->n_options > 1) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"patch port %s: no option %s: a patch port has only peer", p->name,
			strcmp(p->options[0].key, "peer") ? p->options[0].key : p->options[1].key);
	}
	if (strcmp(name, p->name) == 0) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"patch port %s: it cannot be its own peer", p->name);
	}
	return config_name_check("port", name, err);
}

/* Beside the other end. */
static bool
check_peer(const struct config *c, const struct config_switch *sw, const struct config_port *p,
	struct weft_error *err)
{
	const char *name = config_patch_peer(p), *back;
	struct config_switch *peer_switch;
	const struct config_port *peer = config_port_find(c, name, &peer_switch);

	if (!peer) {
		return true;
	}
	back = config_patch_peer(peer);
	if (!config_port_is_patch(peer)) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"patch port %s: port %s is of type %s, not patch", p->name, name,
			peer->type);
	}
	if (peer_switch == sw) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ELOOP,
			"patch port %s: port %s is on switch %s too: a patch leads to another switch",
			p->name, name, sw->name);
	}
	if (!back || strcmp(back, p->name) != 0) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"patch port %s: port %s of switch %s has peer=%s: delete it, or choose another",
			p->name, name, peer_switch->name, back ? back : "");
	}
	return true;
}
