/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: allow=, a port's list of sources: MAC[/ADDRESS[/LENGTH]],..
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/eth_addr.h"
#include "ofproto/of_allow.h"

static bool parse_entry(const char *text, struct of_allow_entry *e, struct weft_error *err);
static bool parse_address(const char *entry, const char *address, const char *length,
	struct of_allow_entry *e, struct weft_error *err);

struct of_allow *
config_allow_parse(const char *text, struct weft_error *err)
{
	struct of_allow *list = xcalloc(1, sizeof(*list));
	char *copy = xstrdup(text), *at = copy, *entry;

	while ((entry = strsep(&at, ",")) != NULL) {
		list = xrealloc(list, sizeof(*list) + (list->n + 1) * sizeof(list->entries[0]));
		if (!parse_entry(entry, &list->entries[list->n++], err)) {
			free(list);
			list = NULL;
			break;
		}
	}
	free(copy);
	return list;
}

#define fail(ERR, ENTRY, ...)                                                                      \
	(weft_error_set(ERR, WEFT_ERR_INVALID, EINVAL, __VA_ARGS__),                               \
		weft_error_prefix(ERR, "allow: '%.60s'", ENTRY), false)

static bool
parse_entry(const char *text, struct of_allow_entry *e, struct weft_error *err)
{
	static const uint8_t none[6];
	char *copy = xstrdup(text), *address = strchr(copy, '/'), *length;
	bool ok;

	memset(e, 0, sizeof(*e));
	if (address) {
		*address++ = '\0';
	}
	length = address ? strchr(address, '/') : NULL;
	if (length) {
		*length++ = '\0';
	}
	if (!eth_addr_parse(copy, e->mac)) {
		ok = fail(err, text,
			"must be MAC, MAC/ADDRESS or MAC/ADDRESS/LENGTH, like "
			"02:00:00:00:00:01/10.0.0.1");
	} else if (e->mac[0] & 1 || memcmp(e->mac, none, 6) == 0) {
		ok = fail(err, text, "the MAC address is not one that can send");
	} else {
		ok = !address || parse_address(text, address, length, e, err);
	}
	free(copy);
	return ok;
}

static bool
parse_address(const char *entry, const char *address, const char *length, struct of_allow_entry *e,
	struct weft_error *err)
{
	static const uint8_t none[16];
	unsigned bits;

	if (inet_pton(AF_INET, address, e->addr) == 1) {
		e->family = OF_ALLOW_IPV4;
		bits = 32;
	} else if (inet_pton(AF_INET6, address, e->addr) == 1) {
		e->family = OF_ALLOW_IPV6;
		bits = 128;
	} else {
		return fail(err, entry, "'%.50s' is no IPv4 or IPv6 address", address);
	}
	e->prefix = (uint8_t)bits;
	if (length) {
		size_t n = strspn(length, "0123456789");
		unsigned long value = strtoul(length, NULL, 10);

		if (!n || n > 3 || length[n] || value > bits) {
			return fail(err, entry, "the length must be a number from 0 to %u", bits);
		}
		e->prefix = (uint8_t)value;
	}
	for (unsigned i = e->prefix; i < bits; i++) {
		if (e->addr[i / 8] & 0x80 >> i % 8) {
			return fail(err, entry,
				"the address has bits beyond its length: say what is meant");
		}
	}
	if (e->prefix == bits && memcmp(e->addr, none, bits / 8) == 0) {
		return fail(err, entry, "'%s' is nobody's address", address);
	}
	if (e->prefix && (e->family == OF_ALLOW_IPV4 ? e->addr[0] >= 224 : e->addr[0] == 0xff)) {
		return fail(err, entry, "a multicast address is nobody's source");
	}
	return true;
}
