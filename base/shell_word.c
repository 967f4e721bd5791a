#include "base/shell_word.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int is_plain(const char *text)
{
    if (!*text)
        return 0;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_./:@%+=,-", *text))
            return 0;
    return 1;
}

char *shell_word(const char *text)
{
    if (is_plain(text))
        return strdup(text);
    /* Each quote becomes '\'' : four bytes. */
    char *word = malloc(strlen(text) * 4 + 3), *at = word;
    if (!word)
        return NULL;
    *at++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') {
            memcpy(at, "'\\''", 4);
            at += 4;
        } else {
            *at++ = *text;
        }
    }
    memcpy(at, "'", 2);
    return word;
}
