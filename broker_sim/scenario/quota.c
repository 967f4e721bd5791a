#include "broker_sim/scenario/quota.h"

int64_t quota_take(struct quota_window *window, int64_t now_us, int64_t length_us, int64_t limit)
{
    if (!limit)
        return 0;
    if (!window->opened_us || now_us - window->opened_us >= length_us)
        *window = (struct quota_window){.opened_us = now_us};
    if (window->count >= limit)
        return window->opened_us + length_us - now_us;
    window->count++;
    return 0;
}
