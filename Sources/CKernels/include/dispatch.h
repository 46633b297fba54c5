// dispatch.h: which instruction set the kernels use.
#ifndef MARTLET_DISPATCH_H
#define MARTLET_DISPATCH_H

// The level in use: 0 portable, 1 AVX2 + FMA + F16C, 2 AVX-512 F/BW/DQ/VL.
int martlet_isa(void);

// Overrides the level with one that the CPU has; a negative or higher one returns to the best available.
void martlet_select_isa(int level);

#endif
