// What the operating system allows this process.
#ifndef MARTLET_SYSTEM_H
#define MARTLET_SYSTEM_H

// Number of processors in the affinity mask of this process.
int martlet_allowed_processors(void);

#endif
