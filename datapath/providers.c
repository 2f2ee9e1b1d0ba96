/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of ports, and the check of their options.
 */
#include "datapath/providers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/error.h"
#include "lib/strbuf.h"

/* To add a kind: a file with its provider, a line here and in providers.h, a test, docs/guide.md. */
static const struct port_provider *const providers[] = {
	&vhost_provider,
	&veth_provider,
	&internal_provider,
	&tap_provider,
	&af_packet_provider,
	&ethdev_provider,
	&af_xdp_provider,
	&pcap_provider,
	&memif_provider,
	&null_provider,
	&bond_provider,
	&vxlan_provider,
	&geneve_provider,
	&gre_provider,
	&erspan_provider,
};

const struct port_provider *
provider_find(const char *type, struct weft_error *err)
{
	struct strbuf known = STRBUF_INIT;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(providers); i++) {
		if (!strcmp(providers[i]->type, type)) {
			strbuf_uninit(&known);
			return providers[i];
		}
		strbuf_printf(&known, "%s%s", i ? ", " : "", providers[i]->type);
	}
	weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "unknown port type \"%s\"; there are %s",
		type, strbuf_text(&known));
	strbuf_uninit(&known);
	return NULL;
}

void
provider_list_joining(struct strbuf *types)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(providers); i++) {
		if (providers[i]->can_join) {
			strbuf_printf(types, "%s%s", types->len ? ", " : "", providers[i]->type);
		}
	}
}

const char *
port_option_find(const struct port_option *options, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(options[i].key, key)) {
			return options[i].value;
		}
	}
	return NULL;
}

static const struct port_option_spec *
find_spec(const struct port_provider *provider, const char *key)
{
	for (const struct port_option_spec *s = provider->options; s->key; s++) {
		if (!strcmp(s->key, key)) {
			return s;
		}
	}
	return NULL;
}

static bool
unknown_option(const struct port_provider *provider, const char *key, struct weft_error *err)
{
	struct strbuf known = STRBUF_INIT;

	for (const struct port_option_spec *s = provider->options; s->key; s++) {
		strbuf_printf(&known, "%s%s", known.len ? ", " : "", s->key);
	}
	weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
		"port type %s has no option \"%s\"; it has %s", provider->type, key,
		known.len ? strbuf_text(&known) : "none");
	strbuf_uninit(&known);
	return false;
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = choices; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		if (len == strcspn(at, ",") && !memcmp(at, value, len)) {
			return true;
		}
	}
	return false;
}

static bool
check_value(const struct port_option_spec *spec, const char *value, struct weft_error *err)
{
	uint64_t n;
	char *end;

	switch (spec->kind) {
	case PORT_OPT_TEXT:
		return *value ||
		       weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s needs a value", spec->key);
	case PORT_OPT_UINT:
		errno = 0;
		n = strtoull(value, &end, 10);
		return (value[0] >= '0' && value[0] <= '9' && !*end && !errno && n >= spec->min &&
			       n <= spec->max) ||
		       weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
			       "%s takes a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"",
			       spec->key, spec->min, spec->max, value);
	case PORT_OPT_BOOL:
		return is_choice("yes,no", value) ||
		       weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s is yes or no, not \"%s\"",
			       spec->key, value);
	case PORT_OPT_CHOICE:
		return is_choice(spec->choices, value) ||
		       weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s is one of %s, not \"%s\"",
			       spec->key, spec->choices, value);
	}
	return true;
}

bool
provider_check_options(const struct port_provider *provider, const struct port_option *options,
	size_t n, bool set, struct weft_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct port_option_spec *spec = find_spec(provider, options[i].key);

		if (!spec) {
			return unknown_option(provider, options[i].key, err);
		}
		if (set && !spec->settable) {
			return weft_error_set(err, WEFT_ERR_INVALID, EBUSY,
				"%s cannot change while the port is there; remove the port and add it anew",
				spec->key);
		}
		/* A setting that is taken back is empty. */
		if (!(set && !*options[i].value) && !check_value(spec, options[i].value, err)) {
			return false;
		}
	}
	for (const struct port_option_spec *s = provider->options; !set && s->key; s++) {
		if (s->required && !port_option_find(options, n, s->key)) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"port type %s needs %s=: %s", provider->type, s->key, s->help);
		}
	}
	return true;
}
