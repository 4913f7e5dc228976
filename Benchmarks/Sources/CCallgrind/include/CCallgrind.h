/* Tells callgrind where what is counted begins and ends; does nothing where the process does not run under it. */
#ifndef CCALLGRIND_H
#define CCALLGRIND_H

/* From here on the instructions of all threads are counted. */
void callgrind_begin(void);

/* Up to here. */
void callgrind_end(void);

#endif
