/* Whole epochs of training steps, in slices of time.

   `advance` returns after a slice, so that Python can handle interrupts, and goes on
   where it was when it is called again. It also averages each epoch's losses, applies
   the stopping rule on the training loss, and decides for each slice whether several
   threads are faster than one. */

/* Slices after which it is measured again whether several threads are faster. */
#define RETRY 32

/* Writes down the epoch's means, and stops if the loss has not improved for so long. */
static void FN(end_epoch)(FN(Session) *s, Progress *p, int64_t epoch, int64_t steps) {
    double loss = p->sum_loss / p->sum_rows;
    p->loss[epoch] = loss;
    p->gradient_norm[epoch] = p->sum_norm / (double)steps;
    p->update_ratio[epoch] = s->ratio;
    p->sum_loss = p->sum_rows = p->sum_norm = 0;
    if (p->patience < 0) return;
    p->count = loss <= p->best - p->tol ? 0 : p->count + 1;
    if (loss < p->best) p->best = loss;
    if (p->count > p->patience) p->stopped = true;
}

static void FN(next_step)(FN(Session) *s, Progress *p) {
    int64_t n_rows = p->n_met, batch = p->batch;
    int64_t epoch = p->done / p->per_epoch, step = p->done % p->per_epoch;
    int64_t first = step * batch, n = n_rows - first < batch ? n_rows - first : batch;
    const int32_t *order =
        p->orders == NULL ? NULL : p->orders + epoch * n_rows + first;
    s->rate = p->rates[p->done];
    s->mix = p->mixes[p->done];
    p->finite = FN(training_step)(s, p, order, first, n);
    s->pass.keep_input = s->same_rows && order == NULL;
    p->done++;
    if (step + 1 == p->per_epoch || !p->finite) FN(end_epoch)(s, p, epoch, step + 1);
}

/* Whether the next slice is taken by a team of threads. Where other processes want the
   processors too, a step waits for whichever thread was put off for them, and can take
   longer than one thread alone. So now and then one slice is measured each way, and the
   faster way is kept. The result is the same either way. */
static bool FN(use_team)(const FN(Session) *s, const Progress *p) {
    if (p->workers < 2) return false;
    int64_t turn = s->slices % RETRY;
    return turn == 0 || (turn != 1 && s->seconds_per_step[1] < s->seconds_per_step[0]);
}

/* Trains until all is done, or the slice of time is over, or training has to stop. */
static void FN(advance)(void *argument, Progress *p) {
    FN(Session) *s = argument;
    int64_t end = p->n_epochs * p->per_epoch, before = p->done;
    if (p->epoch_limit * p->per_epoch < end) end = p->epoch_limit * p->per_epoch;
    bool together = FN(use_team)(s, p), trial = s->slices % RETRY < 2;
    double start = seconds_now();
    double until = start + (p->workers > 1 && trial ? p->slice / 8 : p->slice);
    s->pass.team = together ? team_start(p->workers) : NULL;
    s->pass.keep_input = false;
    while (p->done < end && p->finite && !p->stopped && !*p->cancel) {
        FN(next_step)(s, p);
        if ((p->done & 15) == 0 || p->workers > 1)
            if (seconds_now() > until) break;
    }
    team_stop(s->pass.team);
    s->pass.team = NULL;
    if (p->workers < 2 || p->done == before) return;
    double seconds = seconds_now() - start;
    s->seconds_per_step[together] = seconds / (double)(p->done - before);
    s->slices++;
}
