// zstd, for multifd channels of QEMU streams and images that libvirt packed with it.
#include <zstd.h>
#include <zstd_errors.h>
