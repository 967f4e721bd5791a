/* A SAS token of a client. What was read is bounded, and a token made of it again reads the same. */
#include "base/sas.h"

#include "tests/fuzz/fuzz.h"

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = fuzz_text(data, size);
    struct sas_token token, again;
    struct error error = ERROR_INIT;
    (void)sas_key_is_valid(text);
    if (sas_token_read(text, &token, &error)) {
        fuzz_check_error(&error);
        return 0;
    }
    FUZZ_MUST(*token.signed_resource && *token.expiry && token.expires_unix_s >= 0);
    (void)sas_token_is_signed_by(&token, KEY);
    CLEANUP_FREE char *made = sas_token_make(token.resource, KEY, token.key_name, token.expires_unix_s);
    if (!made) /* its encoding is longer than one may be */
        return 0;
    FUZZ_MUST(sas_token_read(made, &again, NULL) == 0 && sas_token_is_signed_by(&again, KEY));
    FUZZ_MUST(strcmp(again.resource, token.resource) == 0 && strcmp(again.key_name, token.key_name) == 0);
    FUZZ_MUST(again.expires_unix_s == token.expires_unix_s);
    return 0;
}
