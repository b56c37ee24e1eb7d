/* A disk that forgets: what was not synced is gone when the power is cut.
 *
 * Preloaded into the service, it keeps, in addition to the real files, what a disk would hold: of each file its bytes as of its
 * last sync, of each folder its entries as of its last sync. `ACERVO_DISK` is the folder watched, `ACERVO_PLATTER` where
 * the image is kept: `f.INODE` for a file, `d.INODE` for a folder, one `INODE TYPE NAME` a line. `ACERVO_LIE` names a
 * part of a path whose syncs are promised and not done. A test rebuilds the folder from the image after a kill. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    if (n < 0) return 0;
    path[n] = 0;
    const char *disk = getenv("ACERVO_DISK");
    const char *lie = getenv("ACERVO_LIE");
    if (!disk || strncmp(path, disk, strlen(disk)) != 0) return 0;
    return !(lie && *lie && strstr(path, lie));
}

/* The image is replaced as a whole, so that a kill in the middle leaves the one before. */
static int replace(int from, char kind, ino_t inode, int (*fill)(int, int)) {
    char final[512], fresh[512];
    const char *platter = getenv("ACERVO_PLATTER");
    snprintf(final, sizeof final, "%s/%c.%lu", platter, kind, (unsigned long)inode);
    snprintf(fresh, sizeof fresh, "%s/new.%c.%lu.%d", platter, kind, (unsigned long)inode, gettid());
    int to = open(fresh, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (to < 0) return -1;
    int failed = fill(from, to);
    close(to);
    return failed ? -1 : rename(fresh, final);
}

static int copy_file(int from, int to) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", from);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0) return -1;
    ssize_t n;
    while ((n = sendfile(to, again, NULL, 1 << 20)) > 0) {}
    close(again);
    return n < 0;
}

static int copy_names(int from, int to) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", from);
    DIR *folder = opendir(path);
    if (!folder) return -1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            dprintf(to, "%lu %d %s\n", (unsigned long)entry->d_ino, entry->d_type, entry->d_name);
        }
    }
    closedir(folder);
    return 0;
}

/* One at a time: of two syncs of one thing the later image must stay. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int keep(int fd) {
    char path[4096];
    struct stat what;
    int before = errno;
    if (path_of(fd, path, sizeof path) && fstat(fd, &what) == 0) {
        pthread_mutex_lock(&one_at_a_time);
        int failed = S_ISDIR(what.st_mode) ? replace(fd, 'd', what.st_ino, copy_names)
                                           : replace(fd, 'f', what.st_ino, copy_file);
        pthread_mutex_unlock(&one_at_a_time);
        if (failed) return -1;
    }
    errno = before;
    return 0;
}

int fsync(int fd) { return keep(fd); }
int fdatasync(int fd) { return keep(fd); }
