/*
 * perf/run/measure.h - the measurements: rates in rounds, memory a held device, the time to ready, a suite
 *
 * What:     each fills its part of `struct figures`. Ratios are taken within a round, whose loads follow each other at once, in an
 *           order that turns round from one to the next; the figure is the median of the rounds: so what else the machine does falls on
 *           both sides.
 */
#ifndef PERF_RUN_MEASURE_H
#define PERF_RUN_MEASURE_H

#include "perf/run/lab.h"

enum { ROUNDS_MAX = 25, LOADS_MAX_FAILURES = 0 };

enum load_id {
    LOAD_BARE,         /* bare_loop with OpenSSL's own library context: the yardstick */
    LOAD_BARE_LIBRARY, /* the same with the front door's library context, to see what that gives */
    LOAD_MOSQUITTO,    /* Mosquitto's TLS listener, CONNACK */
    LOAD_CONNACK,      /* dpsbench-sim, CONNACK */
    LOAD_REGISTRATION, /* dpsbench-sim, until assigned */
    LOAD_COUNT
};

extern const char *const load_names[LOAD_COUNT];

struct sample {
    double rate; /* a second */
    double p50_ms, p90_ms, p99_ms;
    double server_cpu_us; /* of all processes of the server, a conversation */
    double client_share;  /* of the client's core */
    int64_t failures;
    int64_t wrong;
};

struct suite {
    bool is_there;
    int64_t rows;
    double wall_s;
    double overhead_ms; /* a row: what no device had a part in */
};

/* Of the rounds. */
struct ratio {
    double median, least, greatest;
};

struct pki_cost {
    size_t recipes;
    struct ratio cpu_s;
};

struct enrollments_cost {
    size_t count;
    double start_cpu_s; /* of dpsbench-sim and its Mosquitto, until ready */
    double ready_ms;    /* by the clock */
    double bytes;       /* of the simulator, less what it takes without them */
    struct ratio judge_us;
};

struct figures {
    size_t rounds;
    size_t count;
    size_t concurrency;
    struct sample samples[LOAD_COUNT][ROUNDS_MAX];
    size_t idle_count;
    double idle_bytes;        /* a device, front door and broker */
    double idle_broker_bytes; /* of which the broker */
    double ready_ms;          /* median */
    struct suite suite;
    struct pki_cost pki;
    struct enrollments_cost enrollments;
};

/* Sorts `values`. All zero for none. */
struct ratio figures_spread(double *values, size_t count);

/* Sample by sample, median over the rounds. */
double figures_rate(const struct figures *figures, enum load_id load);
double figures_cpu_us(const struct figures *figures, enum load_id load);
/* `load` to `base`: by the rate that the client saw ... */
struct ratio figures_rate_ratio(const struct figures *figures, enum load_id load, enum load_id base);
/*
 * ... and by the rate that a core gives, from the server's CPU time: the same when nobody else wants the server's core, and right when
 * somebody does.
 */
struct ratio figures_core_ratio(const struct figures *figures, enum load_id load, enum load_id base);

/* First start with its forging, then `starts` starts with the PKI there. */
int measure_ready(struct lab *lab, size_t starts, struct figures *figures, struct error *error);
int measure_idle(const struct lab *lab, size_t count, struct figures *figures, struct error *error);
/* figures->rounds, count and concurrency say how much. */
int measure_rates(const struct lab *lab, struct figures *figures, struct error *error);
/* `dpsbench run` where it is built; figures->suite.is_there tells. */
int measure_suite(const struct lab *lab, struct figures *figures, struct error *error);

#endif
