#include "harness/cli/cli.h"

#include "base/log.h"
#include "harness/cli/az_command.h"

static const char intro[] =
    "A bench for the X.509 provisioning of nRF91 devices through Azure DPS: runs cases on a device (a virtual DK when\n"
    "there is no board), against a local stand-in for DPS, and says what the device did and why.\n"
    "\n"
    "Examples:\n"
    "  dpsbench run                         every case, on a virtual DK\n"
    "  dpsbench run refused --rig my.yaml   the area 'refused', on the rig of my.yaml\n"
    "  dpsbench show refused/wrong-chain    what happened there in the newest run, from three sides\n"
    "  dpsbench list                        what there is to run";

static const char certs_text[] = "Make the keys and certificates of a recipe as files; list the recipes\v"
                                 "Examples:\n"
                                 "  dpsbench certs list\n"
                                 "  dpsbench certs make server/p256 --out pki";

static const char az_text[] =
    "The commands of Azure's command line for DPS, on the simulator: put `dpsbench` in front of `az`\v"
    "Examples:\n"
    "  dpsbench az iot dps certificate create --certificate-name root-ca --path rootCA.pem --state sim\n"
    "  dpsbench az iot dps enrollment-group create --enrollment-id line-1 --certificate-path rootCA.pem --state sim\n"
    "  dpsbench az iot dps enrollment --help";

static const char central_text[] = "IoT Central on the simulator: applications, their devices and what these may do\v"
                                   "Examples:\n"
                                   "  dpsbench central app create --app-id my-app\n"
                                   "  dpsbench central device create --app-id my-app --device-id gateway1\n"
                                   "  dpsbench central device block --app-id my-app --device-id gateway1";

static const char certificate_text[] = "Short for `dpsbench az iot dps certificate`: CA certificates of the simulator\v"
                                       "Examples:\n"
                                       "  dpsbench certificate create -n root-ca --path rootCA.pem --state sim";

static const char dialect_text[] = "What a firmware's console lines mean: a capture against a dialect, the dialects\v"
                                   "Examples:\n"
                                   "  dpsbench dialect check boot.log\n"
                                   "  dpsbench dialect list";

static const char hub_text[] = "The hubs behind a simulator that runs: devices, telemetry, messages, direct methods, twins\v"
                               "Examples:\n"
                               "  dpsbench hub watch --state sim\n"
                               "  dpsbench hub send dev-01 'hello' --state sim\n"
                               "  dpsbench hub invoke dev-01 reboot --state sim";

static const char report_text[] = "Reports of runs: the shards of one run together\v"
                                  "Examples:\n"
                                  "  dpsbench report merge shard-1 shard-2 --out whole";

static const char rig_text[] = "Rig files: which devices there are, how to reset them, which simulator\v"
                               "Examples:\n"
                               "  dpsbench rig init --id-scope 0ne000AAAA1 --sec-tag 56 --registration-id 'nrf-{imei}'\n"
                               "  dpsbench rig init --from hardware-map.yml --output rig.yaml";

static const char sim_text[] = "What a simulator can do to devices, and one that runs: turn its knobs, watch it\v"
                               "Examples:\n"
                               "  dpsbench sim knobs\n"
                               "  dpsbench sim set --state sim --lane main delay_ms=300\n"
                               "  dpsbench sim watch --state sim";

static const struct command dps_commands[] = {
    {"certificate", "CA certificates: upload, prove possession, show, list, delete", NULL, az_certificate_commands},
    {"enrollment", "Individual enrollments, and what has registered", NULL, az_enrollment_commands},
    {"enrollment-group", "Enrollment groups, and what has registered", NULL, az_group_commands},
    {NULL, NULL, NULL, NULL},
};

static const struct command iot_commands[] = {
    {"dps", "The Device Provisioning Service", NULL, dps_commands},
    {NULL, NULL, NULL, NULL},
};

static const struct command az_commands[] = {
    {"iot", "Azure IoT", NULL, iot_commands},
    {NULL, NULL, NULL, NULL},
};

static const struct command commands[] = {
    {"run", "Run cases and report", cli_run, NULL},
    {"show", "Show a run again, or what happened in one of its rows", cli_show, NULL},
    {"report", report_text, NULL, cli_report_commands},
    {"list", "List the rows that there are to run", cli_list, NULL},
    {"plan", "Show in which order rows would run on a rig, and what that costs its devices", cli_plan, NULL},
    {"calibrate", "See what a board is like, beside the virtual DK, and write a profile of it", cli_calibrate, NULL},
    {"try", "Try a device's own files, without a board: would DPS assign it, and if not, why", cli_try, NULL},
    {"probe", "Register from this host with a device's own credentials: are they wrong, or is the device", cli_probe, NULL},
    {"devices", "List the serial ports of boards, and what answers there", cli_devices, NULL},
    {"doctor", "Look whether everything is there that a run needs, and say what to do", cli_doctor, NULL},
    {"rig", rig_text, NULL, cli_rig_commands},
    {"credentials", "The credentials in a modem: list, plan, write, verify, delete, keygen, wear", cli_credentials,
     cli_credentials_commands},
    {"dialect", dialect_text, NULL, cli_dialect_commands},
    {"provision", "Many boards: a key and a certificate each, written, verified, registered once, in a manifest", cli_provision, NULL},
    {"certs", certs_text, NULL, cli_certs_commands},
    {"az", az_text, NULL, az_commands},
    {"central", central_text, NULL, central_commands},
    {"certificate", certificate_text, NULL, az_certificate_commands},
    {"sim", sim_text, NULL, cli_sim_commands},
    {"hub", hub_text, NULL, cli_hub_commands},
    {NULL, NULL, NULL, NULL},
};

int cli_main(int argc, char **argv)
{
    log_init("dpsbench", LOG_INFO);
    return command_end_output(command_dispatch(commands, "dpsbench", intro, argc, argv));
}
