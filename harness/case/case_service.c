/* The `service` block: what DPS knows while the row runs. */
#include "base/cleanup.h"
#include "base/json.h"
#include "harness/case/case_internal.h"

#include <string.h>

static int read_verified(struct yaml_node node, enum case_verified *ret_verified, struct error *error)
{
    static const char *const words[] = {"false", "true", "by-possession", NULL};
    if (yaml_is_null(node)) {
        *ret_verified = CASE_UNVERIFIED;
        return 0;
    }
    size_t word;
    if (yaml_read_word(node, "a way to be verified", words, &word, error))
        return -1;
    *ret_verified = (enum case_verified)word;
    return 0;
}

static int read_certificate(struct case_reader *reader, struct yaml_node node, struct error *error)
{
    static const char *const keys[] = {"name", "member", "verified", NULL};
    struct case_certificate *certificate = &reader->row->service.certificates[reader->row->service.certificate_count];
    if (yaml_check_keys(node, "a certificate", keys, error))
        return -1;
    reader->row->service.certificate_count++;
    struct yaml_node member;
    if (case_read_required(reader, node, "name", &certificate->name, error) || yaml_require(node, "member", &member, error) ||
        case_read_member(reader, node, "member", &certificate->member, error))
        return -1;
    return read_verified(yaml_get(node, "verified"), &certificate->verified, error);
}

static int read_member_pair(struct case_reader *reader, struct yaml_node node, const char *what, char *ret_members[CASE_PAIR],
                            struct error *error)
{
    static const char *const keys[] = {"primary", "secondary", NULL};
    if (yaml_check_keys(node, what, keys, error) || case_read_member(reader, node, "primary", &ret_members[CASE_PRIMARY], error) ||
        case_read_member(reader, node, "secondary", &ret_members[CASE_SECONDARY], error))
        return -1;
    if (!ret_members[CASE_PRIMARY] && !ret_members[CASE_SECONDARY])
        return yaml_fail(node, error, "%s needs primary, secondary, or both", what);
    return 0;
}

static int check_reference(struct case_reader *reader, struct yaml_node node, const char *name, struct error *error)
{
    const struct case_service *service = &reader->row->service;
    for (size_t i = 0; i < service->certificate_count; i++)
        if (strcmp(service->certificates[i].name, name) == 0)
            return 0;
    return yaml_fail(node, error, "'%s' is none of service.certificates", name);
}

static int read_references(struct case_reader *reader, struct yaml_node node, char *ret_names[CASE_PAIR], struct error *error)
{
    static const char *const keys[] = {"primary", "secondary", NULL};
    if (yaml_check_keys(node, "ca_references", keys, error))
        return -1;
    for (size_t i = 0; i < CASE_PAIR; i++) {
        if (case_read_optional(reader, node, keys[i], &ret_names[i], error) ||
            (ret_names[i] && check_reference(reader, yaml_get(node, keys[i]), ret_names[i], error)))
            return -1;
    }
    if (!ret_names[CASE_PRIMARY] && !ret_names[CASE_SECONDARY])
        return yaml_fail(node, error, "ca_references needs primary, secondary, or both");
    return 0;
}

static int read_disabled(struct yaml_node map, bool *ret_is_disabled, struct error *error)
{
    struct yaml_node node = yaml_get(map, "disabled");
    return yaml_is_null(node) ? 0 : yaml_read_bool(node, ret_is_disabled, error);
}

static int read_group(struct case_reader *reader, struct yaml_node node, struct error *error)
{
    static const char *const keys[] = {"id", "signing_certificates", "ca_references", "disabled", NULL};
    struct case_group *group = &reader->row->service.groups[reader->row->service.group_count];
    if (yaml_check_keys(node, "an enrollment group", keys, error))
        return -1;
    reader->row->service.group_count++;
    struct yaml_node signing = yaml_get(node, "signing_certificates"), references = yaml_get(node, "ca_references");
    if (case_read_required(reader, node, "id", &group->id, error) || read_disabled(node, &group->is_disabled, error))
        return -1;
    if (yaml_is_null(signing) == yaml_is_null(references))
        return yaml_fail(node, error, "an enrollment group has either signing_certificates or ca_references");
    return yaml_is_null(references) ? read_member_pair(reader, signing, "signing_certificates", group->signing, error)
                                    : read_references(reader, references, group->ca_references, error);
}

static int read_enrollment(struct case_reader *reader, struct yaml_node node, struct error *error)
{
    static const char *const keys[] = {"certificate", "device_id", "disabled", NULL};
    struct case_enrollment *enrollment = &reader->row->service.enrollments[reader->row->service.enrollment_count];
    if (yaml_check_keys(node, "an enrollment", keys, error))
        return -1;
    reader->row->service.enrollment_count++;
    struct yaml_node certificate;
    if (yaml_require(node, "certificate", &certificate, error) ||
        read_member_pair(reader, certificate, "certificate", enrollment->certificates, error) ||
        case_read_optional(reader, node, "device_id", &enrollment->device_id, error))
        return -1;
    return read_disabled(node, &enrollment->is_disabled, error);
}

typedef int read_item_fn(struct case_reader *reader, struct yaml_node node, struct error *error);

static int read_items(struct case_reader *reader, struct yaml_node list, const char *what, read_item_fn *read_item, struct error *error)
{
    if (yaml_is_null(list))
        return 0;
    if (!yaml_is_list(list))
        return yaml_fail(list, error, "%s must be a list", what);
    if (yaml_count(list) > CASE_LIST_MAX)
        return yaml_fail(list, error, "more than %d %s", CASE_LIST_MAX, what);
    for (size_t i = 0; i < yaml_count(list); i++)
        if (read_item(reader, yaml_item_at(list, i), error))
            return -1;
    return 0;
}

static cJSON *knob_value(struct yaml_node node, const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (yaml_is_quoted(node) || !*text)
        return cJSON_CreateString(text);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return cJSON_CreateBool(text[0] == 't');
    return *end ? cJSON_CreateString(text) : cJSON_CreateNumber(number);
}

static int read_knobs(struct case_reader *reader, struct yaml_node knobs, struct error *error)
{
    struct case_service *service = &reader->row->service;
    if (yaml_is_null(knobs))
        return 0;
    if (!yaml_is_map(knobs))
        return yaml_fail(knobs, error, "knobs must be a mapping (name: value); `dpsbench sim knobs` names them");
    service->knobs = cJSON_CreateObject();
    if (!service->knobs || asprintf(&service->knobs_place, "%s:%d:%d", yaml_name(knobs.yaml), knobs.line, knobs.column) < 0)
        return error_set_memory(error);
    for (size_t i = 0; i < yaml_count(knobs); i++) {
        CLEANUP_FREE char *text = NULL;
        struct yaml_node value = yaml_value_at(knobs, i);
        if (substitution_read(&reader->substitution, value, &text, error) ||
            json_set(service->knobs, yaml_text(yaml_key_at(knobs, i)), knob_value(value, text)))
            return -1;
    }
    return 0;
}

int case_read_service(struct case_reader *reader, struct yaml_node service, struct error *error)
{
    static const char *const keys[] = {"profile", "certificates", "enrollment_groups", "enrollments", "knobs", NULL};
    if (yaml_is_null(service))
        return 0;
    if (yaml_check_keys(service, "service", keys, error) ||
        case_read_optional(reader, service, "profile", &reader->row->service.profile, error) ||
        read_items(reader, yaml_get(service, "certificates"), "certificates", read_certificate, error) ||
        read_items(reader, yaml_get(service, "enrollment_groups"), "enrollment_groups", read_group, error) ||
        read_items(reader, yaml_get(service, "enrollments"), "enrollments", read_enrollment, error))
        return -1;
    return read_knobs(reader, yaml_get(service, "knobs"), error);
}
