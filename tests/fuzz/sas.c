/* A SAS token, and a key, of a client. What was read is bounded, and the fields say what was sent. */
#include "certs/sas_token.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = fuzz_text(data, size);
    CLEANUP_SAS_KEY struct sas_key key = {.bytes = "0123456789abcdef", .length_bytes = 16};
    struct sas_token token;
    struct error error = ERROR_INIT;
    if (sas_key_read(text, &key, &error))
        fuzz_check_error(&error);
    FUZZ_MUST(key.length_bytes >= SAS_KEY_MIN_BYTES && key.length_bytes <= SAS_KEY_MAX_BYTES);
    error = (struct error)ERROR_INIT;
    if (sas_token_read(text, &token, &error)) {
        fuzz_check_error(&error);
        return 0;
    }
    FUZZ_MUST(*token.resource_as_sent && *token.expiry_as_sent && token.expiry_unix_s >= 0);
    FUZZ_MUST(strlen(token.resource) <= strlen(token.resource_as_sent) && strstr(text, token.resource_as_sent));
    (void)sas_token_is_signed_by(&token, &key);
    return 0;
}
