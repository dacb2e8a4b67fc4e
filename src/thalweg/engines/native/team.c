/* The team of threads; see team.h. */
#include "team.h"

#include <stdlib.h>

#if defined(_MSC_VER) || defined(THALWEG_NO_THREADS)

struct Team { int unused; };
Team *team_start(int workers) { (void)workers; return NULL; }
void team_stop(Team *team) { (void)team; }
void team_run(Team *team, Task task, void *context, int64_t n) {
    (void)team;
    for (int64_t i = 0; i < n; i++) task(context, i, 0);
}

#else

#include <pthread.h>
#include <stdatomic.h>

/* How often a waiting thread looks at the flag before it goes to sleep. The phases of a
   step are tens of microseconds apart, and waking a thread up costs as much; so few
   looks waste no processor. */
#define SPINS 4000

/* A worker has a share of the tasks, the same one in every run of as many tasks: what
   it wrote in one run is in its cache in the next. A worker that is done with its own
   share takes tasks from the others'. */
typedef struct {
    Team *team;
    int number;
    pthread_t thread;
    atomic_llong next; /* of its share */
} Worker;

struct Team {
    int n_workers; /* the caller, number 0, counted */
    Worker *workers;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    atomic_int generation, busy;
    Task task;
    void *context;
    int64_t n;
    int quit;
};

static inline void pause_processor(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static long long share_begin(const Team *team, int share) {
    return team->n * share / team->n_workers;
}

static void take_tasks(Team *team, int worker) {
    for (int k = 0; k < team->n_workers; k++) {
        int share = (worker + k) % team->n_workers;
        long long i, end = share_begin(team, share + 1);
        while ((i = atomic_fetch_add(&team->workers[share].next, 1)) < end)
            team->task(team->context, i, worker);
    }
}

static void wait_for_tasks(Team *team, int seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&team->generation) != seen) return;
        pause_processor();
    }
    pthread_mutex_lock(&team->lock);
    while (atomic_load(&team->generation) == seen)
        pthread_cond_wait(&team->begin, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

static void report_done(Team *team) {
    if (atomic_fetch_sub(&team->busy, 1) > 1) return;
    pthread_mutex_lock(&team->lock);
    pthread_cond_signal(&team->end);
    pthread_mutex_unlock(&team->lock);
}

static void *worker_main(void *argument) {
    Worker *self = argument;
    Team *team = self->team;
    for (int seen = 0;; seen++) {
        wait_for_tasks(team, seen);
        if (team->quit) return NULL;
        take_tasks(team, self->number);
        report_done(team);
    }
}

static void announce_tasks(Team *team) {
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->generation, 1);
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
}

static void wait_for_workers(Team *team) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&team->busy) == 0) return;
        pause_processor();
    }
    pthread_mutex_lock(&team->lock);
    while (atomic_load(&team->busy) != 0) pthread_cond_wait(&team->end, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

void team_run(Team *team, Task task, void *context, int64_t n) {
    if (team == NULL || n < 2) {
        for (int64_t i = 0; i < n; i++) task(context, i, 0);
        return;
    }
    team->task = task;
    team->context = context;
    team->n = n;
    for (int w = 0; w < team->n_workers; w++)
        atomic_store(&team->workers[w].next, share_begin(team, w));
    atomic_store(&team->busy, team->n_workers - 1);
    announce_tasks(team);
    take_tasks(team, 0);
    wait_for_workers(team);
}

Team *team_start(int workers) {
    if (workers < 2) return NULL;
    Team *team = calloc(1, sizeof *team);
    if (team == NULL) return NULL;
    team->n_workers = 1;
    team->workers = calloc((size_t)workers, sizeof *team->workers);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->begin, NULL);
    pthread_cond_init(&team->end, NULL);
    for (int i = 1; team->workers != NULL && i < workers; i++) {
        Worker *worker = &team->workers[i];
        worker->team = team;
        worker->number = i;
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) break;
        team->n_workers++;
    }
    if (team->n_workers > 1) return team;
    team_stop(team);
    return NULL;
}

void team_stop(Team *team) {
    if (team == NULL) return;
    team->quit = 1;
    announce_tasks(team);
    for (int i = 1; i < team->n_workers; i++)
        pthread_join(team->workers[i].thread, NULL);
    pthread_cond_destroy(&team->end);
    pthread_cond_destroy(&team->begin);
    pthread_mutex_destroy(&team->lock);
    free(team->workers);
    free(team);
}
#endif
