/* A PKI's recipe, read strictly: what is refused has a place. */
#include "certs/recipe.h"

#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "format defect server members leaf intermediates root subject issuer key version digest not_before not_after extensions "
    "basicConstraints keyUsage extendedKeyUsage subjectAltName subjectKeyIdentifier authorityKeyIdentifier ca pathlen "
    "critical self p-256 p-384 rsa-2048 ed25519 sha256 md5 CN C O DC emailAddress digitalSignature keyCertSign decipherOnly "
    "serverAuth OCSPSigning ${registration_id} ${dps_host} ${hosts} +1d -3650d +99999999d 127.0.0.1 ::1 *.example "
    "intermediate none";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recipe *recipe = NULL;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size);
    if (recipe_read_text(text, size, "recipe.yaml", &recipe, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(!recipe && error.owner == ERROR_OWNER_FILE && strncmp(error.text, "recipe.yaml", 11) == 0);
        return 0;
    }
    FUZZ_MUST(recipe_member_count(recipe) > 0 && recipe_member_count(recipe) <= RECIPE_MEMBERS_MAX);
    for (size_t i = 0; i < recipe_member_count(recipe); i++)
        FUZZ_MUST(recipe_member_name(recipe, i)[0]);
    recipe_free(recipe);
    return 0;
}
