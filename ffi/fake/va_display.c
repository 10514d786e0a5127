/* Fake libva-drm.so.2: a display for any file, as if it were a render node. libva loads the driver
 * `fake` for it, from the folder of this library unless LIBVA_DRIVERS_PATH says otherwise. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <libgen.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <va/va.h>
#include <va/va_backend.h>
#include <va/va_drmcommon.h>

/* Exported by libva for its window systems, without a header. */
extern VADisplayContextP va_newDisplayContext(void);
extern VADriverContextP va_newDriverContext(VADisplayContextP display);

static void set_folder(void)
{
    Dl_info info;
    if (!dladdr((void *)set_folder, &info))
        return;
    char *path = strdup(info.dli_fname);
    setenv("LIBVA_DRIVERS_PATH", dirname(path), 0);
    free(path);
}

static int is_valid(VADisplayContextP display)
{
    return display && display->pDriverContext;
}

static void destroy(VADisplayContextP display)
{
    free(display->pDriverContext->drm_state);
    free(display->pDriverContext);
    free(display);
}

#ifdef HAS_DRIVER_NAMES
static VAStatus driver_names(VADisplayContextP display, char **names, unsigned *count)
{
    (void)display;
    names[0] = strdup("fake");
    *count = 1;
    return VA_STATUS_SUCCESS;
}
#else
static VAStatus driver_count(VADisplayContextP display, int *count)
{
    (void)display;
    *count = 1;
    return VA_STATUS_SUCCESS;
}

static VAStatus driver_name(VADisplayContextP display, char **name)
{
    (void)display;
    *name = strdup("fake");
    return VA_STATUS_SUCCESS;
}

static VAStatus driver_name_at(VADisplayContextP display, char **name, int index)
{
    return index ? VA_STATUS_ERROR_INVALID_PARAMETER : driver_name(display, name);
}
#endif

__attribute__((visibility("default"))) VADisplay vaGetDisplayDRM(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (fd < 0)
        return NULL;
    pthread_once(&once, set_folder);
    VADisplayContextP display = va_newDisplayContext();
    display->vaIsValid = is_valid;
    display->vaDestroy = destroy;
#ifdef HAS_DRIVER_NAMES
    display->vaGetDriverNames = driver_names;
#else
    display->vaGetNumCandidates = driver_count;
    display->vaGetDriverName = driver_name;
    display->vaGetDriverNameByIndex = driver_name_at;
#endif
    VADriverContextP driver = va_newDriverContext(display);
    struct drm_state *state = calloc(1, sizeof *state);
    state->fd = fd;
    driver->drm_state = state;
    driver->display_type = VA_DISPLAY_DRM_RENDERNODES;
    return display;
}
