#include "harness/run/own_names.h"

#include <stdlib.h>
#include <string.h>

char *own_name(const char *suffix, const char *name)
{
    char *own = name ? malloc(strlen(name) + (suffix ? strlen(suffix) : 0) + 1) : NULL;
    if (own)
        strcpy(stpcpy(own, name), suffix ? suffix : "");
    return own;
}

/* ".lane-1" must not be found in ".lane-12". */
static char *find(char *text, const char *suffix, size_t length)
{
    for (char *at = text; (at = strstr(at, suffix)); at += length)
        if (!(at[length] >= '0' && at[length] <= '9'))
            return at;
    return NULL;
}

static void strip_text(char *text, const char *suffix)
{
    size_t length = strlen(suffix);
    for (char *at = text; (at = find(at, suffix, length));)
        memmove(at, at + length, strlen(at + length) + 1);
}

/* Nesting is bounded where the text is parsed (base/json.h). */
void own_names_strip(const char *suffix, cJSON *json)
{
    if (!suffix || !json)
        return;
    if (cJSON_IsString(json))
        strip_text(json->valuestring, suffix);
    for (cJSON *child = json->child; child; child = child->next)
        own_names_strip(suffix, child);
}
