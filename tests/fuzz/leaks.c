/* libfyaml 0.7 loses a buffer of a few KiB when a quoted text breaks off; it is the library's own, and ours is one document a program. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}
