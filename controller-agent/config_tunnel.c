/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: tunnel ports. Their options are the agent's alone: the datapath makes a port without any.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config.h"
#include "lib/alloc.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "lib/eth_addr.h"
#include "ofproto/of_tunnel.h"

#define fail(ERR, ...) weft_error_set(ERR, WEFT_ERR_INVALID, EINVAL, __VA_ARGS__)

struct tunnel_type {
	const char *name;
	enum dp_tunnel_kind kind;
	uint16_t dst_port;
	bool needs_id;
	const char *options; /* beside those of every type */
};

#define BFD_MAC                                                                                    \
	{                                                                                          \
		0x00, 0x00, 0x5e, 0x00, 0x52, 0x02                                                 \
	} /* RFC 8971 s.3 */
/* The datapath's. */
#define BFD_OPTIONS                                                                                \
	"bfd,bfd-min-tx,bfd-min-rx,bfd-mult,bfd-src-mac,bfd-dst-mac,bfd-src-ip,bfd-dst-ip"
static const struct tunnel_type types[] = {
	{"vxlan", DP_TUNNEL_VXLAN, OF_TUNNEL_VXLAN_PORT, true,
		"csum,flags,flood,dst-port,gbp,gpe,bfd-vni," BFD_OPTIONS},
	{"geneve", DP_TUNNEL_GENEVE, OF_TUNNEL_GENEVE_PORT, true,
		"csum,flags,flood,dst-port,bfd-vni," BFD_OPTIONS},
	{"gre", DP_TUNNEL_GRE, 0, false, "csum,flags,flood,seq,bfd-vni," BFD_OPTIONS},
	{"erspan", DP_TUNNEL_ERSPAN, 0, true, "erspan-ver,erspan-idx,erspan-dir,erspan-hwid"},
};
#define COMMON_OPTIONS "remote,local,vni,tos,ttl,df,too-long"

static const struct tunnel_type *find_type(const struct config_port *p);
static bool check_keys(
	const struct config_port *p, const struct tunnel_type *type, struct weft_error *err);
static bool get_address(const struct config_port *p, const char *key, uint8_t *by,
	struct of_underlay_addr *a, struct weft_error *err);
static bool get_number(const struct config_port *p, const char *key, uint32_t max, const char *word,
	uint8_t *by, uint32_t *n, struct weft_error *err);
static bool get_bool(
	const struct config_port *p, const char *key, bool *flag, struct weft_error *err);
static bool get_too_long(const struct config_port *p, struct of_tunnel *t, struct weft_error *err);
static bool get_flags(const struct config_port *p, struct of_tunnel *t, struct weft_error *err);
static bool check_flood(
	const struct config_port *p, const struct of_tunnel *t, struct weft_error *err);
static bool get_erspan(const struct config_port *p, struct of_tunnel *t, struct weft_error *err);
static bool is_word_of(const char *list, const char *word);
static bool get_bfd(const struct config_port *p, struct of_tunnel *t, struct weft_error *err);

bool
config_port_is_tunnel(const struct config_port *p)
{
	return find_type(p) != NULL;
}

bool
config_option_is_datapaths(const struct config_port *p, const char *key)
{
	return !config_port_is_tunnel(p) || is_word_of(BFD_OPTIONS, key);
}

bool
config_tunnel_parse(const struct config_port *p, struct of_tunnel *t, struct weft_error *err)
{
	const struct tunnel_type *type = find_type(p);
	uint32_t dst_port, tos = 0, ttl = OF_TUNNEL_TTL;
	struct weft_error why = WEFT_ERROR_INIT;
	bool gpe = false;

	*t = (struct of_tunnel){
		.kind = (uint8_t)type->kind, .dont_fragment = true, .bfd_mac = BFD_MAC};
	if (!check_keys(p, type, &why) || !get_bool(p, "gpe", &gpe, &why)) {
		goto refuse;
	}
	dst_port = gpe ? OF_TUNNEL_GPE_PORT : type->dst_port;
	t->kind = gpe ? DP_TUNNEL_VXLAN_GPE : t->kind;
	if (!get_address(p, "remote", &t->remote_by, &t->remote, &why) ||
		!get_address(p, "local", &t->local_by, &t->local, &why) ||
		!get_number(
			p, "vni", of_tunnel_id_max(type->kind), "flow", &t->id_by, &t->id, &why) ||
		!get_number(p, "dst-port", UINT16_MAX, NULL, NULL, &dst_port, &why) ||
		!get_number(p, "tos", UINT8_MAX, "inherit", &t->tos_by, &tos, &why) ||
		!get_number(p, "ttl", UINT8_MAX, "inherit", &t->ttl_by, &ttl, &why) ||
		!get_flags(p, t, &why) || !get_bool(p, "gbp", &t->gbp, &why) ||
		!get_bool(p, "seq", &t->seq, &why) || !get_erspan(p, t, &why) ||
		!get_too_long(p, t, &why) || !get_bfd(p, t, &why)) {
		goto refuse;
	}
	t->dst_port = (uint16_t)dst_port;
	t->tos = (uint8_t)tos;
	t->ttl = (uint8_t)ttl;
	if (of_tunnel_check(t, &why) && check_flood(p, t, &why)) {
		return true;
	}
refuse:
	return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "port %s: %s", p->name, why.text);
}

/* --- with each other ----------------------------------------------------------------------------- */

/* A tunnel port of the configuration, and what it is. */
struct parsed {
	const struct config_switch *sw;
	const struct config_port *port;
	struct of_tunnel tunnel;
	uint32_t hash;
	size_t order;
};

static size_t
count_ports(const struct config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_switches; i++) {
		n += c->switches[i]->n_ports;
	}
	return n;
}

/* All tunnel ports, which are right by themselves. NULL: one is not. */
static struct parsed *
parse_all(const struct config *c, size_t *n, struct weft_error *err)
{
	struct parsed *list = xcalloc(count_ports(c) + 1, sizeof(*list));

	*n = 0;
	for (size_t i = 0; i < c->n_switches; i++) {
		const struct config_switch *sw = c->switches[i];

		for (size_t k = 0; k < sw->n_ports; k++) {
			struct parsed *p = &list[*n];

			if (!config_port_is_tunnel(sw->ports[k])) {
				continue;
			}
			if (!config_tunnel_parse(sw->ports[k], &p->tunnel, err)) {
				free(list);
				return NULL;
			}
			p->sw = sw;
			p->port = sw->ports[k];
			p->hash = of_tunnel_hash(&p->tunnel);
			p->order = ++*n;
		}
	}
	return list;
}

/* Those of a UDP port, those of one hash and those that were there first come together. */
static int
compare(const void *a, const void *b)
{
	const struct parsed *one = a, *other = b;

	if (one->tunnel.dst_port != other->tunnel.dst_port) {
		return one->tunnel.dst_port < other->tunnel.dst_port ? -1 : 1;
	}
	if (one->tunnel.kind != other->tunnel.kind) {
		return one->tunnel.kind < other->tunnel.kind ? -1 : 1;
	}
	return one->hash < other->hash ? -1 : one->hash > other->hash;
}

/* Of two that cannot be there together the one that came last is wrong. */
static bool
check_pair(const struct parsed *a, const struct parsed *b, const struct config_port *last,
	struct weft_error *err)
{
	const char *why = of_tunnel_conflict(&a->tunnel, &b->tunnel);

	if (b->port == last || (a->port != last && b->order > a->order)) {
		const struct parsed *swap = a;

		a = b;
		b = swap;
	}
	return !why ||
	       weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST, "port %s: port %s of switch %s %s",
		       a->port->name, b->port->name, b->sw->name, why);
}

bool
config_tunnels_check(const struct config *c, const struct config_port *last, struct weft_error *err)
{
	size_t n;
	struct parsed *list = parse_all(c, &n, err);
	bool ok = list != NULL;

	if (ok) {
		qsort(list, n, sizeof(*list), compare);
	}
	for (size_t i = 1; ok && i < n; i++) {
		/* Another kind on the same UDP port is next to it; and few have the same hash. */
		for (size_t k = i; ok && k-- && (k == i - 1 || list[k].hash == list[i].hash);) {
			ok = check_pair(&list[i], &list[k], last, err);
		}
	}
	free(list);
	return ok;
}

/* --- options ------------------------------------------------------------------------------------- */

static const struct tunnel_type *
find_type(const struct config_port *p)
{
	for (size_t i = 0; p->type && i < WEFT_ARRAY_SIZE(types); i++) {
		if (strcmp(p->type, types[i].name) == 0) {
			return &types[i];
		}
	}
	return NULL;
}

/* Whether @word is one of a comma-separated list. */
static bool
is_word_of(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; *at;
		at += at[strcspn(at, ",")] ? strcspn(at, ",") + 1 : strlen(at)) {
		if (strcspn(at, ",") == len && memcmp(at, word, len) == 0) {
			return true;
		}
	}
	return false;
}

static bool
check_keys(const struct config_port *p, const struct tunnel_type *type, struct weft_error *err)
{
	for (size_t i = 0; i < p->n_options; i++) {
		const char *key = p->options[i].key;

		if (!is_word_of(COMMON_OPTIONS, key) && !is_word_of(type->options, key)) {
			return fail(err, "port type %s has no option %s; it has %s%s%s", type->name,
				key, COMMON_OPTIONS, *type->options ? "," : "", type->options);
		}
	}
	if (!config_port_option(p, "remote")) {
		return fail(err, "port type %s needs remote=: an address, or flow", type->name);
	}
	if (type->needs_id && !config_port_option(p, "vni")) {
		return fail(err, "port type %s needs vni=: a number, or flow", type->name);
	}
	return true;
}

/* An address as tunnels know it: IPv4 v6-mapped. */
static bool
parse_address(const char *text, struct of_underlay_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->v + 12) == 1) {
		a->v[10] = a->v[11] = 0xff;
		return true;
	}
	return inet_pton(AF_INET6, text, a->v) == 1 && !of_underlay_addr_is_v4(a);
}

static bool
is_any(const struct of_underlay_addr *a)
{
	static const uint8_t none[4];

	return of_underlay_addr_is_zero(a) ||
	       (of_underlay_addr_is_v4(a) && !memcmp(a->v + 12, none, sizeof(none)));
}

static bool
get_address(const struct config_port *p, const char *key, uint8_t *by, struct of_underlay_addr *a,
	struct weft_error *err)
{
	const char *value = config_port_option(p, key);

	if (!value) {
		return true;
	}
	if (strcmp(value, "flow") == 0) {
		*by = OF_TUNNEL_FLOW;
		return true;
	}
	return (parse_address(value, a) && !is_any(a)) ||
	       fail(err, "%s=%s: must be an IPv4 or IPv6 address, or flow", key, value);
}

/* @word (and, with it, flow) may stand for a number. */
static bool
get_number(const struct config_port *p, const char *key, uint32_t max, const char *word,
	uint8_t *by, uint32_t *n, struct weft_error *err)
{
	const char *value = config_port_option(p, key);
	bool is_inherit = word && strcmp(word, "inherit") == 0;
	unsigned long v;
	char *end;

	if (!value) {
		return true;
	}
	if (word && strcmp(value, "flow") == 0) {
		*by = OF_TUNNEL_FLOW;
		return true;
	}
	if (is_inherit && strcmp(value, word) == 0) {
		*by = OF_TUNNEL_PACKET;
		return true;
	}
	errno = 0;
	v = isdigit((unsigned char)*value) ? strtoul(value, &end, 0) : ULONG_MAX;
	if (v > max || errno || *end) {
		return fail(err, "%s=%s: must be a number from 0 to %u%s%s", key, value, max,
			is_inherit ? ", inherit" : "", word ? " or flow" : "");
	}
	*n = (uint32_t)v;
	return true;
}

static bool
get_bool(const struct config_port *p, const char *key, bool *flag, struct weft_error *err)
{
	const char *value = config_port_option(p, key);

	if (!value) {
		return true;
	}
	*flag = strcmp(value, "yes") == 0;
	return *flag || strcmp(value, "no") == 0 ||
	       fail(err, "%s=%s: must be yes or no", key, value);
}

static bool
get_flags(const struct config_port *p, struct of_tunnel *t, struct weft_error *err)
{
	const char *value = config_port_option(p, "flags");
	bool csum = false;

	if (value && strcmp(value, "flow") != 0) {
		return fail(err, "flags=%s: must be flow", value);
	}
	if (value && (config_port_option(p, "df") || config_port_option(p, "csum"))) {
		return fail(err, "flags=flow stands for df and csum: say the one or the others");
	}
	t->flags_by = value ? OF_TUNNEL_FLOW : OF_TUNNEL_GIVEN;
	if (!get_bool(p, "df", &t->dont_fragment, err) || !get_bool(p, "csum", &csum, err)) {
		return false;
	}
	if (config_port_option(p, "csum")) {
		t->csum = csum ? OF_TUNNEL_CSUM_YES : OF_TUNNEL_CSUM_NO;
	}
	return true;
}

/* One of a list of words, by its place. */
static bool
get_word(const struct config_port *p, const char *key, const char *const *words, size_t n,
	const char *which, uint8_t *place, struct weft_error *err)
{
	const char *value = config_port_option(p, key);

	for (size_t i = 0; value && i < n; i++) {
		if (strcmp(value, words[i]) == 0) {
			*place = (uint8_t)i;
			return true;
		}
	}
	return !value || fail(err, "%s=%s: must be %s", key, value, which);
}

static bool
get_erspan(const struct config_port *p, struct of_tunnel *t, struct weft_error *err)
{
	static const char *const directions[] = {
		[OF_TUNNEL_DIR_MIRROR] = "mirror",
		[OF_TUNNEL_DIR_INGRESS] = "ingress",
		[OF_TUNNEL_DIR_EGRESS] = "egress",
	};
	uint32_t ver = 1, hwid = 0;
	bool ok;

	if (t->kind != DP_TUNNEL_ERSPAN) {
		return true;
	}
	ok = get_number(p, "erspan-ver", 2, NULL, NULL, &ver, err) &&
	     get_number(p, "erspan-idx", OF_TUNNEL_IDX_MAX, NULL, NULL, &t->erspan.idx, err) &&
	     get_number(p, "erspan-hwid", OF_TUNNEL_HWID_MAX, NULL, NULL, &hwid, err) &&
	     get_word(p, "erspan-dir", directions, WEFT_ARRAY_SIZE(directions),
		     "mirror, ingress or egress", &t->erspan.dir, err);
	t->erspan.ver = (uint8_t)ver;
	t->erspan.hwid = (uint8_t)hwid;
	return ok;
}

static bool
get_too_long(const struct config_port *p, struct of_tunnel *t, struct weft_error *err)
{
	static const char *const names[] = {
		[DP_ENCAP_DROP] = "drop",
		[DP_ENCAP_FRAGMENT] = "fragment",
		[DP_ENCAP_TO_AGENT] = "icmp",
		[DP_ENCAP_CUT] = "cut",
	};

	/* A copy is of more use cut than not at all. */
	t->too_long = t->kind == DP_TUNNEL_ERSPAN ? DP_ENCAP_CUT : DP_ENCAP_DROP;
	return get_word(p, "too-long", names, WEFT_ARRAY_SIZE(names),
		t->kind == DP_TUNNEL_ERSPAN ? "cut, drop or fragment" : "drop, fragment or icmp",
		&t->too_long, err);
}

/* What the datapath is told of is the datapath's to judge. */
static bool
get_bfd(const struct config_port *p, struct of_tunnel *t, struct weft_error *err)
{
	const char *value = config_port_option(p, "bfd-dst-mac");

	if (!get_bool(p, "bfd", &t->bfd, err) ||
		!get_number(p, "bfd-vni", of_tunnel_id_max((enum dp_tunnel_kind)t->kind), NULL,
			NULL, &t->bfd_id, err)) {
		return false;
	}
	return !value || eth_addr_parse(value, t->bfd_mac) ||
	       fail(err, "bfd-dst-mac=%s: must be an address like 00:00:5e:00:52:02", value);
}

/* --- flood= ---------------------------------------------------------------------------------------- */

/* Each address is one that the tunnel can have as its remote, and stands once. */
static bool
add_remote(
	struct of_flood **list, const struct of_tunnel *t, const char *text, struct weft_error *err)
{
	struct of_tunnel one = *t;
	size_t n = (*list)->n;

	one.remote_by = OF_TUNNEL_GIVEN;
	if (!parse_address(text, &one.remote) || is_any(&one.remote)) {
		return fail(err, "flood: '%.60s' is not an IPv4 or IPv6 address", text);
	}
	if (!of_tunnel_check(&one, err)) {
		weft_error_prefix(err, "flood: %.60s", text);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (!memcmp(&(*list)->remotes[i], &one.remote, sizeof(one.remote))) {
			return fail(err, "flood: %.60s stands twice", text);
		}
	}
	if (n == OF_FLOOD_MAX) {
		return fail(err, "flood: more than %u addresses", OF_FLOOD_MAX);
	}
	*list = xrealloc(*list, sizeof(**list) + (n + 1) * sizeof((*list)->remotes[0]));
	(*list)->remotes[(*list)->n++] = one.remote;
	return true;
}

bool
config_flood_parse(const struct config_port *p, const struct of_tunnel *t, struct of_flood **flood,
	struct weft_error *err)
{
	const char *value = config_port_option(p, "flood");
	struct of_flood *list;
	char *copy, *at, *text;
	bool ok = true;

	*flood = NULL;
	if (!value) {
		return true;
	}
	if (t->remote_by != OF_TUNNEL_FLOW) {
		return fail(err, "flood= goes with remote=flow: this port has one remote");
	}
	list = xcalloc(1, sizeof(*list));
	copy = at = xstrdup(value);
	while (ok && (text = strsep(&at, ",")) != NULL) {
		ok = add_remote(&list, t, text, err);
	}
	free(copy);
	if (!ok) {
		free(list);
		return false;
	}
	*flood = list;
	return true;
}

static bool
check_flood(const struct config_port *p, const struct of_tunnel *t, struct weft_error *err)
{
	struct of_flood *flood;
	bool ok = config_flood_parse(p, t, &flood, err);

	free(flood);
	return ok;
}
