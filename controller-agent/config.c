/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: the model, its properties and their checks. The file is config_file.c's.
 */
#include "controller-agent/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controller-agent/config_mirror.h"
#include "controller-agent/of_service.h"
#include "lib/alloc.h"
#include "lib/error.h"

/* Words that mean something in an OpenFlow flow text where a port may stand. */
static const char *const reserved_names[] = {
	"any",
	"all",
	"controller",
	"flood",
	"in_port",
	"local",
	"none",
	"normal",
	"table",
	"unset",
};

/* Types whose ports are devices of the kernel under the port's own name. */
static const char *const kernel_types[] = {"veth", "tap", "internal"};

static const char *const vlan_mode_names[] = {
	[CONFIG_VLAN_UNSET] = "",
	[CONFIG_VLAN_ACCESS] = "access",
	[CONFIG_VLAN_TRUNK] = "trunk",
	[CONFIG_VLAN_NATIVE_TAGGED] = "native-tagged",
	[CONFIG_VLAN_NATIVE_UNTAGGED] = "native-untagged",
	[CONFIG_VLAN_DOT1Q_TUNNEL] = "dot1q-tunnel",
};
#define N_VLAN_MODES (sizeof(vlan_mode_names) / sizeof(vlan_mode_names[0]))

static const struct {
	const char *name;
	uint32_t bit;
} protocol_names[] = {
	{"1.0", CONFIG_OF10},
	{"1.3", CONFIG_OF13},
	{"1.4", CONFIG_OF14},
	{"1.5", CONFIG_OF15},
};
#define N_PROTOCOLS (sizeof(protocol_names) / sizeof(protocol_names[0]))

#define MAX_AGEING_S 1000000u
#define MAX_TABLE_SIZE 1000000u

static void port_free(struct config_port *p);
static struct config_port *port_clone(const struct config_port *p);
static void switch_free(struct config_switch *sw);
static bool set_option(
	struct config_port *p, const char *key, const char *value, struct weft_error *err);

#define fail(ERR, ...) weft_error_set(ERR, WEFT_ERR_INVALID, EINVAL, __VA_ARGS__)

/* --- memory ------------------------------------------------------------------------------------- */

static char *
copy_text(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* Replaces *@slot; an empty @value takes it back. */
static void
set_text(char **slot, const char *value)
{
	free(*slot);
	*slot = *value ? copy_text(value) : NULL;
}

struct config *
config_create(void)
{
	return xcalloc(1, sizeof(struct config));
}

void
config_destroy(struct config *c)
{
	if (!c) {
		return;
	}
	for (size_t i = 0; i < c->n_switches; i++) {
		switch_free(c->switches[i]);
	}
	free(c->switches);
	free(c);
}

struct config *
config_clone(const struct config *c)
{
	struct config *copy = config_create();

	copy->n_switches = c->n_switches;
	copy->switches = xcalloc(c->n_switches + 1, sizeof(*copy->switches));
	for (size_t i = 0; i < c->n_switches; i++) {
		const struct config_switch *from = c->switches[i];
		struct config_switch *sw = xmalloc(sizeof(*sw));

		*sw = *from;
		sw->ports = xcalloc(from->n_ports + 1, sizeof(*sw->ports));
		for (size_t n = 0; n < from->n_ports; n++) {
			sw->ports[n] = port_clone(from->ports[n]);
		}
		sw->controllers = xcalloc(from->n_controllers + 1, sizeof(*sw->controllers));
		for (size_t n = 0; n < from->n_controllers; n++) {
			struct config_controller *ctl = xcalloc(1, sizeof(*ctl));

			ctl->target = copy_text(from->controllers[n]->target);
			config_controller_copy(ctl, from->controllers[n]);
			sw->controllers[n] = ctl;
		}
		config_mirrors_copy(sw, from);
		copy->switches[i] = sw;
	}
	return copy;
}

/* --- finding, adding, removing ------------------------------------------------------------------ */

struct config_switch *
config_switch_find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_switches; i++) {
		if (strcmp(c->switches[i]->name, name) == 0) {
			return c->switches[i];
		}
	}
	return NULL;
}

struct config_port *
config_port_find(const struct config *c, const char *name, struct config_switch **sw)
{
	for (size_t i = 0; i < c->n_switches; i++) {
		for (size_t n = 0; n < c->switches[i]->n_ports; n++) {
			if (strcmp(c->switches[i]->ports[n]->name, name) == 0) {
				if (sw) {
					*sw = c->switches[i];
				}
				return c->switches[i]->ports[n];
			}
		}
	}
	return NULL;
}

struct config_switch *
config_switch_add(struct config *c, const char *name, struct weft_error *err)
{
	struct config_switch *sw;

	if (!config_name_check("switch", name, err)) {
		return NULL;
	}
	if (config_switch_find(c, name)) {
		fail(err, "switch %s exists already: choose another name", name);
		return NULL;
	}
	sw = xcalloc(1, sizeof(*sw));
	snprintf(sw->name, sizeof(sw->name), "%s", name);
	c->switches = xrealloc(c->switches, (c->n_switches + 1) * sizeof(*c->switches));
	c->switches[c->n_switches++] = sw;
	return sw;
}

void
config_switch_del(struct config *c, struct config_switch *sw)
{
	for (size_t i = 0; i < c->n_switches; i++) {
		if (c->switches[i] == sw) {
			memmove(&c->switches[i], &c->switches[i + 1],
				(c->n_switches - i - 1) * sizeof(*c->switches));
			c->n_switches--;
			switch_free(sw);
			return;
		}
	}
}

struct config_port *
config_port_add(
	struct config *c, struct config_switch *sw, const char *name, struct weft_error *err)
{
	struct config_switch *other;
	struct config_port *p;

	if (!config_name_check("port", name, err)) {
		return NULL;
	}
	if (config_port_find(c, name, &other)) {
		fail(err, "port %s exists already, on switch %s: choose another name", name,
			other->name);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->tag = -1;
	sw->ports = xrealloc(sw->ports, (sw->n_ports + 1) * sizeof(*sw->ports));
	sw->ports[sw->n_ports++] = p;
	return p;
}

void
config_port_del(struct config_switch *sw, struct config_port *p)
{
	for (size_t i = 0; i < sw->n_ports; i++) {
		if (sw->ports[i] == p) {
			memmove(&sw->ports[i], &sw->ports[i + 1],
				(sw->n_ports - i - 1) * sizeof(*sw->ports));
			sw->n_ports--;
			port_free(p);
			return;
		}
	}
}

/* --- values ------------------------------------------------------------------------------------- */

bool
config_number_parse(const char *key, const char *value, unsigned min, unsigned max, unsigned *n,
	struct weft_error *err)
{
	unsigned long v = 0;
	char *end;

	if (isdigit((unsigned char)*value)) {
		errno = 0;
		v = strtoul(value, &end, 10);
		if (*end == '\0' && errno == 0 && v >= min && v <= max) {
			*n = (unsigned)v;
			return true;
		}
	}
	return fail(err, "%s=%s: must be a number from %u to %u", key, value, min, max);
}

static bool
parse_dpid(const char *value, uint64_t *dpid, struct weft_error *err)
{
	const char *digits = strncasecmp(value, "0x", 2) == 0 ? value + 2 : value;
	size_t len = strlen(digits);

	if (len < 1 || len > 16 || strspn(digits, "0123456789abcdefABCDEF") != len) {
		return fail(err, "dpid=%s: must be 1 to 16 hexadecimal digits", value);
	}
	*dpid = strtoull(digits, NULL, 16);
	if (*dpid == 0) {
		return fail(err, "dpid=%s: must not be 0", value);
	}
	return true;
}

static bool
parse_protocols(const char *value, uint32_t *protocols, struct weft_error *err)
{
	const char *at = value;
	uint32_t bits = 0;

	while (*at) {
		size_t len = strcspn(at, ","), i;

		for (i = 0; i < N_PROTOCOLS; i++) {
			if (strlen(protocol_names[i].name) == len &&
				strncmp(at, protocol_names[i].name, len) == 0) {
				bits |= protocol_names[i].bit;
				break;
			}
		}
		if (i == N_PROTOCOLS) {
			return fail(err, "protocols=%s: %.*s is not one of 1.0, 1.3, 1.4, 1.5",
				value, (int)len, at);
		}
		if (!(protocol_names[i].bit & of_service_protocols())) {
			return fail(err, "protocols=%s: this release does not speak OpenFlow %s",
				value, protocol_names[i].name);
		}
		at += len + (at[len] == ',');
	}
	*protocols = bits;
	return true;
}

/* One of "N" and "N-M", up to a comma. */
static bool
parse_vlan_range(const char **at, unsigned *low, unsigned *high)
{
	char *end;

	if (!isdigit((unsigned char)**at)) {
		return false;
	}
	*low = *high = (unsigned)strtoul(*at, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1])) {
		*high = (unsigned)strtoul(end + 1, &end, 10);
	}
	if ((*end != ',' && *end != '\0') || *low > *high || *high > 4095) {
		return false;
	}
	*at = end + (*end == ',');
	return true;
}

bool
config_vlans_parse(const char *key, const char *value, uint64_t vlans[64], struct weft_error *err)
{
	const char *at = value;
	uint64_t bits[64] = {0};

	while (*at) {
		unsigned low, high;

		if (!parse_vlan_range(&at, &low, &high)) {
			return fail(err, "%s=%s: must be VLANs from 0 to 4095, like 1,5,10-20", key,
				value);
		}
		for (unsigned v = low; v <= high; v++) {
			bits[v / 64] |= UINT64_C(1) << (v % 64);
		}
	}
	memcpy(vlans, bits, sizeof(bits));
	return true;
}

bool
config_bool_parse(const char *key, const char *value, const char *yes, const char *no, bool *flag,
	struct weft_error *err)
{
	if (strcmp(value, yes) != 0 && strcmp(value, no) != 0) {
		return fail(err, "%s=%s: must be %s or %s", key, value, yes, no);
	}
	*flag = strcmp(value, yes) == 0;
	return true;
}

/* --- switches ----------------------------------------------------------------------------------- */

bool
config_switch_set(
	struct config_switch *sw, const char *key, const char *value, struct weft_error *err)
{
	if (strcmp(key, "dpid") == 0) {
		sw->has_dpid = *value != '\0';
		return !*value || parse_dpid(value, &sw->dpid, err);
	}
	if (strcmp(key, "fail-mode") == 0) {
		bool secure = false;

		if (*value &&
			!config_bool_parse(key, value, "secure", "standalone", &secure, err)) {
			return false;
		}
		sw->fail_mode = secure ? CONFIG_SECURE : CONFIG_STANDALONE;
		return true;
	}
	if (strcmp(key, "protocols") == 0) {
		return parse_protocols(value, &sw->protocols, err);
	}
	if (strcmp(key, "mac-ageing") == 0) {
		sw->mac_ageing_s = 0;
		return !*value ||
		       config_number_parse(key, value, 1, MAX_AGEING_S, &sw->mac_ageing_s, err);
	}
	if (strcmp(key, "mac-table-size") == 0) {
		sw->mac_table_size = 0;
		return !*value ||
		       config_number_parse(key, value, 1, MAX_TABLE_SIZE, &sw->mac_table_size, err);
	}
	if (strcmp(key, "mcast-snooping") == 0) {
		sw->mcast_snooping = false;
		return !*value ||
		       config_bool_parse(key, value, "on", "off", &sw->mcast_snooping, err);
	}
	if (strcmp(key, "flood-unregistered") == 0) {
		bool flood = true;

		if (*value && !config_bool_parse(key, value, "yes", "no", &flood, err)) {
			return false;
		}
		sw->mcast_no_flood = !flood;
		return true;
	}
	if (strcmp(key, "mcast-ageing") == 0) {
		unsigned n = 0;

		if (*value && !config_number_parse(key, value, 1, 86400, &n, err)) {
			return false;
		}
		sw->mcast_ageing = n;
		return true;
	}
	return fail(err,
		"a switch has no property %s: there are dpid, fail-mode, protocols, mac-ageing, "
		"mac-table-size, mcast-snooping, mcast-ageing and flood-unregistered",
		key);
}

/* --- ports -------------------------------------------------------------------------------------- */

static bool
set_tag(struct config_port *p, const char *value, struct weft_error *err)
{
	unsigned n = 0;

	if (!*value) {
		p->tag = -1;
		return true;
	}
	if (!config_number_parse("tag", value, 0, 4095, &n, err)) {
		return false;
	}
	p->tag = (int)n;
	return true;
}

static bool
set_vlan_mode(struct config_port *p, const char *value, struct weft_error *err)
{
	for (unsigned i = 0; i < N_VLAN_MODES; i++) {
		if (strcmp(value, vlan_mode_names[i]) == 0) {
			p->vlan_mode = (enum config_vlan_mode)i;
			return true;
		}
	}
	return fail(err,
		"vlan-mode=%s: must be access, trunk, native-tagged, native-untagged or "
		"dot1q-tunnel",
		value);
}

bool
config_port_set(struct config_port *p, const char *key, const char *value, struct weft_error *err)
{
	unsigned n = 0;

	if (strlen(value) > CONFIG_VALUE_MAX) {
		return fail(
			err, "%s: the value is longer than %d characters", key, CONFIG_VALUE_MAX);
	}
	if (strcmp(key, "type") == 0) {
		set_text(&p->type, value);
		return true;
	}
	if (strcmp(key, "of-port") == 0) {
		if (*value && !config_number_parse(key, value, 1, CONFIG_OF_PORT_MAX, &n, err)) {
			return false;
		}
		p->of_port = (uint16_t)n;
		return true;
	}
	if (strcmp(key, "tag") == 0) {
		return set_tag(p, value, err);
	}
	if (strcmp(key, "trunks") == 0) {
		p->has_trunks = *value != '\0';
		return config_vlans_parse(key, value, p->trunks, err);
	}
	if (strcmp(key, "vlan-mode") == 0) {
		return set_vlan_mode(p, value, err);
	}
	if (strcmp(key, "admin") == 0) {
		bool up = true;

		if (*value && !config_bool_parse(key, value, "up", "down", &up, err)) {
			return false;
		}
		p->admin_down = !up;
		return true;
	}
	if (strcmp(key, "underlay") == 0) {
		p->underlay = false;
		return !*value || config_bool_parse(key, value, "yes", "no", &p->underlay, err);
	}
	if (strcmp(key, "mcast-router") == 0) {
		p->mcast_router = false;
		return !*value ||
		       config_bool_parse(key, value, "yes", "auto", &p->mcast_router, err);
	}
	if (strcmp(key, "allow") == 0) {
		struct of_allow *list = *value ? config_allow_parse(value, err) : NULL;

		if (*value && !list) {
			return false;
		}
		free(list);
		set_text(&p->allow, value);
		return true;
	}
	if (strcmp(key, "mtu") == 0 && *value &&
		!config_number_parse(key, value, 68, 65535, &n, err)) {
		return false;
	}
	return set_option(p, key, value, err);
}

bool
config_port_check(
	const struct config_switch *sw, const struct config_port *p, struct weft_error *err)
{
	enum config_vlan_mode mode = config_port_vlan_mode(p);

	if (!p->type) {
		return fail(err, "port %s: type= is missing", p->name);
	}
	for (unsigned i = 0; i < sizeof(kernel_types) / sizeof(kernel_types[0]); i++) {
		if (strcmp(p->type, kernel_types[i]) == 0 &&
			strlen(p->name) > CONFIG_KERNEL_NAME_MAX) {
			return fail(err, "port %s: a name of type %s has at most %d characters",
				p->name, p->type, CONFIG_KERNEL_NAME_MAX);
		}
	}
	for (size_t i = 0; i < sw->n_ports; i++) {
		if (sw->ports[i] != p && p->of_port && sw->ports[i]->of_port == p->of_port) {
			return fail(err, "of-port=%u is port %s's: choose another number",
				p->of_port, sw->ports[i]->name);
		}
	}
	if (p->vlan_mode == CONFIG_VLAN_UNSET && p->tag >= 0 && p->has_trunks) {
		return fail(err,
			"port %s: with both tag and trunks say what is meant: "
			"vlan-mode=native-tagged, native-untagged or dot1q-tunnel",
			p->name);
	}
	if (mode == CONFIG_VLAN_TRUNK && p->tag >= 0) {
		return fail(err, "port %s: vlan-mode=trunk takes no tag", p->name);
	}
	if (mode == CONFIG_VLAN_ACCESS && p->has_trunks) {
		return fail(err, "port %s: vlan-mode=access takes no trunks", p->name);
	}
	if (mode != CONFIG_VLAN_TRUNK && p->tag < 0) {
		return fail(err, "port %s: vlan-mode=%s needs a tag", p->name,
			config_vlan_mode_name(mode));
	}
	return true;
}

enum config_vlan_mode
config_port_vlan_mode(const struct config_port *p)
{
	if (p->vlan_mode != CONFIG_VLAN_UNSET) {
		return p->vlan_mode;
	}
	return p->tag >= 0 ? CONFIG_VLAN_ACCESS : CONFIG_VLAN_TRUNK;
}

const char *
config_port_option(const struct config_port *p, const char *key)
{
	for (size_t i = 0; i < p->n_options; i++) {
		if (strcmp(p->options[i].key, key) == 0) {
			return p->options[i].value;
		}
	}
	return NULL;
}

static bool
is_key(const char *key)
{
	size_t len = strlen(key);

	return len >= 1 && len <= CONFIG_NAME_MAX &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static bool
set_option(struct config_port *p, const char *key, const char *value, struct weft_error *err)
{
	size_t i = 0;
	bool found;

	if (!is_key(key)) {
		return fail(err, "'%s' cannot be the name of an option", key);
	}
	while (i < p->n_options && strcmp(p->options[i].key, key) < 0) {
		i++;
	}
	found = i < p->n_options && strcmp(p->options[i].key, key) == 0;
	if (found && *value) {
		set_text(&p->options[i].value, value);
	} else if (found) {
		free(p->options[i].key);
		free(p->options[i].value);
		p->n_options--;
		memmove(&p->options[i], &p->options[i + 1],
			(p->n_options - i) * sizeof(*p->options));
	} else if (*value) {
		if (p->n_options >= CONFIG_MAX_OPTIONS) {
			return fail(
				err, "port %s: more than %d options", p->name, CONFIG_MAX_OPTIONS);
		}
		p->options = xrealloc(p->options, (p->n_options + 1) * sizeof(*p->options));
		memmove(&p->options[i + 1], &p->options[i],
			(p->n_options - i) * sizeof(*p->options));
		p->options[i].key = copy_text(key);
		p->options[i].value = copy_text(value);
		p->n_options++;
	}
	return true;
}

/* --- text --------------------------------------------------------------------------------------- */

const char *
config_vlan_mode_name(enum config_vlan_mode mode)
{
	return vlan_mode_names[mode];
}

const char *
config_fail_mode_name(enum config_fail_mode mode)
{
	return mode == CONFIG_SECURE ? "secure" : "standalone";
}

void
config_protocols_format(uint32_t protocols, char *text, size_t size)
{
	size_t len = 0;

	snprintf(text, size, "all");
	for (unsigned i = 0; i < N_PROTOCOLS; i++) {
		if (protocols & protocol_names[i].bit) {
			len += (size_t)snprintf(text + len, size - len, "%s%s", len ? "," : "",
				protocol_names[i].name);
		}
	}
}

char *
config_trunks_format(const uint64_t trunks[64])
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const char *comma = "";

	if (!out) {
		abort();
	}
	for (unsigned v = 0; v < 4096; v++) {
		unsigned end = v;

		while (end < 4096 && trunks[end / 64] >> (end % 64) & 1) {
			end++;
		}
		if (end > v) {
			fprintf(out, end > v + 1 ? "%s%u-%u" : "%s%u", comma, v, end - 1);
			comma = ",";
			v = end;
		}
	}
	fclose(out);
	return text;
}

bool
config_name_check(const char *what, const char *name, struct weft_error *err)
{
	size_t len = strlen(name);

	if (len < 1 || len > CONFIG_NAME_MAX || !isalpha((unsigned char)name[0]) ||
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
			len) {
		return fail(err,
			"'%.80s' cannot be a %s's name: it begins with a letter and has up to "
			"%d letters, digits, '.', '_' and '-'",
			name, what, CONFIG_NAME_MAX);
	}
	for (unsigned i = 0; i < sizeof(reserved_names) / sizeof(reserved_names[0]); i++) {
		if (strcasecmp(name, reserved_names[i]) == 0) {
			return fail(err,
				"'%s' cannot be a %s's name: it is a reserved word of OpenFlow",
				name, what);
		}
	}
	return true;
}

/* --- freeing ------------------------------------------------------------------------------------ */

static void
port_free(struct config_port *p)
{
	for (size_t i = 0; i < p->n_options; i++) {
		free(p->options[i].key);
		free(p->options[i].value);
	}
	free(p->options);
	free(p->type);
	free(p->allow);
	free(p);
}

static struct config_port *
port_clone(const struct config_port *p)
{
	struct config_port *copy = xmalloc(sizeof(*copy));

	*copy = *p;
	copy->type = copy_text(p->type);
	copy->allow = copy_text(p->allow);
	copy->options = xcalloc(p->n_options + 1, sizeof(*copy->options));
	for (size_t i = 0; i < p->n_options; i++) {
		copy->options[i].key = copy_text(p->options[i].key);
		copy->options[i].value = copy_text(p->options[i].value);
	}
	return copy;
}

static void
switch_free(struct config_switch *sw)
{
	for (size_t i = 0; i < sw->n_ports; i++) {
		port_free(sw->ports[i]);
	}
	config_controllers_free(sw);
	config_mirrors_free(sw);
	free(sw->ports);
	free(sw);
}
