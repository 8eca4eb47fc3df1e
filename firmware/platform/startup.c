// SPDX-License-Identifier: Apache-2.0
// Vector table and reset for every Armv6-M, Armv7-M and Armv8-M core. No interrupt is used, so the table ends with the
// system exceptions. The reset code is assembly up to the first use of the stack and of floating point or vector
// registers, because the stack is painted and the coprocessors are switched on there.
#include "board.h"
#include "platform.h"

int main(void);

struct vector_table {
  uint32_t *stack_top;
  void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) const struct vector_table vector_table = {
  _stack_top,
  {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler},
};

__attribute__((noreturn, used)) static void start(void) {
  const uint32_t *from = _data_load;
  for (uint32_t *to = _data_start; to < _data_end;)
    *to++ = *from++;
  for (uint32_t *to = _bss_start; to < _bss_end;)
    *to++ = 0;
  (void)main();
  for (;;) {
  }
}

__attribute__((naked)) void reset_handler(void) {
  __asm volatile(
    "    cpsid i\n"
    "    ldr  r0, =_stack_bottom\n"
    "    ldr  r1, =_stack_top\n"
    "    ldr  r2, =%c[paint]\n"
    "1:  str  r2, [r0]\n"
    "    adds r0, #4\n"
    "    cmp  r0, r1\n"
    "    blo  1b\n"
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
    "    ldr  r0, =_stack_bottom\n"  // the core itself faults on a push below this
    "    msr  msplim, r0\n"
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    "    ldr  r0, =0xE000ED88\n"  // CPACR: full access to CP10 and CP11
    "    ldr  r1, =0x00F00000\n"
    "    str  r1, [r0]\n"
    "    dsb\n"
    "    isb\n"
#endif
#if BOARD_HAS_VTOR
    "    ldr  r0, =0xE000ED08\n"  // VTOR: a boot loader may have left its own table there
    "    ldr  r1, =%c[vectors]\n"
    "    str  r1, [r0]\n"
#endif
#if BOARD_TRAP_UNALIGNED
    "    ldr  r0, =0xE000ED14\n"  // CCR.UNALIGN_TRP
    "    ldr  r1, [r0]\n"
    "    movs r2, #8\n"
    "    orrs r1, r2\n"
    "    str  r1, [r0]\n"
#endif
    "    ldr  r0, =%c[start]\n"
    "    bx   r0\n"
    "    .ltorg\n"
    :
    : [paint] "i"(STACK_PAINT), [start] "i"(start), [vectors] "i"(&vector_table));
}
