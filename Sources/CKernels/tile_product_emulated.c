#include "tiles.h"

#include <string.h>

#define TILES_EMULATED 1
#include "amx_tiles.h"

#define FUNCTION(name) name##_emulated
#include "tile_product_body.h"
