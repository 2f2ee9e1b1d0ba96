/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets of controllers, from text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "controller-agent/connector.h"
#include "lib/error.h"

#define TARGET_FORMS "tcp:HOST:PORT, tls:HOST:PORT, ptcp:PORT[:ADDR], ptls:PORT[:ADDR] or unix:PATH"

static bool parse_active(const char *text, struct target *t, struct weft_error *err);
static bool parse_passive(const char *text, struct target *t, struct weft_error *err);
static bool parse_unix(const char *text, struct target *t, struct weft_error *err);
static bool parse_port(
	const char *text, size_t len, unsigned min, uint16_t *port, struct weft_error *err);
static bool set_host(struct target *t, const char *text, size_t len, struct weft_error *err);

static const struct {
	const char *prefix;
	enum target_kind kind;
	bool (*parse)(const char *text, struct target *t, struct weft_error *err);
} forms[] = {
	{"tcp:", TARGET_TCP, parse_active},
	{"tls:", TARGET_TLS, parse_active},
	{"unix:", TARGET_UNIX, parse_unix},
	{"ptcp:", TARGET_PTCP, parse_passive},
	{"ptls:", TARGET_PTLS, parse_passive},
};

bool
target_parse(const char *text, struct target *t, struct weft_error *err)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(forms); i++) {
		size_t len = strlen(forms[i].prefix);

		if (strncmp(text, forms[i].prefix, len) == 0) {
			t->kind = forms[i].kind;
			if (!forms[i].parse(text + len, t, err)) {
				weft_error_prefix(err, "target \"%s\"", text);
				return false;
			}
			return true;
		}
	}
	return weft_error_set(
		err, WEFT_ERR_INVALID, EINVAL, "target \"%s\" is none of " TARGET_FORMS, text);
}

bool
target_is_passive(const struct target *t)
{
	return t->kind == TARGET_PTCP || t->kind == TARGET_PTLS;
}

bool
target_is_tls(const struct target *t)
{
	return t->kind == TARGET_TLS || t->kind == TARGET_PTLS;
}

/* HOST:PORT, HOST, [HOST6]:PORT, [HOST6]. */
static bool
parse_active(const char *text, struct target *t, struct weft_error *err)
{
	const char *end;

	t->port = OFP_TCP_PORT;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':')) {
			return weft_error_set(
				err, WEFT_ERR_INVALID, EINVAL, "an IPv6 address stands in [ ]");
		}
		if (!set_host(t, text + 1, (size_t)(end - text - 1), err)) {
			return false;
		}
		end++;
	} else {
		end = strchrnul(text, ':');
		if (*end && strchr(end + 1, ':')) {
			return weft_error_set(
				err, WEFT_ERR_INVALID, EINVAL, "an IPv6 address stands in [ ]");
		}
		if (!set_host(t, text, (size_t)(end - text), err)) {
			return false;
		}
	}
	if (!t->host[0]) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "the host is missing");
	}
	return !*end || parse_port(end + 1, strlen(end + 1), 1, &t->port, err);
}

/* PORT, PORT:ADDR; port 0: any that is free. */
static bool
parse_passive(const char *text, struct target *t, struct weft_error *err)
{
	size_t len = strcspn(text, ":");

	t->port = OFP_TCP_PORT;
	if (len && !parse_port(text, len, 0, &t->port, err)) {
		return false;
	}
	if (!text[len]) {
		return true;
	}
	text += len + 1;
	len = strlen(text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	return set_host(t, text, len, err);
}

static bool
parse_unix(const char *text, struct target *t, struct weft_error *err)
{
	if (!text[0]) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "the path is missing");
	}
	if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENAMETOOLONG, "the path is too long");
	}
	return set_host(t, text, strlen(text), err);
}

static bool
parse_port(const char *text, size_t len, unsigned min, uint16_t *port, struct weft_error *err)
{
	unsigned n = 0;

	for (size_t i = 0; i < len && n <= 65535; i++) {
		n = text[i] >= '0' && text[i] <= '9' ? n * 10 + (unsigned)(text[i] - '0') : 65536;
	}
	if (!len || n < min || n > 65535) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, ERANGE, "a port is a number from %u to 65535", min);
	}
	*port = (uint16_t)n;
	return true;
}

static bool
set_host(struct target *t, const char *text, size_t len, struct weft_error *err)
{
	if (len >= sizeof(t->host)) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENAMETOOLONG, "the host is too long");
	}
	memcpy(t->host, text, len);
	t->host[len] = '\0';
	return true;
}
