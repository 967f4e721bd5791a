/* Runs a fuzz target over files: its corpus, or those of the command line. An empty corpus is an error. */
#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>

enum { INPUT_MAX_BYTES = 4 * 1024 * 1024 };

static void replay(const char *path)
{
    CLEANUP(bytes_done) struct bytes input = {0};
    struct error error = ERROR_INIT;
    bytes_init(&input, INPUT_MAX_BYTES);
    if (file_read(path, INPUT_MAX_BYTES, &input, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    /* Of its very size, so that a read past its end is seen. */
    CLEANUP_FREE char *copy = fuzz_text(input.data, input.length_bytes);
    CLEANUP_FREE uint8_t *exact = malloc(input.length_bytes ? input.length_bytes : 1);
    FUZZ_MUST(exact);
    memcpy(exact, copy, input.length_bytes);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, input.length_bytes);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        CLEANUP_FREE char *path = path_join(folder, entries[i]->d_name);
        replay(path);
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (argc > 1)
        return 0;
    int count = replay_folder(FUZZ_CORPUS);
    if (count <= 0) {
        fprintf(stderr, "no input in %s\n", FUZZ_CORPUS);
        return 1;
    }
    printf("%d inputs\n", count);
    return 0;
}
