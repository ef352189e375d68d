// liblzma, for images that libvirt packed with xz.
#include <lzma.h>
