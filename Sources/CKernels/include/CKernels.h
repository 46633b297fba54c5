// CKernels.h: everything that Swift sees.
#include "dispatch.h"
#include "expand.h"
