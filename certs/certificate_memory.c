#include "certs/certificate_memory.h"

#include <openssl/x509v3.h>

struct known {
    X509 *certificate; /* a reference, not a copy: the memory ends before what it came from */
    cJSON *json;
    uint64_t asked_at;
};

struct certificate_memory {
    struct known known[CERTIFICATE_MEMORY_COUNT];
    uint64_t question_count;
    size_t made_count;
};

struct certificate_memory *certificate_memory_new(void)
{
    return calloc(1, sizeof(struct certificate_memory));
}

static void forget(struct known *known)
{
    X509_free(known->certificate);
    cJSON_Delete(known->json);
    *known = (struct known){.certificate = NULL};
}

void certificate_memory_free(struct certificate_memory *memory)
{
    if (!memory)
        return;
    for (size_t i = 0; i < CERTIFICATE_MEMORY_COUNT; i++)
        forget(&memory->known[i]);
    free(memory);
}

static struct known *find(struct certificate_memory *memory, const X509 *certificate)
{
    for (size_t i = 0; i < CERTIFICATE_MEMORY_COUNT; i++)
        if (memory->known[i].certificate && X509_cmp(memory->known[i].certificate, certificate) == 0)
            return &memory->known[i];
    return NULL;
}

static struct known *oldest(struct certificate_memory *memory)
{
    struct known *found = &memory->known[0];
    for (size_t i = 1; i < CERTIFICATE_MEMORY_COUNT; i++)
        if (memory->known[i].asked_at < found->asked_at)
            found = &memory->known[i];
    return found;
}

static void remember(struct certificate_memory *memory, X509 *certificate, const cJSON *json)
{
    struct known *known = oldest(memory);
    forget(known);
    known->json = cJSON_Duplicate(json, true);
    if (known->json && X509_up_ref(certificate))
        known->certificate = certificate;
    known->asked_at = memory->question_count;
}

cJSON *certificate_memory_json(struct certificate_memory *memory, X509 *certificate)
{
    bool is_ca = X509_check_ca(certificate) != 0;
    struct known *known = is_ca ? find(memory, certificate) : NULL;
    memory->question_count++;
    if (known) {
        known->asked_at = memory->question_count;
        return cJSON_Duplicate(known->json, true);
    }
    cJSON *json = certificate_json(certificate);
    memory->made_count++;
    if (json && is_ca)
        remember(memory, certificate, json);
    return json;
}

cJSON *certificate_memory_chain_json(struct certificate_memory *memory, const x509_stack *chain)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    for (int i = 0; array && i < sk_X509_num(chain); i++) {
        cJSON *one = certificate_memory_json(memory, sk_X509_value(chain, i));
        if (!one || !cJSON_AddItemToArray(array, one))
            return NULL;
    }
    return TAKE(array);
}

size_t certificate_memory_made_count(const struct certificate_memory *memory)
{
    return memory->made_count;
}
