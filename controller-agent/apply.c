/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes: makes what is present equal to what is wanted.
 *
 * What:    a change is a whole configuration. The next difference between it and what is present is
 *          looked for and taken away, until there is none: ports that are not wanted, switches that
 *          are not, new switches, settings and controllers, new ports, settings of ports, mirrors. What the
 *          datapath must do is awaited.
 * Failure: the change becomes one to the configuration in force, for which single failures do not
 *          count; when that is done the first error is reported. So nothing half-made is left.
 * Order:   one change at a time, others wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/config_mirror.h"
#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(apply);

struct change {
	struct list link;
	change_edit_fn *edit;
	change_done_fn *done;
	void *user;
	struct config *wanted; /* NULL: its turn has not come */
	bool keep_going;       /* failures do not count */
	struct weft_error error;
};

enum progress {
	NOTHING_LEFT,
	WENT_ON,
	MUST_WAIT,
	WENT_WRONG,
};

static void run(int fd, short what, void *arg);

void
agent_apply(struct agent *a, change_edit_fn *edit, change_done_fn *done, void *user)
{
	struct change *c = xcalloc(1, sizeof(*c));

	c->edit = edit;
	c->done = done;
	c->user = user;
	if (!a->resume) {
		a->resume = evtimer_new(a->base, run, a);
	}
	list_push_back(&a->changes, &c->link);
	agent_apply_resume(a);
}

void
agent_apply_resume(struct agent *a)
{
	struct timeval now = {0, 0};

	if (!list_is_empty(&a->changes) && !a->ending) {
		evtimer_add(a->resume, &now);
	}
}

void
agent_apply_destroy(struct agent *a)
{
	while (!list_is_empty(&a->changes)) {
		struct change *c = LIST_ENTRY(list_pop_front(&a->changes), struct change, link);
		struct weft_error err = WEFT_ERROR_INIT;

		weft_error_set(&err, WEFT_ERR_CONFLICT, ESHUTDOWN, "the agent ends");
		c->done(c->user, &err);
		config_destroy(c->wanted);
		free(c);
	}
	if (a->resume) {
		event_free(a->resume);
	}
}

/* --- differences -------------------------------------------------------------------------------- */

/* @at: where the one before was found. Ports stand here and there mostly in the same order, so that all of them
 * together are found in one go. */
static const struct config_port *
wanted_port(const struct config_switch *sw, const struct agent_port *p, size_t *at)
{
	for (size_t i = 0; sw && i < sw->n_ports; i++) {
		size_t next = (*at + i) % sw->n_ports;

		if (strcmp(sw->ports[next]->name, p->config->name) == 0) {
			*at = next + 1;
			return sw->ports[next];
		}
	}
	return NULL;
}

/* The port of that name; @at as above. */
static struct agent_port *
present_port(const struct agent_switch *sw, const char *name, struct list **at)
{
	struct agent_port *p = NULL;

	if (*at != &sw->ports) {
		p = LIST_ENTRY(*at, struct agent_port, link);
	}
	if (!p || strcmp(p->config->name, name) != 0) {
		p = agent_port_find(sw->agent, name);
	}
	if (p && p->sw == sw) {
		*at = p->link.next;
	}
	return p;
}

/* Takes one port away that is not wanted. */
static enum progress
remove_port(struct agent *a, struct change *c)
{
	enum progress progress = NOTHING_LEFT;
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &a->switches) {
		const struct config_switch *wanted_switch =
			config_switch_find(c->wanted, sw->config->name);
		size_t at = 0;

		LIST_FOREACH (p, link, &sw->ports) {
			const struct config_port *wanted = wanted_port(wanted_switch, p, &at);

			if (wanted && strcmp(wanted->type, p->config->type) == 0) {
				continue;
			}
			if (agent_port_is_busy(p)) {
				progress = MUST_WAIT;
			} else if (p->state == PORT_PRESENT && !config_port_is_virtual(p->config)) {
				agent_port_start_del(p);
				progress = MUST_WAIT;
			} else {
				agent_port_destroy(p, true);
				return WENT_ON;
			}
		}
	}
	return progress;
}

static enum progress
remove_switch(struct agent *a, struct change *c)
{
	struct agent_switch *sw;

	LIST_FOREACH (sw, link, &a->switches) {
		if (!config_switch_find(c->wanted, sw->config->name)) {
			agent_switch_destroy(sw, true);
			return WENT_ON;
		}
	}
	return NOTHING_LEFT;
}

static enum progress
add_or_update_switch(struct agent *a, struct change *c)
{
	for (size_t i = 0; i < c->wanted->n_switches; i++) {
		const struct config_switch *wanted = c->wanted->switches[i];
		struct agent_switch *sw = agent_switch_find(a, wanted->name);

		if (!sw) {
			return agent_switch_create(a, wanted, c->keep_going, &c->error)
				       ? WENT_ON
				       : WENT_WRONG;
		}
		if (agent_switch_differs(sw, wanted)) {
			if (!agent_switch_update(sw, wanted, c->keep_going, &c->error)) {
				return WENT_WRONG;
			}
			if (!agent_switch_differs(sw, wanted)) {
				return WENT_ON;
			} /* a controller that cannot be had: logged */
		}
	}
	return NOTHING_LEFT;
}

/* Looks after a port that is there in some state. */
static enum progress
check_port(struct change *c, struct agent_port *p, const struct config_port *wanted)
{
	struct agent *a = p->agent;
	bool is_new = false;

	if (agent_port_is_busy(p)) {
		return MUST_WAIT;
	}
	if (p->state == PORT_FAILED || p->state == PORT_ABSENT) {
		is_new = !c->keep_going && !config_port_find(a->config, wanted->name, NULL);
	}
	if (p->state == PORT_FAILED && is_new) {
		weft_error_set(&c->error, WEFT_ERR_CONFLICT, EIO, "%s", p->error);
		return WENT_WRONG;
	}
	if (p->error && p->state == PORT_PRESENT) { /* a set that was refused */
		weft_error_set(&c->error, WEFT_ERR_CONFLICT, EIO, "%s", p->error);
		free(p->error);
		p->error = NULL;
		return WENT_WRONG;
	}
	if (!config_port_equal(p->config, wanted)) {
		agent_port_start_set(p, wanted);
		return agent_port_is_busy(p) ? MUST_WAIT : WENT_ON;
	}
	if (p->state == PORT_ABSENT && dp_client_session(a->client) && a->ports_are_synced) {
		agent_port_start_add(p);
		return MUST_WAIT;
	}
	if (p->state == PORT_ABSENT && is_new) {
		if (dp_client_session(a->client) || dp_client_is_trying(a->client)) {
			return MUST_WAIT; /* its ports are being listed */
		}
		weft_error_set(&c->error, WEFT_ERR_CONFLICT, ENOTCONN,
			"port %s cannot be made without the datapath: %s", wanted->name,
			dp_client_problem(a->client));
		return WENT_WRONG;
	}
	return NOTHING_LEFT;
}

/* The ports of one switch; those with a wanted OpenFlow number (@numbered) come before the others,
 * which take what is free. */
static enum progress
run_ports(struct agent *a, struct change *c, const struct config_switch *wanted, bool numbered)
{
	struct agent_switch *sw = agent_switch_find(a, wanted->name);
	enum progress progress = NOTHING_LEFT;
	struct list *at = sw ? sw->ports.next : NULL;

	for (size_t n = 0; sw && n < wanted->n_ports; n++) {
		struct agent_port *p;
		enum progress one;

		if ((wanted->ports[n]->of_port != 0) != numbered) {
			continue;
		}
		p = present_port(sw, wanted->ports[n]->name, &at);
		if (p) {
			one = check_port(c, p, wanted->ports[n]);
		} else if (agent_port_create(sw, wanted->ports[n], &c->error)) {
			one = WENT_ON;
		} else if (c->keep_going) {
			LOG_ERR("%s", c->error.text);
			weft_error_init(&c->error);
			continue;
		} else {
			one = WENT_WRONG;
		}
		if (one == WENT_ON || one == WENT_WRONG) {
			return one;
		}
		progress = one == MUST_WAIT ? MUST_WAIT : progress;
	}
	return progress;
}

static enum progress
add_or_update_port(struct agent *a, struct change *c)
{
	enum progress progress = NOTHING_LEFT;

	for (size_t i = 0; i < 2 * c->wanted->n_switches; i++) {
		enum progress one = run_ports(a, c, c->wanted->switches[i / 2], i % 2 == 0);

		if (one == WENT_ON || one == WENT_WRONG) {
			return one;
		}
		progress = one == MUST_WAIT ? MUST_WAIT : progress;
	}
	return progress;
}

/* When the ports that they name are there. */
static enum progress
update_mirrors(struct agent *a, struct change *c)
{
	for (size_t i = 0; i < c->wanted->n_switches; i++) {
		const struct config_switch *wanted = c->wanted->switches[i];
		struct agent_switch *sw = agent_switch_find(a, wanted->name);

		if (sw && !config_mirrors_equal(sw->config, wanted)) {
			agent_mirrors_update(sw, wanted);
			return WENT_ON;
		}
	}
	return NOTHING_LEFT;
}

/* --- progress ----------------------------------------------------------------------------------- */

static void
end_change(struct agent *a, struct change *c)
{
	const struct weft_error *err = weft_error_is_set(&c->error) ? &c->error : NULL;

	list_remove(&c->link);
	c->done(c->user, err);
	config_destroy(c->wanted);
	free(c);
	agent_touch(a);
}

/* Goes back to the configuration in force. */
static void
undo(struct agent *a, struct change *c)
{
	config_destroy(c->wanted);
	c->wanted = config_clone(a->config);
	c->keep_going = true;
}

static void
finish(struct agent *a, struct change *c)
{
	struct weft_error why = WEFT_ERROR_INIT;

	if (!c->keep_going) {
		if (!config_save(c->wanted, a->config_path, &why)) {
			weft_error_move(&c->error, &why);
			undo(a, c);
			return;
		}
		config_destroy(a->config);
		a->config = c->wanted;
		c->wanted = NULL;
	}
	end_change(a, c);
}

static enum progress
next_step(struct agent *a, struct change *c)
{
	static enum progress (*const steps[])(struct agent * a, struct change * c) = {
		remove_port,
		remove_switch,
		add_or_update_switch,
		add_or_update_port,
		update_mirrors,
	};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(steps); i++) {
		enum progress progress = steps[i](a, c);

		if (progress != NOTHING_LEFT) {
			return progress;
		}
	}
	return NOTHING_LEFT;
}

/* The change's turn has come. False: its edit was refused, it has ended. */
static bool
begin(struct agent *a, struct change *c)
{
	c->wanted = config_clone(a->config);
	c->keep_going = !c->edit;
	if (c->edit && !c->edit(c->user, c->wanted, &c->error)) {
		end_change(a, c);
		return false;
	}
	return true;
}

/* One step; false: an answer must come first. */
static bool
step(struct agent *a, struct change *c)
{
	struct weft_error first = c->error;

	switch (next_step(a, c)) {
	case MUST_WAIT:
		return false;
	case WENT_ON:
		break;
	case NOTHING_LEFT:
		finish(a, c);
		break;
	case WENT_WRONG:
		if (!c->keep_going) {
			undo(a, c);
			break;
		}
		/* Cannot even go back: say so, and leave it. */
		LOG_ERR("%s", c->error.text);
		c->error = first;
		end_change(a, c);
		break;
	}
	return true;
}

static void
run(int fd, short what, void *arg)
{
	struct agent *a = arg;
	uint64_t until = agent_now_ns() + AGENT_SLICE_NS;

	(void)fd;
	(void)what;
	while (!list_is_empty(&a->changes) && agent_now_ns() < until) {
		struct change *c = LIST_ENTRY(a->changes.next, struct change, link);

		if (!c->wanted && !begin(a, c)) {
			continue;
		}
		if (!step(a, c)) {
			return;
		}
	}
	agent_apply_resume(a);
}
