/* What somebody types at the virtual DK's port: AT host, parameters, commands. Every command gets exactly one final line. */
#include "base/clock.h"
#include "fixtures/virtual_dk/at_args.h"
#include "fixtures/virtual_dk/at_commands.h"
#include "fixtures/virtual_dk/at_host.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/stat.h>

enum { COMMANDS_MAX = 64, KEYGEN_MAX = 2 };

static bool is_final(const char *line)
{
    return strncmp(line, "OK\r\n", 4) == 0 || strncmp(line, "ERROR\r\n", 7) == 0 || strncmp(line, "+CME ERROR: ", 12) == 0;
}

/* Lines end CR LF; the last one is final. */
static void check_reply(const char *reply, size_t length)
{
    FUZZ_MUST(length >= 4 && strcmp(reply + length - 2, "\r\n") == 0);
    const char *line = reply + length - 2;
    while (line > reply && line[-1] != '\n')
        line--;
    FUZZ_MUST(is_final(line));
}

static void read_args(const char *command)
{
    struct at_args args = at_args_of(command);
    const char *text;
    size_t length, end = strlen(command);
    uint32_t number;
    for (int i = 0; i < 16 && !at_args_at_end(&args); i++) {
        if (at_args_number(&args, 1000, &number) == 0)
            FUZZ_MUST(number <= 1000);
        else if (at_args_string(&args, &text, &length) == 0)
            FUZZ_MUST(text >= command && text + length <= command + end);
        else if (at_args_empty(&args))
            break;
    }
}

static void run(struct modem *modem, const char *command, int *keygens)
{
    CLEANUP(bytes_done) struct bytes reply = {0};
    /* Making keys takes its time and reads no foreign bytes. */
    if (strcasestr(command, "KEYGEN") && ++*keygens > KEYGEN_MAX)
        return;
    bytes_init(&reply, AT_REPLY_MAX_BYTES);
    at_commands_run(modem, command, &reply);
    check_reply(bytes_text(&reply), reply.length_bytes);
    FUZZ_MUST(ERR_peek_error() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const versions[] = {"mfw_nrf91x1_2.0.2", "mfw_nrf9160_1.3.1", "mfw_nrf9160_1.1.0"};
    if (size < 1)
        return 0;
    struct at_host host;
    struct modem modem;
    struct nvm *nvm = NULL;
    int keygens = 0;
    FUZZ_MUST(mkdir(fuzz_folder(), 0700) == 0 || errno == EEXIST);
    FUZZ_MUST(nvm_open(fuzz_folder(), &nvm, NULL) == 0);
    FUZZ_MUST(modem_init(&modem, versions[data[0] % ARRAY_COUNT(versions)], "dev-01", nvm, NULL) == 0);
    at_host_init(&host, NULL);
    size_t at = 1;
    for (int i = 0; i < COMMANDS_MAX && at < size; i++) {
        at += at_host_feed(&host, data + at, size - at);
        FUZZ_MUST(at <= size && host.length_bytes <= AT_HOST_COMMAND_MAX_BYTES && (host.has_command || at == size));
        if (!host.has_command)
            break;
        FUZZ_MUST(strlen(host.buffer) <= AT_HOST_COMMAND_MAX_BYTES);
        read_args(host.buffer);
        run(&modem, host.buffer, &keygens);
        at_host_next(&host);
    }
    nvm_close(nvm);
    FUZZ_MUST(dir_remove(fuzz_folder(), NULL) == 0);
    return 0;
}
