/*
 * interrupt.h - Ctrl-C at one place only: where a command waits for a cell.
 */
#ifndef HARNESS_INTERRUPT_H
#define HARNESS_INTERRUPT_H

#include <signal.h>

/* Blocks SIGINT, SIGTERM and SIGHUP for good; *waiting becomes the mask that lets them through, for child_measure(), which
 * then returns -EINTR. SIGPIPE is ignored: a child that died is seen by its missing row; and SIGXFSZ: a row that
 * does not fit is an error of write(). */
void interrupt_catch(sigset_t *waiting);

#endif
