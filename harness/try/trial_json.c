/* A try's result for a program: docs/try.md. */
#include "harness/try/trial_report.h"

#include "harness/try/certificate_notes.h"
#include "harness/try/pem_form.h"

#include <string.h>

/* As in the event, with who signed it: an index of the chain, or absent when the signer was not sent. */
static int add_signers(cJSON *chain, const x509_stack *own)
{
    for (int i = 0; i < cJSON_GetArraySize(chain) && i < sk_X509_num(own); i++) {
        int signer = chain_signer(own, i);
        if (signer >= 0 && json_set_integer(cJSON_GetArrayItem(chain, i), "signed_by", signer))
            return -1;
    }
    return 0;
}

static cJSON *seen_json(const struct trial_result *result)
{
    CLEANUP_JSON cJSON *json = cJSON_Duplicate(result->handshake, true);
    if (!json || add_signers(cJSON_GetObjectItemCaseSensitive(json, "chain"), result->files.chain))
        return NULL;
    return TAKE(json);
}

static cJSON *note_json(const struct note *note)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", note->id) || json_set_string(json, "kind", note_kind_name(note->kind)) ||
        json_set_string(json, "text", note->text) || json_set_string(json, "mend", note->mend))
        return NULL;
    return TAKE(json);
}

static cJSON *notes_json(const struct notes *notes)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; array && i < notes->count; i++) {
        cJSON *json = note_json(&notes->items[i]);
        if (!json || !cJSON_AddItemToArray(array, json))
            return NULL;
    }
    return TAKE(array);
}

static int set_root(cJSON *json, const struct try_request *request, const struct trial_result *result)
{
    if (!result->has_root)
        return 0;
    CLEANUP_JSON cJSON *root = cJSON_CreateObject();
    if (!root || json_set_string(root, "file", request->root_path) || json_set_bool(root, "is_good", result->root.is_good) ||
        json_set_string(root, "text", result->root.said) || json_set_string(root, "mend", result->root.mend))
        return -1;
    return json_set(json, "root", TAKE(root));
}

static int set_modem(cJSON *json, const struct trial_result *result)
{
    CLEANUP_JSON cJSON *modem = cJSON_CreateObject();
    if (!modem || json_set_integer(modem, "certificate_bytes", (int64_t)pem_form_modem_bytes(&result->files.cert_text)) ||
        json_set_integer(modem, "key_bytes", (int64_t)pem_form_modem_bytes(&result->files.key_text)) ||
        json_set_integer(modem, "max_bytes", MODEM_TEXT_MAX_BYTES))
        return -1;
    return json_set(json, "modem", TAKE(modem));
}

/* A NULL object adds nothing. */
static int set_copy(cJSON *json, const char *name, const cJSON *object)
{
    return object ? json_set(json, name, cJSON_Duplicate(object, true)) : 0;
}

static int set_service(cJSON *json, const struct trial_result *result)
{
    return set_copy(json, "assumptions", result->service.assumptions) || (result->handshake && json_set(json, "seen", seen_json(result))) ||
                   set_copy(json, "attestation", result->verdict) || set_copy(json, "alert", result->alert) ||
                   set_copy(json, "connack", result->connack) || set_copy(json, "reply", result->reply) ||
                   set_copy(json, "assigned", result->assigned) || set_copy(json, "hub", result->hub_verdict)
               ? -1
               : 0;
}

cJSON *trial_to_json(const struct try_request *request, const struct trial_result *result)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    const char *first_class = json_string(cJSON_GetArrayItem(json_member(result->verdict, "rules"), 0), "class", NULL);
    const char *rule = json_string(result->verdict, "rule", NULL);
    if (!json || json_set_integer(json, "v", TRIAL_VERSION) || json_set_string(json, "outcome", trial_outcome_name(result->outcome)) ||
        json_set_bool(json, "is_assigned", result->outcome == TRIAL_ASSIGNED) ||
        json_set_string(json, "registration_id", request->registration_id) || json_set_string(json, "rule", rule) ||
        json_set_string(json, "class", rule ? first_class : NULL) || json_set_string(json, "text", result->text) ||
        set_copy(json, "commands", result->commands) || set_service(json, result) || set_root(json, request, result) ||
        set_modem(json, result) || set_copy(json, "console", result->console) ||
        json_set_string(json, "console_trouble", result->console_trouble) || json_set(json, "notes", notes_json(&result->notes)) ||
        json_set_integer(json, "duration_us", result->duration_us))
        return NULL;
    return TAKE(json);
}
