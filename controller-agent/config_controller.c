/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: controllers and their properties.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config.h"
#include "controller-agent/packet_queue.h"
#include "lib/alloc.h"
#include "lib/error.h"

#define MIN_PROBE_MS 100u
#define MAX_PROBE_MS 3600000u

#define fail(ERR, ...) weft_error_set(ERR, WEFT_ERR_INVALID, EINVAL, __VA_ARGS__)

static bool set_limit(unsigned *limit, const char *key, const char *value, struct weft_error *err);
static bool set_probe(
	struct config_controller *ctl, const char *key, const char *value, struct weft_error *err);
static void set_text(char **slot, const char *value);
static bool same_text(const char *a, const char *b);

struct config_controller *
config_controller_find(const struct config_switch *sw, const char *target)
{
	for (size_t i = 0; i < sw->n_controllers; i++) {
		if (strcmp(sw->controllers[i]->target, target) == 0) {
			return sw->controllers[i];
		}
	}
	return NULL;
}

struct config_controller *
config_controller_add(struct config_switch *sw, const char *target, struct weft_error *err)
{
	struct config_controller *ctl;

	if (config_controller_find(sw, target)) {
		fail(err, "switch %s has controller %s already", sw->name, target);
		return NULL;
	}
	if (!*target || strlen(target) > CONFIG_VALUE_MAX) {
		fail(err, "a controller's target is like tcp:HOST:PORT");
		return NULL;
	}
	ctl = xcalloc(1, sizeof(*ctl));
	ctl->target = xstrdup(target);
	sw->controllers =
		xrealloc(sw->controllers, (sw->n_controllers + 1) * sizeof(*sw->controllers));
	sw->controllers[sw->n_controllers++] = ctl;
	return ctl;
}

void
config_controller_del(struct config_switch *sw, struct config_controller *ctl)
{
	for (size_t i = 0; i < sw->n_controllers; i++) {
		if (sw->controllers[i] == ctl) {
			memmove(&sw->controllers[i], &sw->controllers[i + 1],
				(sw->n_controllers - i - 1) * sizeof(*sw->controllers));
			sw->n_controllers--;
			config_controller_free(ctl);
			return;
		}
	}
}

void
config_controllers_free(struct config_switch *sw)
{
	for (size_t i = 0; i < sw->n_controllers; i++) {
		config_controller_free(sw->controllers[i]);
	}
	free(sw->controllers);
	sw->controllers = NULL;
	sw->n_controllers = 0;
}

void
config_controller_copy(struct config_controller *to, const struct config_controller *from)
{
	char *target = to->target;

	free(to->key);
	free(to->cert);
	free(to->ca);
	*to = *from;
	to->target = target;
	to->key = from->key ? xstrdup(from->key) : NULL;
	to->cert = from->cert ? xstrdup(from->cert) : NULL;
	to->ca = from->ca ? xstrdup(from->ca) : NULL;
}

void
config_controller_free(struct config_controller *ctl)
{
	free(ctl->target);
	free(ctl->key);
	free(ctl->cert);
	free(ctl->ca);
	free(ctl);
}

bool
config_controller_same_files(const struct config_controller *a, const struct config_controller *b)
{
	return same_text(a->key, b->key) && same_text(a->cert, b->cert) && same_text(a->ca, b->ca);
}

bool
config_controller_same_limits(const struct config_controller *a, const struct config_controller *b)
{
	return a->rate_limit == b->rate_limit && a->burst == b->burst && a->probe_ms == b->probe_ms;
}

bool
config_controller_set(
	struct config_controller *ctl, const char *key, const char *value, struct weft_error *err)
{
	if (strlen(value) > CONFIG_VALUE_MAX) {
		return fail(
			err, "%s: the value is longer than %d characters", key, CONFIG_VALUE_MAX);
	}
	if (strcmp(key, "key") == 0) {
		set_text(&ctl->key, value);
	} else if (strcmp(key, "cert") == 0) {
		set_text(&ctl->cert, value);
	} else if (strcmp(key, "ca") == 0) {
		set_text(&ctl->ca, value);
	} else if (strcmp(key, "rate-limit") == 0) {
		return set_limit(&ctl->rate_limit, key, value, err);
	} else if (strcmp(key, "burst") == 0) {
		return set_limit(&ctl->burst, key, value, err);
	} else if (strcmp(key, "inactivity-probe") == 0) {
		return set_probe(ctl, key, value, err);
	} else {
		return fail(err,
			"a controller has no property %s: there are key, cert, ca, rate-limit, "
			"burst and inactivity-probe",
			key);
	}
	return true;
}

static bool
set_limit(unsigned *limit, const char *key, const char *value, struct weft_error *err)
{
	if (!*value) {
		*limit = 0;
		return true;
	}
	return config_number_parse(key, value, 0, PACKET_RATE_MAX, limit, err);
}

static bool
set_probe(struct config_controller *ctl, const char *key, const char *value, struct weft_error *err)
{
	unsigned ms;

	if (!*value) {
		ctl->probe_ms = 0;
		return true;
	}
	if (strcmp(value, "0") == 0) {
		ctl->probe_ms = CONFIG_NO_PROBE;
		return true;
	}
	if (!config_number_parse(key, value, MIN_PROBE_MS, MAX_PROBE_MS, &ms, err)) {
		return false;
	}
	ctl->probe_ms = ms;
	return true;
}

/* Replaces *@slot; an empty @value takes it back. */
static void
set_text(char **slot, const char *value)
{
	free(*slot);
	*slot = *value ? xstrdup(value) : NULL;
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}
