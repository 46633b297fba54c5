#include "tiles.h"

#include <string.h>

#if defined(__x86_64__)

#define TILES_EMULATED 0
#include "amx_tiles.h"

#define FUNCTION(name) name##_amx
#include "tile_product_body.h"

#else

// Nothing calls it: martlet_tiles_state() says that there are no tiles.
void martlet_tile_product_amx(const struct martlet_tile_product *product) { martlet_tile_product_emulated(product); }

#endif
