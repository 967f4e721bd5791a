#include "broker_sim/simulator/descriptors.h"

#include "base/log.h"

#include <sys/resource.h>

static rlim_t raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return RLIM_INFINITY;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) ? soft : limit.rlim_cur;
}

size_t descriptors_for_sessions(size_t wanted)
{
    rlim_t limit = raise_limit(), needed = wanted * DESCRIPTORS_A_SESSION + DESCRIPTORS_OF_OURS;
    if (limit == RLIM_INFINITY || limit >= needed)
        return wanted;
    size_t fitting =
        limit > DESCRIPTORS_OF_OURS + DESCRIPTORS_A_SESSION ? (size_t)(limit - DESCRIPTORS_OF_OURS) / DESCRIPTORS_A_SESSION : 1;
    log_warning("this process may open %llu files, enough for %zu devices at a time; start it with `ulimit -n %llu` for %zu",
                (unsigned long long)limit, fitting, (unsigned long long)needed, wanted);
    return fitting;
}
