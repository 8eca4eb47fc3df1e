// SPDX-License-Identifier: Apache-2.0
#ifndef MN_INLINE_H
#define MN_INLINE_H

// For innermost loops: inlined among many live variables they would lose their registers.
#if defined(__GNUC__)
#define MN_NOINLINE __attribute__((noinline))
#else
#define MN_NOINLINE
#endif

#endif
