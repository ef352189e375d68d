// zlib, for compressed pages of QEMU streams and optionally compressed shared pages.
#include <zlib.h>
