#include "certs/dps_object.h"

#include <ctype.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

char *dps_state_file_name(const char *id)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 3 * DPS_ID_MAX_BYTES + sizeof ".json");
    for (const char *c = id; *c; c++) {
        bool is_safe = isascii((unsigned char)*c) && (isalnum((unsigned char)*c) || strchr("._:-", *c)) && !(c == id && *c == '.');
        if (is_safe ? bytes_append_byte(&out, (uint8_t)*c) : bytes_printf(&out, "%%%02X", (unsigned char)*c))
            return NULL;
    }
    return bytes_append_text(&out, ".json") ? NULL : strdup(bytes_text(&out));
}

/* A quoted guid-like text in base64: "120086f2-0000-0300-0000-630a5a0f0000" holds the time in its last part. */
char *dps_etag_new(const struct clock *clock)
{
    uint32_t random;
    if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
        return NULL;
    char plain[64];
    int length = snprintf(plain, sizeof plain, "\"%08x-0000-0300-0000-%08x0000\"", random, (uint32_t)clock_unix_s(clock));
    char encoded[128];
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, length);
    return strdup(encoded);
}

void dps_time_format(int64_t unix_us, char text[DPS_TIME_BYTES])
{
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm fields;
    char date[20] = "";
    if (gmtime_r(&seconds, &fields))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &fields);
    snprintf(text, DPS_TIME_BYTES, "%.19s.%06u0Z", date, (unsigned)(unix_us % 1000000) % 1000000);
}

/* Not strftime's %a and %b: they follow the locale. */
void dps_http_time_format(int64_t unix_s, char text[DPS_TIME_BYTES])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)unix_s;
    struct tm fields = {0};
    gmtime_r(&seconds, &fields);
    snprintf(text, DPS_TIME_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[fields.tm_wday % 7], fields.tm_mday % 100,
             months[fields.tm_mon % 12], (fields.tm_year + 1900) % 10000, fields.tm_hour % 100, fields.tm_min % 100, fields.tm_sec % 100);
}
