/* The kernel of one instruction set, for both floating types.

   The build compiles this file once a level, with -DLEVEL=... and that level's flags;
   every function is static but the table at the end. */
#include "common.h"
#include "noise.h"
#include "team.h"

#ifndef LEVEL
#define LEVEL baseline
#endif
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define LEVEL_NAME TEXT(LEVEL)
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#define REAL_BITS 32
#define T float
#define U uint32_t
#define FN(name) name##_f
#include "body.h"

#define REAL_BITS 64
#define T double
#define U uint64_t
#define FN(name) name##_d
#include "body.h"

const Kernel *const PASTE(kernels_, LEVEL)[2] = {&kernel_f, &kernel_d};
