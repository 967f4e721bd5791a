/* What clients send to the service API: the head of a request, its path, its query, and a whole request behind the token. The first byte says which. */
#include "broker_sim/http/http_guard.h"
#include "broker_sim/service_api/service_api.h"
#include "broker_sim/service_api/service_path.h"
#include "broker_sim/service_api/service_query.h"
#include "tests/fuzz/fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define KEY "0123456789abcdef"
#define KEY_TEXT "MDEyMzQ1Njc4OWFiY2RlZg=="

/* In one piece and in pieces of every size, the guard says the same. */
static void head(const uint8_t *data, size_t size)
{
    struct http_guard whole, parts;
    http_guard_init(&whole);
    http_guard_init(&parts);
    size_t taken = http_guard_feed(&whole, data, size), step = size > 0 ? 1 + data[0] % 7U : 1;
    for (size_t at = 0; at < size; at += step)
        http_guard_feed(&parts, data + at, size - at < step ? size - at : step);
    FUZZ_MUST(whole.state == parts.state && whole.head_bytes == parts.head_bytes && whole.status == parts.status);
    FUZZ_MUST(taken <= size && whole.head_bytes <= HTTP_HEAD_MAX_BYTES);
    FUZZ_MUST((whole.state == HTTP_GUARD_REFUSED) == (whole.reason != NULL));
    /* What passes has no byte that a reader could take for the end of a line and another could not. */
    if (whole.state == HTTP_GUARD_DONE)
        for (size_t i = 0; i < taken; i++)
            FUZZ_MUST(data[i] != 0 && (data[i] != '\n' || (i > 0 && data[i - 1] == '\r')) && (data[i] != '\r' || data[i + 1] == '\n'));
}

static void path(const char *text)
{
    struct service_path read;
    struct error error = ERROR_INIT;
    if (service_path_read(text, &read, &error)) {
        fuzz_check_error(&error);
        return;
    }
    FUZZ_MUST(strlen(read.id) <= DPS_ID_MAX_BYTES && (read.action == SERVICE_COLLECTION) == (read.id[0] == 0));
    if (service_id_is_legal(read.id))
        FUZZ_MUST(!strchr(read.id, '/') && strcmp(read.id, "..") != 0);
}

static void query(const char *text)
{
    struct http_request request = {.body = "{\"query\":\"*\"}", .body_bytes = 13, .continuation = text, .max_item_count = text};
    struct http_request body = {.body = text, .body_bytes = strlen(text)};
    struct service_query read;
    struct error error = ERROR_INIT;
    char again[HTTP_HEADER_VALUE_BYTES];
    if (service_query_read(&body, &read, &error))
        fuzz_check_error(&error);
    request.max_item_count = NULL;
    if (service_query_read(&request, &read, &error) == 0 && read.after[0]) {
        struct service_query twice = {0};
        service_query_continue(read.after, again);
        request.continuation = again;
        FUZZ_MUST(service_query_read(&request, &twice, NULL) == 0 && strcmp(read.after, twice.after) == 0);
    }
}

/* --- a whole request --- */

/* user: whether the client sent the key itself. */
static void drop_event(void *user, cJSON *event)
{
    FUZZ_MUST(event);
    CLEANUP_FREE char *text = json_print_line(event);
    FUZZ_MUST(text && (*(const bool *)user || !strstr(text, KEY_TEXT)));
    cJSON_Delete(event);
}

static void make_token(char token[256])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    char signature[64];
    static const char text[] = "localhost\n4000000000";
    HMAC(EVP_sha256(), KEY, (int)strlen(KEY), (const unsigned char *)text, sizeof text - 1, digest, &length);
    EVP_EncodeBlock((unsigned char *)signature, digest, (int)length);
    snprintf(token, 256, "SharedAccessSignature sr=localhost&skn=o&se=4000000000&sig=");
    for (const char *at = signature; *at; at++)
        snprintf(token + strlen(token), 256 - strlen(token), strchr("+/=", *at) ? "%%%02X" : "%c", *at);
}

static void write_policies(const char *dir)
{
    CLEANUP_FREE char *file = path_join(dir, POLICIES_FILE);
    static const char text[] = "[{\"keyName\":\"o\",\"primaryKey\":\"" KEY_TEXT "\",\"secondaryKey\":\"" KEY_TEXT
                               "\",\"rights\":\"ServiceConfig, EnrollmentWrite, RegistrationStatusWrite\"}]";
    FUZZ_MUST(file && file_write_unsynced(file, text, sizeof text - 1, 0600, NULL) == 0);
}

/* "METHOD PATH\nIF-MATCH\nBODY" */
static void handle(struct service_api *api, char *text, bool has_token)
{
    char token[256];
    char *line = text, *method = strsep(&line, " \n"), *target = line ? strsep(&line, "\n") : NULL;
    const char *if_match = line ? strsep(&line, "\n") : NULL;
    make_token(token);
    struct http_request request = {.method = method,
                                   .path = target ? target : "/enrollments/a",
                                   .api_version = "2021-10-01",
                                   .authorization = has_token ? token : text,
                                   .if_match = if_match && *if_match ? if_match : NULL,
                                   .body = line ? line : ""};
    request.body_bytes = strlen(request.body);
    struct http_response response = {.status = 500};
    service_api_handle(api, &request, &response);
    FUZZ_MUST(response.status >= 200 && response.status <= 599);
    FUZZ_MUST(has_token || response.status == 401);
    CLEANUP_JSON cJSON *body = response.body ? cJSON_Parse(response.body) : NULL;
    FUZZ_MUST(response.status == 204 || body);
    free(response.body);
}

static void request(const uint8_t *data, size_t size, bool has_token)
{
    CLEANUP_FREE char *text = fuzz_text(data, size);
    const char *dir = fuzz_folder();
    bool has_key = strstr(text, KEY_TEXT) != NULL;
    struct clock_fake clock;
    struct dps_state *state = NULL;
    struct policies *policies = NULL;
    clock_fake_init(&clock, 1000000, 1795000000000000);
    dir_remove(dir, NULL);
    FUZZ_MUST(dir_make(dir, 0755, NULL) == 0);
    write_policies(dir);
    FUZZ_MUST(dps_state_open(dir, &clock.clock, &state, NULL) == 0 && policies_open(dir, &policies, NULL) == 0);
    static const char *const hosts[] = {"localhost"};
    struct registration_store *registrations = registration_store_new("0ne", &clock.clock);
    struct service_api_options options = {.state = state,
                                          .registrations = registrations,
                                          .policies = policies,
                                          .hosts = hosts,
                                          .host_count = 1,
                                          .sink = {.emit = drop_event, .user = &has_key, .clock = &clock.clock}};
    struct service_api *api = service_api_new(&options);
    FUZZ_MUST(registrations && api);
    handle(api, text, has_token);
    service_api_free(api);
    registration_store_free(registrations);
    policies_free(policies);
    dps_state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    CLEANUP_FREE char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 'h')
        head(data + 1, size - 1);
    else if (data[0] == 'p')
        path(text);
    else if (data[0] == 'q')
        query(text);
    else
        request(data + 1, size - 1, data[0] == 't');
    return 0;
}
