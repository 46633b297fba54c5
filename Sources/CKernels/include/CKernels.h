// Everything that CKernels offers.
#ifndef MARTLET_CKERNELS_H
#define MARTLET_CKERNELS_H

#include "attention.h"
#include "block_product.h"
#include "dot.h"
#include "expand.h"
#include "experts.h"
#include "fixed_point.h"
#include "float16.h"
#include "four_bit.h"
#include "kernels.h"
#include "strips.h"
#include "system.h"
#include "tile_emulation.h"
#include "tiles.h"
#include "variants.h"

#endif
