/*
 * interrupt.c - the signals that end a measurement.
 */
#include "harness/interrupt.h"

#include <stddef.h>

static void on_signal(int signal)
{
	(void)signal; /* being delivered is all: it ends the waiting */
}

void interrupt_catch(sigset_t *waiting)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
		sigaddset(&blocked, caught[i]);
		sigaction(caught[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, waiting);
	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
		sigdelset(waiting, caught[i]);
}
