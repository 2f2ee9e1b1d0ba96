/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration file: JSON to model and back, replaced atomically.
 *
 * Form:   {"version": 1, "switches": {NAME: {"dpid", "fail-mode", "protocols", "mac-ageing", "mac-table-size",
 *         "controllers": {TARGET: {"key", "cert", "ca", "rate-limit", "burst", "inactivity-probe"}},
 *         "ports": {NAME: {"type", "of-port", "tag", .., "options": {KEY: VALUE}}},
 *         "mirrors": {NAME: {KEY: VALUE}}}}}. Values are
 *         those of the command line; numbers, booleans (yes, no) and lists (comma-separated) are
 *         taken too.
 * Limits: CONFIG_MAX_FILE bytes.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config.h"
#include "controller-agent/config_mirror.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/unix_socket.h"

#define FILE_VERSION 1

typedef bool set_fn(void *object, const char *key, const char *value, struct weft_error *err);

static struct config *config_from_json(json_t *root, struct weft_error *err);
static json_t *config_to_json(const struct config *c);

#define fail(ERR, ...) weft_error_set(ERR, WEFT_ERR_INVALID, EINVAL, __VA_ARGS__)

/* --- reading ------------------------------------------------------------------------------------ */

struct config *
config_load(const char *path, struct weft_error *err)
{
	struct weft_error why = WEFT_ERROR_INIT;
	struct config *c = NULL;
	size_t size;
	char *text = file_read(path, CONFIG_MAX_FILE, &size, &why);

	if (text) {
		c = config_parse(text, size, &why);
	} else if (why.code == ENOENT) {
		return config_create();
	}
	if (!c) {
		fail(err, "configuration %s: %s", path, why.text);
	}
	free(text);
	return c;
}

struct config *
config_parse(const char *text, size_t len, struct weft_error *err)
{
	json_error_t why;
	struct config *c;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (!root) {
		fail(err, "line %d, column %d: %s", why.line, why.column, why.text);
		return NULL;
	}
	c = config_from_json(root, err);
	json_decref(root);
	return c;
}

/* Text of a scalar, or of a list of them. The caller frees it; NULL: not that kind of value. */
static char *
value_text(const json_t *value)
{
	char *text = NULL;
	size_t size, i;
	json_t *item;
	FILE *out;

	if (json_is_object(value) || json_is_null(value)) {
		return NULL;
	}
	out = open_memstream(&text, &size);
	if (!out) {
		abort();
	}
	if (json_is_string(value)) {
		fputs(json_string_value(value), out);
	} else if (json_is_integer(value)) {
		fprintf(out, "%lld", (long long)json_integer_value(value));
	} else if (json_is_boolean(value)) {
		fputs(json_is_true(value) ? "yes" : "no", out);
	} else if (json_is_real(value)) {
		fprintf(out, "%g", json_real_value(value));
	}
	json_array_foreach (value, i, item) {
		char *part = json_is_array(item) ? NULL : value_text(item);

		fprintf(out, "%s%s", i ? "," : "", part ? part : "?");
		free(part);
	}
	fclose(out);
	return text;
}

static bool
set_value(void *object, set_fn *set, const char *key, const json_t *value, struct weft_error *err)
{
	char *text = value_text(value);
	bool ok;

	if (!text) {
		return fail(err, "%s: must be a text, a number or a list", key);
	}
	ok = set(object, key, text, err);
	free(text);
	return ok;
}

static bool
set_switch(void *sw, const char *key, const char *value, struct weft_error *err)
{
	return config_switch_set(sw, key, value, err);
}

static bool
set_port(void *port, const char *key, const char *value, struct weft_error *err)
{
	return config_port_set(port, key, value, err);
}

static bool
set_controller(void *ctl, const char *key, const char *value, struct weft_error *err)
{
	return config_controller_set(ctl, key, value, err);
}

static bool
want_object(const json_t *value, const char *what, struct weft_error *err)
{
	return json_is_object(value) || fail(err, "%s: must be an object", what);
}

static bool
read_port(struct config_switch *sw, struct config_port *p, json_t *object, struct weft_error *err)
{
	json_t *options = json_object_get(object, "options"), *value;
	const char *key;

	if (!want_object(object, p->name, err) ||
		(options && !want_object(options, "options", err))) {
		return false;
	}
	json_object_foreach (object, key, value) {
		if (strcmp(key, "options") != 0 && !set_value(p, set_port, key, value, err)) {
			return false;
		}
	}
	json_object_foreach (options, key, value) {
		if (!set_value(p, set_port, key, value, err)) {
			return false;
		}
	}
	return config_port_check(sw, p, err);
}

static bool
read_controllers(struct config_switch *sw, json_t *object, struct weft_error *err)
{
	json_t *properties, *value;
	const char *target, *key;

	if (!want_object(object, "controllers", err)) {
		return false;
	}
	json_object_foreach (object, target, properties) {
		struct config_controller *ctl = config_controller_add(sw, target, err);

		if (!ctl || !want_object(properties, target, err)) {
			return false;
		}
		json_object_foreach (properties, key, value) {
			if (!set_value(ctl, set_controller, key, value, err)) {
				return false;
			}
		}
	}
	return true;
}

static bool
set_mirror(void *mirror, const char *key, const char *value, struct weft_error *err)
{
	return config_mirror_set(mirror, key, value, err);
}

/* After the ports. */
static bool
read_mirrors(struct config_switch *sw, json_t *object, struct weft_error *err)
{
	json_t *properties, *value;
	const char *name, *key;

	if (object && !want_object(object, "mirrors", err)) {
		return false;
	}
	json_object_foreach (object, name, properties) {
		struct config_mirror *m = config_mirror_add(sw, name, err);

		if (!m || !want_object(properties, name, err)) {
			return false;
		}
		json_object_foreach (properties, key, value) {
			if (!set_value(m, set_mirror, key, value, err)) {
				weft_error_prefix(err, "mirror %s", name);
				return false;
			}
		}
	}
	return config_mirrors_check(sw, err);
}

static bool
read_switch(struct config *c, struct config_switch *sw, json_t *object, struct weft_error *err)
{
	json_t *value, *port;
	const char *key, *name;

	if (!want_object(object, sw->name, err)) {
		return false;
	}
	json_object_foreach (object, key, value) {
		if (strcmp(key, "controllers") == 0) {
			if (!read_controllers(sw, value, err)) {
				return false;
			}
		} else if (strcmp(key, "ports") != 0 && strcmp(key, "mirrors") != 0 &&
			   !set_value(sw, set_switch, key, value, err)) {
			return false;
		}
	}
	value = json_object_get(object, "ports");
	if (value && !want_object(value, "ports", err)) {
		return false;
	}
	json_object_foreach (value, name, port) {
		struct weft_error why;
		struct config_port *p = config_port_add(c, sw, name, err);

		if (!p) {
			return false;
		}
		weft_error_init(&why);
		if (!read_port(sw, p, port, &why)) {
			return fail(err, "port %s: %s", name, why.text);
		}
	}
	return config_bonds_check(sw, err) &&
	       read_mirrors(sw, json_object_get(object, "mirrors"), err);
}

static struct config *
config_from_json(json_t *root, struct weft_error *err)
{
	json_t *version = json_object_get(root, "version"), *switches, *object;
	struct config *c = config_create();
	const char *name;
	struct weft_error why;

	weft_error_init(&why);
	if (!json_is_object(root) || (version && json_integer_value(version) != FILE_VERSION)) {
		fail(err, "not a configuration of version %d", FILE_VERSION);
		goto destroy;
	}
	switches = json_object_get(root, "switches");
	if (switches && !want_object(switches, "switches", err)) {
		goto destroy;
	}
	json_object_foreach (switches, name, object) {
		struct config_switch *sw = config_switch_add(c, name, err);

		if (!sw) {
			goto destroy;
		}
		if (!read_switch(c, sw, object, &why)) {
			fail(err, "switch %s: %s", name, why.text);
			goto destroy;
		}
	}
	if (!config_patches_check(c, err) || !config_tunnels_check(c, NULL, err)) {
		goto destroy;
	}
	return c;

destroy:
	config_destroy(c);
	return NULL;
}

/* --- writing ------------------------------------------------------------------------------------ */

bool
config_save(const struct config *c, const char *path, struct weft_error *err)
{
	char *text = config_format(c), *folder = xstrdup(path), *slash = strrchr(folder, '/');
	bool ok = true;

	if (slash && slash != folder) {
		*slash = '\0';
		ok = make_directories(folder, err);
	}
	ok = ok && file_write_atomically(path, text, strlen(text), err);
	if (!ok) {
		weft_error_prefix(err, "the configuration cannot be saved");
	}
	free(folder);
	free(text);
	return ok;
}

char *
config_format(const struct config *c)
{
	json_t *root = config_to_json(c);
	char *body = json_dumps(root, JSON_INDENT(2)), *text;

	if (!body) {
		abort();
	}
	text = xasprintf("%s\n", body);
	free(body);
	json_decref(root);
	return text;
}

static void
put_text(json_t *object, const char *key, const char *value)
{
	if (value) {
		json_object_set_new(object, key, json_string(value));
	}
}

static json_t *
port_to_json(const struct config_port *p)
{
	json_t *object = json_object(), *options = json_object();

	put_text(object, "type", p->type);
	if (p->of_port) {
		json_object_set_new(object, "of-port", json_integer(p->of_port));
	}
	if (p->tag >= 0) {
		json_object_set_new(object, "tag", json_integer(p->tag));
	}
	if (p->has_trunks) {
		char *trunks = config_trunks_format(p->trunks);

		put_text(object, "trunks", trunks);
		free(trunks);
	}
	if (p->vlan_mode != CONFIG_VLAN_UNSET) {
		put_text(object, "vlan-mode", config_vlan_mode_name(p->vlan_mode));
	}
	if (p->admin_down) {
		put_text(object, "admin", "down");
	}
	if (p->underlay) {
		put_text(object, "underlay", "yes");
	}
	put_text(object, "mcast-router", p->mcast_router ? "yes" : NULL);
	put_text(object, "allow", p->allow);
	for (size_t i = 0; i < p->n_options; i++) {
		put_text(options, p->options[i].key, p->options[i].value);
	}
	if (p->n_options) {
		json_object_set(object, "options", options);
	}
	json_decref(options);
	return object;
}

static void
put_property(void *user, const char *key, const char *value)
{
	put_text(user, key, value);
}

static json_t *
switch_to_json(const struct config_switch *sw)
{
	json_t *object = json_object(), *ports = json_object(), *controllers = json_object();
	json_t *mirrors = json_object();
	char text[32];

	if (sw->has_dpid) {
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)sw->dpid);
		put_text(object, "dpid", text);
	}
	put_text(object, "fail-mode", config_fail_mode_name(sw->fail_mode));
	if (sw->protocols) {
		config_protocols_format(sw->protocols, text, sizeof(text));
		put_text(object, "protocols", text);
	}
	if (sw->mac_ageing_s) {
		json_object_set_new(object, "mac-ageing", json_integer(sw->mac_ageing_s));
	}
	if (sw->mac_table_size) {
		json_object_set_new(object, "mac-table-size", json_integer(sw->mac_table_size));
	}
	put_text(object, "mcast-snooping", sw->mcast_snooping ? "on" : NULL);
	put_text(object, "flood-unregistered", sw->mcast_no_flood ? "no" : NULL);
	if (sw->mcast_ageing) {
		json_object_set_new(object, "mcast-ageing", json_integer(sw->mcast_ageing));
	}
	for (size_t i = 0; i < sw->n_controllers; i++) {
		const struct config_controller *ctl = sw->controllers[i];
		json_t *properties = json_object();

		put_text(properties, "key", ctl->key);
		put_text(properties, "cert", ctl->cert);
		put_text(properties, "ca", ctl->ca);
		if (ctl->rate_limit) {
			json_object_set_new(
				properties, "rate-limit", json_integer(ctl->rate_limit));
		}
		if (ctl->burst) {
			json_object_set_new(properties, "burst", json_integer(ctl->burst));
		}
		if (ctl->probe_ms) {
			json_object_set_new(properties, "inactivity-probe",
				json_integer(ctl->probe_ms == CONFIG_NO_PROBE ? 0 : ctl->probe_ms));
		}
		json_object_set_new(controllers, ctl->target, properties);
	}
	for (size_t i = 0; i < sw->n_ports; i++) {
		json_object_set_new(ports, sw->ports[i]->name, port_to_json(sw->ports[i]));
	}
	json_object_set_new(object, "controllers", controllers);
	json_object_set_new(object, "ports", ports);
	for (size_t i = 0; i < sw->n_mirrors; i++) {
		json_t *properties = json_object();

		config_mirror_each(sw->mirrors[i], put_property, properties);
		json_object_set_new(mirrors, sw->mirrors[i]->name, properties);
	}
	if (sw->n_mirrors) {
		json_object_set(object, "mirrors", mirrors);
	}
	json_decref(mirrors);
	return object;
}

static json_t *
config_to_json(const struct config *c)
{
	json_t *root = json_object(), *switches = json_object();

	for (size_t i = 0; i < c->n_switches; i++) {
		json_object_set_new(switches, c->switches[i]->name, switch_to_json(c->switches[i]));
	}
	json_object_set_new(root, "version", json_integer(FILE_VERSION));
	json_object_set_new(root, "switches", switches);
	return root;
}
