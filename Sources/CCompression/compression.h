/* zlib and zstd as the system has them. */
#pragma once
#include <zlib.h>
#include <zstd.h>
