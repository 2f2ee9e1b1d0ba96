/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers: answered when all that came before them on their ring is in force.
 */
#include <stdlib.h>

#include "datapath/object.h"
#include "datapath/rcu.h"
#include "datapath/tables_internal.h"
#include "datapath/worker.h"
#include "lib/alloc.h"

/* A barrier that waits. */
struct barrier {
	struct list link;
	uint64_t session, request, token;
	uint32_t handler;
	bool passed;
	uint64_t n_deleted;             /* objects that must have been told of, too */
	uint32_t marks[DP_MAX_WORKERS]; /* how far each worker's inbox must have been read */
};

void
barrier_command(uint32_t handler, const struct dp_barrier *cmd)
{
	struct barrier *b = xcalloc(1, sizeof *b);

	b->session = tables.session->number;
	b->request = cmd->cmd.request;
	b->handler = handler;
	for (unsigned w = 0; w < workers.n; w++) {
		b->marks[w] = workers.inbox_in[w].own;
	}
	b->n_deleted = objects_n_deleted();
	b->token = rcu_start();
	list_push_back(&tables.barriers, &b->link);
}

void
barrier_check(void)
{
	struct barrier *b;

	LIST_FOREACH (b, link, &tables.barriers) {
		if (b->passed) {
			continue;
		}
		b->passed = rcu_passed(b->token) && objects_n_told() >= b->n_deleted;
		for (unsigned w = 0; w < workers.n && b->passed; w++) {
			struct shm_ring *inbox = &workers.inbox_in[w];
			uint32_t read = inbox->own - shm_ring_used(inbox);

			b->passed = (int32_t)(read - b->marks[w]) >= 0;
		}
		if (!b->passed) {
			return;
		}
	}
}

bool
barrier_answer(void)
{
	while (!list_is_empty(&tables.barriers)) {
		struct barrier *b = LIST_ENTRY(tables.barriers.next, struct barrier, link);

		if (!b->passed) {
			return true;
		}
		if (reply_ring(b->session, b->handler)) {
			reply_status(b->handler, DP_BARRIER, b->request, 0);
		}
		list_remove(&b->link);
		free(b);
	}
	return false;
}

void
barriers_free(void)
{
	struct barrier *b, *next;

	LIST_FOREACH_SAFE (b, next, link, &tables.barriers) {
		free(b);
	}
	list_init(&tables.barriers);
}
