/* Faults that a test asks the fake drivers for: "key=value,key" in FAKE_NVENC or FAKE_VAAPI, or by a
 * call of fake_faults where the test and the driver share a process. */

#ifndef FAKE_FAULTS_H
#define FAKE_FAULTS_H

#define NEVER (-1L)

struct faults {
    unsigned major, minor; /* driver=11.1: the newest interface that the driver knows */
    long sessions;         /* sessions=2: more are refused, as out of memory */
    long busy;             /* busy=3: picture 3 is refused once, as the hardware is busy */
    long lock_busy;        /* lock_busy=3: the output of picture 3 is not ready when it is first locked */
    long lost;             /* lost=30: the device is gone at picture 30 of a session, counted from 0 */
    long lost_sessions;    /* lost_sessions=1: only that many sessions lose it */
    long hang;             /* hang=30: the output of picture 30 never comes */
    int hang_open;         /* hang_open: opening a session never returns */
    int crash;             /* crash: opening a session ends the process */
    int no_device;         /* no_device: the GPU cannot encode */
    int fixed_rate;        /* fixed_rate: the bitrate cannot be changed */
    int cqp_only;          /* cqp_only: there is no rate control */
    int low_power;         /* low_power: there is no other encoder than the low-power one */
    int no_hevc;           /* no_hevc: there is H.264 alone */
    int packed;            /* packed: the client writes headers, as with the drivers of other GPUs */
    int no_derive;         /* no_derive: surfaces cannot be mapped, images are put into them */
    unsigned overshoot;    /* overshoot=300: CBR makes that many percent of its rate */
    long late;             /* late=20: each picture takes that many milliseconds longer */
    char log[256];         /* log=PATH: what the client did, a line each; "fault: " begins its errors */
};

/* The faults for a session that is opened now. */
void faults_read(struct faults *faults);

/* A line of the log. */
void faults_log(const struct faults *faults, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes down what the client of a driver or a session (`of`) did wrong, and gives the code back that
 * is answered with. */
#define fault(of, code, ...) faults_told(&(of)->faults, code, __VA_ARGS__)

int faults_told(const struct faults *faults, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
