/* The kernel of one instruction set, for both floating types.

   The build compiles this file once a level, with -DLEVEL=... and that level's flags;
   every function is static but the table at the end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "descriptions.h"
#include "kernel_table.h"
#include "memory.h"
#include "optimizer_state.h"
#include "radam.h"
#include "team.h"
#include "threefry.h"
#include "work_units.h"

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
#include "kernel_template.h"

#define REAL_BITS 64
#define T double
#define U uint64_t
#define FN(name) name##_d
#include "kernel_template.h"

const Kernel *const PASTE(kernels_, LEVEL)[2] = {&kernel_f, &kernel_d};
