#ifndef CHEAP_H
#define CHEAP_H

#include <stddef.h>

/* Bytes that this process has from malloc and has not given back. */
size_t cheap_bytes_in_use(void);

#endif
