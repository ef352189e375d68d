// A call that glibc exports but declares only under _GNU_SOURCE, which Swift's importer of
// glibc does not define. See rename(2).
int renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
              unsigned int flags);
