/* dpsbench-sim: a stand-in for Azure's Device Provisioning Service and IoT Hub. */
#include "base/log.h"
#include "broker_sim/simulator/print_fidelity.h"
#include "broker_sim/simulator/simulator.h"

static int exit_status(const struct error *error)
{
    switch (error->owner) {
    case ERROR_OWNER_FILE:
    case ERROR_OWNER_PERSON:
        return EXIT_USAGE;
    case ERROR_OWNER_RIG:
    case ERROR_OWNER_DEVICE:
        return EXIT_RIG;
    default:
        return EXIT_OURS;
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct error error = ERROR_INIT;
    options_parse(argc, argv, &options);
    log_init("dpsbench-sim", options.is_verbose ? LOG_DEBUG : LOG_INFO);
    if (options.wants_knobs)
        return options_print_knobs(&options);
    if ((options.fidelity ? print_fidelity(&options, stdout, &error) : simulator_run(&options, &error)) == 0)
        return 0;
    log_error("%s", error.text);
    return exit_status(&error);
}
