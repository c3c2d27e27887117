/* scenarios.h - what test_injection does with a pool while the system refuses something. */
#ifndef POOLS_TESTS_SCENARIOS_H
#define POOLS_TESTS_SCENARIOS_H

#include "pools/tests/inject.h"
#include "pools/tests/suite.h"

#define SCENARIO_FAULTS (POOL_CAN_SURVIVE | POOL_CAN_ISOLATE | POOL_CAN_OVERLAP)

/* Name, whether it arms the plan itself once the pool is open (else it is armed before), and what a
 * row must be able to do (enum pool_can). */
#define SCENARIOS(X)                                                                               \
	X(pool_is_opened_and_closed, false, 0)                                                     \
	X(map_of_fixed_size, false, 0)                                                             \
	X(map_of_variable_size, false, 0)                                                          \
	X(handles_with_callbacks, false, 0)                                                        \
	X(imap_in_a_window, false, 0)                                                              \
	X(imap_of_fixed_size, false, 0)                                                            \
	X(worker_is_replaced, true, SCENARIO_FAULTS)                                               \
	X(large_items_reach_a_new_worker, true, SCENARIO_FAULTS)                                   \
	X(workers_come_and_go, true, POOL_CAN_OVERLAP)                                             \
	X(pool_is_closed_while_a_worker_starts, true, SCENARIO_FAULTS | POOL_CAN_REUSE)            \
	X(busy_pool_is_terminated, true, POOL_CAN_KILL)                                            \
	X(task_runs_into_its_limit, true, POOL_CAN_KILL)                                           \
	X(memory_of_the_pool, false, 0)

#define SCENARIO_DECLARE(name, arms, needs)                                                        \
	void name(const struct pool_backend_info *row, const struct inject_plan *plan);
SCENARIOS(SCENARIO_DECLARE)

/* Before a scenario: must every call succeed? */
void scenario_expect(bool well);

#endif
