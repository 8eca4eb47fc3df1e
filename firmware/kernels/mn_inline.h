// SPDX-License-Identifier: Apache-2.0
#ifndef MN_INLINE_H
#define MN_INLINE_H

// For innermost loops: inlined among many live variables they would lose their registers.
#if defined(__GNUC__)
#define MN_NOINLINE __attribute__((noinline))
#define MN_PER_PIXEL __attribute__((noinline, hot))
#define MN_PER_ROW __attribute__((noinline, cold))        // around the others: small rather than fast
#else
#define MN_NOINLINE
#define MN_PER_PIXEL
#define MN_PER_ROW
#endif

#endif
