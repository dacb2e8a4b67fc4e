/* A team of threads that share out numbered tasks, with a blocking barrier after each.

   Which worker takes which task is left to chance; tasks never depend on it, so the
   result does not either. A team lives for one call into the kernel: nothing is left
   behind for a fork to copy. */
#ifndef THALWEG_TEAM_H
#define THALWEG_TEAM_H

#include <stdint.h>

typedef struct Team Team;
typedef void (*Task)(void *context, int64_t number, int worker);

/* NULL (work alone) for fewer than two workers, or where threads cannot be had. */
Team *team_start(int workers);
void team_stop(Team *team);
/* Runs tasks 0 to n-1 and returns when all are done; `team` may be NULL. */
void team_run(Team *team, Task task, void *context, int64_t n);

#endif
