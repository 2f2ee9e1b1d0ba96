/* SPDX-License-Identifier: Apache-2.0
 *
 * Grace periods.
 */
#include "datapath/rcu.h"

#include <errno.h>
#include <rte_malloc.h>

struct rte_rcu_qsbr *rcu_variable;

int
rcu_init(void)
{
	if (rcu_variable) {
		return 0;
	}
	rcu_variable =
		rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(RCU_MAX_READERS), RTE_CACHE_LINE_SIZE);
	if (!rcu_variable) {
		return -ENOMEM;
	}
	return rte_rcu_qsbr_init(rcu_variable, RCU_MAX_READERS) ? -EINVAL : 0;
}

void
rcu_register(unsigned reader)
{
	rte_rcu_qsbr_thread_register(rcu_variable, reader);
}

void
rcu_unregister(unsigned reader)
{
	rte_rcu_qsbr_thread_unregister(rcu_variable, reader);
}

void
rcu_synchronize(void)
{
	rte_rcu_qsbr_synchronize(rcu_variable, RTE_QSBR_THRID_INVALID);
}
