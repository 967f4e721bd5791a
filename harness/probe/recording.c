#include "harness/probe/recording.h"

#include "base/bytes.h"
#include "base/files.h"
#include "base/json.h"
#include "harness/probe/redactor.h"

struct recording {
    struct redactor *redactor;
    struct bytes text;
    int64_t first_us;
    bool has_first;
    bool is_cut;
    bool is_out_of_memory;
};

static int append(struct recording *recording, const cJSON *line)
{
    size_t before = recording->text.length_bytes;
    if (line && json_append_line(line, &recording->text) == 0 && bytes_append_byte(&recording->text, '\n') == 0)
        return 0;
    bytes_cut(&recording->text, before);
    recording->is_cut = true;
    return -1;
}

static int add_header(struct recording *recording, const char *source)
{
    CLEANUP_JSON cJSON *header = cJSON_CreateObject();
    if (json_set_integer(header, "v", RECORDING_VERSION) || json_set_string(header, "kind", "recording") ||
        json_set_string(header, "source", source))
        return -1;
    return append(recording, header);
}

struct recording *recording_new(const char *id_scope, const char *registration_id, const char *source)
{
    struct recording *recording = calloc(1, sizeof *recording);
    if (!recording)
        return NULL;
    bytes_init(&recording->text, RECORDING_MAX_BYTES);
    recording->redactor = redactor_new(id_scope, registration_id);
    if (recording->redactor && add_header(recording, source) == 0)
        return recording;
    recording_free(recording);
    return NULL;
}

void recording_free(struct recording *recording)
{
    if (!recording)
        return;
    redactor_free(recording->redactor);
    bytes_done(&recording->text);
    free(recording);
}

/* Where a server is, is its owner's business; a verification error quotes certificates. */
static bool is_recorded(enum probe_step step)
{
    return step != PROBE_RESOLVED && step != PROBE_UNREACHED;
}

static int set_redacted(struct recording *recording, cJSON *line, const char *member, const char *text)
{
    if (!text)
        return 0;
    CLEANUP_FREE char *redacted = redactor_text(recording->redactor, text);
    return redacted ? json_set_string(line, member, redacted) : -1;
}

static int set_body(struct recording *recording, cJSON *line, const struct probe_event *event)
{
    if (!event->body_bytes)
        return 0;
    CLEANUP_FREE char *body = redactor_body(recording->redactor, event->body, event->body_bytes);
    return body ? json_set_string(line, "body", body) : -1;
}

/* The body first: topics may hold what it names. */
static cJSON *line_of(struct recording *recording, const struct probe_event *event)
{
    CLEANUP_JSON cJSON *line = cJSON_CreateObject();
    int64_t t_ms = (event->mono_us - recording->first_us) / 1000;
    CLEANUP_JSON cJSON *body = cJSON_CreateObject();
    if (set_body(recording, body, event) || json_set_integer(line, "t_ms", t_ms) ||
        json_set_string(line, "stage", probe_stage_name(event->stage)) || json_set_string(line, "step", probe_step_name(event->step)) ||
        json_set_string(line, "from", event->is_from_server ? "service" : "device") || json_set_integer(line, "code", event->code) ||
        set_redacted(recording, line, "name", event->name) ||
        (event->step != PROBE_SERVER && set_redacted(recording, line, "text", event->text)) ||
        json_set_string(line, "body", json_string(body, "body", NULL)))
        return NULL;
    return TAKE(line);
}

void recording_add(struct recording *recording, const struct probe_event *event)
{
    if (!recording->has_first)
        recording->first_us = event->mono_us;
    recording->has_first = true;
    if (recording->is_cut || recording->is_out_of_memory || !is_recorded(event->step))
        return;
    CLEANUP_JSON cJSON *line = line_of(recording, event);
    if (line)
        append(recording, line);
    else
        recording->is_out_of_memory = true;
}

int recording_write(const struct recording *recording, const char *path, struct error *error)
{
    if (recording->is_out_of_memory)
        return error_set_memory(error);
    if (file_write_atomic(path, bytes_text(&recording->text), recording->text.length_bytes, 0644, error))
        return -1;
    return recording->is_cut
               ? error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "%s: the recording is cut at %d bytes", path, RECORDING_MAX_BYTES)
               : 0;
}
