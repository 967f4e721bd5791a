#include "broker_sim/service_api/service_path.h"

#include "base/cleanup.h"
#include "base/percent.h"

#include <string.h>
#include <strings.h>

enum { SEGMENTS_MAX = 12, SEGMENT_SHOWN_BYTES = 64 };

struct segment {
    const char *text;
    size_t length;
};

static bool is_word(struct segment segment, const char *word)
{
    return segment.length == strlen(word) && strncasecmp(segment.text, word, segment.length) == 0;
}

/* Between slashes; one at the end counts for nothing. Returns SEGMENTS_MAX + 1 for too many. */
static size_t split(const char *path, struct segment segments[SEGMENTS_MAX])
{
    size_t count = 0;
    for (const char *at = path; *at == '/' && at[1];) {
        size_t length = strcspn(at + 1, "/");
        if (count == SEGMENTS_MAX)
            return SEGMENTS_MAX + 1;
        segments[count++] = (struct segment){at + 1, length};
        at += 1 + length;
    }
    return count;
}

static int not_found(const char *path, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "the service has no '%.200s'", path);
}

static int read_id(struct segment segment, struct service_path *path, struct error *error)
{
    if (segment.length > 0 && percent_decode(segment.text, segment.length, path->id, sizeof path->id) == 0)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%.*s' is no id: it is empty, longer than %d, or broken percent-encoding",
                     (int)(segment.length < SEGMENT_SHOWN_BYTES ? segment.length : SEGMENT_SHOWN_BYTES), segment.text, DPS_ID_MAX_BYTES);
}

/* /enrollments[/query | /ID[/attestationmechanism]] */
static int read_enrollments(const struct segment *segments, size_t count, struct service_path *path)
{
    if (count == 0)
        return 0;
    path->action = SERVICE_ITEM;
    if (count == 1)
        return 0;
    path->action = SERVICE_ATTESTATION_MECHANISM;
    return count == 2 && is_word(segments[1], "attestationmechanism") ? 0 : -1;
}

/* /registrations/ID[/query] */
static int read_registrations(const struct segment *segments, size_t count, struct service_path *path)
{
    path->action = count == 2 ? SERVICE_QUERY : SERVICE_ITEM;
    return count == 1 || (count == 2 && is_word(segments[1], "query")) ? 0 : -1;
}

/* .../certificates[/NAME[/generateVerificationCode | /verify]] */
static int read_certificates(const struct segment *segments, size_t count, struct service_path *path)
{
    if (count == 0)
        return 0;
    path->action = SERVICE_ITEM;
    if (count == 1)
        return 0;
    path->action = is_word(segments[1], "verify") ? SERVICE_VERIFY : SERVICE_VERIFICATION_CODE;
    return count == 2 && (path->action == SERVICE_VERIFY || is_word(segments[1], "generateVerificationCode")) ? 0 : -1;
}

/* /subscriptions/S/resourceGroups/G/providers/Microsoft.Devices/provisioningServices/NAME/certificates */
static bool is_management(const struct segment *segments, size_t count)
{
    return count >= 9 && is_word(segments[0], "subscriptions") && is_word(segments[2], "resourceGroups") &&
           is_word(segments[4], "providers") && is_word(segments[5], "Microsoft.Devices") && is_word(segments[6], "provisioningServices") &&
           is_word(segments[8], "certificates");
}

int service_path_read(const char *path, struct service_path *ret_path, struct error *error)
{
    struct segment segments[SEGMENTS_MAX];
    struct service_path read = {.action = SERVICE_COLLECTION};
    size_t count = split(path, segments), words = 1;
    int rc = -1;
    if (count == 0 || count > SEGMENTS_MAX)
        return not_found(path, error);
    if (is_word(segments[0], "enrollments") || is_word(segments[0], "enrollmentGroups")) {
        read.resource = is_word(segments[0], "enrollments") ? SERVICE_ENROLLMENTS : SERVICE_GROUPS;
        rc = read_enrollments(segments + 1, count - 1, &read);
    } else if (is_word(segments[0], "registrations")) {
        read.resource = SERVICE_REGISTRATIONS;
        rc = read_registrations(segments + 1, count - 1, &read);
    } else if (is_management(segments, count)) {
        words = 9;
        read.resource = SERVICE_CERTIFICATES;
        rc = read_certificates(segments + words, count - words, &read);
    }
    if (rc)
        return not_found(path, error);
    if (count > words && read_id(segments[words], &read, error))
        return -1;
    *ret_path = read;
    return 0;
}

bool service_id_is_legal(const char *id)
{
    size_t length = strlen(id);
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";
    return length > 0 && length <= DPS_ID_MAX_BYTES && strspn(id, letters) == length && !strchr("._:", id[length - 1]);
}
