/*
 * For an application on the bench: each boot forgets to which hub DPS has assigned the device, so that it registers again.
 * Linked in by CONFIG_DPSBENCH_FORGET_ASSIGNMENT (Kconfig, next to this file). The application itself stays as it is.
 *
 * The keys are those under which Nordic's azure_iot_hub_dps library stores an assignment (nRF Connect SDK, since 2.0).
 */
#include <zephyr/init.h>
#include <zephyr/settings/settings.h>
#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

static const char *const keys[] = {
	"azure_iot_hub/hostname_len",
	"azure_iot_hub/hostname",
	"azure_iot_hub/device_id_len",
	"azure_iot_hub/device_id",
};

static int forget_assignment(void)
{
	int err = settings_subsys_init();

	/* A key that is not there is no error for settings_delete(). */
	for (size_t i = 0; !err && i < ARRAY_SIZE(keys); i++) {
		err = settings_delete(keys[i]);
	}
	if (err) {
		printk("dpsbench: the stored assignment could not be deleted, error: %d\n", err);
	}
	/* An error here would not stop the boot anyway, and the bench sees a device that skips DPS. */
	return 0;
}

SYS_INIT(forget_assignment, APPLICATION, CONFIG_APPLICATION_INIT_PRIORITY);
