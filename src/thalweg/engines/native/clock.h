/* The wall clock, which tells `advance` when its slice of time is over. */
#ifndef THALWEG_CLOCK_H
#define THALWEG_CLOCK_H

#include <time.h>

static double seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
#endif
